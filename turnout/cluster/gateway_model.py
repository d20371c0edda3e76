"""What the cluster's Gateways and HTTPRoutes ask for, as frozen data with what is wrong with it. Pure.

Sources: "API specification" (Gateway, HTTPRoute, HTTPBackendRef, ReferenceGrant), Gateway API.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from turnout.cloud.envoy_config import Address
from turnout.cluster.watching import Key, Object, key_of, labels_of

CONTROLLER = "turnout.dev/local-gateway"
GROUP = "gateway.networking.k8s.io"
_SERVICE_NAME = "kubernetes.io/service-name"
_HEALTHY, _UNHEALTHY = "HEALTHY", "UNHEALTHY"


@dataclass(frozen=True)
class Snapshot:
    """The objects that decide about traffic; `addresses`: where the server behind a pod's address listens."""

    classes: Sequence[Object] = ()
    gateways: Sequence[Object] = ()
    routes: Sequence[Object] = ()
    services: Sequence[Object] = ()
    slices: Sequence[Object] = ()
    grants: Sequence[Object] = ()
    namespaces: Sequence[Object] = ()
    addresses: Mapping[str, Address] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """Why something is not in force: a reason of the specification, and what to do about it."""

    reason: str
    message: str


@dataclass(frozen=True)
class Attached:
    """A route at a listener, with the hostnames that both have."""

    route: Object
    hostnames: tuple[str, ...]


@dataclass(frozen=True)
class Listener:
    """A Gateway's listener. `fault`: why it is not accepted; `kinds_fault`: why its route kinds are not all resolved."""

    name: str
    port: int
    hostname: str
    attached: tuple[Attached, ...] = ()
    fault: Problem | None = None
    kinds_fault: Problem | None = None


@dataclass(frozen=True)
class Gateway:
    """A Gateway of our class."""

    found: Object
    listeners: tuple[Listener, ...]

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return key_of(self.found)


@dataclass(frozen=True)
class Parent:
    """What a route's reference to one of our Gateways came to."""

    reference: Mapping[str, Any]
    problem: Problem | None


@dataclass(frozen=True)
class Service:
    """A port of a Service that a route names, with the health of each endpoint by its address."""

    name: str
    endpoints: Mapping[Address, str]


def our_gateways(snapshot: Snapshot) -> list[Object]:
    """The Gateways whose class is ours, in order of name."""
    ours = {key_of(one)[1] for one in snapshot.classes if one["spec"]["controllerName"] == CONTROLLER}
    return [gateway for gateway in snapshot.gateways if gateway["spec"]["gatewayClassName"] in ours]


def parents_of(route: Object, gateways: Mapping[Key, Object]) -> list[tuple[Mapping[str, Any], Object]]:
    """The route's references to Gateways of ours."""
    found = []
    for reference in route["spec"].get("parentRefs") or ():
        key = (reference.get("namespace") or key_of(route)[0], reference["name"])
        if reference.get("kind", "Gateway") == "Gateway" and reference.get("group", GROUP) == GROUP and key in gateways:
            found.append((reference, gateways[key]))
    return found


def joined(snapshot: Snapshot, faults: Mapping[Key, Problem]) -> tuple[list[Gateway], dict[Key, list[Parent]]]:
    """Our Gateways with the routes at their listeners, and of each route what its references came to. `faults`: of the routes
    that ask for what is not carried out; they are at no listener."""
    gateways = {key_of(gateway): gateway for gateway in our_gateways(snapshot)}
    namespaces = {key_of(one)[1]: labels_of(one) for one in snapshot.namespaces}
    attached: dict[tuple[Key, str], list[Attached]] = {}
    parents: dict[Key, list[Parent]] = {}
    for route in sorted(snapshot.routes, key=_age):
        for reference, gateway in parents_of(route, gateways):
            places, problem = _places(route, reference, gateway, namespaces)
            problem = faults.get(key_of(route), problem)
            if problem is None:
                for name, hostnames in places:
                    attached.setdefault((key_of(gateway), name), []).append(Attached(route, hostnames))
            parents.setdefault(key_of(route), []).append(Parent(reference, problem))
    return [_gateway(gateway, attached) for gateway in gateways.values()], parents


def _age(route: Object) -> tuple[str, Key]:
    return route["metadata"].get("creationTimestamp") or "", key_of(route)


def _gateway(gateway: Object, attached: Mapping[tuple[Key, str], list[Attached]]) -> Gateway:
    listeners = []
    for one in gateway["spec"]["listeners"]:
        routes = tuple(attached.get((key_of(gateway), one["name"]), ()))
        listeners.append(
            Listener(one["name"], int(one["port"]), one.get("hostname") or "", routes, _listener_fault(one), _kinds_fault(one))
        )
    return Gateway(gateway, tuple(listeners))


def _listener_fault(listener: Mapping[str, Any]) -> Problem | None:
    if listener["protocol"] == "HTTP":
        return None
    return Problem("UnsupportedProtocol", f"{listener['protocol']} is not served by the local cluster; write HTTP")


def _kinds_fault(listener: Mapping[str, Any]) -> Problem | None:
    kinds = [one["kind"] for one in (listener.get("allowedRoutes") or {}).get("kinds") or () if one["kind"] != "HTTPRoute"]
    return Problem("InvalidRouteKinds", f"{', '.join(kinds)}: the local cluster serves HTTPRoute only") if kinds else None


Place = tuple[str, tuple[str, ...]]
"""A listener's name, and the hostnames under which a route is there."""


