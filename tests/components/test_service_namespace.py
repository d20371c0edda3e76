"""The namespace of a service: restricted pods, no traffic, and readiness gates where the controller is."""

from typing import Any

import pulumi
import pytest
from recording import Recording, record
from turnout_components.kubernetes_names import WORKLOAD_LABEL
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


def test_pods_of_step_downs_reach_the_api_server_only_where_there_are_some() -> None:
    """They would do nothing otherwise: the namespace denies all that no policy allows."""
    (policy,) = [one for one in namespace(step_downs=True).registrations if one.name == "assistant-step-downs"]
    spec = policy.inputs["spec"]
    assert spec["podSelector"] == {"matchExpressions": [{"key": WORKLOAD_LABEL, "operator": "Exists"}]}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in spec
    assert [rule["ports"] for rule in spec["egress"]] == [[{"protocol": "TCP", "port": port}] for port in (443, 6443)]
    assert len([one for one in namespace().registrations if one.type.endswith(":NetworkPolicy")]) == 1


def test_pods_wait_for_their_target_group_only_where_a_controller_tells_them() -> None:
    gate = "elbv2.k8s.aws/pod-readiness-gate-inject"
    assert namespace(readiness_gates=True).one(":Namespace").inputs["metadata"]["labels"][gate] == "enabled"
    assert gate not in namespace().one(":Namespace").inputs["metadata"]["labels"]


def test_a_name_that_kubernetes_refuses_is_refused() -> None:
    with pytest.raises(ValueError, match=r"namespace = 'models\.eu'"):
        namespace(namespace=pulumi.Output.from_input("models.eu"))
