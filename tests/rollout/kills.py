"""kill -9 at any effect of a driver: before it happens, or just after."""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from rollout_world import World

from turnout.rollout.status import RolloutStatus

PASSING = {"generation", "lease", "windows", "judgements", "judged_of", "compared", "unmeasured"}
"""Of a rollout's status, what a look changes that decides nothing."""
SWEEPS = pytest.mark.parametrize("of", [pytest.param(3, id="some"), pytest.param(0, marks=pytest.mark.slow, id="every")])
"""How many of a story's effects kill a driver (see `spread`)."""


def spread(effects: Sequence[int], of: int, *, after: bool) -> list[int]:
    """So many of the effects, evenly, the first and the last among them; one more for kills after an effect, so that others
    lie between; 0: all of them."""
    few = of + after
    if not of or len(effects) <= few:
        return list(effects)
    return [effects[place * (len(effects) - 1) // (few - 1)] for place in range(few)]


class Killed(BaseException):
    """kill -9: nothing that follows in the process runs, what cleans up neither."""


class Effects:
    """What the drivers of a world do to others, by name in the order in which they did it. The `at`-th kills, `after` it
    happened or before; until `another_host` takes over nothing more can be done."""

    def __init__(self, world: World, at: int = -1, *, after: bool = False) -> None:
        self._at, self._after, self._dead = at, after, False
        self.done: list[str] = []
        """Those that happened."""
        self.written: list[Any] = []
        """What each of them was about: who does the same again in the same place need not be killed again."""
        self._begun = 0
        for owner, name in world.effects:
            self.watch(owner, name)
        self.watch(world.dynamo, "put_item")
        self.watch(world.step_downs, "clear")
        self.watch(world.step_downs, "tend")
        self.watch(world, "_smoke")

    def watch(self, owner: Any, name: str) -> None:
        """Counts a method of `owner` as an effect too."""
        act = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            number, self._begun = self._begun, self._begun + (not self._dead)
            if self._dead or (number == self._at and not self._after):
                self._die()
            self.done.append(name)
            self.written.append((name, repr(args), kwargs["Item"] if "Item" in kwargs else repr(kwargs)))
            result = act(*args, **kwargs)
            if number == self._at:
                self._die()
            return result

        setattr(owner, name, watched)

    def _die(self) -> None:
        self._dead = True
        raise Killed

    @property
    def distinct(self) -> list[int]:
        """The first and the last of those in a row that differ only in what was measured and who drives until when."""
        ends = {0, len(self.written) - 1}
        meant = [(name, args, _meant(given) if isinstance(given, dict) else given) for name, args, given in self.written]
        for place, (before, after) in enumerate(pairwise(meant)):
            if before != after:
                ends |= {place, place + 1}
        return sorted(ends)

    def another_host(self) -> None:
        """What follows is done by a process that lives."""
        self._dead = False


def _meant(item: Any) -> str:
    """An item of the store without what changes at every look."""
    held = json.loads(item["body"]["S"])
    return json.dumps({name: value for name, value in held.items() if name not in PASSING})


def through(
    world: World,
    effects: Effects,
    drive: Callable[[], RolloutStatus],
    takes_over: Callable[[], RolloutStatus],
    after: float = 3,
) -> RolloutStatus:
    """Drives; where the driver is killed, another takes over `after` so many seconds."""
    try:
        return drive()
    except Killed:
        effects.another_host()
        world.clock.sleep_now(after)
        return takes_over()
