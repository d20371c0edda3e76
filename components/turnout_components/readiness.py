"""How near environments are to being ready, and what keeps them from it, in words for whoever waits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from turnout_components.live import LiveCloud, Target, way_back

LOOK = timedelta(seconds=15)
"""Between two looks at what launches failed with: the API is throttled, and a group tries again and again."""
SHOWN = 5
"""Targets that are named one by one."""


@dataclass(frozen=True)
class Readiness:
    """An environment that is to carry weight: instances that it needs and that are ready, all targets, its group."""

    needed: int
    ready: int
    targets: list[Target]
    group: str | None

    @property
    def is_short(self) -> bool:
        """Whether some are missing."""
        return self.ready < self.needed

    def told(self, name: str) -> str:
        """One line about the environment of that name."""
        states = sorted(f"{t.id} {t.state}{f' ({t.reason})' if t.reason else ''}" for t in self.targets if t.state != "healthy")
        detail = ", ".join(states[:SHOWN]) + (f" and {len(states) - SHOWN} more" if len(states) > SHOWN else "")
        return f"{name}: {self.ready} of {self.needed} healthy targets of {self.group}" + (f": {detail}" if detail else "")


class Story:
    """What is told while environments become ready: how long it may take, every change, and launches that failed."""

    def __init__(self, cloud: LiveCloud, notify: Callable[[str], None], clock: Callable[[], datetime]) -> None:
        self._cloud, self._notify, self._clock = cloud, notify, clock
        self._said: set[str] = set()
        self._last = ""
        self._look = clock() + LOOK

    def tell(self, readiness: Mapping[str, Readiness]) -> None:
        """Tells what is new."""
        if not self._last:
            for name, short in readiness.items():
                if short.is_short:
                    self._notify(f"{name} is ready {way_back(self._cloud, short.group, short.needed - short.ready)}")
        told = _told(readiness)
        if told != self._last:
            self._notify(f"waiting: {told}")
            self._last = told
        if self._clock() >= self._look:
            self._look = self._clock() + LOOK
            for line in self._troubles(readiness):
                if line not in self._said:
                    self._notify(line)
                self._said.add(line)

    def whole(self, readiness: Mapping[str, Readiness]) -> str:
        """Where it stands, and what the newest launches failed with."""
        return "; ".join([_told(readiness), *self._troubles(readiness)])

    def _troubles(self, readiness: Mapping[str, Readiness]) -> list[str]:
        groups = [short.group for short in readiness.values() if short.is_short and short.group is not None]
        found = [(group, self._cloud.failed_launch(group)) for group in groups]
        return [f"the last launch of {group} failed: {why}" for group, why in found if why is not None]


def _told(readiness: Mapping[str, Readiness]) -> str:
    return "; ".join(one.told(name) for name, one in readiness.items())
