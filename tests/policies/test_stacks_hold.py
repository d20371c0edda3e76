"""The stacks of this repository, planned offline, against the pack; and what it says once a planned resource is spoilt."""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from pulumi_policy import EnforcementLevel, StackValidationPolicy

from tests.policies.judging import NAMED, Given, Judgement, judge, told
from tests.policies.planning import STACKS, Planned, planned, stored

ADVICE = {
    "dev": ["standby-retained"],
    "staging": ["secret-rotation", "secret-rotation"],
}
"""What is advised on each stack, and meant: docs/policies.md."""


def given(policy: str, stack: Planned) -> list[Given]:
    """What a policy is asked about: the resources one by one, or the stack of them."""
    return stack.made if isinstance(NAMED[policy], StackValidationPolicy) else stack.wanted


@cache
def judged(stack: Planned) -> Mapping[str, Judgement]:
    """What each policy says of the stack as it is."""
    return {name: judge(name, *given(name, stack)) for name in NAMED}


def found(level: EnforcementLevel, stack: Planned) -> list[tuple[str, str]]:
    """Policy and message of every violation of that level."""
    names = [name for name, policy in NAMED.items() if (policy.enforcement_level or EnforcementLevel.MANDATORY) is level]
    return [(name, said) for name in names for _, said in judged(stack)[name].violations]


@pytest.mark.parametrize(("stack", "known"), [*((stack, True) for stack in STACKS), ("prod", False), ("dev", False)])
def test_no_stack_breaks_what_is_demanded(stack: str, known: bool) -> None:
    resources = planned(stack, known)
    assert found(EnforcementLevel.MANDATORY, resources) == []
    assert sorted(name for name, _ in found(EnforcementLevel.ADVISORY, resources)) == ADVICE.get(stack, [])


def test_an_artifact_store_breaks_nothing() -> None:
    assert [found(level, stored()) for level in (EnforcementLevel.MANDATORY, EnforcementLevel.ADVISORY)] == [[], []]


@pytest.mark.parametrize("guard", ["models-closed", "models-encryption", "models-policy"])
def test_an_artifact_store_without_one_of_its_guards_is_told(guard: str) -> None:
    rest = [one for one in stored().made if one.name != f"assistant-{guard}"]
    assert "assistant-models (aws:s3/bucket:Bucket)" in judge("guarded-buckets", *rest).said


@pytest.mark.parametrize("stack", STACKS)
def test_with_everything_known_every_policy_decides(stack: str) -> None:
    for name in NAMED:
        assert judged(planned(stack))[name].undecided == []


def test_a_first_preview_leaves_only_what_it_cannot_know_undecided() -> None:
    undecided = {name for name, judgement in judged(planned("prod", False)).items() if judgement.undecided}
    of_user_data = {"timeouts-fit", "images-by-digest", "no-plain-text-secret"}
    assert undecided == {*of_user_data, "no-public-address", "no-wildcard-rights"}


