"""How a program is started: a local one in a process of its own, an inline one through its LanguageRuntime."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

ENDPOINT_VARIABLE = "TURNOUT_LOCAL_ENDPOINT"
KUBECONFIG_VARIABLE = "TURNOUT_LOCAL_KUBECONFIG"
OFFLINE_VARIABLE = "TURNOUT_OFFLINE"
"""What a program of the kit finds in its environment."""
_UNHEARD = 0.5
"""Seconds after which a signal is heard that interrupted no call: Python runs handlers between the main thread's instructions,
and one that comes just before a call that blocks would wait for its end."""
Say = Callable[[str, str], None]
"""Takes a severity and a line."""


@dataclass(frozen=True)
class Order:
    """What every program is told."""

    monitor: str
    engine: str
    project: str
    stack: str
    organization: str
    root: str
    config: dict[str, str]
    secret_keys: list[str]
    parallel: int
    dry_run: bool


class Running(Protocol):
    """A started program."""

    def wait(self) -> int: ...
    def stop(self) -> None: ...


class ProgramSpec(Protocol):
    """Something that can be started as a program."""

    def start(self, order: Order, say: Say) -> Running: ...


@dataclass(frozen=True)
class LocalProgram:
    """The program in a folder (`main` of Pulumi.yaml) or file; `env` is added to this process's environment."""

    path: Path
    root: Path
    env: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable

    def start(self, order: Order, say: Say) -> Running:
        return self.begun().start(order, say)

    def begun(self) -> "BegunProgram":
        """The program's process, started before its order is known, so that it imports Pulumi meanwhile."""
        return BegunProgram(self)


@dataclass(frozen=True)
class InlineProgram:
    """A function of the caller's process, served as LanguageRuntime at `address`."""

    address: str

    def start(self, order: Order, say: Say) -> Running:  # noqa: ARG002
        return _InlineRun(self.address, order)


class BegunProgram:
    """A local program whose process waits for its order. Give it one by `start`, once, or `close` it."""

    def __init__(self, program: LocalProgram) -> None:
        self._process = subprocess.Popen(
            [program.python, "-m", "turnout.engine.launch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=program.root,
            env={**os.environ, **program.env},
            text=True,
            start_new_session=True,
        )
        self._path = program.path
        self._ordered = False

    def start(self, order: Order, say: Say) -> Running:
        assert self._process.stdin is not None
        self._ordered = True
        self._process.stdin.write(json.dumps({**vars(order), "program": str(self._path)}) + "\n")
        self._process.stdin.flush()
        return _LocalRun(self._process, say)

    def close(self) -> None:
        """Ends the process if it has no order."""
        if not self._ordered:
            self._process.kill()
            self._process.communicate()


class _LocalRun:
    def __init__(self, process: "subprocess.Popen[str]", say: Say) -> None:
        self._process = process
        self._readers = [
            threading.Thread(target=_read, args=(process.stdout, "info", say), daemon=True),
            threading.Thread(target=_read, args=(process.stderr, "info#err", say), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def wait(self) -> int:
        ended = threading.Thread(target=self._process.wait, daemon=True)
        ended.start()
        while ended.is_alive():
            ended.join(_UNHEARD)
        for reader in self._readers:
            reader.join()
        return self._process.wait()

    def stop(self) -> None:
        """Lets the program cancel its tasks; kills it when it does not end within ten seconds."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()


class _InlineRun:
    def __init__(self, address: str, order: Order) -> None:
        import grpc  # with Pulumi's protocol a fifth of a second: who starts a process has it started first
        from pulumi.runtime.proto import language_pb2, language_pb2_grpc

        self._channel = grpc.insecure_channel(address)
        request = language_pb2.RunRequest(
            project=order.project,
            stack=order.stack,
            organization=order.organization,
            args=[order.engine],
            monitor_address=order.monitor,
            config=order.config,
            configSecretKeys=order.secret_keys,
            parallel=order.parallel,
            dryRun=order.dry_run,
        )
        self._call = language_pb2_grpc.LanguageRuntimeStub(self._channel).Run.future(request)

    def wait(self) -> int:
        import grpc

        try:
            answer = self._call.result()
        except grpc.RpcError:
            return 1
        finally:
            self._channel.close()
        return 1 if answer.error else 0

    def stop(self) -> None:
        self._call.cancel()


def _read(stream: Any, severity: str, say: Say) -> None:
    for line in stream:
        say(severity, line.rstrip("\n"))
