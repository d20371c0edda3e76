"""How tests run beside each other (tests/lanes.py), and how they start programs."""

import functools
import gc
import os
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from botocore.loaders import JSONFileLoader

from tests import lanes
from tests.prepared_program import FORKED, STARTED, programs
from turnout.engine import crypto

os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"  # 1,300 images that no test asks for, made at each new account

gc.disable()  # all that collecting the tests makes stays: looking through it again and again takes a quarter of the time


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: lanes.place(item.path.parent.name))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> lanes.Scheduling:
    return lanes.Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.nice(max(0, lanes.LANES.get(item.path.parent.name, 0) - os.nice(0)))


@pytest.fixture(scope="session", autouse=True)
def forked_programs() -> Iterator[None]:
    """For speed: a program's imports are most of what it takes."""
    with programs(FORKED):
        yield


@pytest.fixture(scope="session", autouse=True)
def one_salt() -> Iterator[None]:
    """For speed: all stacks of a process with one passphrase have one key, which takes a third of a second to derive."""
    with patch.object(crypto, "new_salt", lambda: b"of tests"):
        yield


@pytest.fixture(scope="session", autouse=True)
def one_reading() -> Iterator[None]:
    """For speed: a process reads the description of a service of AWS once, not once a session of boto's."""
    read = functools.cache(JSONFileLoader().load_file)
    with patch.object(JSONFileLoader, "load_file", lambda _, path: read(path)):
        yield


@pytest.fixture
def started_programs() -> Iterator[None]:
    """For tests of the start itself, or of what is left of a process."""
    with programs(STARTED):
        yield
