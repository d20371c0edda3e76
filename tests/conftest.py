"""How the tests are divided among workers (`make test WORKERS=3`)."""

from pathlib import PurePosixPath

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ONE_WORKER = ("kubernetes",)
"""Folders whose tests share something that takes long to make, such as a control plane."""
LONGEST_FIRST = ("kubernetes", "e2e", "rollout", "pipeline", "cloud", "package", "node", "engine_state")
"""Folders that take minutes: begun last, one of them would go on alone."""


class Together(LoadScopeScheduling):
    """A file's tests go to one worker, for their fixtures, and so do those of some folders."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(nodeid.partition("::")[0])
        return file.parent.name if file.parent.name in ONE_WORKER else str(file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    return Together(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _place(item.path.parent.name))


def _place(folder: str) -> int:
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)
