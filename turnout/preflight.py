"""Everything that is looked at before a rollout's first step: what it compares, nodes, the checklist. Nothing is touched."""

from dataclasses import dataclass, replace
from datetime import timedelta

from turnout_components.live import ready_targets, utc_now
from turnout_components.resolve import SwitchRefused
from turnout_components.rollout_spec import Analyze, Bake, Experiment, Mirror, RolloutSpec, SetWeight
from turnout_components.switch_record import SwitchRecord

from turnout.analysis.budget import Line
from turnout.rollout import capacity_reader, checklist_facts, surge
from turnout.rollout.capacity import Capacity, check
from turnout.rollout.checklist import Item, Result, refused, waived
from turnout.rollout.checklist_before import Before, before
from turnout.rollout.expected import expected
from turnout.rollout.status import RolloutStatus
from turnout.rollout.steps import needed
from turnout.rollout.swap import stages
from turnout.rollouts import Rollouts
from turnout.stacks import StackError


@dataclass(frozen=True)
class Preflight:
    """A rollout that is about to begin: its status, what its gates will see, what the checklist asks and says so far, and
    whether the candidate can have its nodes."""

    status: RolloutStatus
    facts: Before
    budget: tuple[Line, ...]
    checklist: tuple[Result, ...]
    capacity: Capacity

    def refuse(self) -> None:
        """Raises `SwitchRefused` with every reason not to begin."""
        reasons = [f"{result.item}: {result.said}" for result in refused(self.checklist)]
        if self.capacity.missing:
            reasons += [f"{self.capacity.missing} of {self.capacity.wanted} nodes are missing"]
            reasons += [shortage.said for shortage in self.capacity.shortages]
            reasons += _swap_instead(self.status, self.capacity)
        if reasons:
            fix = "an item of the checklist is let pass by turnout:rollout.waive or --waive ITEM=WHY"
            raise SwitchRefused("\n  ".join(["the rollout does not begin:", *reasons, fix]))


def preflight(rollouts: Rollouts, spec: RolloutSpec) -> Preflight:
    """Looks at everything; tells nobody.

    Raises `SwitchRefused`, `StackError`, `ReleaseError`, `MetricsUnavailable`."""
    status = rollouts.prepare(spec)
    record = rollouts.access.store.read()
    assert record is not None
    facts = _facts(rollouts, status, record)
    try:
        checklist = waived(before(facts), spec.waive)
    except ValueError as error:
        raise StackError(f"turnout:rollout.waive: {error}") from None
    return Preflight(status, facts, expected(status), checklist, _capacity(rollouts, status, record))


def announce(rollouts: Rollouts, found: Preflight) -> Preflight:
    """Tells people that it begins, which is an item of the checklist too.

    Raises `SwitchRefused` with what else stands in the way, before anybody is told."""
    others = tuple(result for result in found.checklist if result.item is not Item.NOTIFIED)
    replace(found, checklist=others).refuse()

    def tell() -> None:
        rollouts.alerter(found.status.spec)(found.status, found.status.events[0])

    facts = replace(found.facts, told=checklist_facts.told(found.facts.targets, tell))
    return replace(found, facts=facts, checklist=waived(before(facts), found.status.spec.waive))


def _facts(rollouts: Rollouts, status: RolloutStatus, record: SwitchRecord) -> Before:
    stable = record.environments[status.stable]
    return checklist_facts.gather(
        status,
        rollouts.stack.releases,
        ready_targets(rollouts.access.live, stable.target_group, stable.group)[0],
        client=rollouts.access.client,
        ecr=lambda region: rollouts.access.client("ecr", region),
        alerts=status.spec.alerts,
        thresholds=status.spec.evaluation,
    )


def _capacity(rollouts: Rollouts, status: RolloutStatus, record: SwitchRecord) -> Capacity:
    wanted = nodes_wanted(status)
    pool = capacity_reader.read(rollouts.access.client, str(record.environments[status.candidate].group), wanted)
    return check(pool, wanted, utc_now(), _length(status))


def nodes_wanted(status: RolloutStatus) -> int:
    """Nodes that there are to be beside today's: the candidate's all, or those of a swap's fullest stage."""
    if status.spec.max_surge is None:
        return needed(status, 100, {})
    return max(stage.candidate + stage.active for stage in stages(status)) - status.total


def _swap_instead(status: RolloutStatus, capacity: Capacity) -> list[str]:
    """What the nodes that can be had are enough for, where not all are missing."""
    weights = [step.set_weight for step in status.plan if isinstance(step, SetWeight)]
    beside = any(isinstance(step, Mirror | Experiment) for step in status.plan)
    if status.spec.max_surge is not None or weights[-1:] != [100] or beside:
        return []
    smallest = surge.smallest(status.total, weights, status.spec.surge_load)
    if smallest > capacity.possible:
        return [f"nodes cannot be swapped either: the smallest turnout:rollout.max_surge that works is {smallest}"]
    return [f"nodes can be swapped instead: the smallest that works is --max-surge {smallest} (turnout:rollout.max_surge)"]


def _length(status: RolloutStatus) -> timedelta:
    """How long the plan takes where nothing is extended, and how long the candidate is looked at then."""
    lengths = [step.bake for step in status.plan if isinstance(step, Bake)]
    longest = [step.analyze for step in status.plan if isinstance(step, Analyze)]
    return sum([*lengths, *longest], timedelta(0))
