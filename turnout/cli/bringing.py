"""`turnout rollout start --release`: brings a release to the standby before its rollout begins."""

import time
from datetime import timedelta

from turnout_components.live import ready_targets
from turnout_components.release import Release, digest_of, name_of
from turnout_components.resolve import SwitchRefused
from turnout_components.switch_record import SwitchRecord

from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.executing import execute
from turnout.cli.pipeline import find
from turnout.cli.proving import prove_whole
from turnout.cli.session import Session, screen
from turnout.deploy import check, configure, engine_of
from turnout.rollout.start import startable
from turnout.rollouts import Rollouts

_LOOK = 1.0


def is_there(session: Session, rollouts: Rollouts, wanted: str) -> bool:
    """Whether the standby runs the release already; says so, or what would be done.

    Raises `SwitchRefused` where it could not be rolled out, `ReleaseError` where there is no such release."""
    release, standby, record = _prepared(session, rollouts, wanted)
    runs = record.environments[standby].release
    if runs is not None and digest_of(runs) == release.digest:
        screen().line(f"{standby} runs {release.name}")
        return True
    screen().line(f"{standby} runs {name_of(runs) if runs else 'nothing'}; `start` deploys {release.name} to it first")
    return False


def bring(session: Session, rollouts: Rollouts, wanted: str, within: timedelta) -> None:
    """Writes the release into the standby's config, runs `up` and waits until it serves. A refusal leaves config as it was.

    Raises `SwitchRefused`, `ReleaseError`, `CommandFailed`."""
    release, standby, record = _prepared(session, rollouts, wanted)
    runs = record.environments[standby].release
    if runs is None or digest_of(runs) != release.digest or session.stack.environments[standby] != release.id:
        _up(session, standby, release.id)
    _await(rollouts, standby, release, within)


def _prepared(session: Session, rollouts: Rollouts, wanted: str) -> tuple[Release, str, SwitchRecord]:
    """The release, which is whole and may have traffic, and the environment that it goes to."""
    release, manifest = find(session, wanted)
    if manifest.parent != session.stack.releases:
        fix = f"`turnout releases publish {wanted} --stack {session.stack.name}` puts it there"
        raise SwitchRefused(f"{manifest} is not in {session.stack.releases}, where the stack's releases are; {fix}")
    record = startable(rollouts.access.store.read(), rollouts.access.live)
    assert record.traffic is not None
    active = record.traffic.active
    mark = record.unstable.get(release.digest)
    if mark is not None:
        fix = f"run `turnout releases accept {release.name}` to try it again"
        raise SwitchRefused(f"{release.name} is marked unstable ({mark.reason}); {fix}")
    if digest_of(record.environments[active].release) == release.digest:
        raise SwitchRefused(f"{active} serves {release.name} with all traffic; there is nothing to roll out")
    prove_whole(session, rollouts.access, release.id, "nothing is deployed")
    return release, next(name for name in record.environments if name != active), record


def _up(session: Session, standby: str, release: str) -> None:
    stack = session.stack
    check(stack, "up", engine_of(stack))
    before = stack.file.read_text()
    screen().line(f"deploy {name_of(release)} to {standby}")
    configure(stack, session.home, {f"environments.{standby}.release": release})
    written = stack.file.read_text()
    outcome = execute(session, "up")
    if outcome.code == 0:
        return
    if outcome.code in (Exit.REFUSED, Exit.SWITCH) and stack.file.read_text() == written:
        stack.file.write_text(before)
    raise CommandFailed(Exit(outcome.code), outcome.reason or f"{name_of(release)} was not deployed")


def _await(rollouts: Rollouts, standby: str, release: Release, within: timedelta) -> None:
    """Until one target of the standby is healthy; how many a weight needs, the rollout waits for.

    Raises `SwitchRefused` with what the targets say."""
    record = rollouts.access.store.read()
    assert record is not None
    state = record.environments[standby]
    deadline = time.monotonic() + within.total_seconds()
    while True:
        ready, targets = ready_targets(rollouts.access.live, state.target_group, state.group)
        if ready:
            screen().line(f"{standby} runs {release.name}: {ready} of {len(targets)} targets healthy")
            return
        if time.monotonic() > deadline:
            states = ", ".join(sorted({target.state for target in targets})) or "there are none"
            waited = f"no healthy target in {standby} within {within} (targets: {states})"
            raise SwitchRefused(f"{release.name} does not serve: {waited}; nothing moved, see its server's log")
        time.sleep(_LOOK)
