"""Policies on GPU nodes, each broken and satisfied."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.policies.judging import IMAGE, UNKNOWN, Given, judge, told

TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"


@pytest.mark.parametrize("options", [{"httpTokens": "required"}, {"httpEndpoint": "disabled"}])
def test_instances_that_ask_for_a_session_pass(options: dict[str, str]) -> None:
    assert judge("imdsv2", Given(TEMPLATE, {"metadataOptions": options})).passed


@pytest.mark.parametrize(
    "props", [{}, {"metadataOptions": {"httpTokens": "optional"}}, {"metadataOptions": {"httpTokens": None}}]
)
def test_instances_that_answer_anybody_are_told(props: dict[str, object]) -> None:
    said = judge("imdsv2", Given(TEMPLATE, props, "nodes")).said
    assert "nodes (aws:ec2/launchTemplate:LaunchTemplate)" in said
    assert 'httpTokens "required"' in said


def test_an_instance_of_a_launch_template_has_the_templates_options() -> None:
    made = {"launchTemplate": {"id": "lt-1"}}
    assert judge("imdsv2", Given("aws:ec2/instance:Instance", made)).passed
    own = {**made, "metadataOptions": {"httpTokens": "optional"}}
    assert judge("imdsv2", Given("aws:ec2/instance:Instance", own)).violations


def test_metadata_options_that_are_not_known_yet_are_undecided() -> None:
    for props in ({"metadataOptions": UNKNOWN}, {"metadataOptions": {"httpTokens": UNKNOWN}}):
        found = judge("imdsv2", Given(TEMPLATE, props))
        assert (found.violations, len(found.undecided)) == ([], 1)


TASKS = "aws:ecs/taskDefinition:TaskDefinition"
FUNCTION = "aws:lambda/function:Function"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"


def deployment(image: str) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "server", "image": image}]}}}}


@pytest.mark.parametrize(
    ("kind", "props"),
    [
        (TEMPLATE, lambda image: {"userData": told(image=image)}),
        (TEMPLATE, lambda image: {"userData": told(mirror=image)}),
        (TASKS, lambda image: {"containerDefinitions": json.dumps([{"name": "server", "image": image}])}),
        (FUNCTION, lambda image: {"imageUri": image}),
        (DEPLOYMENT, deployment),
        (DEPLOYMENT, lambda image: {"spec": {"initContainers": [{"image": image}]}}),
    ],
)
def test_images_are_named_by_digest_wherever_they_are_run(kind: str, props: Callable[[str], dict[str, Any]]) -> None:
    assert judge("images-by-digest", Given(kind, props(IMAGE))).passed
    for tagged in ("vllm/vllm-openai:latest", "vllm/vllm-openai", "vllm/vllm-openai@sha256:beef"):
        said = judge("images-by-digest", Given(kind, props(tagged))).said
        assert tagged in said
        assert "<image>@sha256:" in said


@pytest.mark.parametrize(("kind", "key"), [(TEMPLATE, "userData"), (TASKS, "containerDefinitions"), (FUNCTION, "imageUri")])
def test_images_that_are_not_known_yet_are_undecided(kind: str, key: str) -> None:
    found = judge("images-by-digest", Given(kind, {key: UNKNOWN}))
    assert (found.violations, len(found.undecided)) == ([], 1)


def test_what_runs_no_image_and_other_user_data_are_left_alone() -> None:
    script = Given(TEMPLATE, {"userData": "IyEvYmluL2Jhc2gK"})
    assert judge("images-by-digest", script, Given(TEMPLATE, {}), Given(FUNCTION, {})).passed


NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}
LABELS = {"nvidia.com/gpu.present": "true"}


def node_group(**props: Any) -> Given:
    return Given(NODE_GROUP, {"instanceTypes": ["g6.xlarge"], "taints": [TAINT], "labels": LABELS, **props})


def test_a_node_group_with_gpus_has_taint_and_label() -> None:
    assert judge("gpu-nodes-marked", node_group()).passed
    assert judge("gpu-nodes-marked", node_group(instanceTypes=["m7i.large"], taints=None, labels=None)).passed
    assert "add a taint nvidia.com/gpu" in judge("gpu-nodes-marked", node_group(taints=[])).said
    assert "label" in judge("gpu-nodes-marked", node_group(labels={"pool": "gpu"})).said
    weak = [{**TAINT, "effect": "PREFER_NO_SCHEDULE"}]
    assert judge("gpu-nodes-marked", node_group(taints=weak)).violations
    by_image = {"instanceTypes": None, "amiType": "AL2023_x86_64_NVIDIA", "taints": None}
    assert judge("gpu-nodes-marked", node_group(**by_image)).violations


def test_a_node_group_that_is_not_known_yet_is_undecided() -> None:
    for props in ({"instanceTypes": UNKNOWN}, {"taints": UNKNOWN}, {"labels": UNKNOWN}):
        found = judge("gpu-nodes-marked", node_group(**props))
        assert (found.violations, len(found.undecided)) == ([], 1)


@pytest.mark.parametrize(
    "requirement",
    [
        {"key": "karpenter.k8s.aws/instance-gpu-count", "operator": "Gt", "values": ["0"]},
        {"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["g6"]},
        {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["p5.48xlarge"]},
    ],
)
def test_a_node_pool_of_karpenter_with_gpus_has_taint_and_label(requirement: dict[str, Any]) -> None:
    def made(taints: Any, labels: Any) -> Given:
        template = {"metadata": {"labels": labels}, "spec": {"requirements": [requirement], "taints": taints}}
        return Given(NODE_POOL, {"spec": {"template": template}})

    marked = [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]
    assert judge("gpu-nodes-marked", made(marked, LABELS)).passed
    assert judge("gpu-nodes-marked", made([], LABELS)).violations
    assert judge("gpu-nodes-marked", made(marked, {})).violations
    assert judge("gpu-nodes-marked", made([{"key": "mine", "effect": "NoSchedule"}], {"mine": "x"}), taint="mine").passed


def test_a_node_pool_without_gpus_needs_no_marks() -> None:
    requirement = {"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["m7i"]}
    assert judge("gpu-nodes-marked", Given(NODE_POOL, {"spec": {"template": {"spec": {"requirements": [requirement]}}}})).passed


def tagged(*keys: str, propagate: bool = True) -> Given:
    tags = [{"key": key, "value": "x", "propagateAtLaunch": propagate} for key in keys]
    return Given("aws:autoscaling/group:Group", {"tags": tags}, "pool")


def test_instances_of_a_pool_carry_its_tags() -> None:
    every = ("turnout:service", "turnout:environment", "turnout:release")
    assert judge("gpu-nodes-marked", tagged(*every)).passed
    assert judge("gpu-nodes-marked", tagged("Name")).passed
    assert "turnout:release" in judge("gpu-nodes-marked", tagged(*every[:2])).said
    assert len(judge("gpu-nodes-marked", tagged(*every, propagate=False)).violations) == 3


def group(size: Any, *types: str, **more: Any) -> tuple[Given, Given]:
    template = Given(TEMPLATE, {"instanceType": types[0] if types else None}, "template")
    overrides = [{"instanceType": name} for name in types[1:]]
    mixed = {"launchTemplate": {"overrides": overrides}} if overrides else None
    props = {"maxSize": size, "mixedInstancesPolicy": mixed, **more}
    return template, Given("aws:autoscaling/group:Group", props, "pool", needs={"launchTemplate": (template,)})


@pytest.mark.parametrize(
    ("given", "gpus"),
    [
        (group(8, "g5.xlarge"), 8),
        (group(8, "g5.12xlarge"), 32),
        (group(2, "g5.xlarge", "g5.xlarge", "p5.48xlarge"), 16),
        (group(2, "g5.xlarge", warmPool={"maxGroupPreparedCapacity": 5}), 5),
        (group(2, "p3.2xlarge"), 16),
        (group(3, "m7i.large"), 0),
        ((Given(NODE_GROUP, {"instanceTypes": ["g6.12xlarge"], "scalingConfig": {"maxSize": 3}}),), 12),
        ((Given("aws:ec2/instance:Instance", {"instanceType": "g5.48xlarge"}),), 8),
    ],
)
def test_gpus_of_all_pools_stay_below_the_ceiling(given: tuple[Given, ...], gpus: int) -> None:
    assert judge("gpu-ceiling", *given, ceiling=gpus).passed
    if gpus:
        said = judge("gpu-ceiling", *given, ceiling=gpus - 1).said
        assert f"'{gpus}'" in said
        assert "turnout:pool.maximum" in said


def test_attributes_may_bring_the_largest_instances_unless_they_are_bounded() -> None:
    def by_attributes(most: int | None) -> tuple[Given, Given]:
        wanted = {"acceleratorCount": {"min": 1, "max": most}}
        return group(4, mixedInstancesPolicy={"launchTemplate": {"overrides": [{"instanceRequirements": wanted}]}})

    assert judge("gpu-ceiling", *by_attributes(2), ceiling=8).passed
    assert judge("gpu-ceiling", *by_attributes(None), ceiling=31).violations


def test_what_a_launch_template_names_counts_where_its_group_names_nothing() -> None:
    template = Given(TEMPLATE, {"instanceType": "p5.48xlarge"}, "template")
    nodes = Given(
        "aws:eks/nodeGroup:NodeGroup", {"scalingConfig": {"maxSize": 2}}, "nodes", needs={"launchTemplate": (template,)}
    )
    assert "'16'" in judge("gpu-ceiling", template, nodes, ceiling=15).said
    wanted = {"instanceRequirements": {"acceleratorCount": {"min": 1, "max": 4}}}
    chosen = Given(TEMPLATE, wanted, "template")
    pool = Given("aws:autoscaling/group:Group", {"maxSize": 3}, "pool", needs={"launchTemplate": (chosen,)})
    assert "'12'" in judge("gpu-ceiling", chosen, pool, ceiling=11).said


def test_pools_add_up_and_what_is_known_is_enough_to_refuse() -> None:
    first, second = group(8, "g5.xlarge"), group(UNKNOWN, "g5.xlarge")
    named = (Given(first[1].type, first[1].props, "other", needs=first[1].needs), first[0])
    assert judge("gpu-ceiling", *first, *named[:1], ceiling=15).violations
    unknown = judge("gpu-ceiling", *second, ceiling=15)
    assert (unknown.violations, len(unknown.undecided)) == ([], 1)
    both = judge("gpu-ceiling", *first, Given(second[1].type, second[1].props, "other"), ceiling=7)
    assert (len(both.violations), len(both.undecided)) == (1, 1)