def _places(
    route: Object, reference: Mapping[str, Any], gateway: Object, namespaces: Mapping[str, Mapping[str, str]]
) -> tuple[list[Place], Problem | None]:
    """The listeners that the reference attaches the route to."""
    named = [
        one
        for one in gateway["spec"]["listeners"]
        if reference.get("sectionName", one["name"]) == one["name"] and reference.get("port", one["port"]) == one["port"]
    ]
    if not named:
        return [], Problem("NoMatchingParent", f"the Gateway has no listener {reference.get('sectionName')!r} at that port")
    allowed = [one for one in named if _allows(one, route, key_of(gateway)[0], namespaces)]
    if not allowed:
        return [], Problem("NotAllowedByListeners", "no listener allows HTTPRoutes of this namespace")
    places = [(one["name"], shared_hostnames(one.get("hostname") or "", route)) for one in allowed]
    matching = [place for place in places if place[1]]
    if not matching:
        return [], Problem("NoMatchingListenerHostname", "no hostname of the route is one of the listener's")
    return matching, None


def _allows(listener: Mapping[str, Any], route: Object, own: str, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
    if _listener_fault(listener) is not None:
        return False
    allowed = listener.get("allowedRoutes") or {}
    kinds = [one["kind"] for one in allowed.get("kinds") or ()]
    if kinds and "HTTPRoute" not in kinds:
        return False
    source, namespace = allowed.get("namespaces") or {}, key_of(route)[0]
    match source.get("from", "Same"):
        case "All":
            return True
        case "Selector":
            return _selects(source.get("selector") or {}, namespaces.get(namespace, {}))
        case _:
            return namespace == own


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """ "Labels and Selectors" (Kubernetes)."""
    if any(labels.get(name) != value for name, value in (selector.get("matchLabels") or {}).items()):
        return False
    for one in selector.get("matchExpressions") or ():
        value, values = labels.get(one["key"]), one.get("values") or ()
        held = {"In": value in values, "NotIn": value not in values, "Exists": value is not None, "DoesNotExist": value is None}
        if not held[one["operator"]]:
            return False
    return True


def shared_hostnames(listener: str, route: Object) -> tuple[str, ...]:
    """The hostnames that a listener and a route have in common; `*` is any."""
    wanted = route["spec"].get("hostnames") or ()
    if not wanted:
        return (listener or "*",)
    if not listener:
        return tuple(wanted)
    found = [
        host if _covers(listener, host) else listener for host in wanted if _covers(listener, host) or _covers(host, listener)
    ]
    return tuple(found)


def _covers(pattern: str, host: str) -> bool:
    """Whether every name of `host` is one of `pattern`: `*.example.com` covers `a.example.com` and `*.a.example.com`."""
    return pattern in ("*", host) or (pattern.startswith("*.") and host.removeprefix("*").endswith(pattern[1:]))


def covers(pattern: str, host: str) -> bool:
    """Whether requests for `host` are for `pattern` too."""
    return _covers(pattern, host)


def service_of(reference: Mapping[str, Any], route: Object, snapshot: Snapshot) -> Service | Problem:
    """The Service that a backend reference names, or why it cannot be used ("HTTPBackendRef": such requests get 500)."""
    kind = reference.get("kind", "Service")
    if kind != "Service" or reference.get("group", "") != "":
        return Problem("InvalidKind", f"a backend of kind {kind}: the local cluster knows Service")
    own = key_of(route)[0]
    namespace = reference.get("namespace") or own
    if namespace != own and not _granted(own, namespace, reference["name"], snapshot.grants):
        return Problem("RefNotPermitted", f"no ReferenceGrant in {namespace} lets HTTPRoutes of {own} to {reference['name']}")
    service = next((one for one in snapshot.services if key_of(one) == (namespace, reference["name"])), None)
    if service is None:
        return Problem("BackendNotFound", f"there is no Service {namespace}/{reference['name']}")
    port = next((one for one in service["spec"].get("ports") or () if one["port"] == reference.get("port")), None)
    if port is None:
        return Problem("BackendNotFound", f"Service {namespace}/{reference['name']} has no port {reference.get('port')}")
    name = f"svc_{namespace}_{reference['name']}_{reference.get('port')}"
    return Service(name, _endpoints(namespace, reference["name"], port.get("name") or "", snapshot))


def _granted(own: str, namespace: str, name: str, grants: Iterable[Object]) -> bool:
    for grant in grants:
        spec = grant["spec"]
        wanted = (GROUP, "HTTPRoute", own)
        source = any((one["group"], one["kind"], one["namespace"]) == wanted for one in spec["from"])
        target = any(one["group"] == "" and one["kind"] == "Service" and one.get("name") in (None, name) for one in spec["to"])
        if key_of(grant)[0] == namespace and source and target:
            return True
    return False


def _endpoints(namespace: str, service: str, port: str, snapshot: Snapshot) -> dict[Address, str]:
    """The Service's endpoints with a server behind them ("EndpointSlices", Kubernetes: conditions). Those that terminate are
    left out: Envoy closes what is idle to them and finishes what is not."""
    found: dict[Address, str] = {}
    for one in snapshot.slices:
        if key_of(one)[0] != namespace or labels_of(one).get(_SERVICE_NAME) != service:
            continue
        if port not in [held.get("name") or "" for held in one.get("ports") or ()]:
            continue
        for endpoint in one.get("endpoints") or ():
            conditions = endpoint.get("conditions") or {}
            if not conditions.get("terminating"):
                state = _HEALTHY if conditions.get("ready") in (None, True) else _UNHEALTHY
                found |= {snapshot.addresses[ip]: state for ip in endpoint["addresses"] if ip in snapshot.addresses}
    return found
