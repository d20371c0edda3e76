"""Rollback without Pulumi: the load balancer first, then the record.

Needs what the record holds and AWS's API, nothing else: it works while an update hangs, from any host.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from turnout_components.items import RecordError
from turnout_components.live import LiveCloud, insist, ready_targets, shares, utc_now, way_back
from turnout_components.resolve import SwitchRefused
from turnout_components.standby_plan import StepDowns
from turnout_components.switch_record import EnvironmentState, Operator, RecordStore, SwitchRecord, Traffic

POLL = 0.5


@dataclass(frozen=True)
class RolledBack:
    """What a rollback did. `seconds` runs from its beginning until the load balancer's API answered."""

    before: Traffic
    after: Traffic
    release: str | None
    unstable: str | None
    seconds: float


def rollback(
    store: RecordStore,
    cloud: LiveCloud,
    *,
    operator: Operator,
    step_downs: StepDowns | None = None,
    reason: str = "rolled back by hand",
    now_at_any_size: bool = False,
    timeout: timedelta = timedelta(minutes=15),
    notify: Callable[[str], None] = lambda line: None,
    clock: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> RolledBack:
    """Gives all traffic back to the environment that had it before, breaks any claim, marks the release that was left.

    Waits until the standby has as many healthy targets as it had at the flip; with `now_at_any_size` one is enough. A side that
    gave nodes up to a rollout's swap gets all of it with `now_at_any_size` only, and then what nodes can be had.
    Raises `SwitchRefused` (nothing moved), `RecordError`.
    """
    began = time.monotonic()
    record = store.read()
    if record is None or record.traffic is None or record.listener is None:
        raise SwitchRefused("nothing is deployed, so there is nothing to roll back")
    listener = record.listener
    record = _without_a_dead_claim(record, cloud, clock())
    to, left = _target(record)
    if not now_at_any_size:
        _refuse_a_side_that_gave_nodes_up(record, cloud, to)
    _wait_for_capacity(record, cloud, to, now_at_any_size, timeout, step_downs, notify, clock, sleep)
    by_rules_alone = not _carries(record, left)
    if by_rules_alone:
        _clear_variants(cloud, listener, record.environments.get(left), notify)
    followed = cloud.set_weights(listener, record.by_target_group(to))
    seconds = time.monotonic() - began
    if not followed:
        notify(cloud.unfollowed)
    if not by_rules_alone:
        _clear_variants(cloud, listener, record.environments.get(left), notify)
    _clear(step_downs, record.environments[to.active].group, notify)
    state = record.environments.get(left)
    bad = state.release if state else None
    whole = _whole(record, to.active)
    size = {to.active: max(_capacity(record, cloud, to.active)[0], whole)}
    try:
        store.update(lambda r: r.rolled_back(to, clock(), str(operator), bad, reason, size))
    except RecordError as error:
        raise RecordError(
            f"traffic is back at {to}, but the record could not be written: {error}; the next `turnout up` settles it"
        ) from error
    if whole:
        _swap_back(record, cloud, to.active, left, whole, notify)
    if insist(cloud, listener, record.by_target_group(to)):
        notify("somebody moved traffic in the same moment: it is put back once more")
    before = record.claim.to if record.claim else record.traffic
    assert before is not None
    return RolledBack(before, to, record.environments[to.active].release, bad, seconds)


def _carries(record: SwitchRecord, name: str) -> bool:
    """Whether weights may send it anything: the recorded ones, or those of a move that may have happened."""
    known = [traffic for traffic in (record.traffic, record.claim.to if record.claim else None) if traffic is not None]
    return any(traffic.weights.get(name, 0) for traffic in known)


def _whole(record: SwitchRecord, name: str) -> int:
    """Nodes that all traffic needs, where a rollout swaps them; else 0."""
    floor = record.floors.get(name)
    return floor.whole or 0 if floor is not None and record.rollout is not None else 0


def _refuse_a_side_that_gave_nodes_up(record: SwitchRecord, cloud: LiveCloud, to: Traffic) -> None:
    ready, whole = _capacity(record, cloud, to.active)[0], _whole(record, to.active)
    if ready < whole:
        raise SwitchRefused(
            f"{to.active} has {ready} healthy targets of {whole}: it gave the others up to rollout {record.rollout}. "
            f"`turnout rollout abort` takes traffic back as fast as its nodes carry it; --now gives it all of it at once"
        )


def _swap_back(record: SwitchRecord, cloud: LiveCloud, to: str, left: str, whole: int, notify: Callable[[str], None]) -> None:
    """The side that was left keeps one node to be looked at, the other gets back what it gave up."""
    groups = [state.group for name in (left, to) if (state := record.environments.get(name)) is not None]
    try:
        for group, size in zip(groups, (1, whole), strict=False):
            if group is not None:
                cloud.hold(group, size)
    except Exception as error:
        notify(f"! nodes are not swapped back ({type(error).__name__}: {error}): run `turnout up` soon")
        return
    notify(f"{left} is held at one node and {to} at {whole} until the next `turnout up`")


def _clear_variants(cloud: LiveCloud, listener: str, left: EnvironmentState | None, notify: Callable[[str], None]) -> None:
    """An experiment's rules send variants past the weights: those to the side that was left go first."""
    try:
        if cloud.clear_variants(listener, left.target_group if left else None):
            notify("the experiment's rules are taken out: every request follows the weights again")
    except Exception as error:
        notify(f"! the experiment's rules may still stand ({type(error).__name__}: {error}): run this again")


def _clear(step_downs: StepDowns | None, group: str | None, notify: Callable[[str], None]) -> None:
    """Who carries traffic does not step down; what goes wrong here must not hold a rollback up."""
    if step_downs is None or group is None:
        return
    try:
        step_downs.clear(group)
    except Exception as error:
        notify(f"step-downs of {group} are not taken back ({type(error).__name__}: {error}): run `turnout up` soon")


def _without_a_dead_claim(record: SwitchRecord, cloud: LiveCloud, now: datetime) -> SwitchRecord:
    """A claim whose holder died before it moved anything is no move: what is rolled back is the one before."""
    claim = record.claim
    if claim is None or record.traffic is None or not (claim.expires <= now or claim.by.is_gone()):
        return record
    live = cloud.weights(record.listener) if record.listener is not None else None
    wanted = record.by_target_group(record.traffic)
    return record.changed(claim=None) if live is not None and shares(live) == wanted else record


def _target(record: SwitchRecord) -> tuple[Traffic, str]:
    """Where traffic goes back to, and the environment that it leaves."""
    traffic = record.traffic
    assert traffic is not None
    if record.claim is not None:
        left = next((n for n, w in record.claim.to.weights.items() if w > traffic.weights.get(n, 0)), record.claim.to.active)
        whole = record.claim.rollout is not None and left != traffic.active
        return Traffic.all_to(traffic.active, tuple(traffic.weights)) if whole else traffic, left
    others = [name for name in traffic.weights if name != traffic.active]
    tried = next((name for name in others if traffic.weights[name] > 0), None)
    if record.rollout is not None and tried is None and traffic.weights.get(traffic.active) == 100:
        tried = next(iter(others), None)
    if tried is not None and (record.rollout is not None or record.retained is None):
        return Traffic.all_to(traffic.active, tuple(traffic.weights)), tried
    if record.retained is None:
        raise SwitchRefused(
            f"no standby is kept for rollback (traffic: {traffic}; the last move was no flip, or it was rolled back "
            "already, or the release that was kept has been replaced). "
            "Use `turnout flip` to move traffic"
        )
    return Traffic.all_to(record.retained.environment, tuple(traffic.weights)), traffic.active


def _capacity(record: SwitchRecord, cloud: LiveCloud, name: str) -> tuple[int, str | None]:
    state = record.environments[name]
    return ready_targets(cloud, state.target_group, state.group)[0], state.group


def _wait_for_capacity(
    record: SwitchRecord,
    cloud: LiveCloud,
    to: Traffic,
    at_any_size: bool,
    timeout: timedelta,
    step_downs: StepDowns | None,
    notify: Callable[[str], None],
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
) -> None:
    kept = record.retained
    needed = 1 if at_any_size or record.claim is not None or kept is None else max(kept.minimum, 1)
    deadline = clock() + timeout
    told = False
    while (found := _capacity(record, cloud, to.active))[0] < needed:
        ready, group = found
        if group is None or cloud.group(group) is None or at_any_size or clock() >= deadline:
            raise SwitchRefused(
                f"{to.active} has {ready} healthy targets and needs {needed}; the weights stay. See `turnout status`"
            )
        if not told:
            back = way_back(cloud, group, needed - ready)
            _clear(step_downs, group, notify)
            cloud.set_minimum(group, needed, kept.maximum if kept else 0)
            notify(
                f"{to.active} has {ready} of {needed} healthy targets and is ready {back}: raised its minimum and waiting; "
                "--now moves with one"
            )
            told = True
        sleep(POLL)
