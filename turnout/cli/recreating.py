"""`turnout rollout start --strategy recreate`, and an `up` that replaces the active release: announced, measured, put back."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from turnout_components import checks
from turnout_components.live import utc_now
from turnout_components.release import digest_of, parse
from turnout_components.resolve import SwitchRefused
from turnout_components.rollout_spec import StrategyName

from turnout.cli import rollout_view as view
from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.executing import execute
from turnout.cli.proving import prove_whole
from turnout.cli.rollout_drive import end_taken_back, opened
from turnout.cli.session import Session, screen
from turnout.deploy import check as deployable
from turnout.deploy import configure, engine_of
from turnout.rollout.recreate import Engine, Recreation, announcement, prepare
from turnout.rollout.start import Start
from turnout.rollout.status import RolloutStatus, State
from turnout.rollouts import Rollouts


def accepts_downtime(session: Session) -> bool:
    """Whether the stack's config says that its active release is replaced in place."""
    rollout = session.stack.config.get("rollout")
    return isinstance(rollout, Mapping) and rollout.get("strategy") == StrategyName.RECREATE


def is_due(session: Session) -> bool:
    """Whether an `up` would replace the active release in place. What cannot be known now, the update itself will say."""
    if not accepts_downtime(session):
        return False
    try:
        record = session.access().store.read()
    except Exception:
        return False
    if record is None or record.traffic is None or record.traffic.active != session.stack.active:
        return False
    wanted, deployed = session.stack.environments.get(record.traffic.active), record.environments[record.traffic.active].release
    return bool(wanted and deployed) and digest_of(wanted) != digest_of(deployed)


def start(session: Session, rollouts: Rollouts, changes: Mapping[str, Any], release: str | None) -> None:
    """Announces the downtime, replaces the active release and waits until the new one serves. `release`: its name or id;
    default: what config says for the active environment.

    Raises `SwitchRefused`, `CommandFailed`; nothing was touched then, unless it was taken back."""
    status, said = _prepared(session, rollouts, changes, release)
    screen().line(said)
    run = _recreation(session, rollouts, status)
    _finish(session, run.run(run.begin(status, said)))


def check(session: Session, rollouts: Rollouts, changes: Mapping[str, Any], release: str | None) -> None:
    """Says what users would notice; touches nothing. `release`: as for `start`.

    Raises `SwitchRefused`, `CommandFailed` where it would be refused."""
    status, said = _prepared(session, rollouts, changes, release)
    screen().line(said)
    screen().result({**view.document(status), "announcement": said})


def _prepared(
    session: Session, rollouts: Rollouts, changes: Mapping[str, Any], release: str | None
) -> tuple[RolloutStatus, str]:
    """What may begin, and its announcement."""
    _refuse(session)
    record = rollouts.access.store.read()
    active = record.traffic.active if record is not None and record.traffic is not None else session.stack.active
    wanted = _id(session, release) if release else session.stack.environments.get(active)
    if wanted is None:
        raise SwitchRefused(f"turnout:environments.{active}.release names nothing; say --release NAME")
    begun = Start(rollouts.spec(changes), rollouts.standby(), rollouts.operator, utc_now)
    status = prepare(begun, record, rollouts.access.live, wanted)
    _prove(session, rollouts, status)
    assert record is not None
    return status, announcement(status, rollouts.access.live.launches(str(record.environments[active].group)))


def up(session: Session) -> None:
    """As `start`, with what config says."""
    start(session, opened(session.stack.name), {}, None)


def take_up(session: Session, rollouts: Rollouts, status: RolloutStatus) -> None:
    """Goes on with what a run that was killed has left."""
    _refuse(session)
    _finish(session, _recreation(session, rollouts, status).run(status))


def _refuse(session: Session) -> None:
    """Raises `CommandFailed` where the stack does not accept downtime, or must not."""
    stack = session.stack
    if not accepts_downtime(session):
        text = f"{stack.config_file} does not accept downtime: turnout:rollout.strategy is not recreate (development only)"
        raise CommandFailed(Exit.REFUSED, text)
    ingress = stack.config.get("ingress") or {}
    faults = checks.downtime(stack.cloud, ingress.get("deletion_protection", True), ingress.get("allowed_cidrs") or ())
    if faults:
        lines = [f"turnout:rollout.strategy = {fault.value}: {fault.reason}; {fault.fix}" for fault in faults]
        raise CommandFailed(Exit.REFUSED, "\n".join(lines))
    deployable(stack, "up", engine_of(stack))


def _id(session: Session, release: str) -> str:
    return release if "@" in release else parse(session.stack.releases / f"{release}.yaml").id


def _prove(session: Session, rollouts: Rollouts, status: RolloutStatus) -> None:
    """Both releases must be whole: the new one is about to be all there is, the old one is the way back."""
    for release in (status.releases[status.candidate], str(status.before)):
        prove_whole(session, rollouts.access, release, "nothing is replaced")


def _recreation(session: Session, rollouts: Rollouts, status: RolloutStatus) -> Recreation:
    def write(environment: str, release: str) -> None:
        if session.stack.environments[environment] != release:
            configure(session.stack, session.home, {f"environments.{environment}.release": release})
            session.stack = replace(session.stack, environments={**session.stack.environments, environment: release})

    def up() -> str:
        outcome = execute(session, "up")
        return "" if outcome.code == 0 else "; ".join(outcome.errors) or "the update failed"

    return Recreation(
        rollouts.store,
        rollouts.access.store,
        rollouts.access.live,
        Engine(write, up),
        alert=rollouts.alerter(status.spec),
        notify=lambda line: screen().line(f"{view.clock()}  {line}"),
        clock=utc_now,
        sleep=time.sleep,
    )


def _finish(session: Session, status: RolloutStatus) -> None:
    out = screen()
    out.result(view.document(status))
    file = session.stack.config_file
    if status.state is State.PROMOTED:
        release = status.releases[status.candidate]
        out.line(f"{status.candidate} serves {release}; no healthy target for {status.downtime:.1f} s")
        out.line(f"commit {file}: turnout:environments.{status.candidate}.release is {release}")
        return
    down = f"no healthy target for {status.downtime or 0:.1f} s"
    end_taken_back(f"taken back: {status.cause}; {down}; {file} says {status.before} again")
