"""Bodies of the Gateway API objects that the components declare, and what would contradict itself. Pure.

Sources: "HTTPRoute", "Gateway", "TLS configuration" (Gateway API), "Gateway API reference".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from turnout_components.checks import Fault
from turnout_components.kubernetes_names import SERVICE_PORT, TEST_HEADER, ObjectId

API_VERSION = "gateway.networking.k8s.io/v1"
FORCED = {"pulumi.com/patchForce": "true"}
"""Gate, rollbacks and rollouts write weights as another field manager; the program takes the field over when it applies
("Managing Resources with Server-Side Apply", Pulumi Kubernetes provider)."""
TLS_PORT, PLAIN_PORT = 443, 80


def parent(gateway: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """A route's reference to a Gateway, or to one listener of it (`section`)."""
    found = {"name": gateway["name"], "namespace": gateway.get("namespace") or namespace}
    return found | ({"sectionName": gateway["section"]} if gateway.get("section") else {})


def weighted(known: Mapping[str, Any], weights: Mapping[str, int]) -> dict[str, Any]:
    """Spec of the production route: one rule, whose backends are the environments' Services, also those of weight 0."""
    refs = [
        {**_backend(state["target_group"], known["namespace"]), "weight": weights[env]}
        for env, state in known["environments"].items()
    ]
    timeout = known.get("request_timeout")
    rule = {"matches": [_everything()], "backendRefs": refs}
    return _spec(
        known, known["gateway"], [rule | ({"timeouts": {"request": f"{int(timeout)}s"}} if timeout is not None else {})]
    )


def tests(known: Mapping[str, Any]) -> dict[str, Any]:
    """Spec of the test route: an environment by header, and nothing without it."""
    rules = [
        {
            "matches": [{**_everything(), "headers": [{"type": "Exact", "name": TEST_HEADER, "value": env}]}],
            "backendRefs": [_backend(service, known["namespace"])],
        }
        for env, service in known["services"].items()
    ]
    return _spec(known, known["test"], rules)


def _spec(known: Mapping[str, Any], gateway: Mapping[str, Any], rules: list[dict[str, Any]]) -> dict[str, Any]:
    names = {"hostnames": list(known["hostnames"])} if known.get("hostnames") else {}
    return {"parentRefs": [parent(gateway, known["namespace"])], **names, "rules": rules}


def _backend(service: str, namespace: str) -> dict[str, Any]:
    """Raises `ValueError` for a Service of another namespace: Gateway API wants a ReferenceGrant there ("ReferenceGrant")."""
    found = ObjectId.parse(service)
    if found.namespace != namespace:
        raise ValueError(f"{service} is not in the route's namespace {namespace}; put both into one")
    return {"kind": "Service", "name": found.name, "port": SERVICE_PORT}


def _everything() -> dict[str, Any]:
    return {"path": {"type": "PathPrefix", "value": "/"}}


def gateway(known: Mapping[str, Any]) -> dict[str, Any]:
    """Spec of a Gateway with one listener: TLS, ended with a Secret's certificate, for routes of its own namespace."""
    secret = known.get("certificate_secret")
    listener: dict[str, Any] = {"name": "users", "allowedRoutes": {"namespaces": {"from": "Same"}}}
    if secret is None:
        listener |= {"port": int(known.get("listen_port") or PLAIN_PORT), "protocol": "HTTP"}
    else:
        certificate = {"kind": "Secret", "name": secret}
        listener |= {"port": int(known.get("listen_port") or TLS_PORT), "protocol": "HTTPS"}
        listener["tls"] = {"mode": "Terminate", "certificateRefs": [certificate]}
    if known.get("hostnames"):
        listener["hostname"] = known["hostnames"][0]
    infrastructure = {"infrastructure": {"annotations": dict(known["annotations"])}} if known.get("annotations") else {}
    return {"gatewayClassName": known["gateway_class"], "listeners": [listener], **infrastructure}


def ingress_faults(known: Mapping[str, Any]) -> Iterable[Fault]:
    """What a `GatewayIngress` cannot be."""
    own, existing = known.get("gateway_class"), known.get("existing")
    if (own is None) == (existing is None):
        fix = "give gateway_class for a Gateway of its own, or existing: {name: …}"
        yield Fault("gateway_class", own, "and existing say nothing, or both say something", fix)
    for field in ("certificate_secret", "plain_http", "annotations", "listen_port"):
        if existing is not None and known.get(field):
            yield Fault(field, known[field], "is of a Gateway of its own", "leave it out: the Gateway exists")
    if own is not None and known.get("certificate_secret") is None and not known.get("plain_http"):
        fix = "name a Secret of type kubernetes.io/tls, or set plain_http to true inside a network that you trust"
        yield Fault("certificate_secret", None, "is missing: users would send their requests in the clear", fix)
    if own is not None and len(known.get("hostnames") or ()) > 1:
        fix = "give one, or a wildcard such as *.example.com"
        yield Fault("hostnames", list(known["hostnames"]), "are too many for the one listener", fix)
    test = known.get("test")
    if test is not None and existing is not None and _same(test, existing):
        fix = "name another listener of it (section), or an internal Gateway"
        yield Fault("test", dict(test), "is the users' own listener: everybody could reach the standby", fix)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(key) == other.get(key) for key in ("name", "namespace", "section"))
