"""Which tests begin first where they run beside each other (`make test`), which stay together, and how they start programs."""

import os
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.prepared_program import FORKED, STARTED, programs

os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"  # 1,300 images that no test asks for, made at each new account

SHARED = "kubernetes"
"""A folder whose files share what takes long to make: one worker has all of it."""
LONGEST_FIRST = (SHARED, "rollout", "engine", "node", "cli", "package", "pipeline", "access", "engine_state", "preview")
"""Folders that take minutes: begun last, one of them would go on alone."""
LAST = "providers"
"""Its tests extend moto for their whole process, as the local cloud does; they are many and short."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _place(item.path.parent.name))


def _place(folder: str) -> int:
    if folder in LONGEST_FIRST:
        return LONGEST_FIRST.index(folder)
    return len(LONGEST_FIRST) + (folder == LAST)


class Scheduling(LoadFileScheduling):
    """A worker has a file at a time, or all of a folder that is shared."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePath(super()._split_scope(nodeid))
        return str(file.parent if file.parent.name == SHARED else file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def forked_programs() -> Iterator[None]:
    """For speed: a program's imports are most of what it takes."""
    with programs(FORKED):
        yield


@pytest.fixture
def started_programs() -> Iterator[None]:
    """For tests of the start itself, or of what is left of a process."""
    with programs(STARTED):
        yield
