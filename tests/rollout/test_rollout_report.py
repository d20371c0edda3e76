"""A rollout's page: everything that was measured and decided is in it, gaps stay gaps, and nothing else gets in."""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from html import unescape
from xml.etree import ElementTree as ET

import pytest
import report_worlds as worlds
from turnout_components.rollout_spec import Alerts, Gate, GateKind

from turnout.analysis.measurement import Judgement, Side, Verdict
from turnout.report.page import page
from turnout.report.series import Panel, extent, panels, weights
from turnout.report.words import Unit, elapsed, number
from turnout.rollout.evidence import judged
from turnout.rollout.status import RolloutStatus, State

EVIL = '"><script>alert(1)</script>&'
WORLDS = (worlds.promoted, worlds.taken_back, worlds.with_a_gap, worlds.just_begun, worlds.silent, worlds.long)


@cache
def made(world: Callable[[], RolloutStatus]) -> RolloutStatus:
    return world()


def written(status: RolloutStatus) -> str:
    return page(status, "digits/prod", status.began + timedelta(hours=2))


def charts(text: str) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r'<svg viewBox="[^"]*" role="img".*?</svg>', text, re.S)]


def panel(status: RolloutStatus, key: str) -> Panel:
    return next(each for each in panels(status) if each.key == key)


def paths(svg: ET.Element, name: str) -> list[str]:
    return [path.attrib["d"] for path in svg.iter("path") if path.attrib.get("class") == name]


def boxes(svg: ET.Element, name: str) -> list[str]:
    """The tooltips of all boxes of that kind."""
    return ["".join(rect.itertext()) for rect in svg.iter("rect") if rect.attrib.get("class") == name]


