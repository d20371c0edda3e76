"""Starts a release's own server as an instance would, within limits, and asks it a smoke set."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turnout_components.durations import written
from turnout_components.release import Release

from turnout.cloud.images import Image, told
from turnout.cloud.ports import Ports
from turnout.pipeline.asking import Asker, NoAnswer
from turnout.pipeline.limited import LimitedProcess, shown
from turnout.pipeline.smoke_set import SmokeSet, mismatch

_EVERY = 0.05
"""Seconds between two looks at whether a server is ready."""
_READY = 2.0
"""Seconds for one such look."""


class ServerFault(Exception):
    """A server that did not get ready, or went away; the message says how, in its own words."""


@dataclass(frozen=True)
class Answers:
    """What a smoke set came to. `faults`: the first of each kind; `seconds`: by request that was answered whole."""

    asked: int
    failed: int
    wrong: int
    seconds: tuple[float, ...]
    faults: tuple[str, ...]

    def quantile(self, share: float) -> float:
        """Seconds within which this share of the answers came; 0 without any."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    @property
    def right(self) -> float:
        """Share of the requests with the answer that was expected."""
        return (self.asked - self.failed - self.wrong) / self.asked


@dataclass
class Server:
    """A server that is ready. `load`: seconds from its start until then."""

    process: LimitedProcess
    url: str
    load: float


@contextmanager
def serving(release: Release, image: Image, model: Path, smoke: SmokeSet, root: Path, folder: Path) -> Iterator[Server]:
    """The release's server, while the block runs, in `root`; `folder` is for what it is given and what it writes.

    Environment and command are those of an instance (turnout/cloud/launch.py), without the caller's variables.
    Raises `ServerFault` where it does not get ready within the limits."""
    manifest = folder / "release.json"
    manifest.write_text(json.dumps(release.for_storage()))
    port = Ports().take()
    command = [*image.started_by(sys.executable, str(image.folder)), *release.engine.flags]
    env = dict(release.engine.env) | told("validation", port, manifest, release.digest, model)
    url = f"http://127.0.0.1:{port}"
    with LimitedProcess(command, env, root, folder, smoke.limits.memory) as process:
        yield Server(process, url, _until_ready(process, url, release.digest, smoke))


def _until_ready(process: LimitedProcess, url: str, digest: str, smoke: SmokeSet) -> float:
    began, most, last = time.monotonic(), smoke.limits.load.total_seconds(), "nothing listens"
    with Asker(url) as asker:
        while time.monotonic() - began < most:
            if process.fate:
                raise ServerFault(f"the server {process.fate}")
            try:
                status, _ = asker.ask("GET", smoke.ready, min(_READY, most), params={"release": digest})
                if status == 200:
                    return time.monotonic() - began
                last = f"it answers {status}"
            except NoAnswer as fault:
                last = str(fault)
            time.sleep(_EVERY)
    said = f"; it said: {process.said}" if process.said else ""
    raise ServerFault(f"not ready within {written(smoke.limits.load)} ({smoke.ready}: {last}) and was ended{said}")


def ask(server: Server, smoke: SmokeSet) -> Answers:
    """Every case in turn, `rounds` times, on one connection.

    Raises `ServerFault` where the server goes away or exceeds its memory meanwhile."""
    seconds, faults = list[float](), dict[str, str]()
    failed = wrong = 0
    most = smoke.limits.request.total_seconds()
    with Asker(server.url) as asker:
        for number in range(smoke.rounds * len(smoke.cases)):
            place = number % len(smoke.cases)
            case, began = smoke.cases[place], time.perf_counter()
            try:
                status, body = asker.ask(smoke.method, smoke.path, most, json=case.body)
            except NoAnswer as none:
                if server.process.wait(0.2) is not None or server.process.fate:
                    raise ServerFault(f"case {place + 1}: the server {server.process.fate}") from None
                failed += 1
                faults.setdefault(str(none), f"case {place + 1}: {none}")
                continue
            seconds.append(time.perf_counter() - began)
            if status != smoke.status:
                failed += 1
                fault = f"answered {status}, not {smoke.status}: {_text(body)}"
                faults.setdefault("status", f"case {place + 1}: {fault}")
            elif wrong_as := _fault(body, smoke, case.expect):
                wrong += 1
                faults.setdefault("wrong", f"case {place + 1}: {wrong_as}")
    if server.process.fate:
        raise ServerFault(f"the server {server.process.fate}")
    return Answers(smoke.rounds * len(smoke.cases), failed, wrong, tuple(seconds), tuple(faults.values()))


def _fault(body: bytes, smoke: SmokeSet, expected: Any) -> str | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):  # what nests too deep for Python is no answer of a model
        return f"no JSON: {_text(body)!r}"
    return mismatch(expected, found, smoke.tolerance)


def _text(body: bytes) -> str:
    return shown(body[:80].decode(errors="replace"))
