"""`turnout flip`: the switch in config, and `up`; also the moves that config alone cannot express."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from turnout_components.gate import observe
from turnout_components.release import name_of
from turnout_components.resolve import SwitchRefused
from turnout_components.switch_record import SwitchRecord, Traffic

from turnout.access import Access
from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.executing import execute, finish
from turnout.cli.session import Session, screen
from turnout.deploy import check, configure, engine_of, set_release, set_traffic
from turnout.stacks import Stack


def flip(stack: str, environment: str | None, to: str | None) -> None:
    """Moves traffic to `environment` (default: the standby), or by the shares in `to`.

    A move that is refused leaves config and record as they were."""
    session = Session(stack)
    check(session.stack, "up", engine_of(session.stack))
    shares = parse_shares(to, session.stack) if to else None
    access = session.access()
    record = access.store.read()
    if record is None or record.traffic is None:
        raise SwitchRefused("nothing is deployed, so there is nothing to flip; run `turnout up`")
    wanted = _wanted(session.stack, record.traffic, environment, shares)
    screen().line(f"flip: {record.traffic} → {wanted}")
    with _undone_when_refused(session, access, record, wanted, shares):
        outcome = execute(session, "up")
        if outcome.code in (Exit.REFUSED, Exit.SWITCH):
            raise CommandFailed(Exit(outcome.code), outcome.reason)
    finish(outcome, traffic=wanted.model_dump(), config=f"turnout:traffic.active: {wanted.active}")
    screen().line(f"commit {session.stack.config_file}: turnout:traffic.active is {wanted.active}")


def deploy_and_flip(session: Session, environment: str, release: str) -> None:
    """Brings a release to the standby `environment` and gives it all traffic, in one update behind the gate. A standby that is
    kept for rollback is given up for it."""
    access = session.access()
    record = access.store.read()
    if record is None or record.traffic is None:
        raise SwitchRefused("nothing is deployed; run `turnout up`")
    wanted = Traffic.all_to(environment, tuple(session.stack.environments))
    kept = name_of(record.retained.release) if record.retained else None
    screen().line(f"deploy {release.partition('@')[0]} to {environment}, and move: {record.traffic} → {wanted}")
    with _undone_when_refused(session, access, record, wanted, None):
        set_release(session.stack, session.home, environment, release, discard=kept)
        outcome = execute(session, "up")
        if outcome.code in (Exit.REFUSED, Exit.SWITCH):
            raise CommandFailed(Exit(outcome.code), outcome.reason)
    if kept and outcome.code == 0:
        configure(session.stack, session.home, {}, remove=("traffic.standby.discard",))
    finish(outcome, traffic=wanted.model_dump(), config=f"turnout:traffic.active: {wanted.active}")


def parse_shares(text: str, stack: Stack) -> dict[str, int]:
    """`blue=90,green=10` as shares of the stack's environments, in percent; who is not named gets 0.

    Raises `CommandFailed` unless they are whole numbers that sum to 100."""
    shares = dict.fromkeys(stack.environments, 0)
    for part in text.split(","):
        name, _, share = part.strip().partition("=")
        if name not in shares or not share.strip().isdecimal():
            raise CommandFailed(Exit.REFUSED, f"--to {text}: {part!r} is no share; write e.g. {_example(stack)}")
        shares[name] = int(share)
    if sum(shares.values()) != 100:
        raise CommandFailed(Exit.REFUSED, f"--to {text}: the shares sum to {sum(shares.values())}; make it 100")
    return shares


def _example(stack: Stack) -> str:
    first, *others = stack.environments
    return ",".join([f"{first}=90", *(f"{name}=10" for name in others[:1])])


def _wanted(stack: Stack, traffic: Traffic, environment: str | None, shares: Mapping[str, int] | None) -> Traffic:
    known = tuple(stack.environments)
    if environment is not None and environment not in known:
        raise CommandFailed(Exit.REFUSED, f"no environment {environment!r} in {stack.config_file}; it has {', '.join(known)}")
    if shares is not None:
        return Traffic(active=environment or traffic.active, weights=dict(shares))
    if environment is None:
        environment = next((name for name in known if name != traffic.active), traffic.active)
    return Traffic.all_to(environment, known)


@contextmanager
def _undone_when_refused(
    session: Session, access: Access, record: SwitchRecord, wanted: Traffic, shares: Mapping[str, int] | None
) -> Iterator[None]:
    """Writes `wanted` into config, makes it a new wish even where config has said so all along, and takes both back when the
    move is refused; not where traffic moved all the same, nor what somebody else has written into config meanwhile."""
    file, store = session.stack.file, access.store
    before = file.read_text()
    acknowledge = record.traffic != wanted and record.config_base != record.traffic
    if acknowledge:
        store.update(SwitchRecord.acknowledged)
    try:
        set_traffic(session.stack, session.home, wanted.active, shares)
        written = file.read_text()
        yield
    except CommandFailed:
        if _moved(access, record, wanted):
            screen().line(f"! traffic moved all the same: {session.stack.config_file} keeps {wanted.active}")
            raise
        if file.read_text() == written:
            file.write_text(before)
        else:
            screen().line(f"! {session.stack.config_file} was edited meanwhile and stays; turnout:traffic there is this flip's")
        if acknowledge:
            store.update(lambda r: r.changed(config_base=record.config_base) if r.traffic == record.traffic else r)
        raise


def _moved(access: Access, record: SwitchRecord, wanted: Traffic) -> bool:
    """Whether the load balancer has come to the wanted weights; not known is no."""
    from botocore.exceptions import BotoCoreError, ClientError

    if record.traffic is not None and record.traffic.weights == wanted.weights:
        return False
    try:
        return observe(access.live, record).weights == wanted.weights
    except (BotoCoreError, ClientError):
        return False
