"""The demo's users: the example's load generator as a child process, and its smoke test."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from turnout.demo.home import DemoHome
from turnout.demo.models import Model

_END_TIMEOUT = 30.0
_SMOKE_TIMEOUT = 60.0
_OWN_ERRORS = ("http_500", "error")
"""A release's own errors; a balancer says 502 to 504."""


class TrafficError(Exception):
    """The load generator failed."""


class Traffic:
    """The model's users at `url`; nothing is retried.

    `hear` gets every line of progress, on a thread of its own."""

    def __init__(self, home: DemoHome, root: Path, url: str, model: Model, hear: Callable[[dict[str, Any]], None]) -> None:
        self._home, self._hear = home, hear
        self._result = home.folder / "load.json"
        self._changed = threading.Condition()
        self.latest: dict[str, Any] = {}
        """The last line of progress."""
        options = {"--url": url, **model.users, "--out": str(self._result), "--interval": "0.25"}
        command = [sys.executable, "-m", f"{model.package}.load", "--progress", *(part for o in options.items() for part in o)]
        self._child = home.spawn(command, root, leashed=True)
        threading.Thread(target=self._read, daemon=True).start()

    def mark(self, phase: str) -> None:
        """Requests sent from now on belong to this phase.

        Raises `TrafficError` when the generator has ended."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(f"phase {phase}\n".encode())
            self._child.stdin.flush()
        except OSError:
            raise self._ended() from None

    def wait(self, enough: Callable[[dict[str, Any]], bool], seconds: float) -> bool:
        """Whether `enough` became true of a line of progress within `seconds`.

        Raises `TrafficError` when the generator has ended."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not (self.latest and enough(self.latest)):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                if self._child.poll() is not None:
                    raise self._ended()
                self._changed.wait(min(left, 0.5))
        return True

    def finish(self) -> dict[str, Any]:
        """Sends nothing more, waits for what is in flight and returns the generator's result.

        Raises `TrafficError`."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            status = self._child.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise TrafficError(f"the load generator did not end within {_END_TIMEOUT:.0f} s; see {self._home.log}") from None
        if status:
            raise self._ended()
        result: dict[str, Any] = json.loads(self._result.read_text())
        return result

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            progress = json.loads(line)
            self._hear(progress)
            with self._changed:
                self.latest = progress
                self._changed.notify_all()

    def _ended(self) -> TrafficError:
        return TrafficError(f"the load generator ended with status {self._child.wait()}; see {self._home.log}")


def failed(progress: Mapping[str, Any]) -> int:
    """Of the generator's losses so far, those that a release answered with an error of its own."""
    return sum(int(progress["lost_by_kind"].get(kind, 0)) for kind in _OWN_ERRORS)


def smoke_test(home: DemoHome, root: Path, model: Model, url: str, environment: str) -> dict[str, Any]:
    """Asks one environment through the test listener; what the model's smoke test prints.

    Raises `TrafficError`."""
    command = [sys.executable, "-m", f"{model.package}.smoke", "--url", url, "--environment", environment]
    child = home.spawn(command, root, leashed=True)
    try:
        output, _ = child.communicate(timeout=_SMOKE_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise TrafficError(f"the smoke test of {environment} did not end within {_SMOKE_TIMEOUT:.0f} s") from None
    if child.returncode:
        raise TrafficError(f"the smoke test of {environment} at {url} failed; see {home.log}")
    found: dict[str, Any] = json.loads(output)
    return found
