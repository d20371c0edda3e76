"""Which variant of an A/B experiment a user gets: the same for this user everywhere and always, with nothing to remember.

A user's bucket is the first 32 bits (big-endian) of SHA-256 of `<experiment>:<user key>` in UTF-8, modulo 10,000. SHA-256
because every language, every SQL dialect and the gateway's Lua can compute it exactly, and because experiments that run over
the same users fall independently (short multiplicative hashes do not). docs/experiments.md has vectors to check another
implementation by. `ranges` says which buckets are whose.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby, pairwise

from turnout_components.checks import Fault, refuse

VARIANT_HEADER = "x-variant"
"""The request header that carries the variant from the caller or gateway to the load balancer's rules and the servers."""
BUCKETS = 10_000
"""A bucket is a hundredth of a percent of the users."""
_NAME = re.compile(r"^[a-z][a-z0-9-]{0,31}$")
_NAMING = "write at most 32 lower-case letters, digits and hyphens, a letter first"


@dataclass(frozen=True)
class Range:
    """The buckets from `first` up to, not including, `end`."""

    first: int
    end: int
    variant: str


def bucket(experiment: str, user_key: str) -> int:
    """The user's bucket in this experiment, 0 to 9,999."""
    digest = hashlib.sha256(f"{experiment}:{user_key}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % BUCKETS


def variant(experiment: str, user_key: str, split: Mapping[str, float]) -> str | None:
    """The user's variant; None for a user who takes no part, and for one without a key: all of those would share a bucket.

    `split`: percent of all users by variant, in steps of 0.01; what is left to 100 takes no part. Keep the order of the
    variants while an experiment runs.

    Raises `ValueError` for an experiment or a split that cannot be."""
    places = _places(experiment, tuple(split.items()))
    if not user_key:
        return None
    found = bucket(experiment, user_key)
    return next((place.variant for place in places if place.first <= found < place.end), None)


@cache
def _places(experiment: str, split: tuple[tuple[str, float], ...]) -> tuple[Range, ...]:
    refuse(faults(experiment, dict(split)))
    return ranges(dict(split))


def faults(experiment: str, split: Mapping[str, float]) -> list[Fault]:
    """Everything that is wrong with an experiment's name and split."""
    wrong = [] if _NAME.fullmatch(experiment) else [Fault("experiment", experiment, "is no name", _NAMING)]
    if len(split) < 2:
        wrong.append(Fault("split", dict(split), "compares nothing", "write two variants or more"))
    for name, share in split.items():
        if not _NAME.fullmatch(name):
            wrong.append(Fault(f"split.{name}", name, "is no variant's name", _NAMING))
        if not 0 <= share <= 100 or abs(share * 100 - round(share * 100)) > 1e-6:
            wrong.append(Fault(f"split.{name}", share, "is no share", "write percent from 0 to 100 in steps of 0.01"))
    if not wrong and sum(map(_size, split.values())) > BUCKETS:
        wrong.append(Fault("split", dict(split), "is more than all users", "write shares whose sum is at most 100"))
    return wrong


def ranges(split: Mapping[str, float]) -> tuple[Range, ...]:
    """Whose buckets are whose, in order; buckets of nobody are left out.

    Each of n variants has a home, the n-th part of the buckets, and fills it from its first. What is above a home goes to the
    ends of the other homes. So as long as no share is above 100/n, raising one takes users from those who took no part and
    moves nobody between variants; otherwise it moves at most n - 1 buckets for each that it is raised by.
    """
    homes = _homes(len(split))
    owners: list[str | None] = [None] * BUCKETS
    above: dict[str, int] = {}
    for (name, share), home in zip(split.items(), homes, strict=True):
        own = min(_size(share), len(home))
        owners[home.start : home.start + own] = [name] * own
        above[name] = _size(share) - own
    free = [place for home in homes for place in reversed(home) if owners[place] is None]
    for name, count in above.items():
        for place in free[:count]:
            owners[place] = name
        del free[:count]
    return _runs(owners)


def _size(share: float) -> int:
    return round(share * 100)


def _homes(count: int) -> list[range]:
    edges = [BUCKETS * number // count for number in range(count + 1)]
    return [range(first, end) for first, end in pairwise(edges)]


def _runs(owners: Sequence[str | None]) -> tuple[Range, ...]:
    runs = []
    for name, places in groupby(range(len(owners)), key=lambda place: owners[place]):
        held = list(places)
        if name is not None:
            runs.append(Range(held[0], held[-1] + 1, name))
    return tuple(runs)
