"""Rollouts as tables for people and as documents for programs."""

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from turnout_components.durations import written
from turnout_components.release import name_of
from turnout_components.rollout_spec import Bake, GateKind

from turnout.analysis.budget import GOOD, POWER
from turnout.analysis.gates import ALPHA, MISS
from turnout.analysis.measurement import Verdict
from turnout.preflight import Preflight
from turnout.rollout.capacity import Capacity
from turnout.rollout.checklist import Outcome, Result
from turnout.rollout.evidence import baked
from turnout.rollout.experiment_rows import COLUMNS, VariantRow, division, rows
from turnout.rollout.experiments import need
from turnout.rollout.opening import opens
from turnout.rollout.status import Event, RolloutStatus, State
from turnout.rollout.words import gate_name, step_name

EVENTS = 12
"""Events that the status shows, the newest."""
_COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.INCONCLUSIVE: "yellow"}
_SEEN = {
    GateKind.ERRORS: "{:g} times as many errors",
    GateKind.LATENCY: "{:g} times as many slow ones",
    GateKind.QUALITY: "scores {:g} below",
}
_OUTCOMES = {Outcome.CHECKED: "green", Outcome.REFUSED: "bold red", Outcome.OPEN: "", Outcome.WAIVED: "yellow"}
_STATES = {State.PROMOTED: "bold green", State.TAKEN_BACK: "bold red", State.PAUSED: "yellow", State.RUNNING: "bold"}
_STATES[State.FINISHED] = "bold green"


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def clock() -> str:
    """The time of day as lines show it."""
    return f"{now():%H:%M:%S}"


def document(status: RolloutStatus, waits: str = "", results: Iterable[Result] = ()) -> dict[str, Any]:
    """A rollout as `--json` gives it (docs/cli.md)."""
    found = status.model_dump(mode="json", exclude={"windows": True, "alerts": True, "lease": True, "spec": {"alerts"}})
    holder = status.holder(now(), "") if not status.state.is_over else None
    return {
        **found,
        "weight": status.weight,
        "step_name": step_name(status.current),
        "waits": waits,
        "driven_by": str(holder) if holder else None,
        "checklist": [{"item": one.item, "outcome": one.outcome, "said": one.said} for one in results],
        "variants": [dataclasses.asdict(row) for row in rows(status)],
    }


def plan(found: Preflight) -> RenderableType:
    """What a rollout is going to do, and what was looked at before."""
    status = found.status
    stable, candidate = (name_of(status.releases[name]) for name in (status.stable, status.candidate))
    head = Text.assemble(
        ("rollout ", "bold"),
        f"{status.spec.strategy}: ",
        (f"{candidate} on {status.candidate}", "bold"),
        f" against {stable} on {status.stable}, {status.total} instances",
    )
    steps = Text(" → ".join(step_name(step) for step in status.plan))
    gates = Table(box=None, pad_edge=False, show_header=False)
    for gate in status.gates:
        gates.add_row(f"  gate {gate.name}", gate_name(gate, status))
    asked = [] if status.design is None else [Text(f"experiment {status.design.name}: {need(status.design).said}")]
    return Group(head, steps, gates, *asked, _budget(found), *_nodes(found.capacity), checklist(found.checklist))


def _budget(found: Preflight) -> Table:
    """What can be seen, a line a weight and gate."""
    table = Table(title="what these gates can see at the traffic of the last ten minutes", title_justify="left")
    for column in ("weight", "gate", "a good release passes", "within", "seen for sure"):
        table.add_column(column, justify="left" if column == "gate" else "right")
    kinds = {gate.name: gate.kind for gate in found.status.gates}
    for line in found.budget:
        table.add_row(
            f"{line.weight} %",
            line.gate,
            Text(f"{line.passes:.0%}", style="green" if line.suffices else "bold yellow"),
            f"{line.minutes:.1f} min" if line.minutes is not None else "never",
            "no regression tried" if line.smallest is None else _SEEN[kinds[line.gate]].format(line.smallest),
        )
    table.caption_justify = "left"
    table.caption = (
        f"false alarms ≤ {ALPHA:.0%} a rollout, misses ≤ {MISS:.0%}, “for sure”: {POWER:.0%} by the end of a step. What passes "
        f"less often than {GOOD:.0%} is often taken back as inconclusive: more time, weight or traffic helps"
    )
    return table


def _nodes(capacity: Capacity) -> list[RenderableType]:
    lines = [Text(f"! {shortage.said}", style="red") for shortage in capacity.shortages]
    lines += [Text(f"? {line}", style="yellow") for line in capacity.unknown]
    lines += [Text(line) for line in capacity.told]
    if not capacity.shortages:
        lines.insert(0, Text(f"nodes: the candidate can have the {capacity.wanted} that it needs"))
    return list(lines)


def checklist(results: Iterable[Result]) -> Table:
    """Items of the checklist with their outcomes."""
    table = Table(title="checklist", title_justify="left", box=None, pad_edge=False, show_header=False)
    for each in results:
        table.add_row(Text(each.outcome.value, style=_OUTCOMES[each.outcome]), each.text, Text(each.said, style="dim"))
    return table


def planned(found: Preflight) -> dict[str, Any]:
    """What was looked at before a rollout, as `--json` gives it."""
    capacity = found.capacity
    nodes: dict[str, Any] = {
        "wanted": capacity.wanted,
        "missing": capacity.missing,
        "shortages": [one.said for one in capacity.shortages],
    }
    budget = [dataclasses.asdict(line) | {"suffices": line.suffices} for line in found.budget]
    return {
        **document(found.status, results=found.checklist),
        "budget": budget,
        "nodes": {**nodes, "unknown": list(capacity.unknown)},
    }


