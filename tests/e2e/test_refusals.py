"""What the switch refuses: nothing moves, users notice nothing, and the reason is told."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from turnout_components.rollback import rollback
from turnout_components.switch_record import Operator

from benchmarks.service import LISTENER, ROOT, Service
from benchmarks.waiting import wait_for
from tests.prepared_program import STARTED, programs
from turnout.engine.lock import StackLocked

RATE = 300
BRIEF = {"traffic": {"gate_timeout": "2s"}}


def kill(instance: dict[str, Any]) -> None:
    """The server ends at once; its machine goes on, as EC2 sees it."""
    os.kill(instance["pid"], signal.SIGKILL)


def replace_machines(service: Service, environment: str) -> None:
    """New machines for an environment; returns when they are healthy."""
    for instance in service.instances(environment):
        service.api("ec2").terminate_instances(InstanceIds=[instance["id"]])
    wait_for(f"new machines in {environment}", lambda: service.targets(environment) == ["healthy"])


@contextmanager
def revived_as(instance: dict[str, Any], other: dict[str, Any]) -> Iterator[None]:
    """In place of the instance's server runs what the other instance runs: same command, same release."""
    theirs = psutil.Process(other["pid"])
    command, environment = theirs.cmdline(), theirs.environ()
    own = psutil.Process(instance["pid"]).environ()
    kill(instance)
    process = subprocess.Popen(command, cwd=ROOT, env=environment | {name: own[name] for name in ("PORT", "INSTANCE_ID")})
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_a_flip_to_servers_that_were_killed_is_refused(running: Service) -> None:
    active, standby = running.active, running.standby
    before, record = running.weights(), running.record()
    with running.load(RATE) as load:
        for instance in running.instances(standby):
            kill(instance)
        wait_for("the health check's verdict", lambda: running.targets(standby) == ["unhealthy"])
        result = running.up(BRIEF | {"traffic": {**BRIEF["traffic"], "active": standby}})
    assert result.exit_code == 3, running.said()
    assert "switch: not ready after 2 s, so the weights stay" in running.said()
    assert f"{standby}: 0 of 1 healthy targets" in running.said()
    assert running.weights() == before
    assert running.record().traffic == record.traffic
    assert running.record().claim is None
    assert load.lost == {}
    running.edit({"traffic": {"active": active}})
    replace_machines(running, standby)


def test_a_flip_to_servers_that_run_the_other_release_is_refused(running: Service) -> None:
    active, standby = running.active, running.standby
    before = running.weights()
    (candidate,), (serving, *_) = running.instances(standby), running.instances(active)
    with running.load(RATE) as load, revived_as(candidate, serving):

        def mismatched() -> bool:
            targets = running.live.targets(running.record().environments[standby].target_group)
            return [target.reason for target in targets] == ["Target.ResponseCodeMismatch"]

        wait_for("an answer of the wrong release", mismatched)
        result = running.up(BRIEF | {"traffic": {**BRIEF["traffic"], "active": standby}})
    assert result.exit_code == 3, running.said()
    assert "Target.ResponseCodeMismatch" in running.said()
    assert running.weights() == before
    assert load.lost == {}
    assert list(load.result["digests"]) == list(load.result["releases"]) != []
    running.edit({"traffic": {"active": active}})
    replace_machines(running, standby)


def move_past_config(service: Service, **weights: int) -> None:
    """What a promotion, or a hand at the console, does: the load balancer has other weights than config says."""
    groups = {name: state.target_group for name, state in service.record().environments.items()}
    service.live.set_weights(str(service.record().listener), {groups[name]: weight for name, weight in weights.items()})


def test_an_update_from_an_old_commit_moves_nothing_after_a_promotion(running: Service) -> None:
    old, promoted = running.active, running.standby
    move_past_config(running, **{old: 0, promoted: 100})
    result = running.up()
    assert result.exit_code == 0, running.said()
    assert [operation for operation, _, _ in running.changed()] == ["refresh"]
    assert running.weights() == {old: 0, promoted: 100}
    assert f"Commit: turnout:traffic.active: {promoted}" in running.said()
    assert (running.active, running.record().history[-1].kind) == (promoted, "settle")


