"""Rollouts on the local cloud under load, with the real driver and the real gates; and drivers that are killed."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rollouts import CANARY, RATE, SHORT, SURE, deploy, deployed, exposure, roll_out, rollouts, story
from benchmarks.service import ROOT, Service
from benchmarks.waiting import wait_for
from tests.e2e.prepared_service import prepared_service
from tests.e2e.standbys import the_other, to_the_standby
from turnout.rollout.status import LEASE, State

MEDIAN = {"name": "latency", "kind": "latency", "percentile": 50, "margin": 2.0}
"""The model takes 2 ms: its slowest requests are those that waited for a processor that other tests share, the median is its
own. Of halves alone: a candidate with a tenth of the requests is slower for that (29 % over the threshold, the active 12 %)."""
BRIEF = {**SHORT, "bake": "4s", "observe": "4s", "gates": [*SURE, MEDIAN]}
SETTLED = int(4 * RATE)
"""Requests before a rollout: a gate refuses to begin without a window of them, a second that is read 1.5 later."""


@pytest.mark.timeout(200)
def test_a_good_one_is_promoted_and_a_bad_one_comes_back_under_load(target: Service) -> None:
    good = the_other(target)
    to_the_standby(target, good)
    with target.load(RATE / 2, slow_share=0.02) as load:
        load.await_requests(int(2 * RATE))  # what is measured before a rollout: thresholds come from it
        promoted = roll_out(target, BRIEF)
        assert promoted.status.state is State.PROMOTED, promoted.status.cause
        weights = target.weights()
        deploy(target, "3.0.0-bad")
        returned = roll_out(target, BRIEF)
    assert [shift.weight for shift in promoted.status.shifts] == [50, 100]
    assert weights == {promoted.status.candidate: 100, promoted.status.stable: 0}
    assert (returned.status.state, returned.cause in ("errors", "latency")) == (State.TAKEN_BACK, True), returned.status.cause
    assert target.weights() == weights
    assert set(load.lost) <= {"http_500"}, load.lost  # the bad release's own
    assert {version: load.result["releases"][version]["lost"] for version in ("1.0.0", "2.0.0")} == {"1.0.0": 0, "2.0.0": 0}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_good_one_is_promoted_and_the_bad_ones_come_back_under_load(tmp_path: Path) -> None:
    """The test above with three steps and their usual times, a release that only answers wrongly, and an update in between."""
    with deployed(tmp_path, prepared_service) as target:
        rows, load = story(target)
    ended = {row["release"]: (row["ended"], row["by"]) for row in rows}
    assert ended["2.0.0"][0] == "promoted"
    assert ended["up after it scaled"][0] == "nothing moved"
    assert ended["3.0.0-bad"][0] == "taken back"
    assert ended["3.0.0-bad"][1] in ("errors", "latency")
    assert ended["4.0.0-wrong"] == ("taken back", "quality")
    lost = {kind: count for kind, count in load.lost.items() if count}
    assert set(lost) <= {"http_500"}, lost  # the bad release's own
    assert load.result["releases"]["2.0.0"]["lost"] == 0
    assert load.result["releases"]["1.0.0"]["lost"] == 0


@pytest.mark.timeout(200)
def test_a_mirror_compares_what_users_never_see(target: Service) -> None:
    to_the_standby(target, the_other(target))
    before = target.weights()
    spec = {"strategy": "shadow", "steps": [{"mirror": 30, "for": "5s"}], "compare": {"fields": ["digit"]}, "gates": SURE}
    with target.load(200, slow_share=0.02) as load:
        load.await_requests(400)
        ended = roll_out(target, spec)
    assert ended.status.state is State.FINISHED, ended.status.cause
    compared = ended.status.compared
    assert compared.pairs > 200
    assert 0.8 < compared.same_answer / compared.answered < 1
    assert target.weights() == before
    serving = target.record().environments[target.active].release
    assert {version for version, found in load.result["releases"].items() if found["requests"]} == {
        str(serving).partition("@")[0].removeprefix("digits-")
    }
    assert not {kind for kind, count in load.lost.items() if count}


@pytest.mark.slow  # tests/rollout/test_rollout_kills.py kills a driver at its effects; the test below stops one that runs
@pytest.mark.timeout(300)
def test_a_driver_that_is_killed_again_and_again_is_followed_by_another(target: Service) -> None:
    """kill -9 of the process that drives; the next one waits for its lease to end only where it cannot know that it is dead."""
    to_the_standby(target, the_other(target))
    made = rollouts(target)
    spec = made.spec({**CANARY, "steps": [50, 100], "gates": SURE, "bake": "4s", "observe": "4s"})
    with target.load(RATE, slow_share=0.02) as load:
        load.await_requests(SETTLED)
        status = made.begin(made.prepare(spec))
        kills = 0
        while not made.store.read(status.id).state.is_over:
            driver = driven(target, status.id)
            try:
                driver.wait(timeout=1.5 + kills / 4)  # longer and longer: a slow machine gets there too
            except subprocess.TimeoutExpired:
                driver.send_signal(signal.SIGKILL)
                driver.wait()
                kills += 1
    ended = made.store.read(status.id)
    assert ended.state is State.PROMOTED, ended.cause
    assert kills >= 3
    assert [shift.weight for shift in ended.shifts] == [50, 100]
    assert target.weights() == {ended.candidate: 100, ended.stable: 0}
    assert not {kind for kind, count in load.lost.items() if count}


@pytest.mark.timeout(300)
def test_a_stopped_driver_is_followed_and_moves_nothing_when_it_wakes(target: Service) -> None:
    to_the_standby(target, the_other(target))
    made = rollouts(target)
    spec = made.spec({**CANARY, "steps": [50, 100], "gates": SURE, "bake": "60s", "extend": "60s"})
    with target.load(RATE, slow_share=0.02) as load:
        load.await_requests(SETTLED)
        status = made.begin(made.prepare(spec))
        sleeper = driven(target, status.id)
        wait_for("50 %", lambda: made.store.read(status.id).weight == 50)
        sleeper.send_signal(signal.SIGSTOP)
        tick = made.controller(spec, lambda line: None).tick(status.id)
        assert tick.driven_by is not None
        assert tick.driven_by.pid == sleeper.pid
        made.controller(spec, lambda line: None).abort(status.id, "its driver hangs")
        assert target.weights()[status.candidate] == 0
        sleeper.send_signal(signal.SIGCONT)
        assert sleeper.wait(timeout=LEASE.total_seconds()) == 5
    assert target.weights()[status.candidate] == 0
    assert target.record().rollout is None


@pytest.mark.slow  # tests/rollout/test_rollout_faults.py has it of a cloud that is acted out
@pytest.mark.timeout(200)
def test_a_driver_that_wakes_after_its_check_puts_its_stale_weight_right(target: Service) -> None:
    """A load balancer has no conditional write: what was written late stands until its writer sees that its lease is gone."""
    to_the_standby(target, the_other(target))
    before = target.weights()
    with target.load(RATE, slow_share=0.02) as load:
        load.await_requests(SETTLED)
        stood = exposure(target, {**CANARY, "steps": [50, 100], "gates": SURE, "bake": "60s", "extend": "60s"})
    print(f"a stale weight stood for {stood:.0f} ms")
    assert target.weights() == before
    assert target.record().rollout is None


@pytest.mark.timeout(200)
def test_a_release_that_burns_the_budget_is_taken_back_by_it_and_people_are_told(target: Service) -> None:
    """One request in twenty fails where one in a thousand may: the budget burns fifty times too fast."""
    to_the_standby(target, "3.0.0-bad")
    sns, sqs = target.api("sns"), target.api("sqs")
    topic = sns.create_topic(Name="rollouts")["TopicArn"]
    queue = sqs.create_queue(QueueName="on-call")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    gates = [{"name": "budget", "kind": "burn", "objective": 0.999}, {"name": "health", "kind": "health"}]
    with webhook() as (url, heard), target.load(RATE, slow_share=0.02) as load:
        load.await_requests(SETTLED)
        ended = roll_out(target, {**CANARY, "steps": [50, 100], "gates": gates, "alerts": {"topic": topic, "webhook": url}})
    status = ended.status
    assert (status.state, ended.cause) == (State.TAKEN_BACK, "budget"), status.cause
    assert target.weights() == {status.candidate: 0, status.stable: 100}
    assert status.releases[status.candidate].partition("@")[2] in target.record().unstable
    (judged,) = status.judgements
    assert 14.4 < judged.numbers["burn_now"] < 100
    assert judged.numbers["burn"] == pytest.approx(50, rel=0.5)

    (posted,) = heard
    assert posted["traffic"] == {status.stable: 100, status.candidate: 0}
    assert posted["why"] == status.cause
    assert [(one["gate"], one["verdict"], one["numbers"]["burn"]) for one in posted["gates"]] == [
        ("budget", "fail", judged.numbers["burn"])
    ]
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    told = json.loads(message["Body"])
    assert told["Subject"] == f"digits/local: traffic goes back to {status.stable}"
    assert "gate budget: fail" in told["Message"]
    assert {kind for kind, count in load.lost.items() if count} == {"http_500"}


@contextmanager
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address that is told of alerts, and what it was told."""
    heard: list[dict[str, Any]] = []

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def driven(target: Service, rollout: str) -> "subprocess.Popen[bytes]":
    environ = {**os.environ, "TURNOUT_LOCAL_ENDPOINT": target.cloud.endpoint, "TURNOUT_HOME": str(target.home)}
    command = [sys.executable, "-m", "turnout", "rollout", "run", rollout]
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
