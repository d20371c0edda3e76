"""Stacks on a temporary folder, with a cipher whose key is derived once for the whole run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from turnout.engine.crypto import Secrets
from turnout.engine.store import StackStore

PLANTED = "pl4nted-s3cret-value"


@pytest.fixture(scope="session")
def secrets() -> Secrets:
    manager = Secrets("", lambda: ["correct horse"])
    manager.encrypt("derive the key")
    return manager


@pytest.fixture
def make_store(tmp_path: Path, secrets: Secrets) -> Callable[[], StackStore]:
    def make() -> StackStore:
        return StackStore(tmp_path, "shop", "dev", secrets)

    return make


@pytest.fixture
def store(make_store: Callable[[], StackStore]) -> StackStore:
    made = make_store()
    made.create()
    return made
