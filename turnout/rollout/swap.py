"""A rollout inside `max_surge`: weight moves as nodes are swapped, forth by `surge.plan`, back as far as nodes carry. Pure.

Both ways hold the same two limits: never more than `total` + `max_surge` nodes, booting and draining ones included, and no node
is asked for more than `surge_load` times what it carried before. What failed altogether (no healthy candidate) has no limit.
"""

import math
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction

from turnout_components.rollout_spec import SetWeight

from turnout.analysis.measurement import Side
from turnout.rollout.actions import Action, Decision, Hold, Seen, TakeBack
from turnout.rollout.status import RolloutStatus, State
from turnout.rollout.surge import Stage, nodes, plan


def stages(status: RolloutStatus) -> tuple[Stage, ...]:
    """The plan of a rollout that has a `max_surge`.

    Raises `SurgeRefused`."""
    assert status.spec.max_surge is not None
    weights = [step.set_weight for step in status.plan if isinstance(step, SetWeight)]
    return plan(status.total, status.spec.max_surge, weights, status.spec.surge_load)


def forth(status: RolloutStatus, seen: Seen, now: datetime, put: Callable[[int], Decision]) -> Decision:
    """The next change of the plan; `put` decides how a weight is put in force. Each is seen before the one after it."""
    reached, then = stages(status)[status.stage : status.stage + 2]
    stable, ready = seen.ready.get(Side.ACTIVE, 0), seen.ready.get(Side.CANDIDATE, 0)
    unready = f"{ready} of {then.candidate} healthy targets of {status.candidate}"
    if then.active < reached.active:
        if seen.held != then.active and stable < reached.active:
            return Decision(
                status, waits=f"{stable} of {reached.active} healthy targets of {status.stable}, which gives nodes up"
            )
        return _held(status, seen, now, Side.ACTIVE, then.active)
    if then.candidate > reached.candidate:
        room = _room(status, seen, Side.CANDIDATE)
        if then.candidate > room:
            return Decision(status, waits=f"nodes drain: there is room for {room} of {then.candidate} at {status.candidate}")
        if ready < then.candidate and _is_held(seen, then.candidate):
            return Decision(status, waits=unready)
        return _held(status, seen, now, Side.CANDIDATE, then.candidate)
    if ready < then.candidate:
        return Decision(status, waits=unready)
    if seen.claimed:
        return Decision(status, waits=f"{seen.claimed} is moving traffic")
    return put(then.weight)


def _held(status: RolloutStatus, seen: Seen, now: datetime, side: Side, size: int) -> Decision:
    """Holds a side at this size; the stage is reached when it is seen to be held."""
    if not (seen.held == size if side is Side.ACTIVE else _is_held(seen, size)):
        return Decision(status, Hold(side, size))
    return Decision(status.changed(stage=status.stage + 1, step_began=now), goes_on=True)


def _is_held(seen: Seen, size: int) -> bool:
    return (seen.minimum, seen.maximum) == (size, size)


def _room(status: RolloutStatus, seen: Seen, side: Side) -> int:
    """Nodes that this side may have, beside the other's and its own that drain."""
    assert status.spec.max_surge is not None
    other = Side.ACTIVE if side is Side.CANDIDATE else Side.CANDIDATE
    return status.total + status.spec.max_surge - seen.present.get(other, 0) - seen.draining.get(side, 0)


def kept(status: RolloutStatus, seen: Seen) -> int:
    """The share, in percent, that the candidate must keep when traffic goes back: what the stable side's healthy nodes cannot
    carry. None where no candidate is healthy: its requests are lost for certain."""
    if not seen.ready.get(Side.CANDIDATE, 0):
        return 0
    carried = math.floor(seen.ready.get(Side.ACTIVE, 0) * Fraction(status.spec.surge_load) * 100 / status.total)
    return min(max(0, 100 - carried), status.weight if seen.weight is None else seen.weight)


def back(status: RolloutStatus, seen: Seen, now: datetime) -> Decision:
    """What a way back does next: weight as far as the stable side carries it, then nodes as far as there is room."""
    share = min(kept(status, seen), status.weight)
    if status.moving is not None or (status.weight, seen.weight) != (share, share):
        return Decision(status.changed(moving=share), TakeBack(share))
    action = _nodes_back(status, seen, share)
    if action is not None:
        return Decision(status, action)
    if share == 0 and seen.held >= status.total:
        told = status.said(now, f"all traffic is back at {status.stable}", alert=_was_partial(status))
        return Decision(told.changed(state=State.TAKEN_BACK, ended=now), TakeBack())
    waits = f"going back: {share} % stay at {status.candidate} until {status.stable} has more than "
    return Decision(status, waits=f"{waits}{seen.ready.get(Side.ACTIVE, 0)} of {status.total} healthy targets")


def _nodes_back(status: RolloutStatus, seen: Seen, share: int) -> Action | None:
    """The candidate keeps the nodes of its share, and as many as it began with; the stable side gets what room there is."""
    assert status.spec.max_surge is not None
    began = min(status.sizes[status.candidate].desired, status.spec.max_surge)
    keeps = max(nodes(share, status.total, status.spec.surge_load), began)
    if seen.maximum > keeps:
        return Hold(Side.CANDIDATE, keeps)
    room = min(status.total, _room(status, seen, Side.ACTIVE))
    return Hold(Side.ACTIVE, room) if seen.held < room else None


def _was_partial(status: RolloutStatus) -> bool:
    since = status.back_since
    return since is not None and sum(shift.at >= since for shift in status.shifts) > 1
