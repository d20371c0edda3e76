"""For tests: a stack's cloud and program whose start is prepared (tests/prepared.py). `test_secrets` starts a program as people
do, and so do tests of commands."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.service import Service, service
from tests import prepared
from tests.cloud import prepared_cloud
from turnout.engine.program import LocalProgram, Order, Say

LAUNCH = "turnout.engine.launch"


def parent() -> prepared.Parent:
    return prepared.parent(LAUNCH, "infra.on_ec2", "infra.settings", "benchmarks.service")


@dataclass(frozen=True)
class PreparedProgram(LocalProgram):
    """As `LocalProgram`, begun sooner."""

    def start(self, order: Order, say: Say) -> "_Run":
        return _Run(self, order, say)


class _Run:
    def __init__(self, program: LocalProgram, order: Order, say: Say) -> None:
        (orders, self._stdin), (out, told), (err, cried) = os.pipe(), os.pipe(), os.pipe()
        self._process = parent().fork(LAUNCH, (), (orders, told, cried), {**os.environ, **program.env}, program.root)
        for each in (orders, told, cried):
            os.close(each)
        os.write(self._stdin, json.dumps({**vars(order), "program": str(program.path)}).encode() + b"\n")
        said = ((out, "info"), (err, "info#err"))
        self._readers = [threading.Thread(target=_read, args=(*pair, say), daemon=True) for pair in said]
        for reader in self._readers:
            reader.start()

    def wait(self) -> int:
        code = self._process.wait()
        os.close(self._stdin)
        for reader in self._readers:
            reader.join()
        return code

    def stop(self) -> None:
        psutil.Process(self._process.pid).terminate()


def _read(stream: int, severity: str, say: Say) -> None:
    with open(stream) as lines:
        for line in lines:
            say(severity, line.rstrip("\n"))


@contextmanager
def prepared_service(home: Path, **options: Any) -> Iterator[Service]:
    """As `service`, begun sooner; so are its programs."""
    parent()
    with service(home, start=prepared_cloud.start, **options) as made:
        made.language = PreparedProgram
        yield made
