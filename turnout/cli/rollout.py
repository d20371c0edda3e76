"""`turnout rollout …`: begin, drive, look at and end rollouts."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from turnout_components.items import RecordError, TableMissing
from turnout_components.rollout_spec import StrategyName

from turnout.cli import rollout_view as view
from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.rollout_drive import LOOK, Watch, controller, drive, opened
from turnout.cli.session import Session, screen
from turnout.closing import NOTE, checklist
from turnout.preflight import announce, preflight
from turnout.rollout.status import RolloutStatus, State
from turnout.rollout.store import NoRollout
from turnout.rollout.words import step_name
from turnout.rollouts import Rollouts

TOLD = "told to go on"
MEANT = timedelta(seconds=10)
"""How long after a promotion another one is taken to mean the same step."""


def check(stack: str, changes: Mapping[str, Any], release: str | None = None) -> None:
    """Prints what a rollout would do, and everything that is looked at before; begins nothing and tells nobody. `release`: as
    for `start`."""
    rollouts = opened(stack)
    spec = rollouts.spec(changes)
    if spec.strategy is StrategyName.RECREATE:
        from turnout.cli.recreating import check as announce_downtime

        announce_downtime(Session(stack), rollouts, changes, release)
        return
    if release is not None:
        from turnout.cli.bringing import is_there

        if not is_there(Session(stack), rollouts, release):
            screen().result({"release": release, "deployed": False})
            return
    found = preflight(rollouts, spec)
    screen().show(view.plan(found))
    found.refuse()
    screen().result(view.planned(found))


def start(stack: str, changes: Mapping[str, Any], detach: bool, release: str | None = None) -> None:
    """Prints what will be done and what can be seen of it, begins, and drives until the end unless detached. `release`: what
    is deployed to the standby first; of a recreate, what takes the active one's place."""
    rollouts = opened(stack)
    spec = rollouts.spec(changes)
    if spec.strategy is StrategyName.RECREATE:
        from turnout.cli.recreating import start as recreate

        recreate(Session(stack), rollouts, changes, release)
        return
    if release is not None:
        from turnout.cli.bringing import bring

        bring(Session(stack), rollouts, release, spec.ready_timeout)
    found = preflight(rollouts, spec)
    out = screen()
    out.show(view.plan(found))
    found = announce(rollouts, found)
    found.refuse()
    status = rollouts.begin(_at_any_time(rollouts, found.status))
    out.line(f"rollout {status.id} has begun")
    if detach:
        out.line("drive it with `turnout rollout run`, look with `turnout rollout status --watch`")
        out.result(view.document(status))
        return
    drive(rollouts, status.id)
    if release is not None and rollouts.store.read(status.id).state is State.PROMOTED:
        from turnout.deploy import set_traffic

        session = Session(stack)
        set_traffic(session.stack, session.home, status.candidate, None)
        out.line(f"{session.stack.config_file} says so: commit it")


def _at_any_time(rollouts: Rollouts, status: RolloutStatus) -> RolloutStatus:
    """Who leaves the stack's windows out for once stands in the history."""
    usual = rollouts.spec({})
    if (usual.windows, usual.freeze) == (status.spec.windows, status.spec.freeze):
        return status
    return status.said(
        status.began, "windows left out", f"by {rollouts.operator}: {', '.join((*usual.windows, *usual.freeze))}"
    )


def run(stack: str, rollout: str | None, once: bool) -> None:
    """Drives a rollout to its end; with `once` one tick."""
    rollouts = opened(stack)
    found = rollouts.current(rollout)
    status = rollouts.store.read(found)
    if status.spec.strategy is StrategyName.RECREATE and not status.state.is_over:
        from turnout.cli.recreating import take_up

        take_up(Session(stack), rollouts, status)
        return
    if not once:
        drive(rollouts, found)
        return
    tick = controller(rollouts, found).tick(found)
    if tick.driven_by is not None:
        screen().line(f"{tick.driven_by} drives {found}")
    else:
        screen().line(f"{found}: {tick.waits or tick.status.state.value}")
    screen().result(view.document(tick.status, tick.waits))


def show(stack: str, rollout: str | None, watch: bool) -> None:
    """Prints a rollout's status; with `watch` until it ends."""
    rollouts = opened(stack)
    found = rollouts.current(rollout)
    out = screen()
    if watch and not out.as_json:
        _watch(rollouts, found)
    status = rollouts.store.read(found)
    waits, results = _waits(rollouts, status), checklist(rollouts, status)
    out.result(view.document(status, waits, results))
    out.show(view.status(status, waits))
    out.show(view.checklist(results))


def _watch(rollouts: Rollouts, rollout: str) -> None:
    """Until it ends or somebody interrupts: drawn over and over on a terminal, elsewhere a line for each thing that happens."""
    told = 0
    try:
        with Watch() as watch:
            while not (status := rollouts.store.read(rollout)).state.is_over:
                if not watch.is_drawn:
                    for event in status.events[told:]:
                        screen().line(f"{event.at:%H:%M:%S}  {event.what}{f': {event.why}' if event.why else ''}")
                told = len(status.events)
                watch.show(status, _waits(rollouts, status))
                time.sleep(LOOK)
    except KeyboardInterrupt:
        fix = "`turnout rollout status` says who drives it, `turnout rollout abort` ends it"
        raise CommandFailed(Exit.INTERRUPTED, f"watched no more; the rollout is not touched: {fix}") from None


