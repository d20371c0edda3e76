"""What is asked when: fixed in advance by a seed, so that no answer can change the load."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

_CHUNK = 4096


class Ask(NamedTuple):
    """One request: seconds from the start at which it is to be sent, the held-out image, its class, its connection, and which
    of the clients that keep cookies sends it (-1: none of them)."""

    at: float
    image: int
    slow: bool
    new_connection: bool
    client: int = -1


@dataclass(frozen=True)
class Plan:
    """The load. `rate` in requests a second; shares are 0 to 1; without `seconds` it has no end. `sticky_share` of
    the requests come from `sticky_clients` clients that keep cookies."""

    rate: float
    seconds: float | None = None
    slow_share: float = 0.0
    new_connection_share: float = 0.0
    poisson: bool = False
    seed: int = 1
    sticky_share: float = 0.0
    sticky_clients: int = 20

    def asks(self, images: int) -> Iterator[Ask]:
        """The requests in order of time, over `images` held-out images."""
        chance = np.random.default_rng(self.seed)
        who = np.random.default_rng((self.seed, 1))  # of its own: the other columns are the same with and without such clients
        begin = 0.0
        for first in itertools.count(0, _CHUNK):
            if self.poisson:
                times = begin + np.cumsum(chance.exponential(1 / self.rate, _CHUNK))
                begin = float(times[-1])
            else:
                times = np.arange(first, first + _CHUNK) / self.rate
            columns = (
                times.tolist(),
                chance.integers(images, size=_CHUNK).tolist(),
                (chance.random(_CHUNK) < self.slow_share).tolist(),
                (chance.random(_CHUNK) < self.new_connection_share).tolist(),
                np.where(who.random(_CHUNK) < self.sticky_share, who.integers(self.sticky_clients, size=_CHUNK), -1).tolist(),
            )
            for ask in map(Ask._make, zip(*columns, strict=True)):
                if self.seconds is not None and ask.at >= self.seconds:
                    return
                yield ask


def heldout(path: Path) -> tuple[list[list[int]], list[int]]:
    """The held-out images (64 values of 0–16 each) and their labels."""
    with np.load(path) as data:
        return data["images"].tolist(), data["labels"].tolist()
