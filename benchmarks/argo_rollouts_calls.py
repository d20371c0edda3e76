"""How many calls each controller made, from the API server's audit log, and what runs come to. Pure.

Source: "Auditing" (Kubernetes documentation).
"""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from benchmarks.common import Row

READS = frozenset({"get", "list"})
STREAM = "watch"
"""A verb whose request lasts for minutes and tells of many changes; it is not counted."""


@dataclass(frozen=True)
class Call:
    """A request that the API server has answered. `at`: Unix seconds."""

    at: float
    user: str
    verb: str


@dataclass(frozen=True)
class Run:
    """One rollout. Unix seconds: of its first and last moment, of the last verdict, and of the weights that follow from it.
    `bad`: answers lost; `last_bad`: milliseconds from the verdict until the last answer of the bad release was asked for
    (negative: before it); None where the release is good."""

    began: float
    ended: float
    verdict: float
    weights: float
    reads: int = 0
    writes: int = 0
    bad: int = 0
    last_bad: float | None = None


def calls(lines: Iterable[str]) -> list[Call]:
    """The log's calls, but for streams. A last line that is not whole is being written."""
    found = []
    for line in lines:
        if not line.endswith("\n"):
            break
        event = json.loads(line)
        if event["stage"] == "ResponseComplete" and event["verb"] != STREAM:
            at = datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
            found.append(Call(at, event["user"]["username"], event["verb"]))
    return found


def counted(found: Iterable[Call], user: str, began: float, ended: float) -> tuple[int, int]:
    """Reads and writes of a user between two moments."""
    verbs = [call.verb for call in found if call.user == user and began <= call.at <= ended]
    reads = sum(verb in READS for verb in verbs)
    return reads, len(verbs) - reads


def row(who: str, release: str, runs: Sequence[Run]) -> Row:
    """Medians of a side's runs with one kind of release."""
    after = [run.last_bad for run in runs if run.last_bad is not None]
    return {
        "side": who,
        "release": release,
        "runs": len(runs),
        "verdict → weights, s": round(statistics.median(run.weights - run.verdict for run in runs), 2),
        "verdict → last request to the bad one, s": round(statistics.median(after) / 1000, 2) if after else None,
        "rollout, s": round(statistics.median(run.ended - run.began for run in runs), 1),
        "bad answers": round(statistics.median(run.bad for run in runs)),
        "API calls": round(statistics.median(run.reads + run.writes for run in runs)),
        "writes": round(statistics.median(run.writes for run in runs)),
    }
