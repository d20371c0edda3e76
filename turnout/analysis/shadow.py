"""What a mirror showed: the live server's requests beside the candidate's copies of them. Pure.

Both servers write a line of JSON for each request that was copied (`docs/shadow.md` has the form); lines are joined on
`x-request-id`. Nothing of a request is read, and of an answer only what is named is ever shown.
"""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import numpy as np

from turnout.analysis.measurement import Count, Side

PERCENTILES = (50, 95, 99)
_PLAIN_ID = re.compile(r"^[A-Za-z0-9-]{1,64}$")
_SHADOW_HOST = re.compile(r"-shadow(:\d+)?$")
_LENGTH = 80


@dataclass(frozen=True)
class Line:
    """One request as a server logged it. `at`: when it was answered, in seconds since the epoch; `seconds`: how long that took;
    `copy`: it came from a mirror, whose copies' hosts end with `-shadow`."""

    id: str
    copy: bool
    status: int
    seconds: float
    answer: Any
    at: float


@dataclass(frozen=True)
class Rules:
    """What counts as the same answer, and what of one may be shown.

    `fields`: dotted paths that are compared (None: all of it); `tolerance`: by which two numbers may differ, relative or
    absolute; `shown`: paths whose values may stand in a sample, texts cut to 80 characters; `hashed`: paths that stand there
    as a hash only, of `salt` and the value: what is easily guessed cannot be tried out; `samples`: how many at most;
    `timeout`: seconds that a copy may take; `patience`: seconds that a line may be on its way into the log."""

    fields: tuple[str, ...] | None = None
    tolerance: float = 0.0
    shown: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    samples: int = 20
    timeout: float = 5.0
    patience: float = 60.0
    salt: str = field(default_factory=token_hex)


@dataclass(frozen=True)
class Sample:
    """A request that was answered differently; `live` and `candidate` hold status, seconds and what may be shown."""

    id: str
    live: Mapping[str, Any]
    candidate: Mapping[str, Any]


@dataclass(frozen=True)
class Shadow:
    """The comparison. `pairs` were answered by both; of those, `same_status` had one status and `same_answer`, of `answered`
    by both without an error, one answer. `late`: copies that took longer than their time. `missing`: live requests without a
    copy's line; `stray`: copies without a live line; `ambiguous`: ids that a log has twice; `pending`: too young to be judged.
    `slower`: percentiles of the candidate's seconds less the live ones, by percentile."""

    pairs: int = 0
    same_status: int = 0
    answered: int = 0
    same_answer: int = 0
    late: int = 0
    missing: int = 0
    stray: int = 0
    ambiguous: int = 0
    pending: int = 0
    failed: Mapping[Side, Count] = field(default_factory=dict)
    seconds: Mapping[Side, Mapping[int, float]] = field(default_factory=dict)
    slower: Mapping[int, float] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()

    @property
    def said(self) -> str:
        """The comparison in one line."""
        if not self.pairs:
            return f"nothing to compare: {self.missing} copies missing, {self.pending} requests too young"
        active, candidate = self.failed[Side.ACTIVE], self.failed[Side.CANDIDATE]
        answers = f"{self.same_answer} of {self.answered} answers alike ({_percent(self.same_answer, self.answered)})"
        lost = f", {self.missing} copies missing" if self.missing else ""
        return (
            f"{self.pairs} requests twice: {answers}, status alike {_percent(self.same_status, self.pairs)}; "
            f"errors {_percent(active.bad, active.total)} → {_percent(candidate.bad, candidate.total)}; "
            f"candidate slower by {self.slower[50] * 1000:+.0f} ms (p50), {self.slower[95] * 1000:+.0f} ms (p95); "
            f"{self.late} late{lost}"
        )


def read(lines: Iterable[str]) -> list[Line]:
    """The requests in a server's log; lines that are none of a mirror are passed over, whatever else the server writes."""
    return [line for text in lines if (line := _line(text)) is not None]


