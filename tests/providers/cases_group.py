"""The auto scaling group: everything that it can be given, changed and taken away."""

from typing import Any

from tests.providers.conftest import World
from tests.providers.samples import Case, scaling_group
from turnout.engine.provider import Created, Properties

GROUP = "aws:autoscaling/group:Group"
COMPUTED = frozenset({"desiredCapacity", "defaultCooldown", "defaultInstanceWarmup", "capacityReservationSpecification"})
COMPUTED |= {"metricsGranularity"}  # there is but one
RESERVATION = "cr-0a1b2c3d4e5f60718"
HOOKS = [
    {
        "name": "turnout-launch",
        "lifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "heartbeatTimeout": 30,
        "defaultResult": "CONTINUE",
    }
]


def mixed(world: World, *overrides: Properties, **distribution: Any) -> Properties:
    """A mixed instances policy of the world's template."""
    template = {"launchTemplateSpecification": {"launchTemplateId": world.template, "version": "1"}}
    given = {"onDemandAllocationStrategy": "prioritized", "onDemandPercentageAboveBaseCapacity": 100, **distribution}
    return {"launchTemplate": {**template, "overrides": list(overrides)}, "instancesDistribution": given}


def chosen(world: World) -> Properties:
    """Instance types by their attributes."""
    attributes = {
        "acceleratorTypes": ["gpu"],
        "acceleratorManufacturers": ["nvidia"],
        "acceleratorCount": {"min": 1},
        "vcpuCount": {"min": 4, "max": 16},
        "memoryMib": {"min": 16384},
    }
    return mixed(world, {"instanceRequirements": attributes}, onDemandAllocationStrategy="lowest-price")


def types(*names: str) -> list[Properties]:
    return [{"instanceType": name} for name in names]


def preference(kind: str, *ids: str) -> Properties:
    target = {"capacityReservationTarget": {"capacityReservationIds": list(ids)}} if ids else {}
    return {"capacityReservationSpecification": {"capacityReservationPreference": kind, **target}}


def placement(world: World) -> str:
    return world.make("aws:ec2/placementGroup:PlacementGroup", name=world.name("near"), strategy="cluster").id


def updates(world: World) -> list[Properties]:
    spot = {"onDemandBaseCapacity": 1, "onDemandPercentageAboveBaseCapacity": 50}
    policy = mixed(world, *types("g5.xlarge", "g6.xlarge"))
    return [
        {"minSize": 2},
        {"maxSize": 4},
        {"desiredCapacity": 3},
        {"desiredCapacity": None},
        {"warmPool": {"poolState": "Stopped", "minSize": 1, "instanceReusePolicy": {"reuseOnScaleIn": True}}},
        {"warmPool": {"poolState": "Running", "minSize": 0, "maxGroupPreparedCapacity": 4}},
        {"warmPool": None, "forceDeleteWarmPool": True},
        {"warmPool": {"poolState": "Stopped", "minSize": 1}, "forceDeleteWarmPool": None},
        {"warmPool": None},
        {"enabledMetrics": ["GroupMinSize", "GroupMaxSize"]},
        {"enabledMetrics": ["GroupMaxSize", "GroupTotalInstances"], "metricsGranularity": "1Minute"},
        {"enabledMetrics": None},
        {"suspendedProcesses": ["AZRebalance", "ReplaceUnhealthy"]},
        {"suspendedProcesses": ["ReplaceUnhealthy", "AlarmNotification"]},
        {"suspendedProcesses": None},
        {"minSize": 0, "maxSize": 0},
        {"launchTemplate": {"id": world.template, "version": "$Latest"}},
        {"vpcZoneIdentifiers": world.subnets[1:]},
        {"targetGroupArns": [world.target_group(), world.target_group()]},
        {"targetGroupArns": []},
        {"healthCheckType": "ELB", "healthCheckGracePeriod": 60},
        {"protectFromScaleIn": True},
        {"protectFromScaleIn": None},
        {"defaultCooldown": 10, "terminationPolicies": ["OldestInstance", "Default"]},
        {"terminationPolicies": ["Default", "OldestInstance"]},
        {"maxInstanceLifetime": 604800},
        {"maxInstanceLifetime": None},
        {"defaultInstanceWarmup": 60},
        {"defaultInstanceWarmup": 0},
        {"instanceMaintenancePolicy": {"minHealthyPercentage": 100, "maxHealthyPercentage": 200}},
        {"instanceMaintenancePolicy": {"minHealthyPercentage": 90, "maxHealthyPercentage": 100}},
        {"instanceMaintenancePolicy": None},
        preference("capacity-reservations-first", RESERVATION),
        preference("capacity-reservations-only", RESERVATION),
        preference("none"),
        {"vpcZoneIdentifiers": world.subnets[:1], "placementGroup": placement(world)},
        {"placementGroup": None, "vpcZoneIdentifiers": world.subnets[:2]},
        {"launchTemplate": None, "mixedInstancesPolicy": policy},
        {"mixedInstancesPolicy": mixed(world, *types("g6.xlarge", "g5.xlarge", "g4dn.xlarge"), **spot)},
        {"capacityRebalance": True},
        {"capacityRebalance": None},
        {"mixedInstancesPolicy": chosen(world)},
        {"mixedInstancesPolicy": None, "launchTemplate": {"id": world.template, "version": "1"}},
        {"tags": [{"key": "a", "value": "b", "propagateAtLaunch": False}]},
        {"tags": None},
    ]


