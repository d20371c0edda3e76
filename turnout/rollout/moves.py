"""What a rollout does to the load balancer, to groups and to the switch record, and how it sees them."""

from collections.abc import Callable, Mapping
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import Retrying, stop_after_attempt, wait_exponential
from turnout_components.cluster_api import ClusterError
from turnout_components.gate import observe
from turnout_components.items import RecordError
from turnout_components.live import Group, LiveCloud, insist, ready_members
from turnout_components.rollout_spec import Experiment, Mirror
from turnout_components.standby_plan import StepDowns
from turnout_components.switch_record import Claim, Floor, Operator, RecordStore, Retained, SwitchRecord, Traffic

from turnout.analysis.measurement import Side
from turnout.rollout.actions import Seen
from turnout.rollout.mirrors import Mirrors
from turnout.rollout.status import LEASE, RolloutStatus


class LeaseLost(Exception):
    """Somebody else has taken over or ended the rollout; what was about to be written is not."""


class Moves:
    """The effects of one driver, whose claims carry `token`."""

    def __init__(
        self,
        records: RecordStore,
        cloud: LiveCloud,
        step_downs: StepDowns | None,
        operator: Operator,
        token: str,
        notify: Callable[[str], None],
        clock: Callable[[], datetime],
        mirrors: Mirrors | None = None,
    ) -> None:
        self._records, self._cloud, self._step_downs = records, cloud, step_downs
        self._operator, self._token, self._notify, self._clock = operator, token, notify, clock
        self._mirrors = mirrors

    @property
    def key(self) -> str:
        """`<service>/<stack>`."""
        return self._records.key

    def record(self) -> SwitchRecord:
        """The switch record. Raises `RecordError` where there is none."""
        found = self._records.read()
        if found is None:
            raise RecordError(f"no switch record {self._records.key}: nothing is deployed")
        return found

    def seen(self, status: RolloutStatus, record: SwitchRecord, smoke: str | None = None) -> Seen:
        """One look at the cloud."""
        live = observe(self._cloud, record).weights
        if live is None:
            return Seen(weight=None, rollout=record.rollout, serving={}, ready={}, minimum=0, maximum=0)
        groups = {side: self._group(record, name) for side, name in status.environments().items()}
        places = {side: record.environments[name].target_group for side, name in status.environments().items()}
        ready = {side: ready_members(self._cloud, place, groups[side])[0] for side, place in places.items()}
        candidate = groups[Side.CANDIDATE]
        return Seen(
            weight=live.get(status.candidate, 0),
            rollout=record.rollout,
            serving={side: len(group.in_service) if group else 0 for side, group in groups.items()},
            ready=ready,
            minimum=candidate.minimum if candidate else 0,
            maximum=candidate.maximum if candidate else 0,
            smoke=smoke,
            claimed=self._foreign_claim(status, record),
            present={side: group.present if group else 0 for side, group in groups.items()},
            draining={side: max(0, group.present - group.desired) if group else 0 for side, group in groups.items()},
            held=stable.minimum if (stable := groups[Side.ACTIVE]) else 0,
            mirror=self._mirrors.share(status, record) if self._mirrors and status.mirror else 0,
            variants=self._variants(status, record),
        )

    def _variants(self, status: RolloutStatus, record: SwitchRecord) -> Mapping[str, str]:
        """The environment of each variant as rules send it; asked only where the rollout has an experiment. Where AWS does not
        say, they are taken to stand as the status has it: rules that nobody can see keep no users from going back."""
        if status.design is None:
            return {}
        names = {state.target_group: name for name, state in record.environments.items()}
        try:
            sent = self._cloud.variants(str(record.listener))
        except (ClientError, BotoCoreError, ClusterError):
            stand = status.trial.since is not None and isinstance(status.current, Experiment) and not status.state.is_over
            return status.design.environments(status.stable, status.candidate) if stand else {}
        return {variant: names.get(to, to) for variant, to in sent.items()}

    def put_variants(self, status: RolloutStatus, variants: Mapping[str, str]) -> None:
        """Has each variant's users sent to this environment past the weights; none: takes the rules out.

        Raises `LeaseLost` when the rollout was ended and rules were to be made."""
        record = self.record()
        if not variants:
            self.clear_variants(status, record)
            return
        if record.rollout != status.id or self._foreign_claim(status, record):
            raise LeaseLost(f"rollout {status.id} was ended, or somebody else moves traffic")
        targets = {variant: record.environments[name].target_group for variant, name in variants.items()}
        self._cloud.put_variants(str(record.listener), targets)

    def clear_variants(self, status: RolloutStatus, record: SwitchRecord, *, at_once: bool = False) -> None:
        """Everybody follows the weights: the candidate's rules go first."""
        if status.design is not None and record.listener is not None:
            first = record.environments[status.candidate].target_group
            self._cloud.clear_variants(record.listener, first, at_once=at_once)

    def put_mirror(self, status: RolloutStatus, share: int) -> None:
        """Has so many percent of live requests copied to the candidate's instances; 0: none."""
        if self._mirrors is None:
            raise RecordError("this driver cannot mirror requests: drive the rollout with `turnout rollout run`")
        self._mirrors.put(status, self.record(), share)

    def _end_mirror(self, status: RolloutStatus, record: SwitchRecord) -> None:
        if self._mirrors is not None and any(isinstance(step, Mirror) for step in status.plan):
            self._mirrors.put(status, record, 0)

    def raise_minimum(self, status: RolloutStatus, minimum: int) -> None:
        """The floor stands in the record before the group has it: an update in between must not take it away."""
        self._cloud.set_minimum(self._floored(status, status.candidate, Floor(minimum=minimum)), minimum)
        self._notify(f"{status.candidate}: minimum raised to {minimum}")

    def hold(self, status: RolloutStatus, side: Side, size: int) -> None:
        """Holds one side at just this size, in the record first."""
        environment = status.environments()[side]
        self._cloud.hold(self._floored(status, environment, Floor(minimum=size, whole=status.total)), size)
        self._notify(f"{environment}: held at {size} nodes")

    def _floored(self, status: RolloutStatus, environment: str, floor: Floor) -> str:
        """Writes the floor into the record; the name of the environment's group, which steps down no more."""

        def floored(record: SwitchRecord) -> SwitchRecord:
            if record.rollout != status.id:
                raise LeaseLost(f"rollout {status.id} was ended")
            return record.changed(floors={**record.floors, environment: floor})

        group = self._records.update(floored).environments[environment].group
        if group is None:
            raise RecordError(f"{environment} has no auto scaling group")
        if self._step_downs is not None:
            self._step_downs.clear(group)
        return group

    def put_weight(self, status: RolloutStatus, weight: int) -> None:
        """The claim says what is about to happen, then it happens, then the record says so.

        Raises `LeaseLost` when the rollout was ended meanwhile; then the record's weights are back in force. Raises
        `ClusterError` where a Gateway does not take them: nothing is confirmed, and the next look puts them again."""
        claim = self._claim(status, weight)

        def claimed(record: SwitchRecord) -> SwitchRecord:
            if record.rollout != status.id or self._foreign_claim(status, record):
                raise LeaseLost(f"rollout {status.id} was ended, or somebody else moves traffic")
            return record.changed(claim=claim)

        def confirmed(record: SwitchRecord) -> SwitchRecord:
            if record.claim is None or record.claim.token != self._token:
                raise LeaseLost(f"rollout {status.id} was taken over or ended while {weight} % were put in force")
            return record.confirmed(record.claim, self._clock()).retaining(status.standby.retain_for)

        record = self._records.update(claimed)
        listener = str(record.listener)
        followed = self._cloud.set_weights(listener, record.by_target_group(claim.to))
        if not followed and (why := self._cloud.refusal(listener)) is not None:
            raise ClusterError(f"{weight} % for {status.candidate} are not in force: {why}")
        try:
            self._records.update(confirmed)
        except LeaseLost:
            self.correct()
            raise

    def _claim(self, status: RolloutStatus, weight: int) -> Claim:
        now, whole, to = self._clock(), weight == 100, _traffic(status, weight)
        return Claim(
            token=self._token,
            by=self._operator,
            began=now,
            expires=now + LEASE,
            to=to,
            bake=status.standby.bake.total_seconds(),
            retained=self._retained(status, now) if whole else None,
            rollout=status.id,
        )

    def correct(self) -> None:
        """Puts the recorded weights in force: what was just written was not ours to write."""
        record = self.record()
        if record.traffic is not None and record.listener is not None:
            self._cloud.set_weights(record.listener, record.by_target_group(record.traffic))

    def put_back(self, status: RolloutStatus, record: SwitchRecord, keeps: int = 0) -> None:
        """All traffic to the stable environment, but for what the candidate `keeps` (percent); at once and insistently. Rules
        that stand carry the candidate's users past the weights: they go before the weights do."""
        if record.listener is None:
            return
        weights = record.by_target_group(_traffic(status, keeps))
        for attempt in Retrying(stop=stop_after_attempt(8), wait=wait_exponential(0.05, max=2), reraise=True):
            with attempt:
                if status.trial.until is None:
                    self.clear_variants(status, record, at_once=True)
                followed = self._cloud.set_weights(record.listener, weights, at_once=True)
        if not followed:
            self._notify(self._cloud.unfollowed)

    def record_return(self, status: RolloutStatus) -> None:
        """The record's part of a return, and the candidate's size; twice is as once."""
        now = self._clock()
        floor = Floor(minimum=status.total, until=now + status.standby.bake)

        def returned(record: SwitchRecord) -> SwitchRecord:
            if record.rollout != status.id:
                return record
            to = Traffic.all_to(status.stable, tuple(record.environments))
            bad = status.releases[status.candidate] if status.unstable else None
            back = record.rolled_back(to, now, str(self._operator), bad, f"rollout {status.id}: {status.cause}", {})
            return back.changed(floors={status.stable: floor})

        self._let_scale(status, {status.stable: status.total})
        self.clear_variants(status, self.record())
        record = self._ended(status, returned, keeps_size=False)
        wanted = record.by_target_group(record.traffic) if record.traffic is not None else {}
        if record.listener is not None and insist(self._cloud, record.listener, wanted):
            self._notify("somebody moved traffic in the same moment: it is put back once more")

    def _ended(
        self, status: RolloutStatus, change: Callable[[SwitchRecord], SwitchRecord], *, keeps_size: bool
    ) -> SwitchRecord:
        """Mirror and size go before the record ends the rollout: who is killed in between does all of it again. A mirror that
        cannot be ended now holds nothing up; the next look ends it."""
        record = self.record()
        try:
            self._end_mirror(status, record)
        finally:
            if record.rollout == status.id and not keeps_size:
                self._give_back_size(status, record)
            record = self._records.update(change)
        return record

    def _give_back_size(self, status: RolloutStatus, record: SwitchRecord) -> None:
        size, group = status.sizes.get(status.candidate), record.environments[status.candidate].group
        if status.spec.max_surge is None and size is not None and group is not None:
            self._cloud.restore(Group(group, size.minimum, size.maximum, size.desired, frozenset()))

    def _let_scale(self, status: RolloutStatus, minima: Mapping[str, int]) -> None:
        """What a swap has held may scale as it did before; these minima stay. Before the record ends the rollout: who is killed
        in between does both again."""
        record = self.record()
        if status.spec.max_surge is None or record.rollout != status.id:
            return
        for name, size in status.sizes.items():
            group = record.environments[name].group
            if group is not None:
                self._cloud.let_scale(group, minima.get(name, size.minimum), size.maximum)

    def finish(self, status: RolloutStatus) -> None:
        """The record's part of a promotion; the candidate keeps its size for the bake."""
        group = self._group(self.record(), status.candidate)
        now = self._clock()

        def ended(record: SwitchRecord) -> SwitchRecord:
            if record.rollout != status.id:
                return record
            floors = {status.candidate: group.minimum} if group and status.weight else {}
            until = now + status.standby.bake
            kind = "promote" if status.weight else "rollout"
            return record.ended(floors, until, now, str(self._operator), kind, f"{status.state.value}: {status.id}")

        kept = self.record().retained
        self._let_scale(status, {status.candidate: status.total, status.stable: kept.size if kept else 0})
        self._ended(status, ended, keeps_size=status.weight > 0)

    def tend(self, status: RolloutStatus) -> None:
        """Makes the standby's step-downs; twice is as once."""
        if self._step_downs is not None:
            for line in self._step_downs.tend(self.record(), status.standby):
                self._notify(line)

    def _retained(self, status: RolloutStatus, now: datetime) -> Retained:
        group, swaps = self._group(self.record(), status.stable), status.spec.max_surge is not None
        return Retained(
            environment=status.stable,
            release=status.releases[status.stable],
            minimum=max(status.total, len(group.in_service) if group else 0),
            maximum=status.sizes[status.stable].maximum if swaps else group.maximum if group else 0,
            until=now + status.standby.retain_for,
            held=group.minimum if swaps and group else None,
        )

    def _group(self, record: SwitchRecord, environment: str) -> Group | None:
        name = record.environments[environment].group
        return self._cloud.group(name) if name else None

    def _foreign_claim(self, status: RolloutStatus, record: SwitchRecord) -> str:
        claim = record.claim
        if claim is None or claim.rollout == status.id or claim.expires <= self._clock() or claim.by.is_gone():
            return ""
        return str(claim.by)


def _traffic(status: RolloutStatus, weight: int) -> Traffic:
    """With this share for the candidate, in percent."""
    weights = {status.stable: 100 - weight, status.candidate: weight}
    return Traffic(active=status.candidate if weight == 100 else status.stable, weights=weights)
