"""What a merge would do to one stack. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from turnout.preview import fleet, traffic
from turnout.preview.changes import Change, Operation, Resource
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
    values are others, which nobody here can read."""

    stack: str
    before: Stack | None
    after: Stack
    changes: tuple[Change, ...]
    unchanged: int
    secrets: tuple[str, ...] = ()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing changes."""
        return not (self.changes or self.secrets)

    @property
    def counted(self) -> str:
        """`1 to replace, 3 to create, 118 unchanged`."""
        counts = [(sum(change.operation is kind for change in self.changes), kind) for kind in Operation]
        found = [f"{count} to {kind}" for count, kind in counts if count]
        return ", ".join([*(found or ["no changes"]), f"{self.unchanged} unchanged"])

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

    def document(self) -> dict[str, Any]:
        """For programs."""
        weights = [(side.outputs or {}).get("weights") if side else None for side in (self.before, self.after)]
        return {
            "stack": self.stack,
            "new": self.before is None,
            "unchanged": self.unchanged,
            "weights": dict(zip(("before", "after"), weights, strict=True)),
            "pools": [asdict(pool) for pool in self.pools],
            "interruptions": [asdict(each) for each in self.interruptions],
            "secrets": list(self.secrets),
            "changes": [change.document() for change in self.changes],
        }
