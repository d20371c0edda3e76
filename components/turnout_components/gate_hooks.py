"""The gate's hooks, which every component binds to what carries its weights, and the arguments that they share."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any, NotRequired, TypedDict

import pulumi

from turnout_components import checks
from turnout_components.clients import aws_client
from turnout_components.gate import Candidate, SwitchGate
from turnout_components.items import DEFAULT_TABLE
from turnout_components.platforms import Place, platform
from turnout_components.resolve import EnvironmentConfig, SwitchConfig
from turnout_components.standby import Keep, StandbyPolicy
from turnout_components.switch_record import RecordStore, Traffic


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


class GateHooks:
    """Binds one `SwitchGate` to the creation and updates of what carries the weights. `settings` resolves to plain values;
    `listener` reads the id of what carries them, as the record names it, from its outputs."""

    def __init__(
        self,
        settings: pulumi.Output[dict[str, Any]],
        make: Callable[[dict[str, Any]], SwitchGate],
        listener: Callable[[Mapping[str, Any]], str] = lambda outputs: str(outputs["arn"]),
    ) -> None:
        self._settings = settings
        self._make = make
        self._listener = listener
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
        await self._gate.after(self._listener(args.new_outputs), candidates(await self._resolved()))

    async def _resolved(self) -> dict[str, Any]:
        settings = await self._settings.future()
        if settings is None:
            raise RuntimeError("the switch's arguments are not known although its listener is being changed")
        return settings


def make_gate(settings: dict[str, Any]) -> SwitchGate:
    """The gate for a switch's resolved arguments, with clients of its cloud."""

    def client(service: str) -> Any:
        return aws_client(service, settings["region"], settings["endpoint_url"])

    there = platform(place_of(settings), client, role_arn=settings["step_down_role_arn"])
    return SwitchGate(
        RecordStore(there.items, settings["service"], settings["stack"]),
        there.live,
        switch_config(settings),
        timeout=timedelta(seconds=settings["gate_timeout"]),
        step_downs=there.step_downs,
        notify=pulumi.log.info,
    )


def switch_config(settings: dict[str, Any]) -> SwitchConfig:
    """What config wishes, from a switch's resolved arguments."""
    return SwitchConfig(
        traffic=Traffic(active=settings["configured_active"], weights=_whole(settings["configured_weights"])),
        environments={
            name: EnvironmentConfig(e.get("release"), int(e["minimum"]), int(e["maximum"]))
            for name, e in settings["environments"].items()
        },
        standby=_standby(settings["standby"]),
        recreate=bool(settings["recreate"]),
    )


def candidates(settings: dict[str, Any]) -> dict[str, Candidate]:
    """The environments as they are deployed, from a switch's resolved arguments."""
    return {
        name: Candidate(e["target_group_arn"], e.get("group_name"), e.get("release"), int(e["minimum"]), int(e["maximum"]))
        for name, e in settings["environments"].items()
    }


def gate_settings(
    args: Mapping[str, Any], active: pulumi.Output[str], weights: pulumi.Output[dict[str, int]], **more: pulumi.Input[Any]
) -> pulumi.Output[dict[str, Any]]:
    """A switch's arguments as its gate reads them; `more`: what the component knows besides."""
    if "configured_active" in args:
        configured = pulumi.Output.from_input(args["configured_active"])
        wished = shares(args.get("configured_weights"), configured, list(args["environments"]))
    else:
        configured, wished = active, weights
    settings: dict[str, Any] = {
        "service": args["service"],
        "stack": pulumi.get_stack(),
        "region": args.get("region"),
        "endpoint_url": args.get("endpoint_url"),
        "gate_timeout": args.get("gate_timeout", 900),
        "environments": dict(args["environments"]),
        "standby": dict(args.get("standby", {})),
        "recreate": args.get("recreate", False),
        "step_down_role_arn": None,
        "weights": weights,
        "configured_active": configured,
        "configured_weights": wished,
        "table": args.get("record_table", DEFAULT_TABLE),
        **{key: args.get(key) for key in ("context", "cluster", "kubeconfig", "step_down_image", "step_down_account")},
    }
    return pulumi.Output.all(**(settings | more))


def place_of(settings: Mapping[str, Any]) -> Place:
    """Where the switch works, from resolved settings."""
    given = {field.name: settings.get(field.name) for field in fields(Place)}
    return Place(**{key: value for key, value in given.items() if value is not None})


def shares(
    given: pulumi.Input[Mapping[str, pulumi.Input[int]]] | None, active: pulumi.Output[str], names: list[str]
) -> pulumi.Output[dict[str, int]]:
    """Percent by environment as it was given, all to `active` by default; refuses what names no environment."""
    whole = active.apply(lambda name: Traffic.all_to(_environment(name, names), names).weights)
    return whole if given is None else pulumi.Output.all(given, whole).apply(lambda known: _shares(known[0], names))


def _environment(active: str, names: Sequence[str]) -> str:
    if active not in names:
        raise ValueError(f"active = {active!r}: names no environment of the switch; write {' or '.join(names)}")
    return active


def _shares(weights: Mapping[str, Any], names: Sequence[str]) -> dict[str, int]:
    """The weight of each environment, 0 where none is given."""
    checks.refuse(checks.below("weights", checks.weights(_whole(weights), names)))
    return _whole({name: weights.get(name, 0) for name in names})


def kept(standby: Mapping[str, Any]) -> dict[str, Any]:
    """How the standby is kept, times in seconds."""
    policy = _standby(standby)
    return {"keep": policy.keep.value, "retain_for": policy.retain_for.total_seconds(), "bake": policy.bake.total_seconds()}


def _standby(given: Mapping[str, Any]) -> StandbyPolicy:
    default = StandbyPolicy()
    return StandbyPolicy(
        keep=Keep(given.get("keep", default.keep)),
        retain_for=timedelta(seconds=given.get("retain_for", default.retain_for.total_seconds())),
        bake=timedelta(seconds=given.get("bake", default.bake.total_seconds())),
        warm_minimum=int(given.get("warm_minimum", default.warm_minimum)),
        discard=given.get("discard"),
        drain=timedelta(seconds=given.get("drain", default.drain.total_seconds())),
    )


def _whole(weights: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(weight) for name, weight in weights.items()}