def compare(live: Iterable[Line], candidate: Iterable[Line], rules: Rules, now: float) -> Shadow:
    """The live server's requests beside the candidate's copies, as known at `now` (seconds since the epoch).

    Of the live log only what is no copy counts, of the candidate's only copies: either may carry live weight too."""
    originals, copies = _by_id(line for line in live if not line.copy), _by_id(line for line in candidate if line.copy)
    young = {name for name, held in originals.items() if held[0].at > now - rules.timeout - rules.patience}
    known = originals.keys() - young
    twice = {
        name for name in known | (copies.keys() - young) if max(len(originals.get(name, ())), len(copies.get(name, ()))) > 1
    }
    pairs = [(originals[name][0], copies[name][0]) for name in sorted(known & copies.keys() - twice)]
    old = {name for name, held in copies.items() if held[0].at <= now - rules.timeout - rules.patience}
    outcome = Counter[str]()
    different = []
    for one, other in pairs:
        status = one.status == other.status
        answered = one.status < 400 and other.status < 400
        answer = answered and alike(one.answer, other.answer, rules)
        outcome.update(status=status, answered=answered, answer=answer, late=other.seconds > rules.timeout)
        if not status or (answered and not answer):
            different.append((one, other))
    return Shadow(
        pairs=len(pairs),
        same_status=outcome["status"],
        answered=outcome["answered"],
        same_answer=outcome["answer"],
        late=outcome["late"],
        missing=len(known - copies.keys() - twice),
        stray=len(old - originals.keys() - twice),
        ambiguous=len(twice),
        pending=len(young),
        failed=_failed(pairs),
        seconds=_seconds(pairs),
        slower=_percentiles([other.seconds - one.seconds for one, other in pairs]),
        samples=tuple(_sample(pair, rules) for pair in sorted(different, key=_place)[: rules.samples]),
    )


def alike(one: Any, other: Any, rules: Rules) -> bool:
    """Whether two answers are the same by the rules."""
    if rules.fields is None:
        return _same(one, other, rules.tolerance)
    return all(_same(_at(one, path), _at(other, path), rules.tolerance) for path in rules.fields)


def _line(text: str) -> Line | None:
    try:
        held = json.loads(text)
        if held["turnout"] != "mirrored" or not held["id"]:
            return None
        copy = _SHADOW_HOST.search(str(held["host"])) is not None
        status, seconds, at = int(held["status"]), float(held["seconds"]), float(held["at"])
    except (ValueError, KeyError, TypeError):
        return None
    return Line(str(held["id"]), copy, status, seconds, held.get("answer"), at)


def _by_id(lines: Iterable[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.id, []).append(line)
    return found


def _same(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key], tolerance) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if _is_number(one) and _is_number(other):
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    return type(one) is type(other) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _at(answer: Any, path: str) -> Any:
    """What stands at a dotted path; None where nothing does. A number is a place in a list."""
    for part in path.split("."):
        if isinstance(answer, dict):
            answer = answer.get(part)
        elif isinstance(answer, list) and part.isdigit() and int(part) < len(answer):
            answer = answer[int(part)]
        else:
            return None
    return answer


def _failed(pairs: list[tuple[Line, Line]]) -> dict[Side, Count]:
    """5xx, as a load balancer counts them."""
    sides = zip((Side.ACTIVE, Side.CANDIDATE), zip(*pairs, strict=True), strict=True) if pairs else ()
    return {side: Count(sum(line.status >= 500 for line in lines), len(lines)) for side, lines in sides}


def _seconds(pairs: list[tuple[Line, Line]]) -> dict[Side, dict[int, float]]:
    sides = zip((Side.ACTIVE, Side.CANDIDATE), zip(*pairs, strict=True), strict=True) if pairs else ()
    return {side: _percentiles([line.seconds for line in lines]) for side, lines in sides}


def _percentiles(values: list[float]) -> dict[int, float]:
    return {rank: float(np.percentile(values, rank)) for rank in PERCENTILES} if values else {}


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def _hash(value: Any, salt: str) -> str:
    return "sha256:" + hashlib.sha256((salt + json.dumps(value, sort_keys=True)).encode()).hexdigest()[:12]


def _place(pair: tuple[Line, Line]) -> str:
    """An order that has nothing to do with when or what a request was, and is the same at each look."""
    return hashlib.sha256(pair[0].id.encode()).hexdigest()


def _sample(pair: tuple[Line, Line], rules: Rules) -> Sample:
    name = pair[0].id if _PLAIN_ID.match(pair[0].id) else _hash(pair[0].id, rules.salt)
    live, candidate = ({"status": line.status, "seconds": line.seconds, **_shown(line.answer, rules)} for line in pair)
    return Sample(name, live, candidate)


def _shown(answer: Any, rules: Rules) -> dict[str, Any]:
    shown = {path: _cut(_at(answer, path)) for path in rules.shown}
    return shown | {path: _hash(_at(answer, path), rules.salt) for path in rules.hashed}


def _cut(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"
