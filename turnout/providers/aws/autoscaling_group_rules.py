"""What AWS refuses of an auto scaling group, from its inputs alone. Sources are pages of the Amazon EC2 Auto Scaling API
Reference, but those that are named whole."""

from collections.abc import Iterable
from typing import Any

from turnout.engine.provider import Fault, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.autoscaling_capacity import seconds
from turnout.providers.aws.autoscaling_hook import check_hook
from turnout.providers.aws.autoscaling_mixed_rules import has_spot, mixed_faults, weighted
from turnout.providers.aws.base import known

SOURCE = "CreateAutoScalingGroup"
INFINITY = float("inf")
POOL_PAGE = "Decrease latency for applications with long boot times using warm pools"
DAY, YEAR = 86400, 31536000
PROCESSES = {
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
}
METRICS = {
    *(f"Group{name}" for name in ("MinSize", "MaxSize", "DesiredCapacity")),
    *(
        f"Group{state}{unit}"
        for state in ("InService", "Pending", "Standby", "Terminating", "Total")
        for unit in ("Instances", "Capacity")
    ),
    *(f"WarmPool{state}Capacity" for state in ("Desired", "Warmed", "Pending", "Terminating", "Total")),
    *(f"GroupAndWarmPool{state}Capacity" for state in ("Desired", "Total")),
}
TERMINATION = (
    r"Default|AllocationStrategy|ClosestToNextInstanceHour|NewestInstance|OldestInstance|OldestLaunchConfiguration|"
    r"OldestLaunchTemplate|arn:[\w-]+:lambda:.+"
)
PREFERENCES = {"capacity-reservations-only", "capacity-reservations-first", "none", "default"}


def faults(inputs: Properties) -> list[Fault]:
    """Every rule that the group breaks."""
    found = rules.required(inputs, "minSize", "maxSize", "vpcZoneIdentifiers")
    found += rules.matches(inputs, "name", r"[^\x00-\x1f:]{1,255}", "1 to 255 characters without a colon", SOURCE)
    for name in ("minSize", "maxSize", "desiredCapacity", "defaultCooldown", "healthCheckGracePeriod"):
        found += rules.between(inputs, name, 0, INFINITY, SOURCE)
    found += rules.between(inputs, "defaultInstanceWarmup", -1, INFINITY, SOURCE)
    found += rules.one_of(inputs, "healthCheckType", {"EC2", "ELB"}, SOURCE)
    found += rules.one_of(inputs, "metricsGranularity", {"1Minute"}, "EnableMetricsCollection")
    if isinstance(inputs.get("vpcZoneIdentifiers"), list) and not inputs["vpcZoneIdentifiers"]:
        found.append(Fault("vpcZoneIdentifiers", f"needs at least one subnet ({SOURCE}: ValidationError)"))
    for rule in (_sizes, _template, mixed_faults, _pool, _hooks, _maintenance, _lifetime, _names, _reservation, _wait):
        found += rule(inputs)
    return found


def _sizes(inputs: Properties) -> Iterable[Fault]:
    low, high, desired = inputs.get("minSize"), inputs.get("maxSize"), inputs.get("desiredCapacity")
    source = f"{SOURCE}: ValidationError"
    if known(low) and known(high) and low > high:
        yield Fault("minSize", f"{low} is above maxSize {high} ({source})")
    if known(desired) and known(high) and desired > high:
        yield Fault("desiredCapacity", f"{desired} is above maxSize {high} ({source})")
    if known(desired) and known(low) and desired < low:
        yield Fault("desiredCapacity", f"{desired} is below minSize {low} ({source})")


def _template(inputs: Properties) -> Iterable[Fault]:
    """A launch template or a mixed instances policy ("CreateAutoScalingGroup"; ExactlyOneOf of resourceGroup)."""
    block, mixed = inputs.get("launchTemplate"), inputs.get("mixedInstancesPolicy")
    if block is None and mixed is None:
        yield Fault("launchTemplate", f"is required, or a mixedInstancesPolicy ({SOURCE})")
    if known(block) and known(mixed):
        yield Fault("mixedInstancesPolicy", f"and launchTemplate exclude each other ({SOURCE})")
    if isinstance(block, dict) and (block.get("id") is None) == (block.get("name") is None):
        yield Fault("launchTemplate", "needs exactly one of id, name (LaunchTemplateSpecification)")


