"""What a mirror showed: which lines of two logs belong together, what is the same, and what of it may be seen."""

import json
from typing import Any

import numpy as np
import pytest

from turnout.analysis.measurement import Count, Side
from turnout.analysis.shadow import Line, Rules, Shadow, alike, compare, read

NOW = 1_000.0
OLD = 100.0
RULES = Rules(fields=("digit",))


def line(name: str, copy: bool = False, status: int = 200, seconds: float = 0.01, answer: Any = None, at: float = OLD) -> Line:
    return Line(name, copy, status, seconds, {"digit": 7} if answer is None else answer, at)


def text(**changes: Any) -> str:
    held = {"turnout": "mirrored", "id": "a", "host": "llm.example.com", "status": 200, "seconds": 0.5, "answer": {}, "at": 9}
    return json.dumps({**held, **changes})


def joined(live: list[Line], candidate: list[Line], rules: Rules = RULES) -> Shadow:
    return compare(live, candidate, rules, NOW)


def test_only_lines_of_mirrored_requests_are_read() -> None:
    others = [
        "",
        "INFO started",
        "{",
        "[]",
        "7",
        '{"id": "a"}',
        text(turnout="other"),
        text(id=""),
        text(status="ok"),
        text(at=None),
    ]
    assert read([*others, text(answer=[1])]) == [Line("a", False, 200, 0.5, [1], 9.0)]


@pytest.mark.parametrize(
    ("host", "copy"),
    [
        ("llm.example.com-shadow", True),
        ("127.0.0.1-shadow:8000", True),
        ("llm.example.com", False),
        ("a-shadow.example.com", False),
        ("a-shadow.example.com:80", False),
    ],
)
def test_copies_are_told_by_their_host(host: str, copy: bool) -> None:
    assert [found.copy for found in read([text(host=host)])] == [copy]


def test_pairs_are_counted_by_status_and_by_answer() -> None:
    live = [line("same"), line("other"), line("fails"), line("both", status=503), line("refused", status=422)]
    candidate = [
        line("same", True, answer={"digit": 7, "release": "new"}),
        line("other", True, answer={"digit": 1}),
        line("fails", True, status=500),
        line("both", True, status=500),
        line("refused", True, status=422),
    ]
    found = joined(live, candidate)
    assert (found.pairs, found.same_status, found.answered, found.same_answer) == (5, 3, 2, 1)
    assert found.failed == {Side.ACTIVE: Count(1, 5), Side.CANDIDATE: Count(2, 5)}
    assert {sample.id for sample in found.samples} == {"other", "fails", "both"}
    assert found.said.startswith("5 requests twice: 1 of 2 answers alike (50.0%), status alike 60.0%; errors 20.0% → 40.0%")


def test_what_has_no_partner_is_counted_and_nothing_more() -> None:
    live = [line("pair"), line("missing"), line("twice"), line("twice"), line("young", at=NOW - 10), line("again")]
    candidate = [line("pair", True), line("stray", True), line("young", True), line("again", True), line("again", True)]
    found = joined(live, [*candidate, line("fresh", True, at=NOW - 1)])
    assert (found.pairs, found.missing, found.stray, found.ambiguous, found.pending) == (1, 1, 1, 2, 1)


def test_live_weight_of_either_side_is_no_copy() -> None:
    found = joined([line("a"), line("b", True)], [line("a", True), line("a"), line("c")])
    assert (found.pairs, found.missing, found.stray, found.ambiguous) == (1, 0, 0, 0)


def test_nothing_is_judged_before_lines_had_time_to_come() -> None:
    rules = Rules(timeout=5, patience=60)
    assert joined([line("a", at=NOW - 64)], [], rules).said == "nothing to compare: 0 copies missing, 1 requests too young"
    assert joined([line("a", at=NOW - 66)], [], rules).missing == 1


