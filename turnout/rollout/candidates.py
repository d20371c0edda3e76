"""Releases that a rollback by hand may go to: those that have had all traffic and are not marked unstable. Pure.

Read from the switch record's history, which outlives stacks; it remembers the last `HISTORY_LENGTH` moves.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from turnout_components.release import digest_of, name_of
from turnout_components.switch_record import HistoryEntry, SwitchRecord


class NoCandidate(LookupError):
    """The release that was asked for is none to go back to; the message says why, and what to do."""


@dataclass(frozen=True)
class Candidate:
    """A release that had all traffic, last from `began` until `ended` (None: it has it now), and for `served` in all times
    together. `taken_back`: each of those times ended with its traffic being taken back, so it never held. `stands_in`: the
    environment that still runs it, so that going back is one move and no deployment."""

    release: str
    began: datetime
    ended: datetime | None
    served: timedelta = timedelta(0)
    taken_back: bool = False
    stands_in: str | None = None

    @property
    def name(self) -> str:
        return name_of(self.release)


def candidates(record: SwitchRecord) -> tuple[Candidate, ...]:
    """Where a rollback may go, the one that served last first, but after all others what was taken back each time. What serves
    now, or shares traffic, is none."""
    now = _carrying(record)
    found = (
        replace(each, stands_in=_stands_in(record, each.release))
        for each in _served(record)
        if digest_of(each.release) not in record.unstable and digest_of(each.release) not in now
    )
    return tuple(sorted(found, key=lambda each: each.taken_back))


def choose(record: SwitchRecord, wanted: str | None = None) -> Candidate:
    """The previous stable release, or the one that `wanted` (name, digest or id) names.

    Raises `NoCandidate`."""
    found = candidates(record)
    known = ", ".join(each.name for each in found) or "none"
    if wanted is None:
        if not found:
            raise NoCandidate("no earlier release that had all traffic is stable; see `turnout releases list`")
        return found[0]
    matching = [each for each in found if _names(wanted, each.release)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        ids = ", ".join(each.release for each in matching)
        raise NoCandidate(f"{wanted} names {len(matching)} releases; write one of {ids}")
    for mark in record.unstable.values():
        if _names(wanted, mark.release):
            accept = f"`turnout releases accept {mark.release.partition('@')[0]}` if it shall serve after all"
            raise NoCandidate(f"{mark.release} is marked unstable since {mark.at:%Y-%m-%d %H:%M} UTC ({mark.reason}): {accept}")
    if any(_names(wanted, release) for release in _active_releases(record)):
        raise NoCandidate(f"{wanted} carries traffic now; candidates: {known}")
    raise NoCandidate(f"{wanted} never had all traffic, as far as the record remembers; candidates: {known}")


def _served(record: SwitchRecord) -> Iterator[Candidate]:
    """Each release's last time with all traffic, the newest first."""
    found: dict[str, Candidate] = {}
    current: Candidate | None = None
    for entry in record.history:
        release = _sole(entry)
        if current is not None and release != current.release:
            before = found.pop(digest_of(current.release), None)
            found[digest_of(current.release)] = _over(current, before, entry)
            current = None
        if release is not None and current is None:
            current = Candidate(release, entry.at, None)
    if current is not None:
        found.pop(digest_of(current.release), None)
        found[digest_of(current.release)] = current
    yield from reversed(found.values())


def _over(current: Candidate, before: Candidate | None, entry: HistoryEntry) -> Candidate:
    """A time with all traffic that this entry ends, added to those before it."""
    served = entry.at - current.began + (before.served if before else timedelta(0))
    back = entry.kind == "rollback" and (before is None or before.taken_back)
    return replace(current, ended=entry.at, served=served, taken_back=back)


def _sole(entry: HistoryEntry) -> str | None:
    """The release that all traffic goes to after this entry."""
    if entry.traffic is None or entry.traffic.weights.get(entry.traffic.active) != 100:
        return None
    return entry.releases.get(entry.traffic.active)


def _active_releases(record: SwitchRecord) -> list[str]:
    weights = record.traffic.weights if record.traffic else {}
    return [state.release for name, state in record.environments.items() if weights.get(name, 0) > 0 and state.release]


def _carrying(record: SwitchRecord) -> set[str]:
    return {digest_of(release) for release in _active_releases(record)}


def _stands_in(record: SwitchRecord, release: str) -> str | None:
    standing = (
        n for n, state in record.environments.items() if state.release and digest_of(state.release) == digest_of(release)
    )
    return next(standing, None)


def _names(wanted: str, release: str) -> bool:
    return wanted in (release, name_of(release), digest_of(release))
