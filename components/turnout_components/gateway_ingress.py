"""How requests reach a service on Kubernetes: a Gateway, and a route by which tests reach either environment."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource

from turnout_components import arguments, checks, route_specs
from turnout_components.kubernetes_names import NAME_LABEL, route_name_for_tests
from turnout_components.route_switch import GatewayRefArgs


class GatewayIngressArgs(TypedDict):
    """A Gateway of its own (`gateway_class`) or one that exists; and where tests come in."""

    service: pulumi.Input[str]
    """The service; a Gateway of its own has its name."""
    namespace: pulumi.Input[str]
    """Where it all is."""
    services: Mapping[str, pulumi.Input[str]]
    """Each environment's Service, `Service/<namespace>/<name>`."""
    gateway_class: NotRequired[str | None]
    """The GatewayClass of a Gateway of its own."""
    existing: NotRequired[GatewayRefArgs | None]
    """A Gateway that exists, in its place."""
    certificate_secret: NotRequired[pulumi.Input[str] | None]
    """A Secret of type kubernetes.io/tls in this namespace, with the certificate that users are shown."""
    plain_http: NotRequired[bool]
    """Serve without TLS. Default false: without a certificate that is refused."""
    listen_port: NotRequired[pulumi.Input[int] | None]
    """Port of the users' listener. Default 443, without TLS 80."""
    hostnames: NotRequired[Sequence[pulumi.Input[str]]]
    """Host names that users ask for; of a Gateway of its own one. Default: any."""
    annotations: NotRequired[Mapping[str, pulumi.Input[str]]]
    """What the Gateway's implementation reads, such as that the load balancer is internal."""
    test: NotRequired[GatewayRefArgs | None]
    """The listener at which tests come in, of an internal Gateway: who reaches it reaches the standby. Default: none; tests
    then go to the Services inside the cluster."""


class GatewayIngress(pulumi.ComponentResource):
    """A Gateway that ends TLS and takes routes from its own namespace only, and a test route that no user reaches. Raises
    `ValueError` for what contradicts itself."""

    gateway_name: pulumi.Output[str]
    gateway_namespace: pulumi.Output[str]
    section: pulumi.Output[str | None]
    test_route: pulumi.Output[str | None]

    def __init__(self, name: str, args: GatewayIngressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:GatewayIngress", name, {}, opts)
        args = arguments.taken(name, args, GatewayIngressArgs)
        checks.refuse(list(route_specs.ingress_faults(args)))
        known: pulumi.Output[dict[str, Any]] = pulumi.Output.from_input(dict(args))
        gateway, place = self._gateway(name, args, known), known.apply(_place)
        self.test_route = self._tests(name, args, known)
        self.gateway_name = pulumi.Output.all(place, gateway).apply(lambda both: str(both[0]["name"]))
        self.gateway_namespace = place.apply(lambda found: str(found["namespace"]))
        self.section = place.apply(lambda found: found["section"])
        outputs = ("gateway_name", "gateway_namespace", "section", "test_route")
        self.register_outputs({key: getattr(self, key) for key in outputs})

    def _gateway(self, name: str, args: GatewayIngressArgs, known: pulumi.Output[dict[str, Any]]) -> pulumi.Output[str] | None:
        if args.get("existing") is not None:
            return None
        made = CustomResource(
            f"{name}-gateway",
            api_version=route_specs.API_VERSION,
            kind="Gateway",
            metadata=known.apply(lambda found: _metadata(found, found["service"])),
            spec=known.apply(route_specs.gateway),
            opts=pulumi.ResourceOptions(parent=self),
        )
        found: pulumi.Output[str] = made.id.apply(str)
        return found

    def _tests(self, name: str, args: GatewayIngressArgs, known: pulumi.Output[dict[str, Any]]) -> pulumi.Output[str | None]:
        if args.get("test") is None:
            return pulumi.Output.from_input(None)
        route = CustomResource(
            f"{name}-tests",
            api_version=route_specs.API_VERSION,
            kind="HTTPRoute",
            metadata=known.apply(lambda found: _metadata(found, route_name_for_tests(found["service"]))),
            spec=known.apply(route_specs.tests),
            opts=pulumi.ResourceOptions(parent=self),
        )
        found: pulumi.Output[str | None] = route.id.apply(str)
        return found


def _metadata(known: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {"name": name, "namespace": known["namespace"], "labels": {NAME_LABEL: known["service"]}}


def _place(known: Mapping[str, Any]) -> dict[str, Any]:
    """The users' listener, for `RouteSwitch`."""
    own = {"name": known["service"], "namespace": known["namespace"], "section": "users"}
    found = known.get("existing") or own
    return {key: found.get(key) or (known["namespace"] if key == "namespace" else None) for key in own}
