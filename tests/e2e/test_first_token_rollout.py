"""A language model whose first token comes late is taken back by the gate of the first token, while errors and the time of
whole answers do not show it: what users of a stream feel is no load balancer's number."""

import asyncio
import itertools
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from benchmarks.prometheus import Prometheus, beside, is_installed
from benchmarks.rollouts import roll_out
from benchmarks.service import Service, service
from benchmarks.waiting import wait_for
from examples.llm.load.asks import Ask
from examples.llm.load.generator import Users
from examples.llm.releases import manifests
from examples.manifests import release_ids
from turnout.analysis.measurement import Verdict
from turnout.rollout.status import State

pytestmark = pytest.mark.skipif(not is_installed(), reason="install prometheus")

SPEED = 12.0
"""A period of a minute lasts five seconds."""
SLOW = "smol-3.0.0-bad"
"""Its guidelines are read behind each question, before the first token. (It refuses questions of more than 40 characters: here
nobody asks one.)"""
USERS, TOKENS = 2, 30
"""As many as one server answers at a time: nobody waits in a queue, whose time would be in the first token's."""
BEFORE = 12
"""Streams before the rollout, from which the thresholds are frozen."""


def times(name: str) -> dict[str, str]:
    """The histogram of the servers' own page, of one side."""
    return {"histogram": f'turnout_{name}_seconds_bucket{{group="$group"}}'}


REQUESTS = {
    "total": 'turnout_requests_total{group="$group"}',
    "bad": 'turnout_requests_total{group="$group",status=~"5.."}',
}
SAMPLES = {"percentile": 75, "margin": 1.7, "minimum": 8}
"""For a few requests a second. The margin is above the widest step between two bounds of the servers' histograms."""
GATES: list[dict[str, Any]] = [
    {"name": "errors", "kind": "errors", "objective": 0.9, "minimum": 8, "metric": REQUESTS},
    {"name": "latency", "kind": "latency", **SAMPLES, "margin": 2.5, "metric": times("request_duration")},
    {"name": "ttft", "kind": "latency", **SAMPLES, "metric": times("time_to_first_token")},
    {"name": "tpot", "kind": "latency", **SAMPLES, "critical": False, "metric": times("time_per_output_token")},
    {"name": "health", "kind": "health"},
]


@pytest.fixture(scope="module")
def smol(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The language model's stack with 1.0.0 in blue and the slow release in green, a server each."""
    green = {"green": {"release": release_ids(manifests())[SLOW]}}
    with service(tmp_path_factory.mktemp("home"), speed=SPEED, stack="llm", environments=green) as made:
        assert made.up().exit_code == 0, made.said()
        for environment in ("blue", "green"):
            wait_for(f"health of {environment}", lambda: set(made.targets(environment)) == {"healthy"})  # noqa: B023
        yield made


@pytest.fixture(scope="module")
def server(smol: Service) -> Iterator[Prometheus]:
    with beside(smol, scrapes="500ms") as made:
        yield made


@contextmanager
def users(url: str) -> Iterator[Users]:
    """Users who ask for one story after another while the block runs: no question twice, which a server would remember."""
    asks = (Ask(f"Tell me story {number} of a dragon.", (), TOKENS, True) for number in itertools.count())
    made, loop = Users(url, asks, USERS), asyncio.new_event_loop()
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(loop.run_until_complete, made.run())
        try:
            yield made
        finally:
            loop.call_soon_threadsafe(made.stop, "the test")
            running.result(60)
            loop.close()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_late_first_token_takes_the_release_back_though_nothing_fails(smol: Service, server: Prometheus) -> None:
    spec = {"steps": [50, 100], "bake": "150s", "extend": "120s", "gates": GATES, "metrics": server.source}
    with users(smol.url) as asked:
        wait_for("streams", lambda: len(asked.streams) >= BEFORE)
        ended = roll_out(smol, spec)
    status = ended.status
    said = [status.cause, *(each.said for each in status.judgements)]
    assert (status.state, ended.cause) == (State.TAKEN_BACK, "ttft"), said
    assert smol.weights() == {status.candidate: 0, status.stable: 100}
    judged = {each.gate: each for each in status.judgements}
    assert judged["ttft"].verdict is Verdict.FAIL
    assert judged["ttft"].numbers["candidate"] > 2 * judged["ttft"].numbers["active"]
    assert [judged[name].verdict for name in ("errors", "latency", "tpot") if judged[name].verdict is Verdict.FAIL] == []
    assert judged["errors"].numbers["candidate_bad"] == 0
    assert judged["tpot"].numbers["candidate_total"] >= 8
    late = [one.ttft for one in asked.streams if one.version == "3.0.0-bad" and one.ttft is not None]
    assert statistics.median(late) > status.thresholds["ttft"]  # as users saw it
    assert [one.lost for one in asked.streams if one.lost] == []
