"""Policies on tags, alarms and protection, and what is advised; each broken and satisfied."""

import json
from typing import Any

import pytest

from tests.policies.judging import UNKNOWN, Given, Judgement, judge

BUCKET = "aws:s3/bucket:Bucket"
GROUP = "aws:autoscaling/group:Group"
OURS = {"turnout:service": "svc", "turnout:stack": "prod"}
DEFAULTS = {"defaultTags": json.dumps({"tags": OURS})}


def test_resources_say_whose_they_are_by_their_own_tags_or_their_providers() -> None:
    assert judge("required-tags", Given(BUCKET, {"tags": OURS})).passed
    assert judge("required-tags", Given(BUCKET, {"tags": {"Name": "x"}}, provider=DEFAULTS)).passed
    assert judge("required-tags", Given(BUCKET, {}, provider={"defaultTags": {"tags": OURS}})).passed
    assert judge("required-tags", Given("aws:ec2/route:Route", {})).passed
    assert len(judge("required-tags", Given(BUCKET, {})).violations) == 2
    said = judge("required-tags", Given(BUCKET, {"tags": {"turnout:service": "svc"}}, "models")).said
    assert said.startswith(f"models ({BUCKET}): tags.turnout:stack")


def test_a_groups_tags_are_its_own_and_config_names_what_is_required() -> None:
    tags = [{"key": key, "value": value} for key, value in OURS.items()]
    assert judge("required-tags", Given(GROUP, {"tags": tags})).passed
    assert len(judge("required-tags", Given(GROUP, {}, provider=DEFAULTS)).violations) == 2
    assert "cost" in judge("required-tags", Given(BUCKET, {"tags": OURS}), required=["turnout:stack", "cost"]).said
    assert judge("required-tags", Given(BUCKET, {}, stack="local")).passed


def test_tags_that_are_not_known_yet_are_undecided_and_their_values_do_not_matter() -> None:
    assert judge("required-tags", Given(BUCKET, {"tags": {**OURS, "turnout:stack": UNKNOWN}})).passed
    hidden: list[dict[str, Any]] = [{"defaultTags": UNKNOWN}, {"defaultTags": {"tags": UNKNOWN}}]
    unknown = [Given(BUCKET, {"tags": UNKNOWN}), *(Given(BUCKET, {}, provider=one) for one in hidden)]
    for given in unknown:
        found = judge("required-tags", given)
        assert (found.violations, len(found.undecided)) == ([], 1)
    assert judge("required-tags", Given(BUCKET, {"tags": OURS}, provider=hidden[0])).passed


TARGETS = Given("aws:lb/targetGroup:TargetGroup", {"arn": UNKNOWN}, "blue")
POOL_TAGS = [{"key": "turnout:service", "value": "svc"}, {"key": "turnout:environment", "value": "blue"}]
POOL = Given(GROUP, {"name": "svc-blue", "tags": POOL_TAGS}, "pool", needs={"targetGroupArns": (TARGETS,)})
METRICS = ("UnHealthyHostCount", "StatusCheckFailed")


def alarm(metric: Any, **more: Any) -> Given:
    return Given(
        "aws:cloudwatch/metricAlarm:MetricAlarm", {"metricName": metric, **more.pop("props", {})}, f"on-{metric}", **more
    )


def test_an_environment_has_its_alarms_by_what_they_measure_or_by_their_tags() -> None:
    measured = (alarm(METRICS[0], needs={"dimensions": (TARGETS,)}), alarm(METRICS[1], needs={"dimensions": (POOL,)}))
    assert judge("alarms-per-environment", TARGETS, POOL, *measured).passed
    tags = {"turnout:service": "svc", "turnout:environment": "blue"}
    tagged = [alarm(metric, props={"tags": tags}) for metric in METRICS]
    assert judge("alarms-per-environment", TARGETS, POOL, *tagged).passed
    by_name = alarm(METRICS[1], props={"dimensions": {"AutoScalingGroupName": "svc-blue"}})
    assert judge("alarms-per-environment", TARGETS, POOL, measured[0], by_name).passed


def test_an_environment_without_one_of_its_alarms_is_told() -> None:
    green = {"turnout:service": "svc", "turnout:environment": "green"}
    others = [alarm(metric, props={"tags": green}) for metric in METRICS]
    assert "UnHealthyHostCount, StatusCheckFailed" in judge("alarms-per-environment", TARGETS, POOL, *others).said
    one = alarm(METRICS[0], needs={"dimensions": (TARGETS,)})
    assert "no alarm on StatusCheckFailed" in judge("alarms-per-environment", TARGETS, POOL, one).said
    assert judge("alarms-per-environment", TARGETS, POOL, one, metrics=[METRICS[0]]).passed
    assert judge("alarms-per-environment", Given(GROUP, {"tags": []}, "workers")).passed


