"""The switch record: the permanent, shared memory of one service's switch.

It outlives the stack, is written with conditions only, and holds what a rollback needs without Pulumi. All changes of it
are methods here; `RecordStore` reads and writes it.
"""

import getpass
import os
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from turnout_components.items import Conflict, Holder, Items, RecordError, unreadable
from turnout_components.release import digest_of, name_of

HISTORY_LENGTH = 50


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Traffic(_Frozen):
    """Which environment is active, and each environment's share of requests in percent."""

    active: str
    weights: dict[str, int]

    @classmethod
    def all_to(cls, active: str, environments: list[str] | tuple[str, ...]) -> "Traffic":
        """Every request to one environment."""
        return cls(active=active, weights={name: 100 if name == active else 0 for name in environments})

    def __str__(self) -> str:
        return " / ".join(f"{name} {weight}" for name, weight in sorted(self.weights.items(), key=lambda w: (-w[1], w[0])))


class Operator(_Frozen):
    """Who runs a command, and as which process."""

    name: str
    host: str
    pid: int

    @classmethod
    def current(cls) -> "Operator":
        return cls(name=getpass.getuser(), host=socket.gethostname(), pid=os.getpid())

    def __str__(self) -> str:
        return f"{self.name}@{self.host} (pid {self.pid})"

    def is_gone(self) -> bool:
        """True when the process ran on this host and runs no more; on another host nobody can tell."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return _is_zombie(self.pid)


def _is_zombie(pid: int) -> bool:
    """Ended, and its parent has not asked how: in a container often for good (Linux; elsewhere nobody can tell)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False


class Floor(_Frozen):
    """A minimum that an environment's pool must not fall below, until a time (None: until it is lifted). `whole`: a rollout
    that swaps nodes holds the pool at just `minimum`, and all traffic needs so many."""

    minimum: int
    until: datetime | None = None
    whole: int | None = None


class Retained(_Frozen):
    """The standby that is kept for rollback: its release, how many instances it had at the flip, and its maximum then.
    `held`: what it is kept at, where it gave nodes up to the release that serves."""

    environment: str
    release: str
    minimum: int
    maximum: int = 0
    until: datetime | None = None
    held: int | None = None

    @property
    def size(self) -> int:
        """Instances that it is kept at, until its step-downs."""
        return self.minimum if self.held is None else self.held


class EnvironmentState(_Frozen):
    """What stands behind an environment: enough to find it without Pulumi."""

    target_group: str
    group: str | None = None
    release: str | None = None


class Claim(_Frozen):
    """A move in progress: who moves traffic to what, and until when the claim holds unless it is renewed."""

    token: str
    by: Operator
    began: datetime
    expires: datetime
    to: Traffic
    bake: float
    """Seconds for which the floors hold after the move."""
    floors: dict[str, int] = {}
    retained: Retained | None = None
    rollout: str | None = None
    """The rollout whose move it is: its weights are none that config has said, and its floors hold until it ends."""


class Unstable(_Frozen):
    """Why a release gets no traffic until `turnout releases accept`."""

    release: str
    at: datetime
    by: str
    reason: str


class HistoryEntry(_Frozen):
    """One thing that happened to the switch: create, flip, weights, rollback, settle, deploy, accept, blame, rollout (began)
    or promote (it ended well)."""

    at: datetime
    by: str
    kind: str
    traffic: Traffic | None = None
    releases: dict[str, str | None] = {}
    note: str = ""


