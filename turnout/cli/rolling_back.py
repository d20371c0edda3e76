"""`turnout rollback`. Every import here costs time in which a bad release answers users."""

from datetime import timedelta

from turnout.cli.session import Session, screen


def roll_back(stack: str, now: bool, reason: str) -> None:
    """Traffic first, then the record; prints what moved and the config line to commit."""
    session = Session(stack)
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
        name = done.unstable.partition("@")[0]
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
