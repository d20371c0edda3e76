"""The stacks on Amazon EKS, planned offline, against the pack; and what it says once an object of Karpenter's is spoilt."""

from dataclasses import replace
from typing import Any

import pytest
from pulumi_policy import EnforcementLevel

from tests.policies.judging import NAMED, judge
from tests.policies.planning import planned
from tests.policies.test_stacks_hold import changed, given

ADVICE = {"staging-eks": ["secret-rotation", "secret-rotation"]}
"""What is advised on each stack, and meant: docs/policies.md."""


@pytest.mark.parametrize("stack", ["prod-eks", "staging-eks"])
def test_no_stack_on_eks_breaks_what_is_demanded_and_with_everything_known_every_policy_decides(stack: str) -> None:
    resources = planned(stack)
    judged = {name: judge(name, *given(name, resources)) for name in NAMED}
    assert sorted(name for name, judgement in judged.items() for _ in judgement.violations) == ADVICE.get(stack, [])
    assert {name: judgement.undecided for name, judgement in judged.items() if judgement.undecided} == {}
    assert {NAMED[name].enforcement_level for name in ADVICE.get(stack, [])} <= {EnforcementLevel.ADVISORY}


POOL = "kubernetes:karpenter.sh/v1:NodePool"
WORKLOAD, QUEUE, RIGHTS = "kubernetes:apps/v1:Deployment", "aws:sqs/queue:Queue", "aws:iam/rolePolicy:RolePolicy"
EVERYTHING = '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
SPOILT: list[tuple[str, str, str, str, Any]] = [
    ("gpu-nodes-marked", POOL, "-gpus-pool", "spec.template.spec.taints", []),
    ("gpu-ceiling", POOL, "-gpus-pool", "spec.limits", {}),
    ("gpu-ceiling", POOL, "-gpus-pool", "spec.limits", {"nvidia.com/gpu": "65"}),
    ("gpu-pods-placed", WORKLOAD, "-room-pods", "spec.template.spec.tolerations", []),
    ("disruption-budgets", WORKLOAD, "-room-pods", "spec.template.metadata.labels", {"app": "server"}),
    ("encrypted-at-rest", QUEUE, "-interruptions-queue", "sqsManagedSseEnabled", False),
    ("no-wildcard-rights", RIGHTS, "-gpus-pass", "policy", EVERYTHING),
]
"""Policy, a resource of the staging stack by type and the end of its name, and the property that breaks the policy."""


@pytest.mark.parametrize(("policy", "kind", "name", "path", "value"), SPOILT)
def test_a_stack_whose_nodes_or_room_are_spoilt_is_told(policy: str, kind: str, name: str, path: str, value: Any) -> None:
    every = given(policy, planned("staging-eks"))
    (resource,) = (one for one in every if (one.type, one.name) == (kind, f"assistant-staging{name}"))
    spoilt = replace(resource, props=changed(resource.props, path, value))
    judgement = judge(policy, *(spoilt if one is resource else one for one in every))
    assert judgement.violations