def plain(text: str) -> str:
    """What a reader sees, without the charts and the style."""
    bare = re.sub(r"<(style|svg)\b.*?</\1>", " ", text, flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", bare)).split())


def told(world: Callable[[], RolloutStatus], state: State) -> tuple[RolloutStatus, str]:
    """A rollout that stands so, and what a reader sees of it."""
    status = made(world)
    assert status.state is state, status.cause
    return status, plain(written(status))


def test_a_promoted_rollout_is_told_from_its_beginning_to_its_end() -> None:
    status, text = told(worlds.promoted, State.PROMOTED)
    for fact in (status.id, "digits/prod", "canary", "anna@ci-1", "Promoted green keeps 100 % of requests.", "m-1", "m-2"):
        assert fact in text
    assert all(release.partition("@")[2] in text for release in status.releases.values())
    for index, event in enumerate(status.events, 1):
        row = f"{index} {event.at:%H:%M:%S} {elapsed(event.at - status.began)} {event.what} {event.why or '–'}"
        assert " ".join(row.split()) in text


def test_every_gate_is_told_with_its_verdict_and_all_its_numbers() -> None:
    status = made(worlds.promoted)
    text = plain(written(status))
    assert len(status.judgements) == 4
    for judgement in status.judgements:
        assert f"✓ pass {judgement.said.partition(': ')[2]}" in text
        assert number(judgement.numbers["candidate_total"], Unit.COUNT) in text
        assert number(judgement.numbers["in_favour"], Unit.PLAIN) in text
    assert "budget advisory error budget" in text
    assert "health half of the targets healthy" in text


def test_a_rollout_that_was_taken_back_says_why_first() -> None:
    status, text = told(worlds.taken_back, State.TAKEN_BACK)
    assert text.index(f"Taken back All traffic is back at blue: {status.cause}.") < text.index("What the gates say")
    assert "m-2 was found bad and is marked unstable" in text
    assert "✗ fail" in text


def test_a_running_rollout_says_where_it_is() -> None:
    status, text = told(worlds.with_a_gap, State.RUNNING)
    assert f"Running green has {status.weight} % of requests; step {status.step + 1} of {len(status.plan)}" in text
    assert "so far 2:00:00" in text
    assert "paused by anna@ci-1" in text


def test_declared_weights_are_steps_and_end_where_traffic_went() -> None:
    assert [each.value for each in weights(made(worlds.promoted))] == [0, 0.05, 0.25, 0.5, 1]
    back = weights(made(worlds.taken_back))
    assert [each.value for each in back] == [0, 0.05, 0.25, 0]
    assert back[-1].start == made(worlds.taken_back).ended


def test_the_observed_share_is_the_candidates_part_of_the_requests() -> None:
    status = made(worlds.taken_back)
    (line,) = panel(status, "weight").lines
    shares = {point.weight: line.value([point]) for point in line.points}
    assert shares == {0: 0, 5: pytest.approx(0.05), 25: pytest.approx(0.25)}


@pytest.mark.parametrize("name", ["errors", "latency"])
def test_what_is_drawn_is_what_the_gate_judged_while_both_sides_had_traffic(name: str) -> None:
    status = made(worlds.taken_back)
    numbers = next(each.numbers for each in judged(status) if each.gate == name)
    drawn = panel(status, f"gate-{name}")
    for line, side in zip(drawn.lines, ("active", "candidate"), strict=True):
        assert line.value([point for point in line.points if point.weight]) == pytest.approx(numbers[side])
    assert drawn.bounds[-1].value == pytest.approx(numbers["allowed"])
    assert drawn.worse == "above"


def test_what_is_drawn_after_the_full_switch_is_the_frozen_bound() -> None:
    status = made(worlds.promoted)
    assert set(status.bounds) == {"errors", "latency", "quality", "budget"}
    for name, bound in status.bounds.items():
        assert panel(status, f"gate-{name}").bounds[-1].value == bound


def test_a_latency_bound_in_seconds_is_drawn_as_the_share_that_it_means() -> None:
    status = made(worlds.promoted)
    gates = (Gate(name="latency", kind=GateKind.LATENCY, bound=0.25, percentile=90),)
    given = status.changed(spec=status.spec.model_copy(update={"gates": gates}), bounds={"latency": 0.25})
    assert panel(given, "gate-latency").bounds[-1].value == pytest.approx(0.1)


def test_quality_is_worse_below_and_burn_is_counted_in_budgets() -> None:
    status = made(worlds.promoted)
    quality, burn = panel(status, "gate-quality"), panel(status, "gate-budget")
    compared = [each for each in quality.bounds if each.end <= status.shifts[-1].at]
    active = [point for point in quality.lines[0].points if 0 < point.weight < 100]
    assert compared[-1].value == pytest.approx((quality.lines[0].value(active) or 0) - 0.02)
    assert quality.worse == "below"
    assert not quality.from_zero
    assert {each.value for each in burn.bounds} == {14.4}
    assert burn.lines[0].value(burn.lines[0].points) == pytest.approx(2.0, rel=0.1)  # 0.2 % fail and 0.1 % may


def test_response_times_stand_beside_the_frozen_threshold() -> None:
    status = made(worlds.promoted)
    shown = panel(status, "shown")
    assert [line.name for line in shown.lines] == ["p50 active", "p50 candidate", "p95 active", "p95 candidate"]
    assert [each.value for each in shown.bounds] == [status.thresholds["latency"]]
    assert 0.07 < (shown.lines[2].value(shown.lines[2].points) or 0) < 0.09
    assert "120 ms" in written(status)


def test_requests_are_a_rate() -> None:
    active, candidate = panel(made(worlds.taken_back), "requests").lines
    assert [line.value(line.points[-1:]) for line in (active, candidate)] == [pytest.approx(150), pytest.approx(50)]


@pytest.mark.parametrize("world", [worlds.promoted, worlds.taken_back, worlds.with_a_gap])
def test_the_charts_open_shortly_before_it_began_and_the_baseline_is_summed_up(world: Callable[[], RolloutStatus]) -> None:
    status = made(world)
    before = [window for window in status.windows if window.end <= status.began]
    assert len(before) == 10
    first = extent(status)[0]
    assert first == before[-3].start
    text = written(status)
    starts = {f"{window.start:%H:%M:%S}–" for window in before}
    for svg in charts(text):
        shown = {start for start in starts if any(tip.startswith(start) for tip in boxes(svg, "hover"))}
        assert shown <= {f"{window.start:%H:%M:%S}–" for window in before[-3:]}
    requests = sum(window.requests[Side.ACTIVE] for window in before)
    assert f"before it began 10:00 {requests:,} 0 0 %" in plain(text)
    assert "what was measured earlier (7:00) is summed up in By weight" in plain(text)


def test_of_a_long_rollout_the_charts_show_a_share_of_its_own_time_before_it() -> None:
    status = made(worlds.promoted)
    late = status.changed(ended=status.began + timedelta(hours=2))
    assert extent(late)[0] == status.began - timedelta(minutes=6)
    assert extent(status.changed(windows=()))[0] == status.began
    short = status.changed(windows=status.windows[8:])
    assert extent(short)[0] == status.windows[8].start
    assert "what was measured earlier" not in plain(written(short))


def test_a_gap_is_left_open() -> None:
    status = made(worlds.with_a_gap)
    start = status.began + timedelta(seconds=120)
    for each in panels(status):
        assert each.gaps == ((start, start + timedelta(seconds=300)),), each.key
        for line in each.lines:
            inside = [point for point in line.points if start <= point.start < start + timedelta(seconds=300)]
            assert len(inside) == 5
            assert line.value(inside) is None
    for svg in charts(written(status)):
        for path in paths(svg, "line active"):
            assert path.count("M") == 2, "one run before the gap and one after"
        assert len(boxes(svg, "gap")) == 1
        assert sum("not measured" in text for text in boxes(svg, "hover")) == 5
        assert sum("candidate: no traffic" in text for text in boxes(svg, "hover")) in (0, 3), "before the first weight"


def test_a_source_that_falls_silent_is_seen_and_its_usual_delay_is_not() -> None:
    status = made(worlds.silent)
    assert panel(status, "requests").gaps == ((status.windows[-1].end, status.ended),)
    assert panel(made(worlds.taken_back), "requests").gaps == ()
    text = plain(written(status))
    assert "Throttling: Rate exceeded" in text


def test_a_side_without_traffic_is_no_gap_and_one_that_was_not_measured_is() -> None:
    status = made(worlds.promoted)
    assert panel(status, "gate-errors").gaps == ()
    last = status.windows[-1]
    blind = last.__class__(last.start, last.end, last.weight, last.requests, {}, last.shown)
    status = status.changed(windows=(*status.windows[:-1], blind))
    assert panel(status, "gate-errors").gaps == ((last.start, last.end),)
    assert panel(status, "requests").gaps == ()


def test_every_decision_is_marked_in_every_chart() -> None:
    status = made(worlds.with_a_gap)
    assert len(status.events) > 4
    for svg in charts(written(status)):
        marked: list[int] = []
        for badge in (group for group in svg.iter("g") if group.attrib["class"].startswith("badge")):
            first, _, last = (badge.findtext("text") or "").partition("–")
            marked += range(int(first), int(last or first) + 1)
        assert marked == list(range(1, len(status.events) + 1))
        marks = [path for path in svg.iter("path") if path.attrib["class"].startswith("mark")]
        assert len(marks) == len(status.events)
        assert {"mark weight", "mark hand"} <= {path.attrib["class"] for path in marks}


@pytest.mark.parametrize("world", WORLDS)
def test_any_rollout_makes_a_small_page_that_needs_nothing_else(world: Callable[[], RolloutStatus]) -> None:
    text = written(made(world))
    assert len(text.encode()) < 300_000
    assert not re.search(r"<script|<img|\bsrc=|@import|https?:", text)
    assert set(re.findall(r"url\([^)]*\)", text)) == {"url(#gap)"}
    assert 'http-equiv="Content-Security-Policy" content="default-src' in text
    found = charts(text)
    assert len(found) == (len(panels(made(world))) if made(world).windows else 1)
    for svg in found:
        assert len(svg.attrib["aria-label"]) > 40
        for path in svg.iter("path"):
            numbers = [float(each) for each in re.findall(r"-?\d+\.?\d*", path.attrib["d"])]
            assert all(0 <= each <= 880 for each in numbers)
    assert [h for h in re.findall(r"<h([1-6])", text) if h == "1"] == ["1"]


def test_without_windows_it_says_that_nothing_was_measured() -> None:
    text = written(made(worlds.just_begun))
    assert "Nothing has been measured." in text
    assert all("Nothing was measured." in svg.attrib["aria-label"] for svg in charts(text))


def test_many_windows_are_drawn_together_and_keep_their_lowest_and_highest() -> None:
    status = made(worlds.long)
    assert 400 < len(status.windows) <= 480
    errors = next(svg for svg in charts(written(status)) if svg.attrib["aria-label"].startswith("Gate errors"))
    assert len(paths(errors, "band candidate")) == 1
    hovers = boxes(errors, "hover")
    assert 60 < len(hovers) < 160
    joined = next(text for text in hovers if "windows" in text and "candidate: not" not in text)
    value, low, high = re.findall(r"candidate: (\S+) % of [\d,]+ requests \((\S+) % to (\S+) %\)", joined)[0]
    assert float(low) < float(value) < float(high)


def test_windows_of_different_weights_are_never_drawn_together() -> None:
    status = made(worlds.long)
    weight = next(svg for svg in charts(written(status)) if svg.attrib["aria-label"].startswith("Weight"))
    hovers = boxes(weight, "hover")
    observed = {share for text in hovers for share in re.findall(r"observed: (\S+) %", text)}
    assert observed == {"0", "5", "25", "50", "100"}


def evil(status: RolloutStatus) -> RolloutStatus:
    """Markup wherever somebody can write a text."""
    judgement = Judgement("errors", Verdict.FAIL, f"errors: {EVIL}", {EVIL: 1.0})
    events = (*status.events, status.events[-1].model_copy(update={"what": EVIL, "why": EVIL}))
    told = {"cause": EVIL, "by": EVIL, "id": EVIL, "unmeasured": EVIL, "events": events, "judgements": (judgement,)}
    windows = tuple(
        window.__class__(window.start, window.end, window.weight, window.requests, window.samples, {EVIL: {Side.ACTIVE: 1.0}})
        for window in status.windows
    )
    names = {"stable": f"b{EVIL}", "candidate": f"g{EVIL}", "releases": {f"b{EVIL}": EVIL, f"g{EVIL}": f"{EVIL}@{EVIL}"}}
    return status.changed(**told, **names, windows=windows)


def test_no_text_becomes_markup() -> None:
    text = page(evil(made(worlds.taken_back)), f"{EVIL}/prod", made(worlds.taken_back).began)
    assert "<script" not in text
    assert text.count("&lt;script") > 20
    for svg in charts(text):
        assert EVIL in "".join(svg.itertext())
    assert EVIL in plain(text)


@pytest.mark.parametrize("secret", ["https://hooks.example/T0/B1/s3cr3t", 'https://hooks.example/?a=1&b="<s3cr3t'])
def test_where_alerts_go_is_never_told(secret: str) -> None:
    status = made(worlds.taken_back)
    spec = status.spec.model_copy(update={"alerts": Alerts(webhook=secret, topic="arn:aws:sns:eu-west-1:1:s3cr3t")})
    judgement = Judgement("errors", Verdict.FAIL, f"errors: {secret}", {})
    leaky = status.changed(spec=spec, cause=f"{secret} failed", unmeasured=secret, judgements=(judgement,))
    leaky = leaky.said(status.began, "told", f"webhook {secret}", alert=True)
    text = page(leaky, "digits/prod", status.began)
    assert "s3cr3t" not in unescape(text)
    assert "(withheld) failed" in text


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.0412, Unit.SHARE, "4.12 %"),
        (1.0, Unit.SHARE, "100 %"),
        (0.000012, Unit.SHARE, "0.0012 %"),
        (0.0, Unit.SHARE, "0 %"),
        (0.0874, Unit.SECONDS, "87.4 ms"),
        (1.5, Unit.SECONDS, "1.5 s"),
        (14.4, Unit.TIMES, "14.4 ×"),
        (0.94951, Unit.SCORE, "0.9495"),
        (1234567.0, Unit.COUNT, "1,234,567"),
        (2684.2, Unit.PLAIN, "2,684"),
        (-24.81, Unit.PLAIN, "−24.8"),
        (float("inf"), Unit.PLAIN, "∞"),
        (float("nan"), Unit.PLAIN, "–"),
    ],
)
def test_numbers_are_written_as_people_read_them(value: float, unit: Unit, said: str) -> None:
    assert number(value, unit) == said


def test_lengths_are_written_as_people_read_them() -> None:
    assert [elapsed(timedelta(seconds=s)) for s in (0, 75, 5400, -61)] == ["0:00", "1:15", "1:30:00", "−1:01"]


@pytest.mark.parametrize("theme", [0, 1])
def test_colours_can_be_told_from_the_page(theme: int) -> None:
    """Contrast of at least 4.5 for texts and 3 for lines (WCAG 2.2, 1.4.3 and 1.4.11)."""
    blocks = re.findall(r":root \{(.*?)\}", written(made(worlds.just_begun)), re.S)
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", blocks[theme]))
    for name in ("text", "dim", "good", "bad", "wait"):
        assert contrast(colours[name], colours["page"]) >= 4.5, name
    for name in ("good", "bad", "wait"):
        assert contrast(colours[name], colours[f"{name}-soft"]) >= 4.5, name
    for name in ("active", "candidate", "bad"):
        assert contrast(colours[name], colours["page"]) >= 3, name


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[index : index + 2], 16) / 255 for index in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
