"""Rollouts judged by what a real Prometheus has scraped of the servers, under load; and a Prometheus that goes away."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.prometheus import GATES, Prometheus, beside, is_installed
from benchmarks.rollouts import LOOK, roll_out, rollouts
from benchmarks.service import Service
from examples.digits.server import BUCKETS
from tests.e2e.standbys import the_other, to_the_standby
from turnout.analysis.measurement import Count, Side
from turnout.rollout.status import RolloutStatus, State

pytestmark = pytest.mark.skipif(not is_installed(), reason="install prometheus")

RATE = 300.0
BEFORE = int(4 * RATE)
"""Requests before a rollout, from which the latency's threshold is frozen."""
SPEC: dict[str, Any] = {"steps": [50, 100], "bake": "2s", "observe": "2s", "extend": "60s", "gates": GATES}


@pytest.fixture(scope="module")
def server(target: Service) -> Iterator[Prometheus]:
    with beside(target) as made:
        yield made


def bad_of(status: RolloutStatus, side: Side) -> tuple[int, int]:
    """What the errors gate was given in the whole rollout: failed, of all."""
    samples = [window.samples.get("errors", {}).get(side, Count(0, 0)) for window in status.windows]
    counts = [sample for sample in samples if isinstance(sample, Count)]
    return sum(count.bad for count in counts), sum(count.total for count in counts)


@pytest.mark.slow  # tests/rollout/test_rollout_story.py has a source that is silent
@pytest.mark.timeout(120)
def test_a_rollout_whose_prometheus_hangs_goes_back_and_calls_nobody_bad(target: Service, server: Prometheus) -> None:
    to_the_standby(target, the_other(target))
    made = rollouts(target)
    spec = made.spec({**SPEC, "extend": "2s", "metrics": server.source})
    with target.load(RATE, slow_share=0.02) as load:
        load.await_requests(BEFORE)
        controller = made.controller(spec, lambda line: None)
        status = made.begin(made.prepare(spec))
        while (status := controller.tick(status.id).status).weight != 50:
            time.sleep(LOOK)
        longest = 0.0
        with server.stopped():
            while not status.state.is_over:
                began = time.monotonic()
                status = controller.tick(status.id).status
                longest = max(longest, time.monotonic() - began)
    assert status.state is State.TAKEN_BACK
    assert status.cause.startswith("inconclusive: ")
    assert "does not answer" in status.cause
    assert not status.unstable
    assert target.weights() == {status.candidate: 0, status.stable: 100}
    assert longest < 10, "health is not looked at meanwhile, and the lease runs out"


@pytest.mark.slow  # tests/rollout/test_rollout_story.py has a source that is silent
@pytest.mark.timeout(120)
def test_nothing_is_promoted_while_prometheus_is_away_and_a_good_one_when_it_is_back(
    target: Service, server: Prometheus
) -> None:
    to_the_standby(target, the_other(target))
    made = rollouts(target)
    spec = made.spec({**SPEC, "metrics": server.source})
    with target.load(RATE, slow_share=0.02) as load:
        load.await_requests(BEFORE)
        controller = made.controller(spec, lambda line: None)
        status = made.begin(made.prepare(spec))
        while (status := controller.tick(status.id).status).weight != 50:
            time.sleep(LOOK)
        server.kill()
        gone = time.time()
        while time.time() < gone + 4:  # twice the bake
            tick = controller.tick(status.id)
            assert (tick.status.state, tick.status.weight) == (State.RUNNING, 50), tick.status.cause
        assert "does not answer" in tick.waits
        server.start()
        back = time.time()
        while not (tick := controller.tick(status.id)).is_done:
            time.sleep(LOOK)
    ended = tick.status
    assert ended.state is State.PROMOTED, ended.cause
    assert target.weights() == {ended.candidate: 100, ended.stable: 0}
    unseen = [window for window in ended.windows if gone + 1 < window.start.timestamp() and window.end.timestamp() < back]
    assert len(unseen) >= 2
    assert not any(window.samples or window.requests for window in unseen)
    assert [each.what for each in ended.events if each.at.timestamp() < back][-1] == f"{ended.candidate} has 50 % of requests"
    assert not {kind for kind, count in load.lost.items() if count}


@pytest.mark.timeout(120)
def test_a_bad_release_is_taken_back_by_what_prometheus_has_counted(target: Service, server: Prometheus) -> None:
    to_the_standby(target, "3.0.0-bad")
    with target.load(RATE, slow_share=0.02) as load:
        load.await_requests(BEFORE)
        ended = roll_out(target, {**SPEC, "metrics": server.source})
    status = ended.status
    assert status.state is State.TAKEN_BACK
    assert ended.cause in ("errors", "latency")
    assert target.weights() == {status.candidate: 0, status.stable: 100}
    assert status.releases[status.candidate].partition("@")[2] in target.record().unstable
    failed, of = bad_of(status, Side.CANDIDATE)
    assert 0 < failed <= load.lost["http_500"]
    assert of <= load.result["releases"]["3.0.0-bad"]["requests"]
    assert bad_of(status, Side.ACTIVE)[0] == 0
    judged = {each.gate: each.numbers for each in status.judgements}
    assert judged["latency"]["candidate"] > 0.9  # 60 ms more each
    assert judged["latency"]["active"] < 0.2
    bounds = {bound for window in status.windows for bound in window.shown.get("latency bound", {}).values()}
    assert len(bounds) == 1
    assert bounds <= set(BUCKETS)
    assert max(bounds) <= status.thresholds["latency"]
