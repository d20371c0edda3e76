"""So many users, each with one stream at a time, and the figures of their streams."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import numpy as np

from examples.llm.load.asks import Ask
from examples.llm.load.stream import Stream, ask
from examples.loading.record import FAST, LOST, RIGHT, UNJUDGED, WRONG, Record, percentiles_ms, result

FIRST_PHASE = "load"
WINDOW_SECONDS = 5.0
PATH = "/v1/chat/completions"


class Users:
    """`users` streams at a time against `url`; each user rests `pause` seconds between two. `asks` is shared."""

    def __init__(
        self,
        url: str,
        asks: Iterator[Ask],
        users: int,
        pause: float = 0.0,
        timeout: float = 30.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._url, self._asks, self._users, self._pause = url.rstrip("/") + PATH, asks, users, pause
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=users)
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout, limits=limits, trust_env=False)
        self.record = Record()
        self.streams: list[Stream] = []
        self._phases: list[int] = []
        self._phase = self.record.phases.number(FIRST_PHASE)
        self._spans: defaultdict[str, float] = defaultdict(float)
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._in_flight = 0
        self.stopped_by = "plan"
        self.started_at = 0.0
        self._begin = self._phase_begin = 0.0

    def mark(self, name: str) -> None:
        """Streams that begin from now on belong to phase `name`."""
        self._close_phase()
        self._phase = self.record.phases.number(name)

    def stop(self, reason: str) -> None:
        """Ask nothing more; streams in flight are read to their end. A second time: do not wait."""
        if self._stop.is_set():
            for task in self._tasks:
                task.cancel()
        else:
            self.stopped_by = reason
            self._stop.set()

    async def run(self) -> None:
        """Returns when it was stopped and the last stream is over."""
        self.started_at, self._begin = time.time(), time.perf_counter()
        self._phase_begin = self._begin
        self._tasks = [asyncio.create_task(self._user()) for _ in range(self._users)]
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._close_phase()
        await self._client.aclose()

    async def _user(self) -> None:
        for question in self._asks:
            if self._stop.is_set():
                return
            await self._one(question)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self._pause)

    async def _one(self, question: Ask) -> None:
        phase, began = self._phase, time.perf_counter()
        self.record.sent += 1
        self._in_flight += 1
        try:
            stream = await ask(self._client, self._url, question)
        except asyncio.CancelledError:
            stream = Stream(began, ended=time.perf_counter(), lost="abandoned")
        finally:
            self._in_flight -= 1
        self._note(question, stream, phase)

    def _note(self, question: Ask, stream: Stream, phase: int) -> None:
        right = question.right(stream.text)
        outcome = LOST if stream.lost else UNJUDGED if right is None else RIGHT if right else WRONG
        # an answer that was cut is nobody's: the release is to blame only for what it says itself
        version = None if stream.cut else stream.version
        at, latency = stream.began - self._begin, stream.ended - stream.began
        self.record.finished(at, latency, 0.0, question.long, phase, outcome, version, stream.lost)
        if stream.version and stream.release:
            self.record.digests.setdefault(stream.version, set()).add(stream.release)
        self.streams.append(stream)
        self._phases.append(phase)

    def progress(self) -> dict[str, Any]:
        """Totals so far; rate, times, accuracy and shares of the streams that ended within the last seconds (`window`)."""
        now = time.perf_counter()
        lately = [n for n, stream in enumerate(self.streams) if stream.ended >= now - WINDOW_SECONDS]
        rows = self.record.rows().where(np.array(lately, int))
        names = self.record.releases.names
        times = figures([self.streams[n] for n in lately])
        return {
            "seconds": round(now - self._begin, 3),
            "phase": self.record.phases.names[self._phase],
            "sent": self.record.sent,
            "lost": sum(self.record.lost_by_kind.values()),
            "lost_by_kind": dict(self.record.lost_by_kind),
            "in_flight": self._in_flight,
            "window": WINDOW_SECONDS,
            "rate": round(len(lately) / min(WINDOW_SECONDS, max(now - self._begin, 0.1)), 2),
            **{key: value for key, value in rows.latency_ms(FAST).items() if key in ("p50_ms", "p95_ms")},
            "ttft_p50_ms": times["ttft"]["p50_ms"],
            "ttft_p95_ms": times["ttft"]["p95_ms"],
            "tpot_p50_ms": times["tpot"]["p50_ms"],
            "cut": sum(stream.cut for stream in self.streams),
            "accuracy": rows.accuracy(),
            "shares": {names[n]: round(float(np.mean(rows.release == n)), 4) for n in np.unique(rows.release)},
        }

    def result(self, **about: Any) -> dict[str, Any]:
        """The result document (README.md beside the server)."""
        found = result(self.record, self.started_at, self._spans, stopped_by=self.stopped_by, users=self._users, **about)
        found["streams"] = {**figures(self.streams), "across": across(self.streams)}
        for number, name in enumerate(self.record.phases.names):
            of_phase = [stream for stream, phase in zip(self.streams, self._phases, strict=True) if phase == number]
            found["phases"][name]["streams"] = figures(of_phase)
        return found

    def rows(self) -> list[dict[str, Any]]:
        """A row a stream in order of end; `began`, `first` token and `ended` in Unix seconds."""
        shift = self.started_at - self._begin
        return [
            {
                "began": stream.began + shift,
                "first": None if stream.first is None else stream.first + shift,
                "ended": stream.ended + shift,
                "tokens": stream.tokens,
                "version": stream.version,
                "lost": stream.lost,
                "cut": stream.cut,
            }
            for stream in self.streams
        ]

    def _close_phase(self) -> None:
        now = time.perf_counter()
        self._spans[self.record.phases.names[self._phase]] += now - self._phase_begin
        self._phase_begin = now


def figures(streams: Sequence[Stream]) -> dict[str, Any]:
    """Whole and cut streams, tokens, and the times to the first token and of each later one, over whole streams."""
    whole = [stream for stream in streams if stream.lost is None]
    return {
        "whole": len(whole),
        "cut": sum(stream.cut for stream in streams),
        "tokens": sum(stream.tokens for stream in whole),
        "ttft": percentiles_ms(np.array([s.ttft for s in whole if s.ttft is not None])),
        "tpot": percentiles_ms(np.array([s.tpot for s in whole if s.tpot is not None])),
    }


def across(streams: Sequence[Stream]) -> dict[str, int]:
    """Streams that were alive when the release changed: while they ran, another release began to answer."""
    alive = [
        stream
        for stream in streams
        if stream.version is not None
        and any(other.version not in (None, stream.version) and stream.began < other.began < stream.ended for other in streams)
    ]
    return {"streams": len(alive), "cut": sum(stream.cut for stream in alive)}
