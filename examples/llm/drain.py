"""Draining: after SIGTERM the server takes nothing new, finishes the streams that run, and ends.

/ready says 503 at once and a request that still comes gets a 503 with `Connection: close`. The listener closes when
nothing has run or waited for half a second, or after `--drain-seconds`; what runs then is cut. The exit status is 0. A second
signal does not wait.
"""

import signal
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

QUIET_SECONDS = 0.5


class Lifecycle:
    """Whether the server is draining, and since when (monotonic seconds)."""

    def __init__(self) -> None:
        self.draining_since: float | None = None

    @property
    def draining(self) -> bool:
        return self.draining_since is not None


class DrainingServer(uvicorn.Server):
    """uvicorn's server with a drain between SIGTERM and the closing of the listener. `busy` tells whether streams run."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, busy: Callable[[], bool], drain_seconds: float) -> None:
        super().__init__(config)
        self._lifecycle, self._busy, self._drain_seconds = lifecycle, busy, drain_seconds
        self._last_busy = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 -- uvicorn's signature
        if sig == signal.SIGTERM and not self._lifecycle.draining:
            self._lifecycle.draining_since = self._last_busy = time.monotonic()
        else:
            # not through super(): it would raise the signal again at the end, and the exit status would not be 0
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._drained()

    def _drained(self) -> bool:
        since, now = self._lifecycle.draining_since, time.monotonic()
        if since is None:
            return False
        if self._busy():
            self._last_busy = now
        return now - since >= self._drain_seconds or now - self._last_busy >= QUIET_SECONDS
