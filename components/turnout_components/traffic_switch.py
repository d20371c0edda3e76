"""The switch: the production listener, its weights, and the gate in front of them."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi_aws import iam, lb

from turnout_components import arguments, checks
from turnout_components.clients import aws_client
from turnout_components.gate import Candidate, SwitchGate
from turnout_components.ingress import listener_protocol
from turnout_components.items import DEFAULT_TABLE
from turnout_components.live import LiveCloud
from turnout_components.naming import ROLE_NAME_ROOM, shorten
from turnout_components.resolve import EnvironmentConfig, SwitchConfig
from turnout_components.standby import Keep, StandbyPolicy
from turnout_components.step_down import ASSUME_BY_SCHEDULER, StepDowns, step_down_policy
from turnout_components.switch_record import RecordStore, Traffic


class SwitchedEnvironment(TypedDict):
    """One environment as this update deploys it."""

    target_group_arn: pulumi.Input[str]
    """Where its share of requests goes."""
    group_name: NotRequired[pulumi.Input[str | None]]
    """Its auto scaling group: the listener comes after it. None: no pool."""
    release: NotRequired[pulumi.Input[str | None]]
    """Release id, `<name>@sha256:…`. None: no pool."""
    minimum: pulumi.Input[int]
    """Fewest instances of its pool."""
    maximum: pulumi.Input[int]
    """Most instances of its pool."""


class StandbyArgs(TypedDict):
    """How the environment that traffic has left is kept for rollback; times in seconds."""

    keep: NotRequired[pulumi.Input[str]]
    """`full`, `warm` or `cold`. Default full."""
    retain_for: NotRequired[pulumi.Input[float]]
    """How long it is kept at all. Default 24 hours."""
    bake: NotRequired[pulumi.Input[float]]
    """How long after a flip it stays as it was. Default 10 minutes."""
    warm_minimum: NotRequired[pulumi.Input[int]]
    """Instances of a warm standby. Default 1."""
    drain: NotRequired[pulumi.Input[float]]
    """How long the longest stream may last: the standby steps down no sooner. Default 0."""
    discard: NotRequired[pulumi.Input[str | None]]
    """A retained release (name or id) that may be thrown away early."""


class TrafficSwitchArgs(TypedDict):
    """The listener's place, the weights to put in force, and what the gate needs to judge them."""

    service: pulumi.Input[str]
    """With the stack's name the key of the switch record."""
    region: pulumi.Input[str]
    """AWS region, for the gate's calls."""
    load_balancer_arn: pulumi.Input[str]
    """The load balancer."""
    environments: Mapping[str, SwitchedEnvironment]
    """The environments by name, two to five (an ALB's limit for one action)."""
    active: pulumi.Input[str]
    """The environment that the switch names."""
    weights: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[int]]]]
    """Percent of requests by environment. Default: all to `active`."""
    configured_active: NotRequired[pulumi.Input[str]]
    """What the stack's config names, where the record decided otherwise. Default: `active`."""
    configured_weights: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[int]]]]
    """What the stack's config says, where the record decided otherwise. Default: all to `configured_active`, or `weights`."""
    port: NotRequired[pulumi.Input[int]]
    """Port of the listener. Default 443."""
    certificate_arn: NotRequired[pulumi.Input[str] | None]
    """ACM certificate; without it the listener speaks plain HTTP, or TCP."""
    protocol: NotRequired[str]
    """`HTTP`, or `TCP` of a network load balancer: weights then decide about new connections. Default HTTP."""
    alpn_policy: NotRequired[str]
    """What the TLS of a network load balancer offers to clients, such as `HTTP2Preferred`. Default none."""
    tcp_idle_timeout: NotRequired[pulumi.Input[int]]
    """Seconds without a byte after which a network load balancer ends a TCP connection. Default 350."""
    standby: NotRequired[StandbyArgs]
    """How the standby is kept."""
    recreate: NotRequired[pulumi.Input[bool]]
    """The active environment's release may be replaced in place, with downtime. Default false: that is refused."""
    record_table: NotRequired[pulumi.Input[str]]
    """DynamoDB table of the switch record, made by `turnout init`. Default turnout-switch."""
    gate_timeout: NotRequired[pulumi.Input[float]]
    """Seconds that an environment has to become ready before a move is refused. Default 900."""
    endpoint_url: NotRequired[pulumi.Input[str] | None]
    """AWS API of a local cloud, for the gate's calls."""


