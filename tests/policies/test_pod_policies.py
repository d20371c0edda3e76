"""Policies on pods of GPU workloads: what `ModelDeployment` makes satisfies them, and each is broken."""

from copy import deepcopy
from typing import Any

import pytest
from turnout_components.model_deployment import ModelDeployment

from tests.kubernetes.rendered import objects
from tests.policies.judging import IMAGE, UNKNOWN, Given, judge

GPU_POLICIES = ("restricted-pods", "gpu-pods-placed", "disruption-budgets")
TYPES = {
    "Deployment": "kubernetes:apps/v1:Deployment",
    "LeaderWorkerSet": "kubernetes:leaderworkerset.x-k8s.io/v1:LeaderWorkerSet",
    "PodDisruptionBudget": "kubernetes:policy/v1:PodDisruptionBudget",
}
RELEASE: dict[str, Any] = {
    "name": "llm-1.0.0",
    "model": {"name": "llm", "version": "1.0.0", "uri": "s3://models/llm/1.0.0", "sha256": "sha256:" + "ab" * 32},
    "image": IMAGE,
    "engine": {"name": "vllm", "flags": []},
    "digest": "sha256:" + "cd" * 32,
}
SERVER = "spec.template.spec.containers.0"


def environment(**changes: Any) -> list[Given]:
    args: Any = {"service": "assistant", "environment": "green", "release": RELEASE, "fetch_image": IMAGE, **changes}
    found = objects(lambda: ModelDeployment("green", args))
    return [Given(TYPES[one["kind"]], one, one["metadata"]["name"]) for one in found if one["kind"] in TYPES]


def spoilt(path: str, value: Any, **changes: Any) -> Given:
    """The environment's workload with another value at a path of keys and indices."""
    (workload,) = (one for one in environment(**changes) if "Budget" not in one.type)
    props: Any = deepcopy(workload.props)
    place = props
    *way, last = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in way:
        place = place[part]
    place[last] = value
    return Given(workload.type, props)


@pytest.mark.parametrize("changes", [{}, {"nodes_per_replica": 2}, {"gpus": 0}, {"gpu_resource": "nvidia.com/mig-1g.10gb"}])
@pytest.mark.parametrize("policy", [*GPU_POLICIES, "images-by-digest", "no-plain-text-secret"])
def test_an_environment_satisfies_them(policy: str, changes: dict[str, Any]) -> None:
    made = environment(**changes)
    assert [one.type for one in made if "Budget" not in one.type]
    if policy == "disruption-budgets":
        assert judge(policy, *made).passed
    else:
        assert all(judge(policy, one).passed for one in made)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.template.spec.securityContext.runAsNonRoot", False),
        ("spec.template.spec.securityContext", {}),
        ("spec.template.spec.securityContext.seccompProfile", {"type": "Unconfined"}),
        ("spec.template.spec.hostNetwork", True),
        ("spec.template.spec.volumes.1", {"name": "scratch", "hostPath": {"path": "/mnt"}}),
        (f"{SERVER}.securityContext.allowPrivilegeEscalation", True),
        (f"{SERVER}.securityContext.privileged", True),
        (f"{SERVER}.securityContext.capabilities", {"drop": ["NET_RAW"]}),
        ("spec.template.spec.initContainers.0.securityContext.capabilities", None),
    ],
)
def test_a_pod_that_may_more_than_the_restricted_standard_is_told(path: str, value: Any) -> None:
    judgement = judge("restricted-pods", spoilt(path, value))
    assert judgement.violations
    assert judgement.undecided == []


def test_workers_of_a_sharded_model_are_judged_too() -> None:
    path = "spec.leaderWorkerTemplate.workerTemplate.spec.securityContext.runAsNonRoot"
    assert "workerTemplate" in judge("restricted-pods", spoilt(path, False, nodes_per_replica=2)).said


def test_pods_without_gpus_that_are_nobodys_servers_may_need_more() -> None:
    plugin = {"spec": {"template": {"spec": {"hostNetwork": True, "containers": [{"name": "plugin", "image": IMAGE}]}}}}
    for policy in GPU_POLICIES:
        assert judge(policy, Given(TYPES["Deployment"], plugin)).passed


@pytest.mark.parametrize("tolerations", [[], None, [{"key": "spot", "operator": "Exists"}]])
def test_pods_with_gpus_that_no_gpu_node_takes_are_told(tolerations: Any) -> None:
    assert "no GPU node takes the pod" in judge("gpu-pods-placed", spoilt("spec.template.spec.tolerations", tolerations)).said


def test_the_taint_is_a_parameter_and_everything_may_be_tolerated() -> None:
    own = [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert judge("gpu-pods-placed", spoilt("spec.template.spec.tolerations", own), taint="gpu").passed
    assert judge("gpu-pods-placed", spoilt("spec.template.spec.tolerations", [{"operator": "Exists"}])).passed
    assert judge("gpu-pods-placed", spoilt("spec.template.spec.tolerations", [], gpus=0)).passed


def test_fewer_gpus_asked_for_than_limited_are_told() -> None:
    changed = spoilt(f"{SERVER}.resources.requests", {"nvidia.com/gpu": "1"}, gpus=4)
    assert "is not the limit 4" in judge("gpu-pods-placed", changed).said
    assert judge("gpu-pods-placed", spoilt(f"{SERVER}.resources.requests", {"cpu": "1"})).passed


def test_a_workload_without_a_budget_or_with_anothers_is_told() -> None:
    workload, budget = sorted(environment(), key=lambda one: "Budget" in one.type)
    assert "are in no disruption budget" in judge("disruption-budgets", workload).said
    labels = {"matchLabels": {"app.kubernetes.io/name": "other"}}
    others = Given(budget.type, {**budget.props, "spec": {**budget.props["spec"], "selector": labels}})
    elsewhere = Given(budget.type, {**budget.props, "metadata": {**budget.props["metadata"], "namespace": "other"}})
    for wrong in (others, elsewhere):
        assert judge("disruption-budgets", workload, wrong).violations


@pytest.mark.parametrize("policy", GPU_POLICIES)
def test_what_is_not_known_yet_is_undecided(policy: str) -> None:
    for props in ({"spec": UNKNOWN}, {"spec": {"template": UNKNOWN}}):
        found = judge(policy, Given(TYPES["Deployment"], props))
        assert (found.violations, len(found.undecided)) == ([], 1)


def test_a_secret_in_a_servers_variables_is_told() -> None:
    variables = [{"name": "HF_TOKEN", "value": "hf_" + "x" * 30}]
    assert judge("no-plain-text-secret", spoilt(f"{SERVER}.env", variables)).violations
    referred = [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "assistant", "key": "HF_TOKEN"}}}]
    assert judge("no-plain-text-secret", spoilt(f"{SERVER}.env", referred)).passed