class SwitchRecord(_Frozen):
    """The record of one service in one stack. `generation` counts writes and is the condition of the next."""

    key: str
    generation: int = 0
    listener: str | None = None
    traffic: Traffic | None = None
    config_base: Traffic | None = None
    flipped_at: datetime | None = None
    floors: dict[str, Floor] = {}
    retained: Retained | None = None
    claim: Claim | None = None
    environments: dict[str, EnvironmentState] = {}
    step_down_role: str | None = None
    """What the schedules that delete a standby's warm pool run as."""
    rollout: str | None = None
    """The rollout that is under way."""
    unstable: dict[str, Unstable] = {}
    history: tuple[HistoryEntry, ...] = ()

    def changed(self, **fields: Any) -> "SwitchRecord":
        """A copy with these fields replaced."""
        return self.model_copy(update=fields)

    def voided(self) -> "SwitchRecord":
        """After a destroy: what belonged to the listener is void, unstable marks and history stay."""
        return SwitchRecord(key=self.key, generation=self.generation, unstable=self.unstable, history=self.history)

    def noted(self, now: datetime, by: str, kind: str, note: str = "") -> "SwitchRecord":
        """With one more line of history that tells the state of this record."""
        releases = {name: state.release for name, state in self.environments.items()}
        entry = HistoryEntry(at=now, by=by, kind=kind, traffic=self.traffic, releases=releases, note=note)
        return self.changed(history=(*self.history, entry)[-HISTORY_LENGTH:])

    def deployed(self, environments: dict[str, EnvironmentState], now: datetime, by: str) -> "SwitchRecord":
        """What stands behind the environments now. A standby whose release was replaced is kept for rollback no more."""
        if environments == self.environments:
            return self
        kept = self.retained
        if kept is not None and digest_of(environments[kept.environment].release) != digest_of(kept.release):
            kept = None
        entered = self.changed(environments=environments, retained=kept)
        before = {name: state.release for name, state in self.environments.items()}
        replaced = self.traffic is not None and before != {name: state.release for name, state in environments.items()}
        return entered.noted(now, by, "deploy") if replaced else entered

    def confirmed(self, claim: Claim, now: datetime) -> "SwitchRecord":
        """The claimed move has happened: traffic, floors and the retained standby are as the claim says.

        An environment that goes on carrying traffic and gains none keeps the floor that it has."""
        active_changed = self.traffic is not None and self.traffic.active != claim.to.active
        until = None if claim.rollout else now + timedelta(seconds=claim.bake)
        kind = "create" if self.traffic is None else "flip" if active_changed else "weights"
        kept = {n: floor for n, floor in self.floors.items() if claim.to.weights.get(n, 0) > 0 or floor.whole is not None}
        return self.changed(
            traffic=claim.to,
            config_base=self.config_base if claim.rollout else claim.to,
            flipped_at=now if active_changed else self.flipped_at,
            retained=claim.retained if active_changed else self.retained,
            floors={**kept, **{name: Floor(minimum=minimum, until=until) for name, minimum in claim.floors.items()}},
            claim=None,
        ).noted(now, str(claim.by), kind)

    def by_target_group(self, traffic: Traffic) -> dict[str, int]:
        """The weights as the load balancer has them: by target group ARN."""
        return {self.environments[name].target_group: weight for name, weight in traffic.weights.items()}

    def retaining(self, retain_for: timedelta) -> "SwitchRecord":
        """With the retained standby, if there is one, kept for this long since the flip."""
        if self.retained is None or self.flipped_at is None:
            return self
        return self.changed(retained=self.retained.model_copy(update={"until": self.flipped_at + retain_for}))

    def settled(self, live: Traffic, now: datetime) -> "SwitchRecord":
        """Traffic is found elsewhere than recorded, and nobody is moving it: the record follows what is live.

        A claim left behind by a crash is completed when live is where it wanted to go, else dropped. A standby that was kept
        for rollback and carries traffic now (a rollback was killed before it wrote) has the size that it had at the flip."""
        if self.claim is not None and self.claim.to.weights == live.weights:
            note = f"completed the move that {self.claim.by} began"
            return self.confirmed(self.claim, now).noted(now, "turnout", "settle", note)
        note = f"recorded {self.traffic}, found {live}"
        kept, floors = self.retained, self.floors
        if kept is not None and live.weights.get(kept.environment, 0) > 0:
            floors = {**floors, kept.environment: Floor(minimum=kept.minimum)}
        return self.changed(traffic=live, claim=None, retained=None, floors=floors).noted(now, "turnout", "settle", note)

    def rolled_back(
        self, to: Traffic, now: datetime, by: str, bad: str | None, reason: str, floors: dict[str, int]
    ) -> "SwitchRecord":
        """Traffic is back; any claim is broken and the release that was left (id, or None) is marked unstable."""
        unstable = self.unstable if bad is None else self._with_mark(bad, now, by, reason)
        return self.changed(
            traffic=to,
            flipped_at=now,
            floors={name: Floor(minimum=minimum) for name, minimum in floors.items()},
            retained=None,
            claim=None,
            rollout=None,
            unstable=unstable,
        ).noted(now, by, "rollback", reason)

    def blamed(self, release: str, now: datetime, by: str, reason: str) -> "SwitchRecord":
        """The release (id) gets no traffic until it is accepted."""
        return self.changed(unstable=self._with_mark(release, now, by, reason)).noted(now, by, "blame", reason)

    def _with_mark(self, release: str, now: datetime, by: str, reason: str) -> dict[str, Unstable]:
        return {**self.unstable, digest_of(release): Unstable(release=release, at=now, by=by, reason=reason)}

    def beginning(self, rollout: str, floors: dict[str, Floor], now: datetime, by: str, note: str) -> "SwitchRecord":
        """A rollout has begun: its floors hold until it ends. What was kept for rollback is the candidate now."""
        return self.changed(rollout=rollout, floors={**self.floors, **floors}, retained=None).noted(now, by, "rollout", note)

    def ended(self, floors: dict[str, int], until: datetime, now: datetime, by: str, kind: str, note: str) -> "SwitchRecord":
        """The rollout is over and traffic stays where it is; these floors hold for a while, all others end."""
        held = {name: Floor(minimum=minimum, until=until) for name, minimum in floors.items()}
        return self.changed(rollout=None, claim=None, floors=held).noted(now, by, kind, note)

    def acknowledged(self) -> "SwitchRecord":
        """Takes what is recorded for what config has said, so that config that says otherwise is a new wish."""
        return self.changed(config_base=self.traffic)

    def accepted(self, release: str, now: datetime, by: str) -> "SwitchRecord":
        """The release (id, digest or name) may carry traffic again.

        Raises `KeyError` when it is not marked unstable."""
        for digest, mark in self.unstable.items():
            if release in (digest, mark.release, name_of(mark.release)):
                rest = {key: value for key, value in self.unstable.items() if key != digest}
                return self.changed(unstable=rest).noted(now, by, "accept", mark.release)
        raise KeyError(release)


