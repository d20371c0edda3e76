"""Releases for the standby of the cloud that tests of rollouts share."""

from benchmarks.rollouts import accept, deploy
from benchmarks.service import Service, release


def to_the_standby(target: Service, version: str) -> None:
    """That release in the standby, whatever was found of it before, and not kept for a rollback."""
    record, standby = target.record(), target.standby
    is_kept = record.retained is not None and record.retained.environment == standby
    if is_kept or record.environments[standby].release != release(version):
        deploy(target, version)
    accept(target)


def the_other(target: Service) -> str:
    """The good version that does not serve."""
    serves = str(target.record().environments[target.active].release)
    return "2.0.0" if serves.startswith("digits-1.0.0") else "1.0.0"
