"""What the switch is to do: one pure decision that program, hooks, rollback and rollouts share.

`resolve(config, record, live, now)` weighs what the stack's config wants, what the record remembers and what the load
balancer does, and says which weights an update leaves in force, how large the pools are, and what the record must say.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from turnout_components.release import digest_of, name_of
from turnout_components.standby import Keep, StandbyPolicy, level
from turnout_components.switch_record import SwitchRecord, Traffic


class SwitchRefused(Exception):
    """The switch does not do what was asked; nothing was moved. The message says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message if message.startswith("switch: ") else f"switch: {message}")


@dataclass(frozen=True)
class EnvironmentConfig:
    """One environment as config wants it; `release` is an id (`name@sha256:…`) or None: no pool. `serving`: minimum and
    maximum while it carries weight, where schedules have changed them."""

    release: str | None
    minimum: int
    maximum: int
    serving: tuple[int, int] | None = None

    def carrying(self, weight: int) -> "EnvironmentConfig":
        """As it is wanted with this weight."""
        if weight == 0 or self.serving is None:
            return self
        return replace(self, minimum=self.serving[0], maximum=self.serving[1], serving=None)


@dataclass(frozen=True)
class SwitchConfig:
    """The stack's wish."""

    traffic: Traffic
    environments: Mapping[str, EnvironmentConfig]
    standby: StandbyPolicy = field(default_factory=StandbyPolicy)
    recreate: bool = False
    """A release may be replaced under traffic, in place, while its users get 503 (ADR 0022)."""


@dataclass(frozen=True)
class Live:
    """What was found in the cloud: `weights` in percent by environment, None when the listener is gone."""

    weights: Mapping[str, int] | None
    claimant_gone: bool = False
    """The process that holds the record's claim is known to be dead."""


@dataclass(frozen=True)
class Size:
    """A pool's bounds, and whether it has the warm pool that config wants."""

    minimum: int
    maximum: int
    warm_pool: bool = True


@dataclass(frozen=True)
class Decision:
    """What an update does. `record` is the record as it must be before the update (None: leave it)."""

    traffic: Traffic
    moves: bool
    reason: str
    sizes: Mapping[str, Size] = field(default_factory=dict)
    record: SwitchRecord | None = None


def resolve(config: SwitchConfig, record: SwitchRecord | None, live: Live, now: datetime) -> Decision:
    """The decision for one update.

    Raises `SwitchRefused` when somebody else moves traffic, config and record have both changed, a release would change
    under traffic or be thrown away while it is retained, a release is marked unstable, or a floor is above a maximum.
    """
    if record is not None:
        refuse_claim(record, live, now)
    if record is None or live.weights is None or (record.traffic is None and record.claim is None):
        return _first(config, record)
    settled = _settle(record, live, now)
    _check_rollout(config, settled)
    traffic, reason = _precedence(config, settled)
    moves = traffic.weights != dict(live.weights)
    _check_releases(config, settled, traffic, now)
    _check_unstable(config, settled, traffic, live.weights)
    if config.traffic == settled.traffic:
        settled = settled.changed(config_base=config.traffic)
    if not moves:
        settled = settled.retaining(config.standby.retain_for)
    sizes = {name: _size(name, config, settled, traffic, moves, now) for name in config.environments}
    for name in replaced_in_place(config, settled):
        release = config.environments[name].release
        reason += f"; DOWNTIME: {name} is replaced in place, its users get 503 until {release} is healthy"
    return Decision(traffic, moves, reason, sizes, None if settled == record else settled)


def parity(weights: Mapping[str, int], carrying: Mapping[str, int], in_service: Mapping[str, int]) -> dict[str, int]:
    """Instances that each environment gaining weight needs: its new share of all that serve now, rounded up.

    `weights` are the new shares, `carrying` those in force (percent), `in_service` the live counts."""
    total = sum(in_service.get(name, 0) for name, weight in carrying.items() if weight > 0)
    gaining = [name for name, weight in weights.items() if weight > carrying.get(name, 0)]
    return {name: math.ceil(weights[name] * total / 100) for name in gaining}


def replaced_in_place(config: SwitchConfig, record: SwitchRecord) -> list[str]:
    """Environments that carry traffic and are to run another release than they do."""
    carrying = record.traffic.weights if record.traffic else {}
    deployed = {name: state.release for name, state in record.environments.items()}
    return [
        name
        for name, wanted in config.environments.items()
        if carrying.get(name, 0) > 0
        and deployed.get(name) is not None
        and digest_of(deployed[name]) != digest_of(wanted.release)
    ]


