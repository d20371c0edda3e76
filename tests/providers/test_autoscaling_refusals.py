"""What AWS refuses of auto scaling groups and what stands around them, by their inputs alone; each reason names its page."""

from typing import Any

import pytest

from tests.providers.cases_group import GROUP, HOOKS, types
from tests.providers.conftest import TYPES
from turnout.engine.provider import Properties
from turnout.engine.values import UNKNOWN

POLICY, SCHEDULE = "aws:autoscaling/policy:Policy", "aws:autoscaling/schedule:Schedule"
HOOK, PLACEMENT = "aws:autoscaling/lifecycleHook:LifecycleHook", "aws:ec2/placementGroup:PlacementGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
BLOCK_PAGE = "Use Capacity Blocks for machine learning workloads"


LABEL = "app/web/0123456789abcdef/targetgroup/blue/0123456789abcdef"
SPECIFICATION = {"launchTemplateId": "lt-1"}
CPU = {"predefinedMetricType": "ASGAverageCPUUtilization"}
PER_TARGET = {"predefinedMetricType": "ALBRequestCountPerTarget"}
OWN = {"metricName": "PendingRequests", "namespace": "Turnout", "statistic": "Average"}
QUERY = {"id": "m", "metricStat": {"metric": {"metricName": "M", "namespace": "N"}, "stat": "Sum"}}
LOAD = {"predefinedMetricType": "ASGTotalCPUUtilization"}
PAIR = {"predefinedMetricType": "ASGCPUUtilization"}


def steps(*bounds: tuple[str | None, str | None], add: int = 1) -> Properties:
    names = ("metricIntervalLowerBound", "metricIntervalUpperBound")
    made = [{name: value for name, value in zip(names, pair, strict=True) if value is not None} for pair in bounds]
    return {"stepAdjustments": [{**step, "scalingAdjustment": add} for step in made]}


def tracking(**block: Any) -> Properties:
    given = {"targetValue": 50, "predefinedMetricSpecification": CPU, **block}
    none = dict.fromkeys(("adjustmentType", "stepAdjustments"))
    return {
        **none,
        "policyType": "TargetTrackingScaling",
        "targetTrackingConfiguration": {name: value for name, value in given.items() if value is not None},
    }


def own(**metric: Any) -> Properties:
    given = {name: value for name, value in {**OWN, **metric}.items() if value is not None}
    return tracking(predefinedMetricSpecification=None, customizedMetricSpecification=given)


def predictive(block: Properties, **metric: Any) -> Properties:
    given = {"targetValue": 50, "predefinedMetricPairSpecification": PAIR, **metric}
    none = dict.fromkeys(("adjustmentType", "stepAdjustments"))
    kept = {name: value for name, value in given.items() if value is not None}
    return {
        **none,
        "policyType": "PredictiveScaling",
        "predictiveScalingConfiguration": {"metricSpecification": kept, **block},
    }


def policy_of(*overrides: Properties, **distribution: Any) -> Properties:
    """A mixed instances policy in place of the launch template."""
    block = {"launchTemplateSpecification": SPECIFICATION, "overrides": list(overrides)}
    return {"launchTemplate": None, "mixedInstancesPolicy": {"launchTemplate": block, "instancesDistribution": distribution}}


def wanting(**attributes: Any) -> Properties:
    return {"instanceRequirements": {"vcpuCount": {"min": 1}, "memoryMib": {"min": 1}, **attributes}}


def pool(**block: Any) -> Properties:
    return {"warmPool": block}


