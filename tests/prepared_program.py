"""For tests: the engine's programs, forked from a process that has Pulumi and the kit (tests/prepared.py). `test_secrets` has
them started as people do, and so has what runs the command line in a process."""

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from tests import prepared
from turnout.engine import program

LAUNCH = "turnout.engine.launch"


@functools.cache
def parent() -> prepared.Parent:
    return prepared.parent(LAUNCH, "infra.on_ec2", "infra.settings", "benchmarks.service")


class Process:
    """A forked program as its engine knows it: what `subprocess.Popen` would have given it."""

    def __init__(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], **_: Any) -> None:
        assert list(command) == [sys.executable, "-m", LAUNCH]
        given, said, cried = os.pipe(), os.pipe(), os.pipe()
        forked = parent().fork(LAUNCH, (), (given[0], said[1], cried[1]), env, cwd)
        for each in (given[0], said[1], cried[1]):
            os.close(each)
        self.pid = forked.pid
        self.stdin, self.stdout, self.stderr = open(given[1], "w"), open(said[0]), open(cried[0])  # noqa: SIM115
        self._code: Future[int] = Future()
        Thread(target=lambda: self._code.set_result(forked.wait()), daemon=True).start()

    def wait(self, timeout: float | None = None) -> int:
        try:
            return self._code.result(timeout)
        except TimeoutError:
            raise subprocess.TimeoutExpired(LAUNCH, timeout or 0) from None

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def communicate(self) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()
        self.wait()

    def _send(self, number: signal.Signals) -> None:
        if not self._code.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


FORKED = SimpleNamespace(Popen=Process, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired)
STARTED = subprocess


def programs(how: Any) -> AbstractContextManager[Any]:
    """The engines of this process have their programs `FORKED`, or `STARTED` as people do."""
    return patch.object(program, "subprocess", how)