def _pool(inputs: Properties) -> Iterable[Fault]:
    """ "PutWarmPool": sizes and states. The guide's page: no Spot, and no weights."""
    pool, source = inputs.get("warmPool"), "PutWarmPool"
    if not isinstance(pool, dict):
        return
    for fault in (
        *rules.one_of(pool, "poolState", {"Stopped", "Running", "Hibernated"}, source),
        *rules.between(pool, "minSize", 0, INFINITY, source),
        *rules.between(pool, "maxGroupPreparedCapacity", -1, INFINITY, source),
    ):
        yield Fault(f"warmPool.{fault.property}", fault.reason)
    low, most = pool.get("minSize"), pool.get("maxGroupPreparedCapacity")
    if known(low) and known(most) and 0 <= most < low:
        yield Fault("warmPool.minSize", f"{low} is above maxGroupPreparedCapacity {most} ({source})")
    if has_spot(inputs):
        reason = "cannot stand beside a mixed instances policy that requests Spot Instances"
        yield Fault("warmPool", f"{reason}: write onDemandPercentageAboveBaseCapacity 100 ({source}; {POOL_PAGE})")
    if weighted(inputs):
        yield Fault("warmPool", f"cannot stand beside weighted instance types ({POOL_PAGE})")


def _hooks(inputs: Properties) -> Iterable[Fault]:
    hooks, names = inputs.get("initialLifecycleHooks"), set()
    for index, hook in enumerate(hooks if isinstance(hooks, list) else []):
        if not isinstance(hook, dict):
            continue
        where = f"initialLifecycleHooks[{index}]"
        for fault in (*rules.required(hook, "name"), *check_hook(hook, "LifecycleHookSpecification")):
            yield Fault(f"{where}.{fault.property}", fault.reason)
        name = hook.get("name")
        if isinstance(name, str) and name in names:
            yield Fault(f"{where}.name", f"{name!r} is there twice: a hook's name is its key (PutLifecycleHook)")
        names.add(name)


def _maintenance(inputs: Properties) -> Iterable[Fault]:
    """Both percentages, or -1 for both; at most 100 apart ("InstanceMaintenancePolicy")."""
    policy, at, source = inputs.get("instanceMaintenancePolicy"), "instanceMaintenancePolicy", "InstanceMaintenancePolicy"
    if not isinstance(policy, dict):
        return
    low, high = policy.get("minHealthyPercentage"), policy.get("maxHealthyPercentage")
    for fault in rules.required(policy, "minHealthyPercentage", "maxHealthyPercentage"):
        yield Fault(f"{at}.{fault.property}", f"{fault.reason} ({source})")
    if not known(low) or not known(high):
        return
    if low == -1 and high == -1:
        return
    if not 0 <= low <= 100:
        yield Fault(f"{at}.minHealthyPercentage", f"{low} is outside 0..100 ({source})")
    if not 100 <= high <= 200:
        yield Fault(f"{at}.maxHealthyPercentage", f"{high} is outside 100..200 ({source})")
    elif high - low > 100:
        yield Fault(f"{at}.maxHealthyPercentage", f"{high} is more than 100 above {low} ({source})")


def _lifetime(inputs: Properties) -> Iterable[Fault]:
    value = inputs.get("maxInstanceLifetime")
    if known(value) and value != 0 and not DAY <= value <= YEAR:
        page = "Replace Auto Scaling instances based on maximum instance lifetime"
        yield Fault("maxInstanceLifetime", f"{value} is neither 0 nor from {DAY} (a day) to {YEAR} seconds ({page})")


def _names(inputs: Properties) -> Iterable[Fault]:
    for name, allowed, source in (
        ("enabledMetrics", METRICS, "EnableMetricsCollection"),
        ("suspendedProcesses", PROCESSES, "SuspendProcesses"),
    ):
        for index, item in enumerate(_items(inputs.get(name))):
            for fault in rules.one_of({"item": item}, "item", allowed, source):
                yield Fault(f"{name}[{index}]", fault.reason)
    for index, item in enumerate(_items(inputs.get("terminationPolicies"))):
        for fault in rules.matches({"item": item}, "item", TERMINATION, "it is no termination policy", SOURCE):
            yield Fault(f"terminationPolicies[{index}]", fault.reason)


def _reservation(inputs: Properties) -> Iterable[Fault]:
    block, at = inputs.get("capacityReservationSpecification"), "capacityReservationSpecification"
    if not isinstance(block, dict):
        return
    for fault in rules.one_of(block, "capacityReservationPreference", PREFERENCES, "CapacityReservationSpecification"):
        yield Fault(f"{at}.{fault.property}", fault.reason)
    target = rules.at(block, "capacityReservationTarget.capacityReservationIds")
    for index, item in enumerate(_items(target)):
        for fault in rules.matches({"id": item}, "id", r"cr-[0-9a-f]{8,17}", "it is no capacity reservation's id", SOURCE):
            yield Fault(f"{at}.capacityReservationTarget.capacityReservationIds[{index}]", fault.reason)


def _wait(inputs: Properties) -> Iterable[Fault]:
    value = inputs.get("waitForCapacityTimeout")
    if not isinstance(value, str):
        return
    try:
        seconds(value)
    except ValueError as error:
        yield Fault("waitForCapacityTimeout", str(error))


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