def update(world: World, made: Created, **change: Any) -> None:
    """Somebody else's update."""
    world.api("autoscaling").update_auto_scaling_group(AutoScalingGroupName=made.id, **change)


def pooled(world: World, made: Created) -> None:
    world.api("autoscaling").put_warm_pool(AutoScalingGroupName=made.id, MinSize=1)


def near(world: World, made: Created) -> None:
    update(world, made, VPCZoneIdentifier=world.subnets[0])


def declare(world: World) -> Properties:
    """All parts that go together, at once."""
    return {
        **scaling_group(world),
        "launchTemplate": None,
        "mixedInstancesPolicy": mixed(world, *types("g5.xlarge", "g6.xlarge"), onDemandBaseCapacity=1),
        "warmPool": {
            "poolState": "Stopped",
            "minSize": 1,
            "maxGroupPreparedCapacity": 3,
            "instanceReusePolicy": {"reuseOnScaleIn": True},
        },
        "forceDeleteWarmPool": True,
        "initialLifecycleHooks": HOOKS,
        "capacityRebalance": True,
        "defaultInstanceWarmup": 60,
        "enabledMetrics": ["GroupDesiredCapacity", "GroupInServiceInstances"],
        "metricsGranularity": "1Minute",
        "suspendedProcesses": ["AZRebalance"],
        "maxInstanceLifetime": 86400,
        "instanceMaintenancePolicy": {"minHealthyPercentage": 100, "maxHealthyPercentage": 150},
        **preference("capacity-reservations-first", RESERVATION),
        "ignoreFailedScalingActivities": True,
    }


GROUPS = (
    Case(
        GROUP,
        scaling_group,
        updates,
        {
            "minSize": lambda w, m: update(w, m, MinSize=3),
            "vpcZoneIdentifiers": near,
            "tags": lambda w, m: w.api("autoscaling").delete_tags(
                Tags=[{"ResourceId": m.id, "ResourceType": "auto-scaling-group", "Key": "turnout:service"}]
            ),
            "protectFromScaleIn": lambda w, m: update(w, m, NewInstancesProtectedFromScaleIn=True),
            "capacityRebalance": lambda w, m: update(w, m, CapacityRebalance=True),
            "maxInstanceLifetime": lambda w, m: update(w, m, MaxInstanceLifetime=86400),
            "instanceMaintenancePolicy": lambda w, m: update(
                w, m, InstanceMaintenancePolicy={"MinHealthyPercentage": 90, "MaxHealthyPercentage": 120}
            ),
            "warmPool": pooled,
            "enabledMetrics": lambda w, m: w.api("autoscaling").enable_metrics_collection(
                AutoScalingGroupName=m.id, Granularity="1Minute", Metrics=["GroupMinSize"]
            ),
            "suspendedProcesses": lambda w, m: w.api("autoscaling").suspend_processes(
                AutoScalingGroupName=m.id, ScalingProcesses=["Launch"]
            ),
        },
        ("arn", "desiredCapacity", "availabilityZones"),
        computed=COMPUTED,
    ),
    Case(
        GROUP,
        lambda w: {name: value for name, value in declare(w).items() if value is not None},
        lambda _: [],
        {
            "mixedInstancesPolicy": lambda w, m: update(
                w,
                m,
                MixedInstancesPolicy={
                    "LaunchTemplate": {
                        "LaunchTemplateSpecification": {"LaunchTemplateId": w.template, "Version": "1"},
                        "Overrides": [{"InstanceType": "p5.48xlarge"}],
                    }
                },
            ),
            "capacityReservationSpecification": lambda w, m: update(
                w, m, CapacityReservationSpecification={"CapacityReservationPreference": "none"}
            ),
            "defaultInstanceWarmup": lambda w, m: update(w, m, DefaultInstanceWarmup=0),
            "enabledMetrics": lambda w, m: w.api("autoscaling").disable_metrics_collection(AutoScalingGroupName=m.id),
            "warmPool": lambda w, m: w.api("autoscaling").delete_warm_pool(AutoScalingGroupName=m.id, ForceDelete=True),
            "suspendedProcesses": lambda w, m: w.api("autoscaling").resume_processes(AutoScalingGroupName=m.id),
        },
        ("arn", "warmPoolSize"),
    ),
)