def test_config_and_record_that_both_changed_stop_the_update(running: Service) -> None:
    old, promoted = running.active, running.standby
    assert running.up().exit_code == 0
    move_past_config(running, **{old: 0, promoted: 100})
    result = running.up({"traffic": {"weights": {old: 50, promoted: 50}}})
    assert result.exit_code == 3
    assert "config and record have both changed since they last agreed" in running.said()
    assert running.weights() == {old: 0, promoted: 100}
    assert [operation for operation, _, _ in running.changed() if operation != "refresh"] == []
    assert running.up({"traffic": {"active": promoted, "weights": None}}).exit_code == 0, "what the message advises"
    assert (running.active, running.weights()) == (promoted, {old: 0, promoted: 100})


class Moving:
    """An `up` in a thread, which waits at the gate for servers that do not come."""

    def __init__(self, service: Service) -> None:
        self.result: Any = None
        waiting = threading.Event()

        def hear(event: dict[str, Any]) -> None:
            if "waiting: " in event.get("diagnosticEvent", {}).get("message", ""):
                waiting.set()

        def run() -> None:
            self.result = service.up({"traffic": {"active": service.standby, "gate_timeout": "60s"}})

        service.hear = hear
        self._thread = threading.Thread(target=run)
        self._thread.start()
        assert waiting.wait(60), service.said()

    def end(self) -> Any:
        self._thread.join(90)
        return self.result


@pytest.fixture
def stuck(running: Service) -> Iterator[Moving]:
    """A move under way that waits for the standby's servers, which were killed."""
    standby = running.standby
    for instance in running.instances(standby):
        kill(instance)
    wait_for("the health check's verdict", lambda: running.targets(standby) == ["unhealthy"])
    moving = Moving(running)
    yield moving
    running.hear = lambda event: None
    if running.targets(standby) != ["healthy"]:
        replace_machines(running, standby)
    moving.end()


def test_a_second_operator_is_told_who_moves(running: Service, stuck: Moving, tmp_path: Path) -> None:
    active, standby, weights = running.active, running.standby, running.weights()
    with pytest.raises(StackLocked, match=f"currently locked by .* \\(pid {os.getpid()}\\)"):
        Service(running.home, running.cloud, running.config).up()
    second = running.elsewhere(tmp_path)
    assert second.up({"traffic": {"active": standby}}).exit_code == 3
    claim = running.record().claim
    assert claim is not None
    assert f"switch: {claim.by} is moving traffic: {active} 100 / {standby} 0 → {standby} 100 / {active} 0" in second.said()
    assert second.preview().exit_code == 3, "a preview tells it too"
    assert running.weights() == weights
    with running.load(RATE) as load:
        replace_machines(running, standby)
        result = stuck.end()
    assert (result.exit_code, running.active) == (0, standby), running.said()
    assert load.lost == {}


def test_a_rollback_calls_a_move_off(running: Service, stuck: Moving) -> None:
    weights, standby = running.weights(), running.standby
    done = rollback(running.records, running.live, operator=Operator.current(), reason="not today")
    assert stuck.end().exit_code == 3
    assert "switch: the move was called off; traffic stays at" in running.said()
    assert running.weights() == weights
    assert done.unstable == running.record().environments[standby].release
    running.records.update(lambda record: record.accepted(str(done.unstable), record.history[-1].at, "test"))


def test_a_program_that_is_killed_before_it_records_its_move_is_settled_by_the_next(running: Service) -> None:
    after = running.standby

    def kill_program(moment: str, operation: str, token: str) -> None:
        if (moment, operation, token) == ("after", "update", LISTENER):
            for child in psutil.Process().children(recursive=True):
                if child.cmdline()[1:] == ["-m", "turnout.engine.launch"]:
                    child.kill()

    with running.load(RATE) as load:
        with programs(STARTED):
            result = running.up({"traffic": {"active": after}}, tell=kill_program)
        assert result.exit_code == 1
        assert running.weights()[after] == 100
        record = running.record()
        assert record.claim is not None
        assert record.traffic is not None
        assert record.traffic.active != after, "the record does not know yet"
        generation = record.generation
        result = running.up()
    assert result.exit_code == 0, running.said()
    assert list(result.changes) == ["same"], running.changed()
    record = running.record()
    assert (record.claim, running.active, running.weights()[after]) == (None, after, 100)
    assert record.generation > generation
    assert [entry.kind for entry in record.history[-2:]] == ["flip", "settle"]
    assert load.lost == {}
