"""`turnout rollback`. Every import here costs time in which a bad release answers users."""

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

from turnout_components.release import name_of

from turnout.cli.session import Session, screen

if TYPE_CHECKING:
    from turnout.rollout.candidates import Candidate


def roll_back(stack: str, now: bool, reason: str, to: str | None) -> None:
    """Traffic first, then the record; prints what moved and the config line to commit. `to`: a release to go back to, which is
    proven whole before anything moves."""
    session = Session(stack)
    if to is not None and not _stands_ready(session, to):
        _deploy_and_flip(session, to, reason)
        return
    access = session.access()
    from turnout_components.rollback import rollback
    from turnout_components.switch_record import Operator

    out = screen()
    done = rollback(
        access.store,
        access.live,
        operator=Operator.current(),
        step_downs=access.step_downs,
        reason=reason,
        now_at_any_size=now,
        timeout=timedelta(minutes=15),
        notify=out.line,
    )
    line = f"turnout:traffic.active: {done.after.active}"
    out.line(f"rolled back: {done.before} → {done.after} in {done.seconds:.2f} s")
    out.line(f"{done.after.active} serves {done.release}")
    if done.unstable:
        name = name_of(done.unstable)
        out.line(f"{done.unstable} is marked unstable: no traffic until `turnout releases accept {name}`")
    out.line(f"commit to {session.stack.config_file}: {line}")
    out.result(
        {
            "before": done.before.model_dump(),
            "after": done.after.model_dump(),
            "release": done.release,
            "unstable": done.unstable,
            "seconds": round(done.seconds, 3),
            "config": line,
        }
    )


def _proven(session: Session, to: str) -> "Candidate":
    """The release to go back to, whole. Raises `NoCandidate`, `SwitchRefused`."""
    from turnout_components.resolve import SwitchRefused

    from turnout.cli.proving import prove_whole
    from turnout.rollout.candidates import choose

    access = session.access()
    record = access.store.read()
    if record is None or record.traffic is None:
        raise SwitchRefused("nothing is deployed, so there is nothing to roll back")
    found = choose(record, to)
    if found.taken_back:
        screen().line(f"! {found.name} had all traffic for {_roughly(found.served)} and was taken back each time")
    screen().line(f"proving {found.name} whole: image by digest, every file of its model by sha256")
    prove_whole(session, access, found.release, "nothing moves", lambda file: screen().line(f"  {file}"))
    return found


def _stands_ready(session: Session, to: str) -> bool:
    """Whether it is what a rollback goes back to anyway."""
    found = _proven(session, to)
    record = session.access().store.read()
    kept = record.retained if record else None
    return kept is not None and kept.release == found.release and kept.environment == found.stands_in


def _deploy_and_flip(session: Session, to: str, reason: str) -> None:
    """Brings the release to the standby and moves traffic there, behind the gate; the release that was left is marked."""
    from turnout_components.live import utc_now
    from turnout_components.switch_record import Operator

    from turnout.cli.flipping import deploy_and_flip
    from turnout.rollout.candidates import choose

    access = session.access()
    record = access.store.read()
    assert record is not None
    assert record.traffic is not None
    left = record.environments[record.traffic.active].release
    standby = next(name for name in record.environments if name != record.traffic.active)
    deploy_and_flip(session, standby, choose(record, to).release)
    access.store.update(lambda found: found.blamed(str(left), utc_now(), str(Operator.current()), reason))
    screen().line(f"{left} is marked unstable: no traffic until `turnout releases accept {str(left).partition('@')[0]}`")


def show_candidates(stack: str) -> None:
    """Where a rollback may go, the newest first, and last what never held."""
    from rich.table import Table

    from turnout.rollout.candidates import candidates

    record = Session(stack).access().store.read()
    found = candidates(record) if record is not None else ()
    table = Table()
    for column in ("release", "had all traffic for", "last until (UTC)", "stands in", ""):
        table.add_column(column)
    for each in found:
        until = f"{each.ended:%Y-%m-%d %H:%M}" if each.ended else "now"
        mark = "[yellow]! taken back each time[/]" if each.taken_back else ""
        table.add_row(
            each.name, _roughly(each.served) if each.ended else "–", until, each.stands_in or "– (is deployed first)", mark
        )
    out = screen()
    out.result([{**asdict(one), "served": one.served.total_seconds()} for one in found])
    out.show(table if found else "no earlier release that had all traffic is stable")


def _roughly(length: timedelta) -> str:
    """In the largest unit of which there are two or more."""
    seconds = length.total_seconds()
    units = (("days", 86400), ("hours", 3600), ("min", 60))
    return next((f"{seconds / size:.0f} {unit}" for unit, size in units if seconds >= 2 * size), f"{seconds:.0f} s")
