"""kill -9 of the engine at many points of an `up`: the next run ends in the same state, nothing is left over or made twice."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from account import inventory

from benchmarks.service import ROOT, Service, release
from benchmarks.waiting import wait_for
from tests import prepared_program
from tests.e2e.prepared_service import prepared_service


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A cloud in which nothing is deployed."""
    with prepared_service(tmp_path_factory.mktemp("home"), pool={"minimum": 1}, traffic={"gate_timeout": "30s"}) as made:
        yield made


@pytest.fixture(scope="module")
def complete(fresh: Service) -> dict[str, int]:
    """What an update that nobody disturbs leaves in the account. It is taken down again."""
    empty = inventory(fresh)
    assert fresh.up().exit_code == 0, fresh.said()
    complete = inventory(fresh)
    assert fresh.destroy().exit_code == 0, fresh.said()
    wait_for("an empty account", lambda: inventory(fresh) == empty)
    return complete


def up_killed_at(service: Service, call: int, moment: str) -> int:
    """Exit status of an `up` in a process that kills itself right before, or after, its n-th call that changes something."""
    order = {
        "home": str(service.home),
        "endpoint": service.cloud.endpoint,
        "config": service.config,
        "program": str(service.program),
        "secrets": service.secrets,
        "call": call,
        "moment": moment,
    }
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as said:
        json.dump(order, given)
        given.seek(0)
        streams = given.fileno(), said.fileno(), said.fileno()
        code = prepared_program.parent().fork("tests.e2e.killed_up", (), streams, os.environ, ROOT).wait()
        said.seek(0)
        assert code in (0, -9), said.read()
    return code


def kills_until_done(service: Service, step: int) -> int:
    """Kills an update again and again, a few calls later each time; how often until it was through."""
    kills = 0
    while up_killed_at(service, step, ("before", "after")[kills % 2]):
        kills += 1
    return kills


def test_destroy_leaves_nothing(fresh: Service, complete: dict[str, int]) -> None:
    assert complete["Groups"] == 2
    assert inventory(fresh)["Groups"] == 0
    assert fresh.state().load().resources == []
    assert fresh.cloud.state()["instances"] == []


@pytest.mark.parametrize(
    ("step", "at_least", "later"),
    [pytest.param(18, 2, 5, id="some"), pytest.param(5, 7, 2, id="every", marks=pytest.mark.slow)],
)
@pytest.mark.timeout(300)
def test_an_update_that_is_killed_again_and_again_ends_in_the_same_state(
    fresh: Service, complete: dict[str, int], step: int, at_least: int, later: int
) -> None:
    """Killed at its call `step`, taken up again, killed at that call of what was left, and so on; `later`: the same of another
    release."""
    fresh.edit({"environments": {"green": {"release": release("2.0.0")}}, "traffic": {"active": "blue"}})
    wanted = fresh.preview().changes["create"]
    kills = kills_until_done(fresh, step)
    print(f"first update: {kills} kills")
    assert kills >= at_least
    assert fresh.up().changes == {"same": wanted}, fresh.changed()
    wait_for("the whole account", lambda: inventory(fresh) == complete)
    active, standby = fresh.active, fresh.standby
    servers = [(one["id"], one["pid"]) for one in fresh.instances(active)]
    fresh.edit({"environments": {standby: {"release": release("4.0.0-wrong")}}})
    kills = kills_until_done(fresh, later)
    print(f"new release: {kills} kills")
    assert kills >= 2
    assert fresh.up().changes == {"same": wanted}, fresh.changed()
    wait_for("the whole account", lambda: inventory(fresh) == complete)
    assert fresh.record().environments[standby].release == release("4.0.0-wrong")
    assert [(one["id"], one["pid"]) for one in fresh.instances(active)] == servers
    fresh.edit({"traffic": {"active": standby}})
    assert up_killed_at(fresh, 1, "before") == up_killed_at(fresh, 1, "after") == -9
    assert fresh.weights()[standby] == 100, "the load balancer had been told"
    assert fresh.up().exit_code == 0, fresh.said()
    assert list(fresh.up().changes) == ["same"]
    assert (fresh.active, fresh.record().claim, fresh.weights()[standby]) == (standby, None, 100)
    assert inventory(fresh) == {**complete, "ScheduledActions": 1}, "the end of the standby's retention"
    assert fresh.destroy().exit_code == 0, fresh.said()


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", [1, 5, 12, 20, 30, 42])
@pytest.mark.timeout(300)
def test_the_run_after_a_kill_completes_the_update(fresh: Service, complete: dict[str, int], call: int, moment: str) -> None:
    fresh.edit({"environments": {"green": {"release": release("2.0.0")}}, "traffic": {"active": "blue"}})
    wanted = fresh.preview().changes["create"]
    assert up_killed_at(fresh, call, moment) == -9
    assert fresh.up().exit_code == 0, fresh.said()
    assert inventory(fresh) == complete
    assert list(fresh.up().changes.items()) == [("same", wanted)], fresh.changed()
    assert fresh.destroy().exit_code == 0, fresh.said()
