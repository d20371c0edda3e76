"""The network policy of an environment, evaluated: which flows it lets through, and that nothing else passes."""

import ipaddress
from typing import Any

import pytest
from component_args import manifest
from pod_args import in_image, pods
from turnout_components import pod_network
from turnout_components.kubernetes_names import environment_labels

OWN = environment_labels("assistant", "green")
Peer = dict[str, Any]


def peer(namespace: str, **labels: str) -> Peer:
    return {"namespace": namespace, "labels": labels}


def at(address: str) -> Peer:
    return {"address": address}


def _fits(selector: dict[str, Any] | None, labels: dict[str, str]) -> bool:
    assert selector is None or set(selector) <= {"matchLabels"}, "the evaluation knows matchLabels only"
    return selector is None or selector.get("matchLabels", {}).items() <= labels.items()


def _is(rule: dict[str, Any], other: Peer) -> bool:
    """Whether a peer of a rule is `other`: a policy of namespace `assistant` ("Behavior of to and from selectors")."""
    if "ipBlock" in rule:
        assert set(rule) == {"ipBlock"}
        block = ipaddress.ip_network(rule["ipBlock"]["cidr"])
        return "address" in other and ipaddress.ip_address(other["address"]) in block
    if "address" in other:
        return False
    spaces, members = rule.get("namespaceSelector"), rule.get("podSelector")
    own = other["namespace"] == "assistant" if spaces is None else True
    return own and _fits(spaces, {"kubernetes.io/metadata.name": other["namespace"]}) and _fits(members, other["labels"])


def passes(policy: dict[str, Any], way: str, other: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether the policy lets a connection through between a pod that it selects and `other`; `way`: ingress or egress."""
    assert way.title() in policy["policyTypes"]
    side = "from" if way == "ingress" else "to"
    return any(
        any(_is(one, other) for one in rule[side])
        and ("ports" not in rule or {"protocol": protocol, "port": port} in rule["ports"])
        for rule in policy.get(way, [])
    )


def policy(release: dict[str, Any] | None = None, has_role: bool = False, **changes: Any) -> dict[str, Any]:
    return pod_network.policy(pods(**changes), release or in_image(), has_role)


GATEWAY = peer("envoy-gateway-system", app="envoy")
STRANGER = peer("default", app="curl")


def test_it_selects_the_environments_pods_of_every_release_and_no_others() -> None:
    assert policy()["podSelector"] == {"matchLabels": OWN}
    assert policy()["policyTypes"] == ["Ingress", "Egress"]


def test_nobody_reaches_the_pods_unless_it_is_said() -> None:
    closed = policy()
    for other in (GATEWAY, STRANGER, peer("assistant", **OWN), at("10.0.0.1")):
        assert not passes(closed, "ingress", other, 8000)


def test_clients_reach_the_port_and_no_other() -> None:
    found = policy(clients=[{"namespace": "envoy-gateway-system"}, {"cidr": "10.0.0.0/20"}], port=9000)
    assert passes(found, "ingress", GATEWAY, 9000)
    assert passes(found, "ingress", at("10.0.15.1"), 9000)
    assert not passes(found, "ingress", GATEWAY, 8000)
    assert not passes(found, "ingress", at("10.0.16.1"), 9000)
    assert not passes(found, "ingress", STRANGER, 9000)


def test_clients_by_their_labels_are_of_the_environments_namespace_or_the_one_that_is_said() -> None:
    near = policy(clients=[{"pods": {"app": "envoy"}}])
    assert passes(near, "ingress", peer("assistant", app="envoy"), 8000)
    assert not passes(near, "ingress", GATEWAY, 8000)
    far = policy(clients=[{"namespace": "envoy-gateway-system", "pods": {"app": "envoy"}}])
    assert passes(far, "ingress", GATEWAY, 8000)
    assert not passes(far, "ingress", peer("envoy-gateway-system", app="other"), 8000)
    assert not passes(far, "ingress", peer("assistant", app="envoy"), 8000)


def test_prometheus_reads_metrics_on_the_same_port() -> None:
    found = policy(prometheus={"namespace": "monitoring", "pods": {"app.kubernetes.io/name": "prometheus"}})
    prometheus = peer("monitoring", **{"app.kubernetes.io/name": "prometheus"})
    assert passes(found, "ingress", prometheus, 8000)
    assert not passes(found, "ingress", peer("monitoring", app="other"), 8000)


def test_pods_ask_the_clusters_dns_and_nothing_else_where_the_model_is_in_the_image() -> None:
    found = policy()
    for protocol in ("UDP", "TCP"):
        assert passes(found, "egress", peer("kube-system", **{"k8s-app": "kube-dns"}), 53, protocol)
    assert not passes(found, "egress", at("52.216.0.1"), 443)
    assert not passes(found, "egress", peer("default"), 53, "UDP")
    assert not passes(found, "egress", peer("kube-system"), 443)


def test_a_model_elsewhere_is_fetched_over_https_from_everywhere_or_the_networks_that_are_said() -> None:
    anywhere, near = policy(manifest()), policy(manifest(), https_cidrs=["52.216.0.0/15"])
    assert passes(anywhere, "egress", at("8.8.8.8"), 443)
    assert passes(anywhere, "egress", at("2600::1"), 443)
    assert not passes(anywhere, "egress", at("8.8.8.8"), 80)
    assert passes(near, "egress", at("52.217.0.1"), 443)
    assert not passes(near, "egress", at("8.8.8.8"), 443)


def test_an_engine_that_streams_weights_is_let_to_s3_too() -> None:
    release = {**in_image(), "engine": {"name": "vllm", "flags": ["--model=s3://models/llm"]}}
    assert passes(policy(release), "egress", at("8.8.8.8"), 443)


@pytest.mark.parametrize("address", ["169.254.170.23", "fd00:ec2::23"])
def test_pods_with_a_role_reach_the_agent_that_has_their_credentials(address: str) -> None:
    assert passes(policy(has_role=True), "egress", at(address), 80)
    assert not passes(policy(manifest()), "egress", at(address), 80)


def test_nobody_reaches_the_nodes_metadata_service() -> None:
    assert not passes(policy(manifest(), has_role=True), "egress", at("169.254.169.254"), 80)


def test_the_nodes_of_a_sharded_replica_reach_each_other_on_every_port_and_the_other_environment_does_not() -> None:
    found = policy(manifest(), nodes_per_replica=2)
    other = environment_labels("assistant", "blue")
    for way in ("ingress", "egress"):
        assert passes(found, way, peer("assistant", **OWN), 29500)
        assert not passes(found, way, peer("assistant", **other), 29500)
        assert not passes(found, way, peer("elsewhere", **OWN), 29500)
        assert not passes(policy(manifest()), way, peer("assistant", **OWN), 29500)


def test_a_namespace_can_deny_everything_that_no_policy_allows() -> None:
    assert dict(pod_network.DENY_ALL) == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
