"""What an auto scaling group has beside its sizes: warm pool, instances policy, reservation, metrics, suspended processes.

Copied from terraform-provider-aws internal/service/autoscaling/group.go: `expandMixedInstancesPolicy`,
`expandPutWarmPoolInput`, `updateWarmPool`, `resourceGroupUpdate`.
"""

from collections.abc import Mapping
from typing import Any

from turnout.engine.provider import Properties
from turnout.providers.aws.autoscaling_capacity import delete_warm_pool, has_warm_pool
from turnout.providers.aws.autoscaling_mixed_rules import REQUIREMENT_NAMES
from turnout.providers.aws.base import Deadline, changed
from turnout.providers.aws.clients import Cloud, client
from turnout.providers.aws.mapping import from_members, to_members

BLOCKS = {
    "mixedInstancesPolicy": "MixedInstancesPolicy",
    "capacityReservationSpecification": "CapacityReservationSpecification",
    "instanceMaintenancePolicy": "InstanceMaintenancePolicy",
}
WARM_POOL_WAIT = 600.0
"""Seconds that the end of a warm pool may take."""


def blocks(cloud: Cloud, inputs: Properties, names: frozenset[str]) -> dict[str, Any]:
    """The blocks among `names` as members of CreateAutoScalingGroup."""
    shape = client(cloud.config, "autoscaling").meta.service_model.operation_model("CreateAutoScalingGroup").input_shape
    return {
        member: to_members(shape.members[member], inputs[name])
        for name, member in BLOCKS.items()
        if name in names and inputs.get(name) is not None
    }


def set_warm_pool(cloud: Cloud, group: str, old: Properties, new: Properties) -> None:
    """Makes, changes or (with its instances, where the group says so) deletes the warm pool."""
    wanted = new.get("warmPool")
    if wanted is None:
        if old.get("warmPool") is not None and has_warm_pool(cloud, group):
            delete_warm_pool(cloud, group, force_of(old) or force_of(new), Deadline(WARM_POOL_WAIT, group))
        return
    if old.get("warmPool") == wanted and has_warm_pool(cloud, group):
        return
    prepared = wanted.get("maxGroupPreparedCapacity")
    reuse = wanted.get("instanceReusePolicy")
    cloud.call(
        "autoscaling",
        "put_warm_pool",
        AutoScalingGroupName=group,
        PoolState=wanted.get("poolState") or "Stopped",
        MinSize=wanted.get("minSize") or 0,
        MaxGroupPreparedCapacity=-1 if prepared is None else prepared,
        InstanceReusePolicy={"ReuseOnScaleIn": bool((reuse or {}).get("reuseOnScaleIn"))},
    )


def force_of(inputs: Properties) -> bool:
    """Whether a warm pool is deleted with its instances."""
    return bool(inputs.get("forceDelete") or inputs.get("forceDeleteWarmPool"))


def set_metrics(cloud: Cloud, group: str, old: Properties, new: Properties) -> None:
    """Enables and disables the group's own metrics."""
    if not changed(old, new, "enabledMetrics", "metricsGranularity"):
        return
    gone, fresh = _moved(old, new, "enabledMetrics")
    if gone:
        cloud.call("autoscaling", "disable_metrics_collection", AutoScalingGroupName=group, Metrics=gone)
    if fresh:
        granularity = new.get("metricsGranularity") or "1Minute"
        members = {"Metrics": fresh, "Granularity": granularity}
        cloud.call("autoscaling", "enable_metrics_collection", AutoScalingGroupName=group, **members)


def set_processes(cloud: Cloud, group: str, old: Properties, new: Properties) -> None:
    """Resumes and suspends the group's processes."""
    gone, fresh = _moved(old, new, "suspendedProcesses")
    for operation, processes in (("resume_processes", gone), ("suspend_processes", fresh)):
        if processes:
            cloud.call("autoscaling", operation, AutoScalingGroupName=group, ScalingProcesses=processes)


def _moved(old: Properties, new: Properties, name: str) -> tuple[list[str], list[str]]:
    before, after = set(old.get(name) or []), set(new.get(name) or [])
    return sorted(before - after), sorted(after - before)


def look(group: Mapping[str, Any]) -> Properties:
    """The live parts under Pulumi's names."""
    pool = group.get("WarmPoolConfiguration") or {}
    found: Properties = {
        **{name: from_members(group.get(member), REQUIREMENT_NAMES) for name, member in BLOCKS.items()},
        "warmPool": None,
        "enabledMetrics": sorted(metric["Metric"] for metric in group.get("EnabledMetrics") or []),
        "suspendedProcesses": sorted(item["ProcessName"] for item in group.get("SuspendedProcesses") or []),
    }
    if pool and pool.get("Status") != "PendingDelete":
        prepared = pool.get("MaxGroupPreparedCapacity")
        found["warmPool"] = {
            "poolState": pool.get("PoolState") or "Stopped",
            "minSize": pool.get("MinSize") or 0,
            "maxGroupPreparedCapacity": -1 if prepared is None else prepared,
            "instanceReusePolicy": {"reuseOnScaleIn": bool((pool.get("InstanceReusePolicy") or {}).get("ReuseOnScaleIn"))},
        }
    return found