def test_latency_is_compared_request_by_request() -> None:
    rng = np.random.default_rng(1)
    fast = rng.exponential(0.1, 500)
    extra = rng.normal(0.02, 0.005, 500)
    live = [line(f"{n}", seconds=float(value)) for n, value in enumerate(fast)]
    candidate = [line(f"{n}", True, seconds=float(value)) for n, value in enumerate(fast + extra)]
    found = joined(live, [*candidate[:490], *(line(f"{n}", True, seconds=6) for n in range(490, 500))])
    assert found.slower[50] == pytest.approx(0.02, abs=0.001)
    assert found.seconds[Side.ACTIVE][95] == pytest.approx(np.percentile(fast, 95))
    assert found.late == 10


@pytest.mark.parametrize(
    ("one", "other", "rules", "same"),
    [
        ({"a": 1, "b": [1, "x"]}, {"b": [1, "x"], "a": 1}, Rules(), True),
        ({"a": 1}, {"a": 1, "b": None}, Rules(), False),
        ([1, 2], [1, 2, 3], Rules(), False),
        ({"p": 0.7001}, {"p": 0.7}, Rules(), False),
        ({"p": 0.7001}, {"p": 0.7}, Rules(tolerance=0.001), True),
        ({"p": 0.71}, {"p": 0.7}, Rules(tolerance=0.001), False),
        (1, True, Rules(tolerance=1), False),
        (1, 1.0, Rules(), True),
        ("1", 1, Rules(), False),
        ({"d": [{"t": "x", "p": 1}]}, {"d": [{"t": "x", "p": 2}]}, Rules(fields=("d.0.t",)), True),
        ({"d": [{"t": "x"}]}, {"d": []}, Rules(fields=("d.0.t",)), False),
        ({"t": "x"}, {"t": "y"}, Rules(fields=("other",)), True),
    ],
)
def test_answers_are_alike_by_fields_and_tolerance(one: Any, other: Any, rules: Rules, same: bool) -> None:
    assert alike(one, other, rules) is same
    assert alike(other, one, rules) is same


def test_samples_hold_nothing_that_was_not_named() -> None:
    secret = {"digit": 3, "text": "s3cret " * 50, "user": "ada@example.com", "token": "s3cret"}
    odd = "x' OR s3cret"
    found = joined(
        [line(odd), line("plain-1")],
        [line(odd, True, answer=secret), line("plain-1", True, answer=secret)],
        Rules(fields=("digit",), shown=("digit", "gone"), hashed=("user",)),
    )
    assert "s3cret" not in repr(found.samples)
    assert "ada" not in repr(found.samples)
    plain = next(sample for sample in found.samples if sample.id == "plain-1")
    assert plain.live == {"status": 200, "seconds": 0.01, "digit": 7, "gone": None, "user": plain.live["user"]}
    assert plain.candidate["user"].startswith("sha256:")
    assert plain.candidate["user"] != plain.live["user"]
    again = joined([line("plain-1")], [line("plain-1", True, answer=secret)], Rules(fields=("digit",), hashed=("user",)))
    assert again.samples[0].candidate["user"] != plain.candidate["user"], "another salt"
    assert joined([line("a")], [line("a", True, status=500, answer=secret)]).samples[0].candidate.keys() == {
        "status",
        "seconds",
    }
    (cut,) = joined([line("a")], [line("a", True, answer=secret)], Rules(shown=("text",))).samples
    assert (len(cut.candidate["text"]), cut.candidate["text"][-1]) == (80, "…")


def test_samples_are_few_and_the_same_at_each_look() -> None:
    names = [f"id-{number}" for number in range(100)]
    live, candidate = [line(name) for name in names], [line(name, True, status=500) for name in names]
    once = joined(live, candidate, Rules(samples=5))
    again = joined(live[::-1], candidate, Rules(samples=5))
    assert len(once.samples) == 5
    assert once.samples == again.samples
    assert {sample.id for sample in once.samples} != set(sorted(names)[:5])
