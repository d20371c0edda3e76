"""What a merge or an update would do to one stack. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from turnout.preview import fleet, traffic
from turnout.preview.changes import Change, Operation, Resource
from turnout.preview.findings import Finding, Level
from turnout.preview.fleet import Pool
from turnout.preview.traffic import Interruption


@dataclass(frozen=True)
class Stack:
    """A stack as a revision has it: its config, its resources, and its outputs as far as they are planned."""

    config: Mapping[str, Any]
    resources: tuple[Resource, ...] = ()
    outputs: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Plan:
    """`before` is None for a stack that is new. `unchanged`: how many resources are. `secrets`: config keys whose secret
    values are others, which nobody here can read. `drift`: what others did to deployed resources, from as recorded to as
    found. `engine`: whose preview it is, "" for a merge's."""

    stack: str
    before: Stack | None
    after: Stack
    changes: tuple[Change, ...]
    unchanged: int
    secrets: tuple[str, ...] = ()
    drift: tuple[Change, ...] = ()
    engine: str = ""
    findings: tuple[Finding, ...] = ()
    """What policies found."""
    gone: bool = False
    """Whether the head has the stack no more: nothing is planned then."""

    @property
    def is_quiet(self) -> bool:
        """Whether nothing changes, nor has, and no policy finds anything new or refuses anything."""
        told = any(not each.standing or each.level is Level.MANDATORY for each in self.findings)
        return not (self.changes or self.secrets or self.drift or told or self.gone)

    @property
    def counted(self) -> str:
        """`1 to replace, 3 to create, 118 unchanged`."""
        if self.gone:
            return "the stack's file is gone; what is deployed stays, and no update reaches it"
        counts = [(sum(change.operation is kind for change in self.changes), kind) for kind in Operation]
        found = [f"{count} to {kind}" for count, kind in counts if count]
        drifted = [f"{len(self.drift)} drifted"] if self.drift else []
        return ", ".join([*(found or ["no changes"]), f"{self.unchanged} unchanged", *drifted])

    @property
    def traffic(self) -> str:
        """The switch in a line, or ""."""
        outputs = self.before.outputs if self.before else None
        return traffic.told(outputs, self.after.outputs or {}, self.after.config.get("traffic") or {})

    @property
    def pools(self) -> tuple[Pool, ...]:
        """The pools that become larger or smaller."""
        return fleet.pools(self.before.resources if self.before else (), self.after.resources)

    @property
    def interruptions(self) -> tuple[Interruption, ...]:
        """What takes servers or ways away from users."""
        return traffic.interruptions(self.before.resources if self.before else (), self.changes)

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """What mandatory policies found: an `up` would be refused."""
        return tuple(each for each in self.findings if each.level is Level.MANDATORY)

    def document(self) -> dict[str, Any]:
        """For programs."""
        weights = [(side.outputs or {}).get("weights") if side else None for side in (self.before, self.after)]
        return {
            "stack": self.stack,
            "new": self.before is None,
            "gone": self.gone,
            "unchanged": self.unchanged,
            "weights": dict(zip(("before", "after"), weights, strict=True)),
            "pools": [asdict(pool) for pool in self.pools],
            "interruptions": [asdict(each) for each in self.interruptions],
            "secrets": list(self.secrets),
            "findings": [each.document() for each in self.findings],
            "changes": [change.document() for change in self.changes],
            "drift": [change.document() for change in self.drift],
            "engine": self.engine or None,
        }