def test_the_alarms_of_production_tell_somebody() -> None:
    def told(**props: Any) -> Judgement:
        one = alarm(METRICS[0], props=props, needs={"dimensions": (TARGETS,)})
        return judge("alarms-tell-somebody", TARGETS, POOL, one, production=["*"])

    assert told(alarmActions=["arn:aws:sns:us-east-1:1:on-call"]).passed
    assert "tells nobody" in told().said
    assert "tells nobody" in told(alarmActions=["arn"], actionsEnabled=False).said
    assert told(alarmActions=UNKNOWN).undecided
    assert judge("alarms-tell-somebody", TARGETS, POOL, alarm("Invocations"), production=["*"]).passed
    assert judge(
        "alarms-tell-somebody", TARGETS, POOL, alarm(METRICS[0], needs={"dimensions": (TARGETS,)}), production=[]
    ).passed


def test_environments_and_metrics_that_are_not_known_yet_are_undecided() -> None:
    hidden = alarm(UNKNOWN, needs={"dimensions": (TARGETS,)})
    for given in ((TARGETS, POOL, hidden), (Given(GROUP, {"tags": UNKNOWN}, "pool"),)):
        found = judge("alarms-per-environment", *given)
        assert (found.violations, len(found.undecided)) == ([], 1)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("aws:lb/loadBalancer:LoadBalancer", {"enableDeletionProtection": True}, {"enableDeletionProtection": False}),
        ("aws:lb/loadBalancer:LoadBalancer", {"enableDeletionProtection": True}, {}),
        ("aws:dynamodb/table:Table", {"deletionProtectionEnabled": True}, {}),
        ("aws:eks/cluster:Cluster", {"deletionProtection": True}, {}),
        ("aws:secretsmanager/secret:Secret", {"recoveryWindowInDays": 30}, {"recoveryWindowInDays": 0}),
        ("aws:secretsmanager/secret:Secret", {}, {"recoveryWindowInDays": 6}),
        (BUCKET, {}, {"forceDestroy": True}),
        ("aws:ecr/repository:Repository", {}, {"forceDelete": True}),
    ],
)
def test_production_is_protected_against_deletion(kind: str, good: dict[str, Any], bad: dict[str, Any]) -> None:
    assert judge("deletion-protection", Given(kind, good, protect=True)).passed
    assert judge("deletion-protection", Given(kind, bad, "thing", protect=True)).said.startswith(f"thing ({kind})")
    assert judge("deletion-protection", Given(kind, bad, stack="dev")).passed


def test_what_holds_data_is_protected_by_pulumi_too() -> None:
    assert "protect=True" in judge("deletion-protection", Given(BUCKET, {})).said


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("aws:lb/loadBalancer:LoadBalancer", "enableDeletionProtection"),
        ("aws:secretsmanager/secret:Secret", "recoveryWindowInDays"),
    ],
)
def test_protection_that_is_not_known_yet_is_undecided(kind: str, key: str) -> None:
    found = judge("deletion-protection", Given(kind, {key: UNKNOWN}))
    assert (found.violations, len(found.undecided)) == ([], 1)


def switch(**standby: Any) -> Given:
    return Given("turnout-components:index:TrafficSwitch", {"standby": standby}, "svc")


def test_a_standby_is_advised_to_stay_for_an_hour() -> None:
    assert judge("standby-retained", switch(keep="full", retain_for=3600, bake=60)).passed
    assert "turnout:traffic.standby.retain_for" in judge("standby-retained", switch(keep="warm", retain_for=3599)).said
    assert "bake, with keep cold" in judge("standby-retained", switch(keep="cold", retain_for=7200, bake=600)).said
    assert judge("standby-retained", switch(keep="full", retain_for=60), seconds=60).passed
    assert judge("standby-retained", switch(keep="full", retain_for=UNKNOWN)).undecided


def zones(gateways: int, subnets: int, stack: str = "prod") -> list[Given]:
    nats = [Given("aws:ec2/natGateway:NatGateway", {}, f"nat-{n}", stack) for n in range(gateways)]
    names = [f"us-east-1{'abc'[n % 3]}" for n in range(subnets)]
    subnet = "aws:ec2/subnet:Subnet"
    return [*nats, *(Given(subnet, {"availabilityZone": name}, f"net-{n}", stack) for n, name in enumerate(names))]