def _waits(rollouts: Rollouts, status: RolloutStatus) -> str:
    """What its driver waits for; why that cannot be said."""
    if status.state.is_over or status.spec.strategy is StrategyName.RECREATE:
        return ""
    try:
        return controller(rollouts, status.id).waits(status)
    except (BotoCoreError, ClientError) as error:
        return f"not known: {error}"


def pause(stack: str, rollout: str | None) -> None:
    """The weight stays; the gates still look, and still take back."""
    _set(stack, rollout, State.RUNNING, State.PAUSED, "paused")


def resume(stack: str, rollout: str | None) -> None:
    """Goes on where it was paused."""
    _set(stack, rollout, State.PAUSED, State.RUNNING, "resumed")


def _set(stack: str, rollout: str | None, old: State, new: State, what: str) -> None:
    rollouts = opened(stack)
    found = rollouts.current(rollout)

    def changed(status: RolloutStatus) -> RolloutStatus:
        if status.state is not old:
            raise CommandFailed(Exit.SWITCH, f"rollout {found} is {status.state.value}: it cannot be {what}")
        return status.changed(state=new).said(view.now(), what, f"by {rollouts.operator}")

    status = rollouts.store.update(found, changed)
    screen().line(f"rollout {found} is {what}")
    screen().result(view.document(status))


def promote(stack: str, rollout: str | None) -> None:
    """Approves the step that waits, or goes on without the evidence that it waits for."""
    rollouts = opened(stack)
    found = rollouts.current(rollout)

    def approved(status: RolloutStatus) -> RolloutStatus:
        if status.state.is_over:
            raise CommandFailed(Exit.SWITCH, f"rollout {found} is over: {status.state.value}")
        _refuse_another_step(status, view.now())
        return status.changed(approved=status.step).said(view.now(), TOLD, f"by {rollouts.operator}")

    status = rollouts.store.update(found, approved)
    screen().line(
        f"rollout {found}: step {status.step + 1} of {len(status.plan)} is approved; a critical gate may still refuse"
    )
    screen().result(view.document(status))


def _refuse_another_step(status: RolloutStatus, now: datetime) -> None:
    """Two people who promote at the same time mean one step. Raises `CommandFailed` for who would promote the next one."""
    told = next((event for event in reversed(status.events) if event.what == TOLD), None)
    if told is not None and status.approved != status.step and now - told.at < MEANT:
        step = f"step {status.step + 1} of {len(status.plan)}, {step_name(status.current)},"
        raise CommandFailed(
            Exit.SWITCH,
            f"the step before was promoted {(now - told.at).total_seconds():.0f} s ago, {told.why}; {step} is another: "
            "look with `turnout rollout status`, and promote again where that is meant too",
        )


def note(stack: str, rollout: str | None, text: str) -> None:
    """Writes down what people should know of a rollout."""
    rollouts = opened(stack)
    found = rollouts.current(rollout)
    status = rollouts.store.update(found, lambda status: status.said(view.now(), NOTE, text))
    screen().line(f"written down with rollout {found}")
    screen().result(view.document(status))


def abort(stack: str, rollout: str | None, reason: str) -> None:
    """Takes all traffic back now."""
    rollouts = opened(stack)
    found = rollouts.current(rollout)
    before = rollouts.store.read(found)
    if before.state.is_over:
        fix = "; `turnout rollback` gives traffic back" if before.state is State.PROMOTED else ""
        raise CommandFailed(Exit.SWITCH, f"rollout {found} is over: {before.state.value}{fix}")
    began = time.monotonic()
    status = controller(rollouts, found).abort(found, reason)
    took = f"({time.monotonic() - began:.2f} s): {status.cause}"
    if status.weight and not status.state.is_over:
        rest = f"{status.weight} % stay at {status.candidate} until {status.stable} has nodes for them"
        screen().line(f"traffic goes back to {status.stable} {took}; {rest}: `turnout rollout run` stays with it")
    else:
        screen().line(f"traffic is back at {status.stable} {took}")
    screen().result(view.document(status))


def history(stack: str) -> None:
    """The newest rollouts; one that another version of Turnout has written is named and no more."""
    rollouts = opened(stack)
    found: list[RolloutStatus] = []
    unread: list[str] = []
    for each in rollouts.store.ids()[:20]:
        try:
            found.append(rollouts.store.read(each))
        except NoRollout:
            continue
        except TableMissing:
            raise
        except RecordError as error:
            unread.append(str(error))
    screen().result([view.document(status) for status in found])
    screen().show(view.history(found) if found else "no rollout was begun")
    for line in unread:
        screen().line(f"! {line}")


def report(stack: str, rollout: str | None, html: Path | None) -> None:
    """Writes a rollout's page; an older one in its place is replaced, any other file is left alone."""
    from turnout.report.file import NotAReport, write
    from turnout.report.page import page

    rollouts = opened(stack)
    status = rollouts.store.read(rollouts.current(rollout))
    file = (html or Path(f"{status.id}.html")).absolute()
    try:
        write(file, page(status, rollouts.store.key, view.now()))
    except NotAReport as error:
        raise CommandFailed(Exit.REFUSED, str(error)) from None
    except OSError as error:
        raise CommandFailed(Exit.REFUSED, f"{file}: {error.strerror}; choose another file with --html") from None
    screen().line(f"the report of {status.id} is in {file}")
    screen().result({"file": str(file)})
