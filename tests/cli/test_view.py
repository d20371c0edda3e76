"""How the demo looks: plain lines where nobody watches, and a summary that fits a terminal."""

import io
from typing import Any

from rich.console import Console

from turnout.demo.report import Latency, Phase, ReleaseFigures, Report, Streams, StreamTimes
from turnout.demo.view import View, one_line, summary
from turnout.progress import Step, StepState

NUMBERS: dict[str, Any] = {
    "sent": 100,
    "rate": 150.0,
    "lost": 7,
    "lost_by_kind": {"http_500": 5, "http_503": 2},
    "p50_ms": 1.5,
    "p95_ms": None,
    "accuracy": 0.95,
    "shares": {"1.0.0": 0.9, "unknown": 0.1},
}


def console(width: int = 80, terminal: bool = False) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=width, force_terminal=terminal, color_system=None), text


def report(problem: str | None = None) -> Report:
    times = Latency(p50_ms=1.0, p95_ms=1234.5, p99_ms=None)
    shares = {"blue": 1.0, "green": 0.0}
    phase = Phase(
        name="flip to 3.0.0-bad", seconds=4, sent=99999, lost=0, failed=20, shares=shares, latency=times, accuracy=None
    )
    return Report(
        result="failed" if problem else "passed",
        problem=problem,
        engine="local engine (not Pulumi)",
        started_at="2026-01-01T00:00:00+00:00",
        seconds=50,
        requests_sent=99999,
        requests_lost=0,
        requests_failed=20,
        lost_by_kind={"http_500": 20},
        flip_seconds=4.5,
        rollback_seconds=0.71,
        weights_after_rollback={"blue": 0, "green": 100},
        unstable=[],
        smoke_test={},
        phases=[phase],
        releases={"1.0.0": ReleaseFigures(answered=1, failed=0, accuracy=1.0)},
        versions={},
    )


def test_without_a_terminal_the_story_is_lines_and_steps_are_not_shown() -> None:
    out, text = console()
    with View(out, {"1.0.0": "blue"}) as view:
        view.phase(1, 8, "bring [it] up")
        view.step(Step(StepState.STARTED, "create", "aws:ec2/vpc:Vpc", "digits"))
        view.numbers(NUMBERS)
        view.say("done")
        view.message("warning", "two\nlines")
    assert text.getvalue().splitlines() == ["1/8 bring [it] up", "    done", "    two", "    lines"]


def test_on_a_terminal_phase_shares_and_figures_are_live_and_the_story_stays() -> None:
    out, text = console(width=100, terminal=True)
    with View(out, {"1.0.0": "blue", "2.0.0": "green"}) as view:
        view.phase(2, 8, "flip")
        view.numbers(NUMBERS)
        out.print(view._screen())
    shown = text.getvalue()
    assert "2/8  flip" in shown
    assert "90.0 %" in shown
    assert "100 requests  150/s  2 lost  5 release errors  p50 1.5 ms  p95 –  95.0 % right" in shown
    assert shown.rstrip().endswith("2/8 flip")


def test_unanswered_requests_are_no_release_in_the_story() -> None:
    assert one_line(NUMBERS) == "last second: 1.0.0 90 %; p50 1.5 ms, p95 –, accuracy 95.0 %"


def test_streams_are_shown_by_their_first_token_and_pace() -> None:
    numbers = {**NUMBERS, "window": 5.0, "rate": 2.25, "ttft_p50_ms": 80.0, "ttft_p95_ms": 120.0, "tpot_p50_ms": None}
    assert one_line(numbers) == "last 5 s: 1.0.0 90 %; TTFT p50 80.0 ms, p95 120.0 ms, TPOT –, accuracy 95.0 %"
    out, text = console(width=120, terminal=True)
    with View(out, {"1.0.0": "blue"}) as view:
        view.numbers(numbers)
        out.print(view._screen())
    assert "2.2/s  2 lost  5 release errors  TTFT p50 80.0 ms  p95 120.0 ms  TPOT –" in text.getvalue()


def test_the_summary_of_streams_says_how_many_were_cut_and_fits_80_columns() -> None:
    times = {"ttft_p50_ms": 81.5, "ttft_p95_ms": 1234.5, "tpot_p50_ms": 18.25, "tpot_p95_ms": 20.0}
    told = report()
    phase = told.phases[0].model_copy(update={"streams": StreamTimes(whole=9, cut=0, tokens=500, **times)})
    streams = Streams(whole=128, cut=1, tokens=5025, total=129, across_flips=12, across_flips_cut=0, **times)
    out, text = console()
    out.print(summary(told.model_copy(update={"phases": [phase], "streams": streams})))
    lines = text.getvalue().splitlines()
    assert lines[1].split()[-6:] == ["TTFT", "ms", "p95", "TPOT", "right", "%"]
    assert next(line for line in lines if line.startswith("flip to")).split()[-4:] == ["81.5", "1234.5", "18.2", "–"]
    assert "129 streams, 1 cut; 12 ran across a flip, 0 of them cut" in lines
    assert "TTFT p50 81.5 ms, p95 1234.5 ms; TPOT p50 18.2 ms; 5025 tokens" in lines


def test_the_summary_fits_80_columns_and_says_how_it_ended() -> None:
    out, text = console()
    out.print(summary(report()))
    lines = text.getvalue().splitlines()
    row = next(line for line in lines if "flip to 3.0.0-bad" in line)
    assert row.split()[-9:] == ["99999", "0", "20", "100", "0", "1.0", "1234.5", "–", "–"]
    assert "rollback 0.71 s" in text.getvalue()
    assert "passed in 50 s with local engine (not Pulumi)" in text.getvalue()


def test_a_failed_run_says_what_was_lost() -> None:
    out, text = console()
    out.print(summary(report(problem="3 requests lost: {'closed': 3}")))
    assert "failed: 3 requests lost: {'closed': 3}" in text.getvalue()
