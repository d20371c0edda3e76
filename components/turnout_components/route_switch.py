"""The switch on Kubernetes: the production HTTPRoute, its weights, and the gate in front of them."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource

from turnout_components import arguments, route_specs
from turnout_components.gate_hooks import GateHooks, StandbyArgs, gate_settings, kept, make_gate, shares
from turnout_components.kubernetes_names import NAME_LABEL, ObjectId, route_name
from turnout_components.platforms import KUBERNETES


class GatewayRefArgs(TypedDict):
    """A Gateway, or one listener of it."""

    name: pulumi.Input[str]
    """Its name."""
    namespace: NotRequired[pulumi.Input[str] | None]
    """Its namespace. Default: the route's."""
    section: NotRequired[pulumi.Input[str] | None]
    """The listener's name. Default: every listener that takes the route."""


class RoutedEnvironment(TypedDict):
    """One environment as this update deploys it."""

    target_group: pulumi.Input[str]
    """Its Service, `Service/<namespace>/<name>`: where its share of requests goes. In the route's namespace."""
    group: NotRequired[pulumi.Input[str | None]]
    """Its workload, `Deployment/<namespace>/<name>` or `LeaderWorkerSet/…`: the route comes after it. None: no release."""
    release: NotRequired[pulumi.Input[str | None]]
    """Release id, `<name>@sha256:…`."""
    minimum: pulumi.Input[int]
    """Fewest pods."""
    maximum: pulumi.Input[int]
    """Most pods."""


class RouteSwitchArgs(TypedDict):
    """The route's place, the weights to put in force, and what the gate needs to judge them."""

    service: pulumi.Input[str]
    """With the stack's name the key of the switch record; also the route's name."""
    namespace: pulumi.Input[str]
    """Where route and Services are."""
    gateway: GatewayRefArgs
    """The users' listener."""
    environments: Mapping[str, RoutedEnvironment]
    """The environments by name, two to five."""
    active: pulumi.Input[str]
    """The environment that the switch names."""
    weights: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[int]]]]
    """Percent of requests by environment, 100 in all: with 0 everywhere a Gateway answers 500 ("HTTPRoute", weight). Default:
    all to `active`."""
    configured_active: NotRequired[pulumi.Input[str]]
    """What the stack's config names, where the record decided otherwise. Default: `active`."""
    configured_weights: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[int]]]]
    """What the stack's config says, where the record decided otherwise. Default: all to `configured_active`, or `weights`."""
    hostnames: NotRequired[Sequence[pulumi.Input[str]]]
    """Host names that users ask for. Default: the listener's."""
    request_timeout: NotRequired[pulumi.Input[int] | None]
    """Seconds for a whole answer, 0 for no limit; above the longest stream. Default: the Gateway's, which may cut streams."""
    standby: NotRequired[StandbyArgs]
    """How the standby is kept."""
    recreate: NotRequired[pulumi.Input[bool]]
    """The active environment's release may be replaced in place, with downtime. Default false: that is refused."""
    record_table: NotRequired[pulumi.Input[str]]
    """Namespace of the switch record, made by `turnout init`. Default turnout-switch."""
    gate_timeout: NotRequired[pulumi.Input[float]]
    """Seconds that an environment has to become ready before a move is refused. Default 900."""
    context: NotRequired[pulumi.Input[str] | None]
    """The kubeconfig's context, for the gate's calls. Default: the current one."""
    kubeconfig: NotRequired[pulumi.Input[str] | None]
    """Kubeconfig file of a local cluster, for the gate's calls. Default: the environment's."""
    step_down_image: NotRequired[pulumi.Input[str] | None]
    """An image with kubectl, by digest, by which CronJobs step the standby down with nobody present. Default none: whoever
    comes by does it."""
    step_down_account: NotRequired[pulumi.Input[str] | None]
    """The service account of those CronJobs."""


class RouteSwitch(pulumi.ComponentResource):
    """The production route. Creating or moving it passes the gate first: the environments that are to carry weight must have
    their floor of ready pods of the right release, else the update stops and the weights stay. It is done when the Gateway's
    controller has taken the weights."""

    listener: pulumi.Output[str]
    active: pulumi.Output[str]
    weights: pulumi.Output[dict[str, int]]

    def __init__(self, name: str, args: RouteSwitchArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:RouteSwitch", name, {}, opts)
        args = arguments.taken(name, args, RouteSwitchArgs)
        # Resource hooks' failures fail an update from this version on.
        pulumi.require_pulumi_version(">=3.238.0")
        environments = args["environments"]
        self.active = pulumi.Output.from_input(args["active"])
        self.weights = shares(args.get("weights"), self.active, list(environments))
        known: pulumi.Output[dict[str, Any]] = pulumi.Output.from_input(dict(args))
        settings = gate_settings(args, self.active, self.weights, platform=KUBERNETES, environments=known.apply(_as_gated))
        hooks = GateHooks(settings, make_gate, _listener)
        route = CustomResource(
            f"{name}-route",
            api_version=route_specs.API_VERSION,
            kind="HTTPRoute",
            metadata=known.apply(_metadata),
            spec=pulumi.Output.all(known, self.weights).apply(lambda both: route_specs.weighted(both[0], both[1])),
            opts=pulumi.ResourceOptions(parent=self, hooks=hooks.binding(name)),
        )
        self.listener = pulumi.Output.all(known, route.id).apply(lambda both: _id(both[0]))
        self.register_outputs(
            {
                "listener": self.listener,
                "active": self.active,
                "weights": self.weights,
                "standby": pulumi.Output.from_input(dict(args.get("standby", {}))).apply(kept),
            }
        )


def _id(known: Mapping[str, Any]) -> str:
    return str(ObjectId("HTTPRoute", known["namespace"], route_name(known["service"])))


def _listener(outputs: Mapping[str, Any]) -> str:
    return str(ObjectId("HTTPRoute", outputs["metadata"]["namespace"], outputs["metadata"]["name"]))


def _metadata(known: Mapping[str, Any]) -> dict[str, Any]:
    """Each environment's release as an annotation: a new release of the standby so updates the route, whose after-hook enters
    it in the record. It derives from the workload too: the route comes after the workloads."""
    releases = {f"turnout.dev/{env}": state.get("release") or "none" for env, state in known["environments"].items()}
    return {
        "name": route_name(known["service"]),
        "namespace": known["namespace"],
        "labels": {NAME_LABEL: known["service"]},
        "annotations": {**route_specs.FORCED, **releases},
    }


def _as_gated(known: Mapping[str, Any]) -> dict[str, Any]:
    """The environments under the names that the gate's settings have for every platform."""
    return {
        env: {**state, "target_group_arn": state["target_group"], "group_name": state.get("group")}
        for env, state in known["environments"].items()
    }
