"""How long a group's capacity is waited for (waitGroupCapacitySatisfied, statusGroupCapacity in terraform-provider-aws'
internal/service/autoscaling/group.go), and how its instances and its warm pool end (drainGroup, deleteWarmPool)."""

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from turnout.engine.provider import NotFound, ProviderError
from turnout.providers.aws.base import Deadline
from turnout.providers.aws.clients import Cloud, error_code

BUSY = frozenset({"ResourceInUse", "ResourceInUseFault", "ScalingActivityInProgress", "ScalingActivityInProgressFault"})
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
GONE_STATES = frozenset({"terminated"})


def seconds(duration: str) -> float:
    """Go's durations: `10m`, `1h30m`, `0`. Raises ValueError."""
    if duration == "0":
        return 0.0
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is not a duration such as 10m or 1h30m")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def find_group(cloud: Cloud, name: str) -> dict[str, Any] | None:
    """The live group, or None."""
    found = cloud.call("autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return dict(found[0]) if found else None


def in_service(group: Mapping[str, Any]) -> int:
    """Healthy instances in service, by their weights."""
    return sum(
        int(instance.get("WeightedCapacity") or 1)
        for instance in group.get("Instances") or []
        if instance.get("HealthStatus", "").lower() == "healthy" and instance.get("LifecycleState") == "InService"
    )


def wait_for_capacity(
    cloud: Cloud, name: str, timeout: float, enough: Callable[[int], bool], wants: str, ignore_failures: bool
) -> None:
    """Polls until the group has enough healthy instances; 0 seconds: not at all.

    Raises ProviderError at the end of the time, and at once when a scaling activity has failed since."""
    if timeout <= 0:
        return
    since, end = datetime.now(UTC), time.monotonic() + timeout
    while True:
        if not ignore_failures:
            _refuse_failed(cloud, name, since)
        group = find_group(cloud, name)
        if group is None:
            raise NotFound(f"auto scaling group {name} is gone")
        have = in_service(group)
        if enough(have):
            return
        if time.monotonic() >= end:
            raise ProviderError(
                f"auto scaling group {name}: waiting for capacity satisfied: {wants} healthy instance(s), has {have} "
                f"after {timeout:g} s"
            )
        time.sleep(min(0.2, timeout))


def _refuse_failed(cloud: Cloud, name: str, since: datetime) -> None:
    for activity in cloud.pages("autoscaling", "describe_scaling_activities", "Activities", AutoScalingGroupName=name):
        failed = activity.get("StatusCode") == "Failed" and activity.get("Progress") == 100
        if failed and activity["StartTime"] > since:
            raise ProviderError(
                f"auto scaling group {name}: scaling activity {activity['ActivityId']}: Failed: "
                f"{activity.get('StatusMessage', '')}; ignoreFailedScalingActivities waits on"
            )


def drain_group(cloud: Cloud, name: str, group: Mapping[str, Any], deadline: Deadline) -> None:
    """drainGroup; protection from scale-in goes first, so that the smaller size takes every instance."""
    protected = [item["InstanceId"] for item in group["Instances"] if item.get("ProtectedFromScaleIn")]
    for start in range(0, len(protected), 50):
        cloud.call(
            "autoscaling",
            "set_instance_protection",
            AutoScalingGroupName=name,
            InstanceIds=protected[start : start + 50],
            ProtectedFromScaleIn=False,
        )
    cloud.call("autoscaling", "update_auto_scaling_group", AutoScalingGroupName=name, MinSize=0, MaxSize=0, DesiredCapacity=0)
    deadline.until(lambda: not (find_group(cloud, name) or {"Instances": []})["Instances"], "still has instances")


def delete_warm_pool(cloud: Cloud, name: str, force: bool, deadline: Deadline) -> None:
    """deleteWarmPool: unless forced it is emptied first; then it must be gone."""
    if not force:
        sizes = {"MaxGroupPreparedCapacity": 0, "MinSize": 0}
        cloud.call("autoscaling", "put_warm_pool", AutoScalingGroupName=name, **sizes)
        deadline.until(lambda: not _warm_pool(cloud, name).get("Instances"), "still has instances in its warm pool")
    call = {"AutoScalingGroupName": name, "ForceDelete": force}
    try:
        deadline.retry(lambda: cloud.call("autoscaling", "delete_warm_pool", **call), BUSY)
    except ProviderError as error:
        if "No warm pool found" not in str(error):
            raise
    deadline.until(lambda: not has_warm_pool(cloud, name), "still has its warm pool")


def has_warm_pool(cloud: Cloud, name: str) -> bool:
    """Whether the group has one, be it on its way out."""
    return bool(_warm_pool(cloud, name).get("WarmPoolConfiguration"))


def _warm_pool(cloud: Cloud, name: str) -> dict[str, Any]:
    return cloud.call("autoscaling", "describe_warm_pool", AutoScalingGroupName=name)


def alive(cloud: Cloud, instances: list[str]) -> bool:
    """Whether one of the instances has not ended."""
    if not instances:
        return False
    try:
        reservations = cloud.call("ec2", "describe_instances", InstanceIds=instances)["Reservations"]
    except ProviderError as error:
        if error_code(error).endswith("NotFound"):
            return False
        raise
    states = [instance["State"]["Name"] for reservation in reservations for instance in reservation["Instances"]]
    return any(state not in GONE_STATES for state in states)