GOOD: dict[str, Properties] = {
    GROUP: {"name": "g", "minSize": 1, "maxSize": 2, "launchTemplate": {"id": "lt-1"}, "vpcZoneIdentifiers": ["subnet-1"]},
    POLICY: {
        "name": "p",
        "autoscalingGroupName": "g",
        "policyType": "StepScaling",
        "adjustmentType": "ChangeInCapacity",
        **steps(("0", None)),
    },
    SCHEDULE: {"scheduledActionName": "s", "autoscalingGroupName": "g", "minSize": 1, "recurrence": "0 8 * * MON-FRI"},
    HOOK: {"name": "h", "autoscalingGroupName": "g", "lifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"},
    PLACEMENT: {"name": "p", "strategy": "cluster"},
    TEMPLATE: {"name": "template"},
}
ALLOWED: tuple[tuple[str, Properties], ...] = (
    *((token, {}) for token in GOOD),
    (GROUP, policy_of(*types("g5.xlarge", "g6.xlarge"), onDemandPercentageAboveBaseCapacity=0)),
    (GROUP, {**policy_of(*types("g5.xlarge"), onDemandPercentageAboveBaseCapacity=100), **pool(poolState="Stopped")}),
    (GROUP, policy_of(wanting(), onDemandAllocationStrategy="lowest-price")),
    (GROUP, pool(poolState="Running", minSize=2, maxGroupPreparedCapacity=2)),
    (GROUP, pool(minSize=2, maxGroupPreparedCapacity=-1)),
    (GROUP, {"maxInstanceLifetime": 0}),
    (GROUP, {"maxInstanceLifetime": 86400}),
    (GROUP, {"instanceMaintenancePolicy": {"minHealthyPercentage": -1, "maxHealthyPercentage": -1}}),
    (GROUP, {"instanceMaintenancePolicy": {"minHealthyPercentage": 0, "maxHealthyPercentage": 100}}),
    (GROUP, {"initialLifecycleHooks": HOOKS}),
    (POLICY, steps((None, "-10"), ("-10", "0"), ("0", "10"), ("10", None))),
    (POLICY, tracking()),
    (POLICY, own(period=10)),
    (POLICY, tracking(predefinedMetricSpecification={**PER_TARGET, "resourceLabel": LABEL})),
    (POLICY, predictive({"mode": "ForecastOnly", "schedulingBufferTime": "0"})),
    (POLICY, predictive({"maxCapacityBreachBehavior": "IncreaseMaxCapacity", "maxCapacityBuffer": 10})),
    (SCHEDULE, {"recurrence": None, "startTime": "2036-11-21T09:00:00Z"}),
    (SCHEDULE, {"recurrence": "*/15 0-6,22 1 JAN,7 0"}),
    (HOOK, {"heartbeatTimeout": 30}),
    (HOOK, {"heartbeatTimeout": 7200}),
    (PLACEMENT, {"strategy": "partition", "partitionCount": 7}),
    (PLACEMENT, {"strategy": "spread", "spreadLevel": "rack"}),
    (TEMPLATE, {"instanceMarketOptions": {"marketType": "spot"}}),
)
MIXED, DISTRIBUTION = "mixedInstancesPolicy", "mixedInstancesPolicy.instancesDistribution"
OVERRIDES = f"{MIXED}.launchTemplate.overrides"
TRACKING, PREDICTIVE = "targetTrackingConfiguration", "predictiveScalingConfiguration"
REFUSED: tuple[tuple[str, Properties, str, str], ...] = (
    (GROUP, {"launchTemplate": None}, "launchTemplate", "CreateAutoScalingGroup"),
    (GROUP, policy_of() | {"launchTemplate": {"id": "lt-1"}}, MIXED, "CreateAutoScalingGroup"),
    (GROUP, pool(minSize=3, maxGroupPreparedCapacity=2), "warmPool.minSize", "PutWarmPool"),
    (GROUP, pool(minSize=-1), "warmPool.minSize", "PutWarmPool"),
    (GROUP, pool(maxGroupPreparedCapacity=-2), "warmPool.maxGroupPreparedCapacity", "PutWarmPool"),
    (GROUP, pool(poolState="Paused"), "warmPool.poolState", "PutWarmPool"),
    (
        GROUP,
        {**policy_of(*types("g5.xlarge"), onDemandPercentageAboveBaseCapacity=99), **pool(minSize=1)},
        "warmPool",
        "Decrease latency for applications with long boot times using warm pools",
    ),
    (
        GROUP,
        {**policy_of({"instanceType": "g5.xlarge", "weightedCapacity": "2"}), **pool(minSize=1)},
        "warmPool",
        "Decrease latency for applications with long boot times using warm pools",
    ),
    *(
        (GROUP, policy_of(*types("g5.xlarge"), **{name: value}), f"{DISTRIBUTION}.{name}", "InstancesDistribution")
        for name, value in (
            ("onDemandPercentageAboveBaseCapacity", 101),
            ("onDemandPercentageAboveBaseCapacity", -1),
            ("onDemandBaseCapacity", -1),
            ("onDemandAllocationStrategy", "cheapest"),
            ("spotAllocationStrategy", "prioritized"),
            ("spotInstancePools", 21),
            ("spotMaxPrice", "0"),
            ("spotMaxPrice", "much"),
        )
    ),
    (
        GROUP,
        policy_of(*types("g5.xlarge"), spotInstancePools=2, spotAllocationStrategy="capacity-optimized"),
        f"{DISTRIBUTION}.spotInstancePools",
        "InstancesDistribution",
    ),
    *(
        (GROUP, policy_of({"instanceType": "a", "weightedCapacity": w}), f"{OVERRIDES}[0].weightedCapacity", "Overrides")
        for w in ("0", "1000", "1.5")
    ),
    (GROUP, policy_of({"instanceType": "a", "weightedCapacity": "2"}, {"instanceType": "b"}), OVERRIDES, "Overrides"),
    (GROUP, policy_of(*types("a", "a")), f"{OVERRIDES}[1].instanceType", "Overrides"),
    (GROUP, policy_of(*types(*(f"t{n}.large" for n in range(41)))), OVERRIDES, "Overrides"),
    (GROUP, policy_of(*[wanting()] * 5), OVERRIDES, "Overrides"),
    (GROUP, policy_of({"instanceType": "a"}, wanting()), OVERRIDES, "Overrides"),
    (GROUP, policy_of({"instanceType": "a", **wanting()}), f"{OVERRIDES}[0].instanceType", "Overrides"),
    (GROUP, policy_of(wanting(vcpuCount={"max": 4})), f"{OVERRIDES}[0].instanceRequirements.vcpuCount.min", "Requirements"),
    (GROUP, policy_of(wanting(memoryMib=None)), f"{OVERRIDES}[0].instanceRequirements.memoryMib.min", "Requirements"),
    (
        GROUP,
        policy_of(wanting(acceleratorCount={"min": 4, "max": 1})),
        f"{OVERRIDES}[0].instanceRequirements.acceleratorCount.min",
        "InstanceRequirements",
    ),
    (
        GROUP,
        policy_of(wanting(allowedInstanceTypes=["g5.*"], excludedInstanceTypes=["g6.*"])),
        f"{OVERRIDES}[0].instanceRequirements.excludedInstanceTypes",
        "InstanceRequirements",
    ),
    (GROUP, {"initialLifecycleHooks": HOOKS * 2}, "initialLifecycleHooks[1].name", "PutLifecycleHook"),
    *(
        (
            GROUP,
            {"initialLifecycleHooks": [{**HOOKS[0], "heartbeatTimeout": seconds}]},
            "initialLifecycleHooks[0].heartbeatTimeout",
            "LifecycleHookSpecification",
        )
        for seconds in (29, 7201)
    ),
    *(
        (
            GROUP,
            {"instanceMaintenancePolicy": {"minHealthyPercentage": low, "maxHealthyPercentage": high}},
            f"instanceMaintenancePolicy.{name}HealthyPercentage",
            "InstanceMaintenancePolicy",
        )
        for low, high, name in ((101, 200, "min"), (100, 201, "max"), (100, 99, "max"), (50, 151, "max"), (-1, 120, "min"))
    ),
    (GROUP, {"maxInstanceLifetime": 3600}, "maxInstanceLifetime", "maximum instance lifetime"),
    (GROUP, {"defaultInstanceWarmup": -2}, "defaultInstanceWarmup", "CreateAutoScalingGroup"),
    (GROUP, {"enabledMetrics": ["GroupSize"]}, "enabledMetrics[0]", "EnableMetricsCollection"),
    (GROUP, {"metricsGranularity": "5Minute"}, "metricsGranularity", "EnableMetricsCollection"),
    (GROUP, {"suspendedProcesses": ["Everything"]}, "suspendedProcesses[0]", "SuspendProcesses"),
    (GROUP, {"terminationPolicies": ["Eldest"]}, "terminationPolicies[0]", "CreateAutoScalingGroup"),
    (
        GROUP,
        {"capacityReservationSpecification": {"capacityReservationPreference": "open"}},
        "capacityReservationSpecification.capacityReservationPreference",
        "CapacityReservationSpecification",
    ),
    (POLICY, {"policyType": "Magic"}, "policyType", "PutScalingPolicy"),
    (POLICY, {"adjustmentType": "More"}, "adjustmentType", "PutScalingPolicy"),
    (POLICY, {"adjustmentType": None}, "adjustmentType", "PutScalingPolicy"),
    (POLICY, {"stepAdjustments": None}, "stepAdjustments", "PutScalingPolicy"),
    (POLICY, {"cooldown": 60}, "cooldown", "PutScalingPolicy"),
    (POLICY, {"estimatedInstanceWarmup": -1}, "estimatedInstanceWarmup", "PutScalingPolicy"),
    (POLICY, {"metricAggregationType": "Sum"}, "metricAggregationType", "PutScalingPolicy"),
    (POLICY, {TRACKING: {"targetValue": 1, "predefinedMetricSpecification": CPU}}, TRACKING, "PutScalingPolicy"),
    (POLICY, {"adjustmentType": "ExactCapacity", **steps(("0", None), add=-1)}, "stepAdjustments[0].scalingAdjustment", "Step"),
    (POLICY, steps((None, None)), "stepAdjustments[0]", "StepAdjustment"),
    (POLICY, steps(("10", "5")), "stepAdjustments[0].metricIntervalUpperBound", "StepAdjustment"),
    (POLICY, steps(("0", "10"), ("20", None)), "stepAdjustments", "leave a gap between 10 and 20"),
    (POLICY, steps(("0", "15"), ("10", None)), "stepAdjustments", "overlap between 10 and 15"),
    (POLICY, steps(("0", "10")), "stepAdjustments", "without an upper bound (StepAdjustment)"),
    (POLICY, steps(("-10", "0"), ("0", None)), "stepAdjustments", "without a lower bound (StepAdjustment)"),
    (POLICY, steps(("ten", None)), "stepAdjustments[0].metricIntervalLowerBound", "StepAdjustment"),
    (POLICY, tracking(targetValue=None), f"{TRACKING}.targetValue", "TargetTrackingConfiguration"),
    (POLICY, tracking(customizedMetricSpecification=OWN), TRACKING, "exactly one of"),
    (POLICY, tracking(predefinedMetricSpecification=None), TRACKING, "exactly one of"),
    (
        POLICY,
        tracking(predefinedMetricSpecification={"predefinedMetricType": "GPU"}),
        f"{TRACKING}.predefinedMetricSpecification.predefinedMetricType",
        "PredefinedMetricSpecification",
    ),
    *(
        (
            POLICY,
            tracking(predefinedMetricSpecification=metric),
            f"{TRACKING}.predefinedMetricSpecification.resourceLabel",
            "PredefinedMetricSpecification",
        )
        for metric in (PER_TARGET, {**PER_TARGET, "resourceLabel": "web/blue"})
    ),
    (POLICY, own(statistic="p95"), f"{TRACKING}.customizedMetricSpecification.statistic", "CustomizedMetricSpecification"),
    (POLICY, own(namespace=None), f"{TRACKING}.customizedMetricSpecification.namespace", "CustomizedMetricSpecification"),
    (POLICY, own(period=5), f"{TRACKING}.customizedMetricSpecification.period", "CustomizedMetricSpecification"),
    (POLICY, own(metrics=[QUERY]), f"{TRACKING}.customizedMetricSpecification.metricName", "exclude each other"),
    (
        POLICY,
        tracking(predefinedMetricSpecification=None, customizedMetricSpecification={"metrics": [QUERY, {**QUERY, "id": "n"}]}),
        f"{TRACKING}.customizedMetricSpecification.metrics",
        "TargetTrackingMetricDataQuery",
    ),
    (POLICY, predictive({"mode": "Guess"}), f"{PREDICTIVE}.mode", "PredictiveScalingConfiguration"),
    (POLICY, predictive({"schedulingBufferTime": "3600"}), f"{PREDICTIVE}.schedulingBufferTime", "PredictiveScaling"),
    (POLICY, predictive({"maxCapacityBuffer": 10}), f"{PREDICTIVE}.maxCapacityBuffer", "IncreaseMaxCapacity only"),
    (POLICY, predictive({}, targetValue=None), f"{PREDICTIVE}.metricSpecification.targetValue", "PredictiveScalingMetric"),
    (POLICY, predictive({}, predefinedLoadMetricSpecification=LOAD), f"{PREDICTIVE}.metricSpecification", "metric pair"),
    (SCHEDULE, {"minSize": None}, "minSize", "PutScheduledUpdateGroupAction"),
    (SCHEDULE, {"minSize": -1}, "minSize", "PutScheduledUpdateGroupAction"),
    (SCHEDULE, {"minSize": -2}, "minSize", "PutScheduledUpdateGroupAction"),
    (SCHEDULE, {"minSize": 3, "maxSize": 2}, "minSize", "PutScheduledUpdateGroupAction"),
    (SCHEDULE, {"maxSize": 2, "desiredCapacity": 3}, "desiredCapacity", "PutScheduledUpdateGroupAction"),
    (SCHEDULE, {"desiredCapacity": 0}, "desiredCapacity", "PutScheduledUpdateGroupAction"),
    (SCHEDULE, {"recurrence": None}, "startTime", "PutScheduledUpdateGroupAction"),
    (SCHEDULE, {"startTime": "tomorrow"}, "startTime", "PutScheduledUpdateGroupAction"),
    (SCHEDULE, {"startTime": "2036-01-02T00:00:00Z", "endTime": "2036-01-01T00:00:00Z"}, "endTime", "PutScheduledUpdate"),
    *(
        (SCHEDULE, {"recurrence": cron}, "recurrence", "PutScheduledUpdateGroupAction")
        for cron in ("0 8 * *", "60 8 * * *", "0 24 * * *", "0 8 0 * *", "0 8 * 13 *", "0 8 * * MONDAY", "*/0 8 * * *", "a b")
    ),
    (SCHEDULE, {"timeZone": "Europe/Atlantis"}, "timeZone", "PutScheduledUpdateGroupAction"),
    (SCHEDULE, {"scheduledActionName": "a:b"}, "scheduledActionName", "PutScheduledUpdateGroupAction"),
    (HOOK, {"heartbeatTimeout": 29}, "heartbeatTimeout", "PutLifecycleHook"),
    (HOOK, {"heartbeatTimeout": 7201}, "heartbeatTimeout", "PutLifecycleHook"),
    (HOOK, {"lifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCH"}, "lifecycleTransition", "PutLifecycleHook"),
    (HOOK, {"defaultResult": "RETRY"}, "defaultResult", "PutLifecycleHook"),
    (HOOK, {"name": "a hook"}, "name", "PutLifecycleHook"),
    (HOOK, {"notificationTargetArn": "arn:aws:sns:us-east-1:1:t"}, "roleArn", "PutLifecycleHook"),
    (PLACEMENT, {"strategy": "near"}, "strategy", "CreatePlacementGroup"),
    (PLACEMENT, {"partitionCount": 2}, "partitionCount", "CreatePlacementGroup"),
    (PLACEMENT, {"strategy": "partition", "partitionCount": 8}, "partitionCount", "Placement groups for your Amazon EC2"),
    (PLACEMENT, {"spreadLevel": "rack"}, "spreadLevel", "CreatePlacementGroup"),
    (TEMPLATE, {"instanceType": "g5.xlarge", **wanting()}, "instanceRequirements", "RequestLaunchTemplateData"),
    (TEMPLATE, {"instanceRequirements": {"vcpuCount": {"min": 1}}}, "instanceRequirements.memoryMib.min", "Requirements"),
    (TEMPLATE, {"instanceMarketOptions": {"marketType": "auction"}}, "instanceMarketOptions.marketType", "MarketOptions"),
    (
        TEMPLATE,
        {"instanceMarketOptions": {"marketType": "capacity-block"}},
        "capacityReservationSpecification.capacityReservationTarget",
        BLOCK_PAGE,
    ),
    (TEMPLATE, {"networkInterfaces": [{"interfaceType": "ena"}]}, "networkInterfaces[0].interfaceType", "NetworkInterface"),
)


def inputs_of(token: str, change: Properties) -> Properties:
    return {name: value for name, value in {**GOOD[token], **change}.items() if value is not None}


@pytest.mark.parametrize(("token", "change"), ALLOWED, ids=lambda value: str(value)[:70])
def test_what_aws_allows_has_no_fault(token: str, change: Properties) -> None:
    assert TYPES[token].check(inputs_of(token, change)) == []


@pytest.mark.parametrize(("token", "change", "property", "said"), REFUSED, ids=lambda value: str(value)[:70])
def test_what_aws_refuses_is_a_fault_that_names_its_page(token: str, change: Properties, property: str, said: str) -> None:
    faults = {fault.property: fault.reason for fault in TYPES[token].check(inputs_of(token, change))}
    assert property in faults
    assert said in faults[property]


def test_what_a_preview_does_not_know_yet_is_not_judged() -> None:
    unknown: Properties = {"launchTemplate": UNKNOWN, "mixedInstancesPolicy": UNKNOWN, "warmPool": UNKNOWN}
    assert TYPES[GROUP].check(inputs_of(GROUP, unknown)) == []