LISTENER, TARGETS, GROUP = "aws:lb/listener:Listener", "aws:lb/targetGroup:TargetGroup", "aws:autoscaling/group:Group"
TEMPLATE, BALANCER = "aws:ec2/launchTemplate:LaunchTemplate", "aws:lb/loadBalancer:LoadBalancer"
ALARM, INGRESS = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
SECRET, RIGHTS = "aws:secretsmanager/secret:Secret", "aws:iam/rolePolicy:RolePolicy"
SWITCH = "turnout-components:index:TrafficSwitch"
EVERYTHING = json.dumps({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
ON_SPOT = {"onDemandBaseCapacity": 0, "onDemandPercentageAboveBaseCapacity": 0}
SPOILT: list[tuple[str, str, str, str, Any]] = [
    ("weights-sum-to-100", LISTENER, "-listener", "defaultActions.0.forward.targetGroups.0.weight", 99),
    ("standby-present", LISTENER, "-listener", "tags.turnout:green", "none"),
    ("drain-covers-requests", TARGETS, "-blue", "deregistrationDelay", 119),
    ("timeouts-fit", BALANCER, "", "idleTimeout", 135),
    ("health-at-readiness", TARGETS, "-green", "healthCheck.path", "/"),
    ("imdsv2", TEMPLATE, "-blue-pool-template", "metadataOptions.httpTokens", "optional"),
    ("images-by-digest", TEMPLATE, "-blue-pool-template", "userData", told(image="vllm/vllm-openai:latest")),
    ("gpu-nodes-marked", GROUP, "-blue-pool-group", "tags.2.key", "release"),
    ("encrypted-at-rest", TEMPLATE, "-blue-pool-template", "blockDeviceMappings.0.ebs.encrypted", "false"),
    ("encrypted-at-rest", SECRET, "-blue-API_KEY", "kmsKeyId", None),
    ("encrypted-in-transit", LISTENER, "-listener", "protocol", "HTTP"),
    ("no-plain-text-rule", LISTENER, "-test", "protocol", "HTTP"),
    ("no-public-address", TEMPLATE, "-green-pool-template", "networkInterfaces.0.associatePublicIpAddress", "true"),
    ("no-public-pool", INGRESS, "-blue-pool-from-balancer", "cidrIpv4", "0.0.0.0/0"),
    ("no-public-test-listener", INGRESS, "-tests-10.40.0.0/16", "cidrIpv4", "0.0.0.0/0"),
    ("no-plain-text-secret", TEMPLATE, "-blue-pool-template", "userData", told(env={"API_KEY": "hunter2hunter2"})),
    ("no-wildcard-rights", RIGHTS, "-blue-pool-policy", "policy", EVERYTHING),
    ("required-tags", GROUP, "-blue-pool-group", "tags.3.key", "service"),
    ("alarms-per-environment", ALARM, "-green-unhealthy-hosts", "metricName", "HealthyHostCount"),
    ("alarms-tell-somebody", ALARM, "-green-unhealthy-hosts", "alarmActions", []),
    ("gpu-ceiling", GROUP, "-green-pool-group", "maxSize", 53),
    ("deletion-protection", BALANCER, "", "enableDeletionProtection", False),
    ("on-demand-in-active-pool", GROUP, "-blue-pool-group", "mixedInstancesPolicy.instancesDistribution", ON_SPOT),
    ("standby-retained", SWITCH, "", "standby.retain_for", 60),
]
"""Policy, a resource of the production stack by type and the end of its name, and the property that breaks the policy."""


@pytest.mark.parametrize(("policy", "kind", "name", "path", "value"), SPOILT)
def test_a_production_stack_whose_resource_is_spoilt_is_told(policy: str, kind: str, name: str, path: str, value: Any) -> None:
    whole = isinstance(NAMED[policy], StackValidationPolicy)
    every = given(policy, planned("prod"))
    (resource,) = (one for one in every if (one.type, one.name) == (kind, f"assistant{name}"))
    spoilt = replace(resource, props=changed(resource.props, path, value))
    judgement = judge(policy, *(spoilt if one is resource else one for one in every)) if whole else judge(policy, spoilt)
    assert judgement.violations
    assert judgement.undecided == []


def changed(props: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with another value at a path of keys and indices."""
    copy: dict[str, Any] = deepcopy(dict(props))
    place: Any = copy
    *way, last = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in way:
        place = place[part]
    place[last] = value
    return copy


def test_a_nat_gateway_less_is_told() -> None:
    gone = ("assistant-nat-us-east-1b", "assistant-nat-us-east-1c")
    rest = [one for one in planned("prod").made if one.name not in gone]
    assert "serves nodes in 3 zones" in judge("nat-per-zone", *rest).said


def test_a_secret_whose_rotation_goes_is_told() -> None:
    rest = [one for one in planned("prod").made if one.name != "assistant-blue-API_KEY-rotation"]
    assert "assistant-blue-API_KEY" in judge("secret-rotation", *rest).said


def test_every_policy_is_broken_on_a_planned_stack_but_for_those_whose_resources_none_has() -> None:
    apart = {"nat-per-zone", "secret-rotation", "guarded-buckets"}
    no_large_gpus, no_bucket = "warm-pool-for-slow-models", "no-public-bucket"
    no_pods = {"restricted-pods", "gpu-pods-placed", "disruption-budgets", "one-scaler"}
    no_cluster = {"private-cluster", "cluster-logs"}
    assert {name for name, *_ in SPOILT} | apart == NAMED.keys() - {no_large_gpus, no_bucket, *no_pods, *no_cluster}