class RecordStore:
    """Reads and writes the record of `<service>/<stack>`; every write has the generation that was read as its condition."""

    def __init__(self, items: Items, service: str, stack: str) -> None:
        self._items = items
        self.key = f"{service}/{stack}"

    def read(self) -> SwitchRecord | None:
        """The record, or None before the first deployment.

        Raises `TableMissing`; `RecordError` when the item was written by a newer Turnout or by hand."""
        body = self._items.read(self.key)
        try:
            return None if body is None else SwitchRecord.model_validate_json(body)
        except ValidationError as error:
            raise unreadable(self._items, self.key, "switch record", error) from None

    def write(self, record: SwitchRecord) -> SwitchRecord:
        """Writes `record` if nobody wrote since it was read; returns it with its new generation.

        Raises `Conflict`, `TableMissing`."""
        written = record.changed(generation=record.generation + 1)
        claim = record.claim
        holder = Holder(str(claim.by), claim.began, claim.expires) if claim is not None else None
        self._items.write(self.key, written.model_dump_json(), record.generation, holder)
        return written

    def update(self, change: Callable[[SwitchRecord], SwitchRecord], attempts: int = 20) -> SwitchRecord:
        """Reads, changes and writes, again while others write in between.

        Raises `RecordError` when there is no record; `Conflict` after the last attempt; whatever `change` raises."""
        for attempt in range(1, attempts + 1):
            record = self.read()
            if record is None:
                raise RecordError(
                    f"no switch record {self.key} in table {self._items.table}: nothing is deployed; run `turnout up`"
                )
            try:
                return self.write(change(record))
            except Conflict:
                if attempt == attempts:
                    raise
        raise AssertionError("unreachable")