def watched(status: RolloutStatus, waits: str, console: Console) -> RenderableType:
    """The status with as many of its newest events as the terminal has lines for: what is taller cannot be drawn over."""
    views = (_shown(status, waits, events) for events in range(EVENTS, 0, -1))
    return next((each for each in views if len(console.render_lines(each)) < console.height), _shown(status, waits, 1))


def status(status: RolloutStatus, waits: str = "") -> RenderableType:
    """Where a rollout stands, what it waits for, and who drives it."""
    return _shown(status, waits, EVENTS)


def _shown(status: RolloutStatus, waits: str, events: int) -> RenderableType:
    head = Text.assemble((f"{status.id} ", "bold"), (status.state.value, _STATES[status.state]), f"  {_place(status)}")
    parts: list[RenderableType] = [head]
    if status.cause:
        parts.append(Text(f"why: {status.cause}", style="red"))
    if status.current is not None and isinstance(status.current, Bake) and not status.state.is_over:
        parts.append(Text(f"observed for {baked(status).total_seconds():.0f} s of {written(status.current.bake)}"))
    if (until := opens(status, now())) is not None:
        parts.append(Text(f"outside the windows until {until:%Y-%m-%d %H:%M} UTC: nothing is raised", style="yellow"))
    if waits:
        parts.append(Text(f"waits: {waits}"))
    if not status.state.is_over:
        parts.append(_driver(status))
    if status.compared.pairs:
        parts.append(Text(f"mirror: {status.compared.said}"))
    if found := rows(status):
        parts.append(_variants(found, division(status)))
    if status.unmeasured:
        parts.append(Text(f"! {status.unmeasured}", style="yellow"))
    parts += [_gates(status), _events(status.events[-events:])]
    return Group(*parts)


def _variants(found: Iterable[VariantRow], division: str) -> Table:
    table = Table(title_justify="left", caption=division, caption_justify="left")
    for column in COLUMNS:
        table.add_column(column, overflow="fold", justify="right" if column in ("users", "mean", "p") else "left")
    for row in found:
        table.add_row(*row.cells)
    return table


def _driver(status: RolloutStatus) -> Text:
    """Who takes it on; where nobody does, how somebody can."""
    if status.before is not None:
        return Text(f"replaced by the run of {status.by}; `turnout rollout run` takes it up where that has ended")
    holder = status.holder(now(), "")
    if holder is not None:
        return Text(f"driven by {holder}", style="dim")
    if status.lease is not None:
        return Text(f"! {status.lease.by} drove it and is gone: `turnout rollout run` drives it on", style="bold yellow")
    return Text(
        "nobody drives it just now: a RolloutRunner looks again within a minute, else `turnout rollout run` drives it on"
    )


def _place(status: RolloutStatus) -> str:
    """The candidate's share and the step; of a recreate what is replaced, and the downtime so far."""
    if status.before is not None:
        down = f"; no healthy target for {status.downtime:.1f} s" if status.downtime is not None else ""
        new = name_of(status.releases[status.candidate])
        return f"{name_of(status.before)} on {status.stable} is replaced in place by {new}{down}"
    weight = status.weight if not status.state.is_over or status.state is State.PROMOTED else 0
    step = f"step {min(status.step + 1, len(status.plan))} of {len(status.plan)}: {step_name(status.current)}"
    return f"{status.candidate} {weight} %  {step}"


def _gates(status: RolloutStatus) -> Table:
    """A line a gate with what it says, and one with what it allows."""
    table = _grid(2)
    said = {each.gate: each for each in status.judgements}
    for gate in status.gates:
        found = said.get(gate.name)
        verdict = Text(found.verdict.value, style=_COLOURS[found.verdict]) if found else Text("–")
        silent = "looked at in every tick" if gate.kind is GateKind.HEALTH else "nothing was judged yet"
        table.add_row(gate.name, verdict, found.said.removeprefix(f"{gate.name}: ") if found else silent)
        table.add_row("", "", Text(f"allows: {gate_name(gate, status)}", style="dim"))
    return table


def _events(events: Iterable[Event]) -> Table:
    table = _grid(1)
    for event in events:
        table.add_row(f"{event.at:%H:%M:%S}", event.what, Text(event.why, style="dim"))
    return table


def _grid(whole: int) -> Table:
    """Three columns without lines, the first ones in one piece."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for index in range(3):
        table.add_column(no_wrap=index < whole, overflow="fold")
    return table


def history(found: Iterable[RolloutStatus]) -> Table:
    """Rollouts, the newest first."""
    table = _grid(2)
    for each in found:
        took = f", took {written(each.ended - each.began)}" if each.ended else ""
        began = f"{each.spec.strategy.value} on {each.candidate}, began {each.began:%Y-%m-%d %H:%M} UTC{took}"
        table.add_row(each.id, Text(each.state.value, style=_STATES[each.state]), ": ".join(filter(None, (began, _why(each)))))
    return table


def _why(status: RolloutStatus) -> str:
    """Why it ended; of a recreate also for how long nothing served."""
    down = [f"no healthy target for {status.downtime:.1f} s"] if status.downtime is not None else []
    return "; ".join([*([status.cause] if status.cause else []), *down])
