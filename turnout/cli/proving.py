"""Proves a release whole before a command gives it traffic."""

from collections.abc import Callable

from turnout_components.release import name_of
from turnout_components.resolve import SwitchRefused

from turnout.access import Access
from turnout.cli.session import Session
from turnout.rollout.wholeness import faults


def prove_whole(
    session: Session, access: Access, release: str, consequence: str, told: Callable[[str], None] = lambda file: None
) -> None:
    """`release`: an id of the stack's manifests; `told` gets each file before it is looked at.

    Raises `SwitchRefused` with everything that is missing, and that `consequence` ("nothing moves")."""
    broken = faults(
        release,
        session.stack.releases,
        s3=lambda: access.client("s3"),
        ecr=lambda region: access.client("ecr", region),
        told=told,
    )
    if broken:
        raise SwitchRefused("\n  ".join([f"{name_of(release)} is not whole, so {consequence}:", *broken]))
