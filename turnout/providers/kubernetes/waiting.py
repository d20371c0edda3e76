"""Waiting with an end, and with the reason why it was in vain."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from turnout.engine.provider import ProviderError

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
"""Seconds between two looks; they grow from the first to the longest."""


@dataclass(frozen=True)
class Clock:
    """How waiting measures time, in seconds."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Deadline:
    """How long one operation on an object may take."""

    seconds: float
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self._end = self.clock.now() + self.seconds
        self._pause = FIRST_PAUSE

    def until(self, done: Callable[[], bool], reason: Callable[[], str]) -> None:
        """Looks until `done`. Raises `ProviderError` with the `reason` at the end."""
        while not done():
            if not self.rest():
                raise ProviderError(reason())

    def rest(self) -> bool:
        """Pauses before the next look; False when there is no time left for one."""
        left = self._end - self.clock.now()
        if left <= 0:
            return False
        self.clock.sleep(min(self._pause, left))
        self._pause = min(self._pause * 1.5, LONGEST_PAUSE)
        return True
