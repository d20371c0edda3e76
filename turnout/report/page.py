"""A rollout's report: head, gates, charts and decisions put into one page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from turnout_components.durations import written
from turnout_components.release import name_of
from turnout_components.rollout_spec import Gate, GateKind

from turnout.analysis.measurement import Judgement, Side, Verdict, Window
from turnout.report.chart import Mark, draw
from turnout.report.series import Line, Panel, baseline, extent, panels
from turnout.report.words import Unit, elapsed, moment, number
from turnout.rollout.experiment_rows import COLUMNS, division, rows
from turnout.rollout.status import Event, RolloutStatus, State
from turnout.rollout.words import gate_name, step_name

GENERATOR = "turnout rollout report"
"""What a page says of who made it: such a file may be replaced by a newer one."""
WITHHELD = "(withheld)"
BEFORE = "before it began"
LONG = 90
"""Characters of a reason in a tooltip; the table has all."""
_SIGNS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.INCONCLUSIVE: "?"}
_BY_HAND = ("approved", "promoted by hand", "told to go on", "paused", "resumed")
_SHARES = {"candidate", "active", "allowed", "bound", "late_candidate", "late_active"}
_COUNTS = {"candidate_bad", "candidate_total", "active_bad", "active_total", "late_total"}
_TIMES = {"ratio", "burn", "burn_now"}
_NAMES = {
    "candidate_bad": "candidate, bad",
    "candidate_total": "candidate, of",
    "active_bad": "active, bad",
    "active_total": "active, of",
    "ratio": "candidate / active",
    "against": "evidence against the candidate",
    "against_needed": "evidence from which it fails",
    "in_favour": "evidence in its favour",
    "in_favour_needed": "evidence from which it passes",
    "late_candidate": "candidate, lately",
    "late_active": "active, lately",
    "late_total": "candidate, lately, of",
    "burn_now": "burn, now",
}


@dataclass(frozen=True)
class Row:
    """A gate as the table shows it. `verdict` is "" where a gate has none."""

    name: str
    critical: bool
    allows: str
    verdict: str
    sign: str
    said: str


def page(status: RolloutStatus, service: str, now: datetime) -> str:
    """The report as HTML that needs nothing else. `service`: `<service>/<stack>`; `now`: when it is written."""
    told = _without_secrets(status)
    marks = [_mark(number, event, told) for number, event in enumerate(told.events, 1)]
    span = extent(told)
    shown = panels(told)[: None if told.windows else 1]
    environment = Environment(
        loader=PackageLoader("turnout.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        generator=GENERATOR,
        title=f"{name_of(told.releases[told.candidate])} on {service}: {told.state.value}",
        service=service,
        status=told,
        state=told.state.value.replace(" ", "-"),
        outcome=_outcome(told),
        facts=_facts(told, now),
        plan=[(step_name(step), _progress(index, told)) for index, step in enumerate(told.plan)],
        gates=_rows(told),
        variants=[row.cells for row in rows(told)],
        variant_columns=COLUMNS,
        division=division(told),
        numbers=_numbers(told),
        judgements=told.judgements,
        charts=[_chart(panel.since(span[0]), span, marks, told) for panel in shown],
        left_out=_left_out(told, span[0]),
        weights=_weights(told, shown),
        decisions=[(mark, event, elapsed(event.at - told.began)) for mark, event in zip(marks, told.events, strict=True)],
        day=f"{told.began:%Y-%m-%d}",
        several_days=span[0].date() != span[1].date(),
        written=moment(now),
    )


def _without_secrets(status: RolloutStatus) -> RolloutStatus:
    """The status without where its alerts go: a webhook's address is a key, whoever has written it into a reason."""
    secret = status.spec.alerts.webhook
    bare = status.changed(spec=status.spec.model_copy(update={"alerts": type(status.spec.alerts)()}), alerts=(), lease=None)
    if secret is None:
        return bare
    return RolloutStatus.model_validate(_replaced(bare.model_dump(mode="json"), secret))


def _replaced(value: Any, secret: str) -> Any:
    if isinstance(value, str):
        return value.replace(secret, WITHHELD)
    if isinstance(value, dict):
        return {key: _replaced(each, secret) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replaced(each, secret) for each in value]
    return value


def _outcome(status: RolloutStatus) -> str:
    """Where it stands, in words."""
    match status.state:
        case State.PROMOTED:
            return f"{status.candidate} keeps {status.weight} % of requests."
        case State.TAKEN_BACK:
            marked = (
                f" {name_of(status.releases[status.candidate])} was found bad and is marked unstable."
                if status.unstable
                else ""
            )
            return f"All traffic is back at {status.stable}: {status.cause}.{marked}"
    waits = f"step {min(status.step + 1, len(status.plan))} of {len(status.plan)}, {step_name(status.current)}"
    return f"{status.candidate} has {status.weight} % of requests; {waits}."


def _facts(status: RolloutStatus, now: datetime) -> list[tuple[str, str]]:
    ended = [("ended", moment(status.ended)), ("took", elapsed(status.ended - status.began))] if status.ended else []
    running = [] if status.ended else [("so far", elapsed(now - status.began))]
    metrics = status.spec.metrics
    return [
        (f"candidate, on {status.candidate}", status.releases[status.candidate]),
        (f"active, on {status.stable}", status.releases[status.stable]),
        ("rollout", status.id),
        ("strategy", status.spec.strategy.value),
        ("began by", status.by),
        ("began", moment(status.began)),
        *ended,
        *running,
        ("instances", str(status.total)),
        ("measured by", f"{metrics.source.value}, every {written(metrics.period)}"),
        ("unmeasured", status.unmeasured),
    ]