def test_production_is_advised_to_have_a_way_out_in_each_zone() -> None:
    assert judge("nat-per-zone", *zones(3, 6)).passed
    assert judge("nat-per-zone", *zones(0, 6)).passed
    assert "turnout:network.nat per_zone" in judge("nat-per-zone", *zones(1, 2)).said
    assert judge("nat-per-zone", *zones(1, 6, "dev")).passed


def spot(weights: tuple[Any, Any], base: Any = 0, percent: Any = 0, arns: tuple[str, str] = ("arn:b", "arn:g")) -> list[Given]:
    """Blue on Spot Instances and green On-Demand, behind one listener."""
    groups = [
        Given("aws:lb/targetGroup:TargetGroup", {"arn": arn}, name) for arn, name in zip(arns, ("blue", "green"), strict=True)
    ]
    shares = [{"arn": arn, "weight": weight} for arn, weight in zip(arns, weights, strict=True)]
    live = Given(
        "aws:lb/listener:Listener",
        {"tags": {"turnout:blue": "a", "turnout:green": "b"}, "defaultActions": [{"forward": {"targetGroups": shares}}]},
        "live",
        needs={"defaultActions": tuple(groups)},
    )
    mix = {"onDemandBaseCapacity": base, "onDemandPercentageAboveBaseCapacity": percent}
    on_spot = {"targetGroupArns": [arns[0]], "mixedInstancesPolicy": {"instancesDistribution": mix}}
    blue = Given(GROUP, on_spot, "blue-pool", needs={"targetGroupArns": (groups[0],)})
    green = Given(GROUP, {"targetGroupArns": [arns[1]]}, "green-pool", needs={"targetGroupArns": (groups[1],)})
    return [*groups, live, blue, green]


def test_the_pool_that_carries_requests_is_advised_to_have_on_demand_instances() -> None:
    said = judge("on-demand-in-active-pool", *spot((100, 0))).said
    assert said.startswith(f"blue-pool ({GROUP})")
    assert "turnout:pool.on_demand_base" in said
    assert judge("on-demand-in-active-pool", *spot((0, 100))).passed
    assert judge("on-demand-in-active-pool", *spot((100, 0), base=1)).passed
    assert judge("on-demand-in-active-pool", *spot((100, 0), percent=25)).passed


def test_a_share_or_mix_that_is_not_known_yet_is_undecided() -> None:
    for given in (spot((100, 0), arns=(UNKNOWN, UNKNOWN)), spot((UNKNOWN, 0)), spot((100, 0), base=UNKNOWN)):
        found = judge("on-demand-in-active-pool", *given)
        assert (found.violations, len(found.undecided)) == ([], 1)


def test_a_pool_of_large_gpus_is_advised_to_have_a_warm_pool() -> None:
    def pool(kind: Any, **more: Any) -> tuple[Given, Given]:
        template = Given("aws:ec2/launchTemplate:LaunchTemplate", {"instanceType": kind}, "template")
        return template, Given(GROUP, {"tags": POOL_TAGS, **more}, "pool", needs={"launchTemplate": (template,)})

    assert "turnout:pool.warm_pool" in judge("warm-pool-for-slow-models", *pool("p4d.24xlarge")).said
    assert judge("warm-pool-for-slow-models", *pool("p4d.24xlarge", warmPool={"minSize": 1})).passed
    assert judge("warm-pool-for-slow-models", *pool("g5.xlarge")).passed
    assert judge("warm-pool-for-slow-models", *pool("g5.xlarge"), gpu_memory_gib=20).violations
    assert judge("warm-pool-for-slow-models", *pool(UNKNOWN)).undecided
    on_spot = {"mixedInstancesPolicy": {"instancesDistribution": {"onDemandPercentageAboveBaseCapacity": 0}}}
    assert judge("warm-pool-for-slow-models", *pool("p4d.24xlarge", **on_spot)).passed


def test_a_number_of_the_configuration_is_shown_as_it_was_written() -> None:
    group = Given(
        GROUP, {"maxSize": 4, "mixedInstancesPolicy": {"launchTemplate": {"overrides": [{"instanceType": "g5.xlarge"}]}}}
    )
    assert "ceiling of 3;" in judge("gpu-ceiling", group, ceiling=3.0).said
