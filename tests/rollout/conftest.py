"""Worlds of rollouts by router: a module that names ROUTERS is run with each; where it says ONE_BY_DEFAULT with the first, and
with the others when slow: test_rollout_story, test_rollout_faults and the kills meet every router by default."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "switch"))

import rollout_world

ONLY = {"one_by_one": ("listener",), "on_a_route": ("gateway",)}
"""The routers of a test that uses such a fixture."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen = getattr(metafunc.module, "ROUTERS", ())
    for name, alone in ONLY.items():
        chosen = alone if name in metafunc.fixturenames else chosen
    if chosen and getattr(metafunc.module, "ONE_BY_DEFAULT", False):
        chosen = (chosen[0], *(pytest.param(each, marks=pytest.mark.slow) for each in chosen[1:]))
    if chosen:
        metafunc.parametrize("router", chosen, indirect=True)


@pytest.fixture(autouse=True)
def router(request: pytest.FixtureRequest) -> Iterator[str]:
    """What divides the requests of the worlds that the test makes."""
    chosen: str = getattr(request, "param", "listener")
    token = rollout_world.router.set(chosen)
    yield chosen
    rollout_world.router.reset(token)


@pytest.fixture(autouse=True)
def _no_naps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries that are repeated follow each other at once."""
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def one_by_one() -> None:
    """Of a test of a load balancer alone: there rules are made by a call each, on a route by one write."""


@pytest.fixture
def on_a_route() -> None:
    """Of a test of a route alone: its Gateway may not take what is written."""