def _progress(index: int, status: RolloutStatus) -> str:
    """done, now, ended here, or not reached."""
    if index < status.step:
        return "done"
    if index > status.step:
        return "open"
    return "stopped" if status.state is State.TAKEN_BACK else "now"


def _rows(status: RolloutStatus) -> list[Row]:
    found = {each.gate: each for each in status.judgements}
    return [_row(gate, found.get(gate.name), status) for gate in status.gates]


def _row(gate: Gate, judgement: Judgement | None, status: RolloutStatus) -> Row:
    allows = gate_name(gate, status).removesuffix(" (advisory)")
    if judgement is None:
        said = "looked at in every tick" if gate.kind is GateKind.HEALTH else "nothing was judged yet"
        return Row(gate.name, gate.critical, allows, "", "", said)
    verdict, said = judgement.verdict, judgement.said.removeprefix(f"{gate.name}: ")
    return Row(gate.name, gate.critical, allows, verdict.value, _SIGNS[verdict], said)


def _numbers(status: RolloutStatus) -> list[tuple[str, list[str]]]:
    """All numbers of all judgements: a row each, in the order of the first gate that has it."""
    kinds = {gate.name: gate.kind for gate in status.gates}
    names = dict.fromkeys(name for each in status.judgements for name in each.numbers)
    return [
        (
            _NAMES.get(name, name.replace("_", " ")),
            [number(j.numbers[name], _unit(name, kinds.get(j.gate))) if name in j.numbers else "" for j in status.judgements],
        )
        for name in names
    ]


def _unit(name: str, kind: GateKind | None) -> Unit:
    if name in _COUNTS:
        return Unit.COUNT
    if name in _TIMES or (name == "margin" and kind is not GateKind.QUALITY):
        return Unit.TIMES
    if name in _SHARES:
        return Unit.SCORE if kind is GateKind.QUALITY else Unit.SHARE
    return Unit.PLAIN


def _chart(panel: Panel, span: tuple[datetime, datetime], marks: Sequence[Mark], status: RolloutStatus) -> dict[str, Any]:
    judgement = next((each for each in status.judgements if each.gate == panel.gate), None)
    # Every text of the chart is escaped as it is made (`turnout.report.chart`).
    svg = Markup(draw(panel, span, marks, _label(panel, status)))
    return {"panel": panel, "svg": svg, "judgement": judgement, "sign": _SIGNS[judgement.verdict] if judgement else ""}


def _label(panel: Panel, status: RolloutStatus) -> str:
    """A chart for those who do not see it: what it shows, and each line as one number."""
    whole = ((line, line.value(line.points)) for line in panel.lines)
    over = [f"{line.name} {number(value, panel.unit)}" for line, value in whole if value is not None]
    gaps = sum(((end - start) for start, end in panel.gaps), timedelta())
    missing = f" Not measured for {elapsed(gaps)}." if panel.gaps else ""
    told = f" Over the time shown: {', '.join(over)}." if over else " Nothing was measured."
    return f"{panel.title} over time: {panel.about}.{told}{missing} Declared weight now {status.weight} %."


def _left_out(status: RolloutStatus, first: datetime) -> str:
    """How much of the baseline the charts leave out; "" where they show all of it."""
    seconds = sum(window.seconds for window in baseline(status) if window.start < first)
    return elapsed(timedelta(seconds=seconds)) if seconds else ""


def _weights(status: RolloutStatus, shown: Sequence[Panel]) -> dict[str, Any]:
    """What was measured before it began and at each weight: one row each, two columns a gate."""
    gates = [panel for panel in shown if panel.gate]
    before = len(baseline(status))
    names = [BEFORE if index < before else f"{window.weight} %" for index, window in enumerate(status.windows)]
    rows = []
    for name in dict.fromkeys(names):
        at = [index for index, each in enumerate(names) if each == name]
        whole = reduce(Window.merged, (status.windows[index] for index in at))
        seconds = sum(status.windows[index].seconds for index in at)
        requests = [whole.requests.get(side, 0) for side in (Side.ACTIVE, Side.CANDIDATE)]
        share = number(requests[1] / sum(requests), Unit.SHARE) if sum(requests) else "–"
        cells = [_cell(line, at, panel.unit) for panel in gates for line in panel.lines]
        rows.append([name, elapsed(timedelta(seconds=seconds)), *(f"{n:,}" for n in requests), share, *cells])
    return {"gates": [panel.gate for panel in gates], "rows": rows}


def _cell(line: Line, at: Iterable[int], unit: Unit) -> str:
    value = line.value([line.points[index] for index in at])
    return "–" if value is None else number(value, unit)


def _mark(number: int, event: Event, status: RolloutStatus) -> Mark:
    why = event.why if len(event.why) <= LONG else f"{event.why[:LONG]}…"
    return Mark(number, event.at, f"{event.what}: {why}" if why else event.what, _kind(event, status))


def _kind(event: Event, status: RolloutStatus) -> str:
    if status.ended is not None and event.at == status.ended and event is status.events[-1]:
        return "good" if status.state is State.PROMOTED else "bad"
    if event.what.endswith("% of requests"):
        return "weight"
    return "hand" if event.what in _BY_HAND else "note"
