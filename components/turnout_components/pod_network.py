"""Who reaches an environment's pods and what they reach: everything else is denied ("Network Policies", Kubernetes: a pod that
a policy selects takes and sends only what some policy allows; its own node, which probes it, always reaches it)."""

from collections.abc import Mapping, Sequence
from typing import Any

from turnout_components import kubernetes_names as names
from turnout_components import node_policy, pod_rules
from turnout_components.pod_rules import Pods, Release

POD_IDENTITY_AGENT = ("169.254.170.23/32", "fd00:ec2::23/128")
"""Where pods get their role's credentials, on port 80 ("Set up the Amazon EKS Pod Identity Agent", Amazon EKS User Guide)."""
EVERYWHERE = ("0.0.0.0/0", "::/0")
DENY_ALL: Mapping[str, Any] = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
"""A policy's spec for a namespace in which nothing is allowed that no other policy allows."""
API_PORTS = (443, 6443)
"""Of the Service `kubernetes`, and of API servers themselves: a policy may see a packet before or after its address is
translated ("Network Policies", Kubernetes, ipBlock)."""
_NAMESPACE = "kubernetes.io/metadata.name"


def policy(pods: Pods, release: Release | None, has_role: bool) -> dict[str, Any]:
    """The spec of the environment's own policy. `has_role`: its pods have an EKS pod identity."""
    selector = {"matchLabels": names.environment_labels(pods["service"], pods["environment"])}
    ingress, egress = _ingress(pods), _egress(pods, release, has_role)
    if pods["nodes_per_replica"] > 1:
        ingress.append({"from": [{"podSelector": selector}]})
        egress.append({"to": [{"podSelector": selector}]})
    return {"podSelector": selector, "policyTypes": ["Ingress", "Egress"], "ingress": ingress, "egress": egress}


def step_downs() -> dict[str, Any]:
    """The spec of a policy that lets the pods of step-downs reach the API server, which is no pod, and nothing else."""
    selector = {"matchExpressions": [{"key": names.WORKLOAD_LABEL, "operator": "Exists"}]}
    egress = [_to(EVERYWHERE, port) for port in API_PORTS]
    return {"podSelector": selector, "policyTypes": ["Ingress", "Egress"], "egress": egress}


def _ingress(pods: Pods) -> list[dict[str, Any]]:
    """Requests, and who reads metrics, which are on the same port."""
    port = [{"protocol": "TCP", "port": int(pods["port"])}]
    sources = [*(pods.get("clients") or ()), *([pods["prometheus"]] if pods.get("prometheus") else [])]
    return [{"from": [_peer(source)], "ports": port} for source in sources]


def _peer(source: Mapping[str, Any]) -> dict[str, Any]:
    if source.get("cidr"):
        return {"ipBlock": {"cidr": source["cidr"]}}
    peer: dict[str, Any] = {}
    if source.get("namespace"):
        peer["namespaceSelector"] = {"matchLabels": {_NAMESPACE: source["namespace"]}}
    if source.get("pods"):
        peer["podSelector"] = {"matchLabels": dict(source["pods"])}
    return peer


def _egress(pods: Pods, release: Release | None, has_role: bool) -> list[dict[str, Any]]:
    dns = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    found = [{"to": [{"namespaceSelector": {"matchLabels": {_NAMESPACE: "kube-system"}}}], "ports": dns}]
    networks = pods.get("https_cidrs")
    if networks is None:
        networks = EVERYWHERE if release is not None and _reads_over_https(release) else ()
    if networks:
        found.append(_to(networks, 443))
    if has_role:
        found.append(_to(POD_IDENTITY_AGENT, 80))
    return found


def _to(networks: Sequence[str], port: int) -> dict[str, Any]:
    return {"to": [{"ipBlock": {"cidr": cidr}} for cidr in networks], "ports": [{"protocol": "TCP", "port": port}]}


def _reads_over_https(release: Release) -> bool:
    """Whether the pods fetch a model, or their engine streams weights by itself."""
    return pod_rules.is_fetched(release) or node_policy.streams_with_node_role(release)