class TrafficSwitch(pulumi.ComponentResource):
    """The production listener. Creating or moving it passes the gate first: the environments that are to carry weight must
    have their floor of healthy targets of the right release, else the update stops and the weights stay."""

    listener_arn: pulumi.Output[str]
    active: pulumi.Output[str]
    weights: pulumi.Output[dict[str, int]]
    step_down_role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: TrafficSwitchArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:TrafficSwitch", name, {}, opts)
        arguments.refuse(name, args, TrafficSwitchArgs)
        # Resource hooks' failures fail an update from this version on.
        pulumi.require_pulumi_version(">=3.238.0")
        environments = args["environments"]
        role = self._step_down_role(name, args)
        self.active = pulumi.Output.from_input(args["active"])
        self.weights = _weights(args.get("weights"), self.active, list(environments))
        hooks = GateHooks(_gate_settings(args, self.active, self.weights, role.arn), make_gate)
        listener = lb.Listener(
            f"{name}-listener",
            load_balancer_arn=args["load_balancer_arn"],
            port=args.get("port", 443),
            # Environments without weight stay in the action, so that their targets are checked.
            default_actions=[
                {
                    "type": "forward",
                    "forward": {
                        "target_groups": [
                            {"arn": state["target_group_arn"], "weight": self.weights[env]}
                            for env, state in environments.items()
                        ]
                    },
                }
            ],
            tcp_idle_timeout_seconds=args.get("tcp_idle_timeout"),
            tags={f"turnout:{env}": _deployed(state) for env, state in environments.items()},
            opts=pulumi.ResourceOptions(parent=self, hooks=hooks.binding(name)),
            **listener_protocol(args.get("certificate_arn"), args.get("protocol", "HTTP"), args.get("alpn_policy")),
        )
        self.listener_arn = listener.arn
        self.step_down_role_arn = role.arn
        self.register_outputs(
            {
                "listener_arn": self.listener_arn,
                "active": self.active,
                "weights": self.weights,
                "step_down_role_arn": self.step_down_role_arn,
            }
        )

    def _step_down_role(self, name: str, args: TrafficSwitchArgs) -> iam.Role:
        """What EventBridge Scheduler runs as when it deletes a cold standby's warm pool."""
        role = iam.Role(
            shorten(f"{name}-step-down", ROLE_NAME_ROOM),
            description="EventBridge Scheduler: delete the warm pool of a standby that has become cold",
            assume_role_policy=json.dumps(ASSUME_BY_SCHEDULER),
            tags={"turnout:service": args["service"]},
            opts=pulumi.ResourceOptions(parent=self),
        )
        where = pulumi.Output.all(service=args["service"], region=args["region"])
        iam.RolePolicy(
            f"{name}-step-down-policy",
            role=role.name,
            policy=where.apply(lambda w: json.dumps(step_down_policy(w["service"], pulumi.get_stack(), w["region"]))),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return role


class GateHooks:
    """Binds one `SwitchGate` to the listener's creation and updates. `settings` resolves to plain values."""

    def __init__(self, settings: pulumi.Output[dict[str, Any]], make: Callable[[dict[str, Any]], SwitchGate]) -> None:
        self._settings = settings
        self._make = make
        self._gate: SwitchGate | None = None

    def binding(self, name: str) -> pulumi.ResourceHookBinding:
        before = pulumi.ResourceHook(f"{name}-gate", self.before)
        after = pulumi.ResourceHook(f"{name}-record", self.after)
        return pulumi.ResourceHookBinding(
            before_create=[before], before_update=[before], after_create=[after], after_update=[after]
        )

    async def before(self, _: pulumi.ResourceHookArgs) -> None:
        """Raises `SwitchRefused` when the weights must stay."""
        settings = await self._resolved()
        self._gate = await asyncio.to_thread(self._make, settings)
        await self._gate.before(candidates(settings), settings["weights"])

    async def after(self, args: pulumi.ResourceHookArgs) -> None:
        """Confirms the move in the record."""
        if self._gate is None or args.new_outputs is None:
            raise RuntimeError("the switch's after-hook ran without its before-hook; run `turnout up` again")
        await self._gate.after(args.new_outputs["arn"], candidates(await self._resolved()))

    async def _resolved(self) -> dict[str, Any]:
        settings = await self._settings.future()
        if settings is None:
            raise RuntimeError("the switch's arguments are not known although its listener is being changed")
        return settings


def make_gate(settings: dict[str, Any]) -> SwitchGate:
    """The gate for a switch's resolved arguments, with clients of its cloud."""

    def client(service: str) -> Any:
        return aws_client(service, settings["region"], settings["endpoint_url"])

    return SwitchGate(
        RecordStore(client("dynamodb"), settings["record_table"], settings["service"], settings["stack"]),
        LiveCloud(client("elbv2"), client("autoscaling")),
        switch_config(settings),
        timeout=timedelta(seconds=settings["gate_timeout"]),
        step_downs=StepDowns(client, settings["step_down_role_arn"]),
        notify=pulumi.log.info,
    )


def switch_config(settings: dict[str, Any]) -> SwitchConfig:
    """What config wishes, from a switch's resolved arguments."""
    standby = settings["standby"]
    default = StandbyPolicy()
    return SwitchConfig(
        traffic=Traffic(active=settings["configured_active"], weights=_whole(settings["configured_weights"])),
        environments={name: EnvironmentConfig(c.release, c.minimum, c.maximum) for name, c in candidates(settings).items()},
        standby=StandbyPolicy(
            keep=Keep(standby.get("keep", default.keep)),
            retain_for=timedelta(seconds=standby.get("retain_for", default.retain_for.total_seconds())),
            bake=timedelta(seconds=standby.get("bake", default.bake.total_seconds())),
            warm_minimum=int(standby.get("warm_minimum", default.warm_minimum)),
            discard=standby.get("discard"),
            drain=timedelta(seconds=standby.get("drain", default.drain.total_seconds())),
        ),
        recreate=bool(settings["recreate"]),
    )


def candidates(settings: dict[str, Any]) -> dict[str, Candidate]:
    """The environments as they are deployed, from a switch's resolved arguments."""
    return {
        name: Candidate(e["target_group_arn"], e.get("group_name"), e.get("release"), int(e["minimum"]), int(e["maximum"]))
        for name, e in settings["environments"].items()
    }


def _gate_settings(
    args: TrafficSwitchArgs, active: pulumi.Output[str], weights: pulumi.Output[dict[str, int]], role_arn: pulumi.Output[str]
) -> pulumi.Output[dict[str, Any]]:
    if "configured_active" in args:
        configured = pulumi.Output.from_input(args["configured_active"])
        wished = _weights(args.get("configured_weights"), configured, list(args["environments"]))
    else:
        configured, wished = active, weights
    return pulumi.Output.all(
        service=args["service"],
        stack=pulumi.get_stack(),
        region=args["region"],
        endpoint_url=args.get("endpoint_url"),
        record_table=args.get("record_table", DEFAULT_TABLE),
        gate_timeout=args.get("gate_timeout", 900),
        environments=dict(args["environments"]),
        standby=dict(args.get("standby", {})),
        recreate=args.get("recreate", False),
        step_down_role_arn=role_arn,
        weights=weights,
        configured_active=configured,
        configured_weights=wished,
    )


def _weights(
    given: pulumi.Input[Mapping[str, pulumi.Input[int]]] | None, active: pulumi.Output[str], names: list[str]
) -> pulumi.Output[dict[str, int]]:
    shares = active.apply(lambda name: Traffic.all_to(_environment(name, names), names).weights)
    return shares if given is None else pulumi.Output.all(given, shares).apply(lambda known: _shares(known[0], names))


def _environment(active: str, names: Sequence[str]) -> str:
    if active not in names:
        raise ValueError(f"active = {active!r}: names no environment of the switch; write {' or '.join(names)}")
    return active


def _shares(weights: Mapping[str, Any], names: Sequence[str]) -> dict[str, int]:
    """The weight of each environment, 0 where none is given."""
    checks.refuse(checks.below("weights", checks.weights(_whole(weights), names)))
    return _whole({name: weights.get(name, 0) for name in names})


def _whole(weights: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(weight) for name, weight in weights.items()}


def _deployed(state: SwitchedEnvironment) -> pulumi.Output[str]:
    """The environment's release as a tag of the listener: a new release of the standby so updates the listener, whose
    after-hook enters it in the record. It derives from the pool's group too: the listener comes after the pools."""
    both = pulumi.Output.all(state.get("release"), state.get("group_name"))
    return both.apply(lambda found: found[0] or "none")
