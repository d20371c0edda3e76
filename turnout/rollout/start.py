"""Before the first step: what must be true, what is frozen, and the status that a rollout begins with."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from turnout_components.durations import written
from turnout_components.gate import observe
from turnout_components.live import Group, LiveCloud, ready_targets
from turnout_components.release import digest_of, name_of
from turnout_components.resolve import SwitchRefused
from turnout_components.rollout_spec import Experiment, GateKind, RolloutSpec, SetWeight
from turnout_components.standby import StandbyPolicy
from turnout_components.switch_record import Floor, Operator, RecordStore, SwitchRecord
from turnout_components.variant_rules import PRIORITIES, has_rules
from turnout_components.variants import VARIANT_HEADER

from turnout.analysis.measurement import Side
from turnout.metrics.provider import MetricProvider
from turnout.rollout.evidence import STATISTICAL, frozen_bounds
from turnout.rollout.experiments import need
from turnout.rollout.measuring import BASELINE, baseline, places
from turnout.rollout.status import Event, RolloutStatus, Size, State
from turnout.rollout.store import RolloutStore
from turnout.rollout.surge import SurgeRefused
from turnout.rollout.swap import stages


@dataclass(frozen=True)
class Start:
    """Everything that a rollout is begun with."""

    spec: RolloutSpec
    standby: StandbyPolicy
    operator: Operator
    clock: Callable[[], datetime]


def prepare(start: Start, records: RecordStore, cloud: LiveCloud, metrics: MetricProvider) -> RolloutStatus:
    """The status of a rollout that may begin: who is tried, thresholds and bounds frozen, the time before it measured.
    Nothing is touched.

    Raises `SwitchRefused`, `MetricsUnavailable`."""
    record = records.read()
    status = _begin(start, startable(record, cloud), cloud)
    assert record is not None
    if status.design is not None and not has_rules(str(record.listener)):
        raise SwitchRefused("an experiment divides users by a request header, and a network load balancer reads none")
    _check_power(status)
    return _frozen(status, record, records.key, metrics)


def begin(status: RolloutStatus, rollouts: RolloutStore, records: RecordStore, cloud: LiveCloud) -> RolloutStatus:
    """Enters the rollout in the record, so that no other begins, and holds the stable environment at its size.

    Raises `SwitchRefused` when somebody was faster."""

    def entered(record: SwitchRecord) -> SwitchRecord:
        startable(record, cloud)
        note = f"{status.id}: {name_of(status.releases[status.candidate])} on {status.candidate}, {status.spec.strategy}"
        floor = Floor(minimum=status.total, whole=None if status.spec.max_surge is None else status.total)
        return record.beginning(status.id, {status.stable: floor}, status.began, status.by, note)

    written = rollouts.create(status)
    try:
        record = records.update(entered)
    except SwitchRefused as refused:
        cause = f"it did not begin: {refused}"
        rollouts.update(status.id, lambda found: found.changed(state=State.TAKEN_BACK, cause=cause, ended=status.began))
        raise
    group = record.environments[status.stable].group
    found = cloud.group(group) if group else None
    if found is not None and status.spec.max_surge is not None:
        cloud.hold(found.name, status.total)
    elif found is not None and found.minimum < status.total:
        cloud.set_minimum(found.name, status.total)
    return written


def startable(record: SwitchRecord | None, cloud: LiveCloud) -> SwitchRecord:
    """The record, where nothing moves and one environment has all traffic.

    Raises `SwitchRefused`."""
    if record is None or record.traffic is None or record.listener is None:
        raise SwitchRefused("nothing is deployed; run `turnout up`")
    live = observe(cloud, record).weights
    if live is None:
        raise SwitchRefused("the production listener is gone; run `turnout up`")
    if record.rollout is not None:
        raise SwitchRefused(
            f"rollout {record.rollout} is under way and two never run at once; `turnout rollout status` shows it, "
            "`turnout rollout run` drives it on, `turnout rollout abort` ends it"
        )
    if record.claim is not None:
        raise SwitchRefused(f"{record.claim.by} is moving traffic; wait until `turnout status` shows no move")
    if record.traffic.weights.get(record.traffic.active) != 100:
        raise SwitchRefused(f"traffic is split ({record.traffic}); give one environment all of it with `turnout flip`")
    variants = cloud.variants(record.listener)
    if variants:
        names = ", ".join(sorted(variants))
        raise SwitchRefused(
            f"rules by {VARIANT_HEADER} send {names} past the weights (of a listener: priorities {PRIORITIES.start} to "
            f"{PRIORITIES.stop - 1}); no rollout is under way that could have made them: delete them first"
        )
    if cloud.is_sticky(record.listener):
        raise SwitchRefused(
            "clients are kept where they were first sent, past the weights, and a return would end their sessions: "
            "switch off TargetGroupStickinessConfig of the listener's default action, or sessionPersistence of the route's rule"
        )
    if live != record.traffic.weights:
        raise SwitchRefused("the load balancer's weights are not the recorded ones; run `turnout up`, which settles it")
    return record


def _begin(start: Start, record: SwitchRecord, cloud: LiveCloud) -> RolloutStatus:
    assert record.traffic is not None
    stable = record.traffic.active
    candidate = next(name for name in record.environments if name != stable)
    state, other = record.environments[candidate], record.environments[stable]
    if state.release is None or state.group is None:
        raise SwitchRefused(f"{candidate} has no release; set turnout:environments.{candidate}.release and run `turnout up`")
    if other.release is None or other.group is None:
        raise SwitchRefused(f"{stable} has no release: there is nothing to compare with")
    if digest_of(state.release) == digest_of(other.release):
        raise SwitchRefused(f"{candidate} runs {name_of(state.release)} as {stable} does; there is nothing to roll out")
    mark = record.unstable.get(digest_of(state.release))
    if mark is not None:
        name = name_of(mark.release)
        raise SwitchRefused(f"{name} is marked unstable ({mark.reason}); run `turnout releases accept {name}` to try it again")
    kept = record.retained
    name = name_of(kept.release) if kept is not None else ""
    if kept is not None and kept.environment == candidate and start.standby.discard not in (kept.release, name):
        raise SwitchRefused(
            f"{candidate} keeps {name} for rollback, which a rollout of it would give up; deploy another release there, "
            f"or set turnout:traffic.standby.discard to {name}"
        )
    groups = {name: cloud.group(group) for name, group in ((candidate, state.group), (stable, other.group))}
    missing = [name for name, group in groups.items() if group is None]
    if missing:
        raise SwitchRefused(f"the auto scaling group of {missing[0]} is gone; run `turnout up`")
    found = {name: group for name, group in groups.items() if group is not None}
    total = len(found[stable].in_service)
    healthy = ready_targets(cloud, other.target_group, other.group)[0]
    if healthy < 1:
        raise SwitchRefused(f"{stable} has no healthy target: there is nothing to go back to")
    now = start.clock()
    status = RolloutStatus(
        id=f"{name_of(state.release)}-{now:%Y%m%d-%H%M%S}",
        spec=start.spec,
        plan=start.spec.plan(),
        stable=stable,
        candidate=candidate,
        releases={candidate: state.release, stable: other.release},
        began=now,
        by=str(start.operator),
        standby=start.standby,
        total=max(total, 1),
        sizes={name: _size(group) for name, group in found.items()},
        step_began=now,
        events=(Event(at=now, what="began", why=f"{start.spec.strategy} by {start.operator}"),),
    )
    if start.spec.max_surge is not None:
        _check_swap(status, start.spec.max_surge, found[stable], found[candidate])
    return status


def _check_swap(status: RolloutStatus, surge: int, stable: Group, candidate: Group) -> None:
    """A plan fits, and the nodes that there are now are the ones that it begins with.

    Raises `SwitchRefused`."""
    try:
        stages(status)
    except SurgeRefused as refused:
        raise SwitchRefused(f"turnout:rollout.max_surge: {refused}") from None
    if stable.moving or stable.desired != status.total:
        raise SwitchRefused(f"{status.stable} is scaling ({status.total} of {stable.desired} nodes serve); wait until it has")
    has = max(candidate.present, candidate.desired)
    if has > surge:
        raise SwitchRefused(
            f"{status.candidate} has {has} nodes and max_surge leaves room for {surge}: make its minimum smaller and run "
            f"`turnout up`, or write max_surge: {has} or more"
        )
    if candidate.maximum < status.total:
        fix = f"raise turnout:pool.maximum to {status.total} or more"
        raise SwitchRefused(f"{status.candidate} is to have {status.total} nodes and its maximum is {candidate.maximum}: {fix}")


def _check_power(status: RolloutStatus) -> None:
    """An experiment can find what matters in the time that it has.

    Raises `SwitchRefused`."""
    longest = next((step.experiment for step in status.plan if isinstance(step, Experiment)), None)
    if status.design is None or longest is None:
        return
    needed = need(status.design)
    if needed.length > longest:
        raise SwitchRefused(
            f"experiment {status.design.name} would end undecided after {written(longest)}: a difference of "
            f"{status.design.smallest:g} with a power of {status.design.power:.0%} asks for more ({needed.said}). Let it run "
            "longer (for), ask for a larger difference (smallest), or give its variants more users (split)"
        )


def _size(group: Group) -> Size:
    return Size(minimum=group.minimum, maximum=group.maximum, desired=group.desired)


def _frozen(status: RolloutStatus, record: SwitchRecord, key: str, metrics: MetricProvider) -> RolloutStatus:
    """Thresholds from the active side before the first weight; what a gate cannot measure stops the rollout here."""
    gates = [gate for gate in status.gates if gate.kind in STATISTICAL]
    if not gates:
        return status
    both, since = places(status, record, key), max(status.began - BASELINE, _serving_since(status, record))
    faults = metrics.missing(gates, both, since, status.began)
    thresholds = {}
    for gate in gates:
        if gate.kind is GateKind.LATENCY and not faults:
            found = metrics.percentile(gate, both[Side.ACTIVE], since, status.began)
            if found is None:
                faults.append(f"{gate.name}: {status.stable} has no response times since {since:%H:%M:%S} UTC; send it traffic")
            else:
                thresholds[gate.name] = found * gate.allowed
    if faults:
        raise SwitchRefused("what cannot be measured is not rolled out:\n  " + "\n  ".join(faults))
    status = status.changed(thresholds=thresholds)
    status = status.measured(baseline(status, metrics, record, key, since))
    first = next((step for step in status.plan if isinstance(step, SetWeight | Experiment)), None)
    if isinstance(first, SetWeight) and first.set_weight == 100:
        bounds = frozen_bounds(gates, status.windows)
        missing = [gate.name for gate in gates if gate.critical and gate.name not in bounds]
        if missing:
            raise SwitchRefused(
                f"{status.spec.strategy} compares with bounds after its switch, and too little was measured of {status.stable} "
                f"to derive those of {', '.join(missing)}: send it traffic, or set turnout:rollout.gates[].bound"
            )
    return status


def _serving_since(status: RolloutStatus, record: SwitchRecord) -> datetime:
    """Since when the stable environment has served the release that it serves: what was measured of its target group before
    was another's."""
    since = datetime.min.replace(tzinfo=UTC)
    for entry in record.history:
        if entry.releases.get(status.stable) != status.releases[status.stable]:
            since = entry.at
    later = [entry.at for entry in record.history if entry.at > since]
    return min(later, default=since) if since.year > 1 else since
