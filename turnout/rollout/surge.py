"""Swaps the nodes under a rollout where there is no room for twice as many: weight moves as nodes do. Pure.

`total` nodes serve all traffic today. The plan never runs more than `max_surge` beside them, and no node is asked for more
than `load` times what it carries today. What it costs: the active side has fewer nodes as the weight rises, so a way back is
as long as the boots of the nodes that it has given up.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

LOAD = 1.1
"""Weights are whole percents: at exactly 1 many totals cannot be swapped one node at a time (1 of 7 nodes is 14.29 %)."""


class SurgeRefused(ValueError):
    """No plan fits; the message says the smallest surge, and the smallest load, with which one does."""


@dataclass(frozen=True)
class Stage:
    """So many nodes on each side, booting ones included, and the candidate's share in percent. Between two stages just one of
    the three changes. `declared`: the strategy names this weight, so its steps go here."""

    candidate: int
    active: int
    weight: int
    declared: bool = False


def plan(total: int, max_surge: int, weights: Sequence[int], load: float = LOAD) -> tuple[Stage, ...]:
    """From (0, total, 0) through every weight; after 100 % the candidate has `total` nodes, and the active what room is left.

    Raises `SurgeRefused`; `ValueError` for numbers that make no sense."""
    if total < 1 or max_surge < 0 or load < 1 or not weights:
        raise ValueError(f"total {total}, max_surge {max_surge}, load {load}, weights {list(weights)}: no rollout is so")
    if weights[0] < 1 or weights[-1] > 100 or any(after <= before for before, after in pairwise(weights)):
        raise ValueError(f"weights {list(weights)}: list percents from 1 to 100 that rise")
    found = _walk(total, max_surge, weights, load)
    if found is None:
        surge = smallest(total, weights, load)
        loads = (load + n / 100 for n in range(1, 101))
        enough = next((each for each in loads if _walk(total, max_surge, weights, each) is not None), None)
        instead = f", or let a node carry {enough:.2f} times what it carries today" if enough else ""
        raise SurgeRefused(
            f"{total} nodes cannot be swapped with {max_surge} beside them at {load:.2f} times today's load a node: "
            f"write max_surge: {surge} or more{instead}"
        )
    return found


def smallest(total: int, weights: Sequence[int], load: float = LOAD) -> int:
    """The smallest surge with which a plan fits; `total` always does."""
    return next(surge for surge in range(total + 1) if _walk(total, surge, weights, load) is not None)


def fits(stage: Stage, total: int, load: float) -> bool:
    """Whether no node of either side carries more than `load` times what a node carries today."""
    limit = Fraction(load) * 100
    return stage.weight * total <= stage.candidate * limit and (100 - stage.weight) * total <= stage.active * limit


def _walk(total: int, surge: int, weights: Sequence[int], load: float) -> tuple[Stage, ...] | None:
    """Grow, shift, shrink and again, each as far as it goes; None where nothing moves any more."""
    stages = [Stage(0, total, 0)]

    def to(stage: Stage) -> bool:
        moved = (stage.candidate, stage.active, stage.weight) != _numbers(stages[-1])
        if moved:
            stages.append(stage)
        return moved

    for weight in weights:
        wanted = total if weight == 100 else nodes(weight, total, load)
        while (now := stages[-1]).weight < weight or now.candidate < wanted:
            grown = max(now.candidate, min(wanted, total + surge - now.active))
            moved = to(Stage(grown, now.active, now.weight))
            share = max(now.weight, min(weight, math.floor(grown * Fraction(load) * 100 / total)))
            if share > now.weight:
                moved |= to(Stage(grown, now.active, share, declared=share == weight))
            if share < weight or grown < wanted:
                left = max(nodes(100 - share, total, load), total + surge - wanted)
                moved |= to(Stage(grown, min(now.active, left), share))
            if not moved:
                return None
    return tuple(stages)


def _numbers(stage: Stage) -> tuple[int, int, int]:
    return stage.candidate, stage.active, stage.weight


def nodes(share: int, total: int, load: float) -> int:
    """The nodes that carry this share, in percent."""
    return math.ceil(share * total / (Fraction(load) * 100))