def _first(config: SwitchConfig, record: SwitchRecord | None) -> Decision:
    void = record.voided() if record is not None and record.traffic is not None else None
    if record is not None:
        _check_unstable(config, record, config.traffic, {})
    wanted = {name: e.carrying(config.traffic.weights.get(name, 0)) for name, e in config.environments.items()}
    sizes = {name: Size(e.minimum, e.maximum) for name, e in wanted.items()}
    return Decision(config.traffic, True, f"first deployment: {config.traffic}", sizes, void)


def refuse_claim(record: SwitchRecord, live: Live, now: datetime) -> None:
    """Raises `SwitchRefused` while a claim of somebody who may still be alive holds."""
    claim = record.claim
    if claim is None or claim.expires <= now or live.claimant_gone:
        return
    left = math.ceil((claim.expires - now).total_seconds())
    raise SwitchRefused(
        f"{claim.by} is moving traffic: {record.traffic or 'none'} → {claim.to}, since {claim.began:%H:%M:%S} UTC; "
        f"the claim holds for {left} s more unless renewed. Wait and run this again, or break it with `turnout rollback`"
    )


def _settle(record: SwitchRecord, live: Live, now: datetime) -> SwitchRecord:
    assert live.weights is not None
    weights = dict(live.weights)
    if record.traffic is not None and weights == record.traffic.weights:
        return record.changed(claim=None)
    known = record.traffic or (record.claim.to if record.claim else None)
    assert known is not None
    if set(weights) != set(known.weights):
        raise SwitchRefused(
            f"the listener forwards to {sorted(weights)}, the record knows {sorted(known.weights)}: "
            "somebody changed the listener by hand; put its target groups back, then run this again"
        )
    heaviest = max(weights, key=lambda name: (weights[name], name == known.active))
    return record.settled(Traffic(active=heaviest, weights=weights), now)


def _precedence(config: SwitchConfig, record: SwitchRecord) -> tuple[Traffic, str]:
    wanted, recorded, base = config.traffic, record.traffic, record.config_base
    assert recorded is not None
    if wanted == recorded:
        return recorded, f"no move: {recorded}"
    if wanted == base:
        return recorded, (
            f"the record wins: {recorded}; config still says {wanted} and has not changed since. "
            f"Commit: turnout:traffic.active: {recorded.active}"
        )
    if base is None or recorded == base:
        return wanted, f"move: {recorded} → {wanted}"
    raise SwitchRefused(
        f"config and record have both changed since they last agreed ({base}): config says {wanted}, "
        f"traffic is at {recorded}. Set turnout:traffic.active to {recorded.active} to keep it there, "
        f"or run `turnout flip {wanted.active}` to move it"
    )


def _check_rollout(config: SwitchConfig, record: SwitchRecord) -> None:
    """While a rollout is under way it alone moves traffic, and what it compares stays as it is."""
    if record.rollout is None:
        return
    replaced = [
        name
        for name, wanted in config.environments.items()
        if (state := record.environments.get(name)) is not None and digest_of(state.release) != digest_of(wanted.release)
    ]
    moves = config.traffic not in (record.config_base, record.traffic)
    if moves or replaced:
        what = f"the release of {replaced[0]}" if replaced else f"traffic at {record.traffic}"
        raise SwitchRefused(
            f"rollout {record.rollout} is under way, so {what} stays; look with `turnout rollout status`, "
            "wait until it ends, or end it with `turnout rollout abort`"
        )


def _check_releases(config: SwitchConfig, record: SwitchRecord, traffic: Traffic, now: datetime) -> None:
    carrying = record.traffic.weights if record.traffic else {}
    for name, wanted in config.environments.items():
        state = record.environments.get(name)
        deployed = state.release if state else None
        if traffic.weights.get(name, 0) > 0 and wanted.release is None:
            raise SwitchRefused(
                f"{name} is to carry {traffic.weights[name]} % and has no release; set turnout:environments.{name}.release"
            )
        if deployed is None or digest_of(deployed) == digest_of(wanted.release):
            continue
        if carrying.get(name, 0) > 0 and config.recreate:
            _check_in_place(name, config, record, traffic)
            continue
        if carrying.get(name, 0) > 0:
            other = next((n for n in config.environments if carrying.get(n, 0) == 0), "the standby")
            raise SwitchRefused(
                f"{name} carries {carrying[name]} % of requests: its release stays {deployed}. "
                f"Deploy {wanted.release} to the standby (turnout:environments.{other}.release) and flip"
            )
        _check_discard(name, deployed, config.standby, record, now)


