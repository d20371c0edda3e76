"""Traffic moves and nobody notices: flips and rollbacks under load, and what an update must leave alone."""

import time

import pytest
from turnout_components.rollback import rollback
from turnout_components.switch_record import Operator

from benchmarks.service import Service, release
from benchmarks.waiting import wait_for

RATE = 300
BY_UP = 2


def identities(service: Service, environment: str) -> set[tuple[str, int]]:
    """Which instances an environment has, and which processes run on them."""
    return {(one["id"], one["pid"]) for one in service.instances(environment)}


def test_an_update_without_a_change_changes_nothing(deployed: Service) -> None:
    """Right after the first one, too: what was made is found as it was asked for."""
    result = deployed.up()
    print(f"no-op up, refresh included: {result.seconds:.2f} s")
    assert (result.exit_code, list(result.changes)) == (0, ["same"]), deployed.events
    assert result.outputs["weights"] == {"blue": 100, "green": 0}


@pytest.mark.parametrize("flips", [pytest.param(8, id="some"), pytest.param(20, id="twenty", marks=pytest.mark.slow)])
async def test_flips_in_a_row_lose_no_request(running: Service, flips: int) -> None:
    """Two by `up`, the others through the same gate and the same API call; benchmarks/flip.py does all by `up`."""
    with running.load(RATE) as load:
        for _ in range(BY_UP):
            result = running.up({"traffic": {"active": running.standby}})
            print(f"flip by up: {result.seconds:.1f} s, {result.changes}")
            assert (result.exit_code, result.changes["update"]) == (0, 1), running.said()
        for _ in range(flips - BY_UP):
            await running.flip(running.standby)
    print(f"{load.result['requests_sent']} requests: {load.result['releases']}")
    assert load.lost == {}
    assert load.result["phases"]["load"]["rate"] >= RATE * 0.99
    assert load.result["phases"]["load"]["slow"]["answers"] > 0
    assert set(load.result["releases"]) == {"1.0.0", "2.0.0"}
    assert [entry.kind for entry in running.record().history[-flips:]] == ["flip"] * flips


def test_a_rollback_loses_no_request_and_marks_the_release_that_was_left(running: Service) -> None:
    before, after = running.active, running.standby
    assert running.up({"traffic": {"active": after}}).exit_code == 0, running.said()
    with running.load(RATE) as load:
        done = rollback(running.records, running.live, operator=Operator.current())
        returned = time.time()
    left = {"blue": "1.0.0", "green": "2.0.0"}[after]
    late = load.sent_at(left)[-1] - load.at(returned)
    print(f"rollback: {done.seconds:.3f} s to the API's answer; last request to {left} {late * 1000:.0f} ms after the return")
    assert late < 0
    assert load.lost == {}
    assert running.weights() == {before: 100, after: 0}
    assert done.unstable == running.config["environments"][after]["release"]
    assert running.up().exit_code == 0
    assert [operation for operation, _, _ in running.changed()] == ["refresh"], "config is as before: the record wins"
    assert running.weights() == {before: 100, after: 0}
    assert f"Commit: turnout:traffic.active: {before}" in running.said()
    again = running.up({"traffic": {"active": before}})
    assert again.exit_code == 0
    assert running.up({"traffic": {"active": after}}).exit_code == 3
    assert "marked unstable" in running.said()
    running.records.update(lambda record: record.accepted(str(done.unstable), record.history[-1].at, "test"))


def test_a_release_change_replaces_the_standbys_group_alone(running: Service) -> None:
    active, standby = running.active, running.standby
    kept, gone = identities(running, active), identities(running, standby)
    new = release("4.0.0-wrong")
    with running.load(RATE) as load:
        result = running.up(
            {
                "environments": {standby: {"release": new}},
                "traffic": {"standby": {"discard": running.record().environments[standby].release}},
            }
        )
    assert (result.exit_code, result.changes["replace"]) == (0, 1), running.said()
    assert load.lost == {}
    assert identities(running, active) == kept
    assert not identities(running, standby) & gone
    wait_for("the new release", lambda: running.targets(standby) == ["healthy"])
    assert [one["release"] for one in running.instances(standby)] == [new]
    assert running.record().environments[standby].release == new
    assert running.record().history[-1].kind == "deploy"
