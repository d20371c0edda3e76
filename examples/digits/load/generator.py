"""The open loop: sends what the plan says when it says so, and writes down what became of each request."""

import asyncio
import json
import math
import time
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from examples.digits.load.client import Exchange, Pool
from examples.digits.load.cookies import Jar
from examples.digits.load.schedule import Ask, Plan
from examples.loading.record import FAST, LOST, RIGHT, WRONG, Record, percentiles_ms, result, warm_up

FIRST_PHASE = "load"
WINDOW_SECONDS = 1.0
_EXPIRY_SECONDS = 0.05


class Sent(NamedTuple):
    """What is remembered of a request under way: its place in the plan, how late it was sent, its phase."""

    ask: Ask
    lag: float
    phase: int


class Answer(NamedTuple):
    """What an answer says, as far as it can be read, and the kind of loss that it is."""

    digit: int | None = None
    version: str | None = None
    release: str | None = None
    lost: str | None = None


class Generator:
    """One run of a plan against one address; `path` and `host` go into each request. `judged` gets the release's digest and the
    score (1 right, 0 wrong) of each answer."""

    def __init__(
        self,
        pool: Pool,
        plan: Plan,
        host: str,
        path: str,
        images: Sequence[Sequence[int]],
        labels: Sequence[int],
        judged: Callable[[str, float], None] | None = None,
    ) -> None:
        self._judged = judged
        self._pool, self._plan, self._labels = pool, plan, labels
        self._asks = plan.asks(len(images))
        self._bodies = [json.dumps({"image": list(image)}, separators=(",", ":")).encode() for image in images]
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        self._heads = {
            (slow, new): (head + "x-slow: 1\r\n" * slow + "Connection: close\r\n" * new + "Content-Length: ").encode()
            for slow in (False, True)
            for new in (False, True)
        }
        self.record = Record()
        self.clients = array("h")
        """Beside the record's rows: which of the clients that keep cookies sent the request, or -1."""
        self._jars = [Jar() for _ in range(plan.sticky_clients)]
        self._phase = self.record.phases.number(FIRST_PHASE)
        self._spans: defaultdict[str, float] = defaultdict(float)
        self._stop = asyncio.Event()
        self.stopped_by = "plan"
        self.started_at = 0.0
        self._begin = self._phase_begin = 0.0
        self._ticks: deque[tuple[float, int, int]] = deque()

    def mark(self, name: str) -> None:
        """Requests sent from now on belong to phase `name`."""
        self._close_phase()
        self._phase = self.record.phases.number(name)

    def stop(self, reason: str) -> None:
        """Send nothing more; what is in flight is waited for. A second time: do not wait."""
        if self._stop.is_set():
            self._pool.abandon()
        else:
            self.stopped_by = reason
            self._stop.set()

    async def run(self) -> None:
        """Send the plan; returns when the last answer is in or lost."""
        warm_up()
        self.started_at, self._begin = time.time(), time.perf_counter()
        self._phase_begin = self._begin
        expiry = asyncio.create_task(self._expire())
        for ask in self._asks:
            await self._until(ask.at)
            if self._stop.is_set():
                break
            self._send(ask)
        self._close_phase()
        while self._pool.in_flight:
            await asyncio.sleep(0.01)
        expiry.cancel()
        self._pool.close()

    def result(self) -> dict[str, Any]:
        """The result document (see README.md beside the models)."""
        return result(
            self.record,
            self.started_at,
            self._spans,
            stopped_by=self.stopped_by,
            rate=self._plan.rate,
            slow_share=self._plan.slow_share,
            new_connection_share=self._plan.new_connection_share,
            poisson=self._plan.poisson,
            seed=self._plan.seed,
            sticky_share=self._plan.sticky_share,
            sticky_clients=self._plan.sticky_clients,
            connections_opened=self._pool.opened,
        )

    def progress(self) -> dict[str, Any]:
        """Totals so far, and rate, percentiles, accuracy and shares over the last second."""
        now, record = time.perf_counter() - self._begin, self.record
        self._ticks.append((now, len(record.at), record.sent))
        while len(self._ticks) > 1 and self._ticks[1][0] <= now - WINDOW_SECONDS:
            self._ticks.popleft()
        since, first, sent = self._ticks[0]
        rows = record.rows(first)
        shares = {
            record.releases.names[number]: round(float(np.mean(rows.release == number)), 4)
            for number in np.unique(rows.release)
        }
        return {
            "seconds": round(now, 3),
            "phase": record.phases.names[self._phase],
            "sent": record.sent,
            "lost": sum(record.lost_by_kind.values()),
            "lost_by_kind": dict(record.lost_by_kind),
            "in_flight": self._pool.in_flight,
            "rate": round((record.sent - sent) / (now - since), 1) if now > since else None,
            **{key: value for key, value in rows.latency_ms(FAST).items() if key in ("p50_ms", "p95_ms")},
            "send_lag_p99_ms": percentiles_ms(rows.lag)["p99_ms"],
            "accuracy": rows.accuracy(),
            "shares": shares,
        }

    async def _until(self, at: float) -> None:
        # the loop's timers have a resolution of 1 ms: rounded up, so that nothing is sent early and nothing spins
        while (wait := self._begin + at - time.perf_counter()) > 0 and not self._stop.is_set():
            await asyncio.sleep(math.ceil(min(wait, 0.1) * 1000) / 1000)

    def _send(self, ask: Ask) -> None:
        body = self._bodies[ask.image]
        cookies = b"" if ask.client < 0 else self._jars[ask.client].header()
        payload = b"%b%d\r\n%b\r\n%b" % (self._heads[ask.slow, ask.new_connection], len(body), cookies, body)
        self.record.sent += 1
        lag = time.perf_counter() - self._begin - ask.at
        self._pool.send(payload, not ask.new_connection, Sent(ask, lag, self._phase), self._done)

    def _done(self, exchange: Exchange) -> None:
        sent: Sent = exchange.tag
        ask, latency = sent.ask, time.perf_counter() - self._begin - sent.ask.at
        if ask.client >= 0:
            for cookie in exchange.cookies:
                self._jars[ask.client].take(cookie)
        answer = self._read(exchange)
        right = answer.digit == self._labels[ask.image]
        outcome = LOST if answer.lost else RIGHT if right else WRONG
        self.clients.append(ask.client)
        self.record.finished(ask.at, latency, sent.lag, ask.slow, sent.phase, outcome, answer.version, answer.lost)
        if self._judged is not None and answer.release is not None and not answer.lost:
            self._judged(answer.release, float(right))

    def _read(self, exchange: Exchange) -> Answer:
        if exchange.lost:
            return Answer(lost=exchange.lost)
        lost = None if exchange.status == 200 else f"http_{exchange.status}"
        try:
            answer = json.loads(exchange.body)
            version, release = str(answer["version"]), str(answer["release"])
            self.record.digests.setdefault(version, set()).add(release)
            return Answer(None if lost else int(answer["digit"]), version, release, lost)
        except (ValueError, KeyError, TypeError):
            return Answer(lost=lost or "garbled")

    def _close_phase(self) -> None:
        now = time.perf_counter()
        self._spans[self.record.phases.names[self._phase]] += now - self._phase_begin
        self._phase_begin = now

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRY_SECONDS)
            self._pool.expire()
