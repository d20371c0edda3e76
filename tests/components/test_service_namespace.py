"""The namespace of a service: restricted pods, no traffic, and readiness gates where the controller is."""

from typing import Any

import pulumi
import pytest
from recording import Recording, record
from turnout_components.service_namespace import ServiceNamespace


def namespace(**changes: Any) -> Recording:
    args: Any = {"service": "assistant", **changes}
    return record(lambda: {"namespace": ServiceNamespace("assistant", args).namespace})


def test_it_admits_restricted_pods_only() -> None:
    made = namespace()
    labels = made.one(":Namespace").inputs["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}
    assert made.outputs == {"namespace": "assistant"}


def test_it_lets_nothing_through_from_its_first_moment() -> None:
    policy = namespace(namespace="models").one(":NetworkPolicy")
    assert policy.inputs["metadata"]["namespace"] == "models"
    assert policy.inputs["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert policy.dependencies == {"assistant-namespace"}


def test_pods_wait_for_their_target_group_only_where_a_controller_tells_them() -> None:
    gate = "elbv2.k8s.aws/pod-readiness-gate-inject"
    assert namespace(readiness_gates=True).one(":Namespace").inputs["metadata"]["labels"][gate] == "enabled"
    assert gate not in namespace().one(":Namespace").inputs["metadata"]["labels"]


def test_a_name_that_kubernetes_refuses_is_refused() -> None:
    with pytest.raises(ValueError, match=r"namespace = 'models\.eu'"):
        namespace(namespace=pulumi.Output.from_input("models.eu"))
