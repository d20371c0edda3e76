"""What an auto scaling group has beside its sizes: hooks, warm pool, instances policy, reservation, metrics.

Copied from terraform-provider-aws internal/service/autoscaling/group.go: `expandMixedInstancesPolicy`,
`expandPutLifecycleHookInputs`, `expandPutWarmPoolInput`, `updateWarmPool`, `deleteWarmPool`, `resourceGroupUpdate`.
"""

from collections.abc import Mapping
from typing import Any

from turnout.engine.provider import Properties
from turnout.providers.aws.base import Deadline, changed
from turnout.providers.aws.clients import Cloud, client
from turnout.providers.aws.mapping import from_members, to_members

BLOCKS = {
    "mixedInstancesPolicy": "MixedInstancesPolicy",
    "capacityReservationSpecification": "CapacityReservationSpecification",
    "instanceMaintenancePolicy": "InstanceMaintenancePolicy",
}
HOOK_NAMES = {"name": "LifecycleHookName"}
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


def put_hooks(cloud: Cloud, group: str, hooks: list[Properties]) -> None:
    """The hooks of `initialLifecycleHooks`, in force before the group launches anything."""
    shape = client(cloud.config, "autoscaling").meta.service_model.operation_model("PutLifecycleHook").input_shape
    for hook in hooks:
        members = to_members(shape, hook, HOOK_NAMES)
        cloud.call("autoscaling", "put_lifecycle_hook", AutoScalingGroupName=group, **members)


def set_warm_pool(cloud: Cloud, group: str, old: Properties, new: Properties) -> None:
    """Makes, changes or (with its instances, where the group says so) deletes the warm pool."""
    wanted = new.get("warmPool")
    if wanted is None:
        if old.get("warmPool") is not None and _warm_pool(cloud, group):
            delete_warm_pool(cloud, group, force_of(old) or force_of(new), Deadline(WARM_POOL_WAIT, group))
        return
    if old.get("warmPool") == wanted and _warm_pool(cloud, group):
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


def delete_warm_pool(cloud: Cloud, group: str, force: bool, deadline: Deadline) -> None:
    """Asks for its end and waits for it."""
    busy = frozenset({"ResourceInUse", "ResourceInUseFault", "ScalingActivityInProgress", "ScalingActivityInProgressFault"})
    call = {"AutoScalingGroupName": group, "ForceDelete": force}
    deadline.retry(lambda: cloud.call("autoscaling", "delete_warm_pool", **call), busy)
    deadline.until(lambda: not _warm_pool(cloud, group), "still has its warm pool")


def force_of(inputs: Properties) -> bool:
    """Whether a warm pool is deleted with its instances."""
    return bool(inputs.get("forceDelete") or inputs.get("forceDeleteWarmPool"))


def _warm_pool(cloud: Cloud, group: str) -> dict[str, Any]:
    return dict(cloud.call("autoscaling", "describe_warm_pool", AutoScalingGroupName=group).get("WarmPoolConfiguration") or {})


def set_metrics(cloud: Cloud, group: str, old: Properties, new: Properties) -> None:
    """Enables and disables the group's own metrics."""
    if not changed(old, new, "enabledMetrics", "metricsGranularity"):
        return
    before, after = set(old.get("enabledMetrics") or []), set(new.get("enabledMetrics") or [])
    if before - after:
        cloud.call("autoscaling", "disable_metrics_collection", AutoScalingGroupName=group, Metrics=sorted(before - after))
    if after - before:
        granularity = new.get("metricsGranularity") or "1Minute"
        members = {"Metrics": sorted(after - before), "Granularity": granularity}
        cloud.call("autoscaling", "enable_metrics_collection", AutoScalingGroupName=group, **members)


def look(group: Mapping[str, Any]) -> Properties:
    """The live parts under Pulumi's names; what the answer of DescribeAutoScalingGroups lacks is not looked at."""
    found: Properties = {}
    for name, member in BLOCKS.items():
        if member in group:
            found[name] = from_members(group[member])
    pool = group.get("WarmPoolConfiguration") or {}
    found["warmPool"] = None
    if pool and pool.get("Status") != "PendingDelete":
        prepared = pool.get("MaxGroupPreparedCapacity")
        found["warmPool"] = {
            "poolState": pool.get("PoolState") or "Stopped",
            "minSize": pool.get("MinSize") or 0,
            "maxGroupPreparedCapacity": -1 if prepared is None else prepared,
            "instanceReusePolicy": {"reuseOnScaleIn": bool((pool.get("InstanceReusePolicy") or {}).get("ReuseOnScaleIn"))},
        }
    metrics = group.get("EnabledMetrics") or []
    found["enabledMetrics"] = sorted(metric["Metric"] for metric in metrics)
    return found
