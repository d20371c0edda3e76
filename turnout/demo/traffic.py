"""The demo's users: the example's load generator as a child process, and single requests for the smoke test."""

import http.client
import json
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from turnout.demo.home import DemoHome

_END_TIMEOUT = 30.0
_HEADER = "x-turnout-environment"


class TrafficError(Exception):
    """The load generator failed."""


class Traffic:
    """Open-loop load on `url`: `rate` requests a second, no retries, new and kept connections mixed.

    `hear` gets every line of progress, on a thread of its own."""

    def __init__(self, home: DemoHome, root: Path, url: str, rate: float, hear: Callable[[dict[str, Any]], None]) -> None:
        self._home, self._hear = home, hear
        self._result = home.folder / "load.json"
        self._changed = threading.Condition()
        self.latest: dict[str, Any] = {}
        """The last line of progress."""
        options = {"--url": url, "--rate": str(rate), "--slow-share": "0", "--out": str(self._result), "--interval": "0.25"}
        command = [sys.executable, "-m", "examples.digits.load", "--progress", *(part for o in options.items() for part in o)]
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
    """Of the generator's losses so far, those that a release answered with an error of its own; a balancer says 502–504."""
    return int(progress["lost_by_kind"].get("http_500", 0))


def smoke_test(url: str, environment: str, images: Sequence[Sequence[int]], labels: Sequence[int]) -> dict[str, Any]:
    """Asks one environment through the test listener: one request after the other on one connection.

    Answers `environment`, `versions`, `asked`, `answered`, `accuracy` and `p95_ms`."""
    address = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
    headers = {"Content-Type": "application/json", _HEADER: environment}
    times: list[float] = []
    versions: set[str] = set()
    right = 0
    try:
        for image, label in zip(images, labels, strict=True):
            began = time.perf_counter()
            connection.request("POST", "/v1/predict", json.dumps({"image": list(image)}), headers)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                continue
            times.append(time.perf_counter() - began)
            answer = json.loads(body)
            versions.add(answer["version"])
            right += answer["digit"] == label
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TrafficError(f"the smoke test of {environment} at {url} failed: {error!r}") from None
    finally:
        connection.close()
    return {
        "environment": environment,
        "versions": sorted(versions),
        "asked": len(labels),
        "answered": len(times),
        "accuracy": round(right / len(times), 4) if times else None,
        "p95_ms": round(sorted(times)[int(0.95 * (len(times) - 1))] * 1000, 2) if times else None,
    }