def _check_in_place(name: str, config: SwitchConfig, record: SwitchRecord, traffic: Traffic) -> None:
    """One thing at a time: a replacement in place moves no traffic, and there is one environment to replace."""
    if traffic != record.traffic or traffic.weights.get(name) != 100:
        raise SwitchRefused(
            f"{name} is to be replaced in place while traffic is at {record.traffic} and wanted at {traffic}; "
            "give one environment all traffic first, and replace its release afterwards"
        )
    _refuse_unstable(name, config, record)


def _check_discard(name: str, deployed: str, policy: StandbyPolicy, record: SwitchRecord, now: datetime) -> None:
    kept = record.retained
    if kept is None or kept.environment != name or record.flipped_at is None or digest_of(kept.release) != digest_of(deployed):
        return
    until = record.flipped_at + policy.retain_for
    if now >= until or policy.discard in (deployed, name_of(deployed)):
        return
    raise SwitchRefused(
        f"{name} keeps {name_of(deployed)} for rollback until {until:%Y-%m-%d %H:%M:%S} UTC; "
        f"to give it up now set turnout:traffic.standby.discard to {name_of(deployed)}"
    )


def _check_unstable(config: SwitchConfig, record: SwitchRecord, traffic: Traffic, carrying: Mapping[str, int]) -> None:
    for name, weight in traffic.weights.items():
        if weight > carrying.get(name, 0):
            _refuse_unstable(name, config, record)


def _refuse_unstable(name: str, config: SwitchConfig, record: SwitchRecord) -> None:
    mark = record.unstable.get(digest_of(config.environments[name].release))
    if mark is not None:
        raise SwitchRefused(
            f"{mark.release} was marked unstable on {mark.at:%Y-%m-%d %H:%M} UTC by {mark.by} ({mark.reason}) and gets no "
            f"traffic. Deploy another release to {name}, or run `turnout releases accept {name_of(mark.release)}`"
        )


def _size(name: str, config: SwitchConfig, record: SwitchRecord, traffic: Traffic, moves: bool, now: datetime) -> Size:
    carried = record.traffic.weights.get(name, 0) if record.traffic else 0
    wanted, floor = config.environments[name].carrying(max(traffic.weights.get(name, 0), carried)), record.floors.get(name)
    if floor is not None and floor.whole is not None:
        return Size(floor.minimum, floor.minimum)
    if traffic.weights.get(name, 0) == 0 and _is_retained(name, wanted, record):
        return _retained_size(wanted, config.standby, record, moves, now)
    minimum = wanted.minimum
    if floor is not None and (floor.until is None or now < floor.until):
        minimum = max(minimum, floor.minimum)
    if minimum > wanted.maximum:
        raise SwitchRefused(
            f"{name} needs at least {minimum} instances (its floor since the last move) and its maximum is {wanted.maximum}; "
            f"raise turnout:pool.maximum to {minimum} or more"
        )
    return Size(minimum, wanted.maximum)


def _is_retained(name: str, wanted: EnvironmentConfig, record: SwitchRecord) -> bool:
    kept = record.retained
    return kept is not None and kept.environment == name and digest_of(kept.release) == digest_of(wanted.release)


def _retained_size(wanted: EnvironmentConfig, policy: StandbyPolicy, record: SwitchRecord, moves: bool, now: datetime) -> Size:
    """What the step-downs have made of it, so that an update after them finds no difference."""
    assert record.retained is not None
    kept = record.retained.size
    held = moves or record.rollout is not None or record.flipped_at is None
    reached = Keep.FULL if held or record.flipped_at is None else level(policy, record.flipped_at, now)
    if reached is Keep.COLD:
        return Size(0, 0, warm_pool=False)
    maximum = max(wanted.maximum, kept)
    return Size(min(policy.warm_minimum, kept) if reached is Keep.WARM else max(wanted.minimum, kept), maximum)
