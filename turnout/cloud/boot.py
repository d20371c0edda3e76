"""How far a machine's boot has come: pure arithmetic over the times that a local stack sets.

A cold machine goes through `machine`, `image` and `model`; a warm one that was stopped only through `resume`, and what it
had not passed before ("Decrease latency for applications with long boot times using warm pools", Amazon EC2 Auto Scaling User
Guide). Afterwards the server starts, which takes what it takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

MACHINE, IMAGE, MODEL, RESUME = "machine", "image", "model", "resume"
_COLD = (MACHINE, IMAGE, MODEL)


@dataclass(frozen=True)
class Boot:
    """A machine's boot. `seconds`: of each stage; `passed`: of the cold stages; `resuming`: left of a resume; `since`: when
    it was switched on (None: it is off)."""

    seconds: Mapping[str, float]
    passed: float = 0.0
    resuming: float = 0.0
    since: float | None = None

    @staticmethod
    def planned(stages: Mapping[str, float], speed: float) -> "Boot":
        """Not switched on yet; `stages` in seconds, divided by `speed`."""
        return Boot({name: float(stages.get(name, 0.0)) / speed for name in (*_COLD, RESUME)})

    def on(self, now: float) -> "Boot":
        """Switched on: for the first time, or again."""
        if self.since is not None:
            return self
        return replace(self, since=now, resuming=self.seconds[RESUME] if self.passed else 0.0)

    def off(self, now: float) -> "Boot":
        """Switched off; what has passed has passed. One that was on is no new machine."""
        if self.since is None:
            return self
        gone = max(0.0, now - self.since - self.resuming)
        return replace(self, passed=max(self.passed + gone, 1e-9), resuming=0.0, since=None)

    def stage(self, now: float) -> str | None:
        """The stage that it is in, or None when the server can start. One that is off is in none."""
        if self.since is None:
            return None
        gone = now - self.since
        if gone < self.resuming:
            return RESUME
        gone += self.passed - self.resuming
        for name in _COLD:
            gone -= self.seconds[name]
            if gone < 0:
                return name
        return None

    def machine_is_up(self, now: float) -> bool:
        """Whether the machine itself runs: EC2 says `running`, whatever its image and model still take."""
        return self.since is not None and self.stage(now) not in (MACHINE, RESUME)
