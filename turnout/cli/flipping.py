"""`turnout flip`: the switch in config, and `up`; also the moves that config alone cannot express."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from turnout_components.resolve import SwitchRefused
from turnout_components.switch_record import RecordStore, SwitchRecord, Traffic

from turnout.cli.deploying import execute, finish
from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.session import Session, screen
from turnout.deploy import check, engine_of, set_traffic
from turnout.stacks import Stack


def flip(stack: str, environment: str | None, to: str | None) -> None:
    """Moves traffic to `environment` (default: the standby), or by the shares in `to`.

    A move that is refused leaves config and record as they were."""
    session = Session(stack)
    check(session.stack, "up", engine_of(session.stack))
    shares = parse_shares(to, session.stack) if to else None
    store = session.access().store
    record = store.read()
    if record is None or record.traffic is None:
        raise SwitchRefused("nothing is deployed, so there is nothing to flip; run `turnout up`")
    wanted = _wanted(session.stack, record.traffic, environment, shares)
    screen().line(f"flip: {record.traffic} → {wanted}")
    with _undone_when_refused(session, store, record, wanted):
        set_traffic(session.stack, session.home, wanted.active, shares)
        outcome = execute(session, "up")
        if outcome.code in (Exit.REFUSED, Exit.SWITCH):
            raise CommandFailed(Exit(outcome.code), "\n".join(outcome.errors))
    finish(outcome, traffic=wanted.model_dump(), config=f"turnout:traffic.active: {wanted.active}")
    screen().line(f"commit {session.stack.config_file}: turnout:traffic.active is {wanted.active}")


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
def _undone_when_refused(session: Session, store: RecordStore, record: SwitchRecord, wanted: Traffic) -> Iterator[None]:
    """Makes `wanted` a new wish even where config has said so all along, and takes that back when it is refused."""
    config = session.stack.file.read_text()
    acknowledge = record.traffic != wanted and record.config_base != record.traffic
    if acknowledge:
        store.update(SwitchRecord.acknowledged)
    try:
        yield
    except CommandFailed:
        session.stack.file.write_text(config)
        if acknowledge:
            store.update(lambda r: r.changed(config_base=record.config_base) if r.traffic == record.traffic else r)
        raise
