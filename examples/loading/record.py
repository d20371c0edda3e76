"""What a generator writes down of every request, and the figures that come out of it."""

from array import array
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

FAST, SLOW = 0, 1
WRONG, RIGHT, LOST, UNJUDGED = 0, 1, 2, 3
_UNKNOWN = "unknown"


class Names:
    """Small numbers for names that come up again and again."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]


class Record:
    """A row a finished request, as columns. Times are seconds from the start of the load; a request's phase is the one
    in which it was sent.

    `latency` runs from the *intended* send time to the last byte of the answer. `release` is the version that the answer
    named (also that of an error), `unknown` where there was none."""

    def __init__(self) -> None:
        self.at, self.latency, self.lag = array("d"), array("d"), array("d")
        self.kind, self.outcome, self.phase, self.release = array("b"), array("b"), array("h"), array("h")
        self.phases, self.releases = Names(), Names()
        self.digests: dict[str, set[str]] = {}
        self.lost_by_kind: Counter[str] = Counter()
        self.sent = 0

    def finished(
        self, at: float, latency: float, lag: float, slow: bool, phase: int, outcome: int, version: str | None, lost: str | None
    ) -> None:
        self.at.append(at)
        self.latency.append(latency)
        self.lag.append(lag)
        self.kind.append(SLOW if slow else FAST)
        self.phase.append(phase)
        self.outcome.append(outcome)
        self.release.append(self.releases.number(version or _UNKNOWN))
        if lost is not None:
            self.lost_by_kind[lost] += 1

    def rows(self, begin: int = 0) -> "Rows":
        """The rows from `begin` on, as arrays (copies: an array that numpy looks into cannot grow)."""
        columns = (self.at, self.latency, self.lag, self.kind, self.outcome, self.phase, self.release)
        return Rows(*(np.array(column[begin:]) for column in columns))


class Rows(NamedTuple):
    """Columns of a record, and the figures over them."""

    at: np.ndarray
    latency: np.ndarray
    lag: np.ndarray
    kind: np.ndarray
    outcome: np.ndarray
    phase: np.ndarray
    release: np.ndarray

    def where(self, chosen: np.ndarray) -> "Rows":
        return Rows(*(column[chosen] for column in self))

    def latency_ms(self, kind: int) -> dict[str, float | int | None]:
        """Percentiles of a class (fast or slow) in milliseconds, over whole answers; lost ones are counted, not timed."""
        values = self.latency[(self.kind == kind) & (self.outcome != LOST)]
        return {"answers": len(values), **percentiles_ms(values)}

    def by_release(self, versions: list[str], started_at: float) -> dict[str, Any]:
        """Requests, share of the requests, accuracy, losses and first and last send (Unix seconds) by version."""
        found: dict[str, Any] = {}
        for number in np.unique(self.release):
            rows = self.where(self.release == number)
            found[versions[number]] = {
                "requests": len(rows.at),
                "share": round(len(rows.at) / len(self.at), 4),
                "accuracy": rows.accuracy(),
                "lost": rows.lost(),
                "first_sent_at": round(started_at + float(rows.at.min()), 4),
                "last_sent_at": round(started_at + float(rows.at.max()), 4),
            }
        return found

    def lost(self) -> int:
        return int(np.sum(self.outcome == LOST))

    def accuracy(self) -> float | None:
        """Share of the right ones among the answers that can be judged; None without such an answer."""
        judged = self.outcome[(self.outcome == RIGHT) | (self.outcome == WRONG)]
        return round(float(np.mean(judged == RIGHT)), 4) if len(judged) else None


def percentiles_ms(seconds: np.ndarray) -> dict[str, float | None]:
    """p50, p95, p99 and the largest, in milliseconds; None where there are no values."""
    if not len(seconds):
        return {"p50_ms": None, "p95_ms": None, "p99_ms": None, "max_ms": None}
    p50, p95, p99, largest = np.percentile(seconds, [50, 95, 99, 100]) * 1000
    return {"p50_ms": round(p50, 2), "p95_ms": round(p95, 2), "p99_ms": round(p99, 2), "max_ms": round(largest, 2)}


def warm_up() -> None:
    """Make numpy load what it loads on first use (30 ms, in which nothing could be sent)."""
    percentiles_ms(np.unique(np.ones(2)))


def result(record: Record, started_at: float, spans: dict[str, float], **about: Any) -> dict[str, Any]:
    """The result document. `started_at`: Unix seconds; `spans`: seconds that each phase lasted; `about`: fields at the top."""
    rows = record.rows()
    return {
        **about,
        "started_at": round(started_at, 4),
        "requests_sent": record.sent,
        "requests_lost": rows.lost(),
        "lost_by_kind": dict(record.lost_by_kind),
        "send_lag": percentiles_ms(rows.lag),
        "digests": {version: sorted(digests) for version, digests in record.digests.items()},
        "releases": rows.by_release(record.releases.names, started_at),
        "phases": {
            name: _phase(rows.where(rows.phase == number), record, spans[name], started_at)
            for number, name in enumerate(record.phases.names)
        },
    }


def _phase(rows: Rows, record: Record, seconds: float, started_at: float) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 3),
        "sent": len(rows.at),
        "lost": rows.lost(),
        "rate": round(len(rows.at) / seconds, 1) if seconds else None,
        "fast": rows.latency_ms(FAST),
        "slow": rows.latency_ms(SLOW),
        "send_lag_p99_ms": percentiles_ms(rows.lag)["p99_ms"],
        "accuracy": rows.accuracy(),
        "releases": rows.by_release(record.releases.names, started_at),
    }
