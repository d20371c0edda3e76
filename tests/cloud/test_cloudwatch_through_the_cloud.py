"""What CloudWatch says of both sides of a running service is what a load generator sent and saw."""

import math
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cloud_account import DIGESTS, Account, get, running_cloud
from turnout_components.rollout_spec import Gate, GateKind

from benchmarks.waiting import wait_for
from tests.cloud import prepared_cloud
from turnout.analysis.measurement import Count, Side
from turnout.metrics.cloudwatch import CloudWatchMetrics
from turnout.metrics.provider import Place, Span

SPEED = 60.0
PERIOD = timedelta(seconds=60 / SPEED)
SHORT, LONG, THRESHOLD = 0.01, 0.15, 0.08
"""Seconds that a request takes, and the cut between them."""
SIDES = {"blue": Side.ACTIVE, "green": Side.CANDIDATE}
GATES = [Gate(name="errors", kind=GateKind.ERRORS), Gate(name="latency", kind=GateKind.LATENCY)]
LAST = 10
"""Requests of a load that are short and good."""


class Seen:
    """What the clients saw, by environment: statuses and seconds; and how many long requests they sent."""

    def __init__(self) -> None:
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.seconds: dict[str, list[float]] = {"blue": [], "green": []}
        self.long: Counter[str] = Counter()


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with running_cloud(tmp_path, SPEED, prepared_cloud.start) as cloud:
        account = Account(cloud)
        account.build()
        yield account


def test_cloudwatch_counts_what_was_sent(account: Account) -> None:
    listener = account.listen(blue=70, green=30)
    for name in SIDES:
        account.launch(name, 1)
    for name in SIDES:
        account.await_states(name, "healthy")
    url = account.url(listener)
    began = datetime.now(UTC)
    seen = Seen()
    load(url, seen, requests=300)
    (green,) = (item for item in account.cloud.state()["instances"] if item["environment"] == "green")
    os.kill(green["pid"], signal.SIGKILL)
    wait_for("the end of the server", lambda: account.instance(green["id"])["phase"] == "dead")
    load(url, seen, requests=60)
    refused = seen.statuses["", 502]
    assert refused > 0

    metrics = CloudWatchMetrics(account.api("cloudwatch"), PERIOD, PERIOD)
    places = {side: place(account, name, listener) for name, side in SIDES.items()}
    sent = sum(seen.statuses.values())
    readings = wait_for("every request", lambda: measured(metrics, places, began, sent))
    for name, side in SIDES.items():
        errors, slow = (total(readings, side, gate.name) for gate in GATES)
        answered = sum(count for (environment, _), count in seen.statuses.items() if environment == name)
        lost = refused if name == "green" else 0
        assert errors.bad == seen.statuses[name, 500] + lost
        assert (errors.total, slow.total) == (answered + lost, answered)
        assert seen.long[name] <= slow.bad <= sum(seconds > THRESHOLD for seconds in seen.seconds[name])
        percentile = metrics.percentile(GATES[1], places[side], began, datetime.now(UTC))
        assert percentile is not None
        slowest = max(seen.seconds[name])
        assert LONG <= percentile <= slowest * 1.1  # a bin of two digits is at most a tenth wide
    assert metrics.missing(GATES, places, began, datetime.now(UTC)) == []


def load(url: str, seen: Seen, requests: int) -> None:
    """Short and long requests, a tenth of which fail; a status without an answer of a server is of environment ''. The last
    ones are short and good: a request is counted when it is sent and its failure when it ends, and a period with failures
    alone tells nothing."""
    chance = random.Random(5)
    environments = {digest: name for name, digest in DIGESTS.items()}
    plan = [(chance.random() < 0.3, chance.random() < 0.1) for _ in range(requests)]

    def ask(long: bool, fails: bool) -> None:
        headers = {"x-hold": str(LONG if long else SHORT), "x-status": "500" if fails else "200"}
        began = time.monotonic()
        status, body, _ = get(url, headers=headers)
        name = next((name for digest, name in environments.items() if digest.encode() in body), "")
        seen.statuses[name, status] += 1
        if name:
            seen.seconds[name].append(time.monotonic() - began)
            seen.long[name] += long

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(ask, *item) for item in plan]:
            each.result()
    for _ in range(LAST):
        ask(False, False)


def place(account: Account, name: str, listener: str) -> Place:
    return Place("tiny", name, name, f"tiny-{name}", account.groups[name], listener)


def measured(
    metrics: CloudWatchMetrics, places: dict[Side, Place], began: datetime, sent: int
) -> list[dict[Side, dict[str, Count]]] | None:
    """All samples since then, once as many requests are counted as were sent, and none in the last two periods: a machine
    that stalls publishes late."""
    first = math.floor(began.timestamp())
    spans = [
        Span(datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(at, UTC) + PERIOD)
        for at in range(first, math.floor(time.time()))
    ]
    found = metrics.read(GATES, {"latency": THRESHOLD}, places, spans)
    if len(found) < 3 or any(reading for reading in found[-2:]):
        return None
    readings = [{side: dict(reading.samples) for side, reading in each.items()} for each in found]
    counted = sum(total(readings, side, "errors").total for side in Side)  # type: ignore[arg-type]
    return readings if counted >= sent else None  # type: ignore[return-value]


def total(readings: list[dict[Side, dict[str, Count]]], side: Side, gate: str) -> Count:
    counts = [each[side][gate] for each in readings if gate in each.get(side, {})]
    return Count(sum(count.bad for count in counts), sum(count.total for count in counts))
