"""Drives a rollout: observes, decides, acts, writes down. It can be killed at any point; the next run takes up the status.

One driver at a time: a lease in the status says who. A load balancer has no conditional write, so whoever finds after a write
that the lease is lost puts the recorded weights back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from turnout_components.items import Conflict
from turnout_components.live import LiveCloud, utc_now
from turnout_components.standby_plan import StepDowns
from turnout_components.switch_record import Operator, RecordStore, SwitchRecord

from turnout.metrics.provider import MetricProvider, MetricsUnavailable
from turnout.rollout import experiments
from turnout.rollout.actions import (
    Action,
    Decision,
    Finish,
    Hold,
    PutMirror,
    PutVariants,
    PutWeight,
    Raise,
    RunSmokeTest,
    TakeBack,
)
from turnout.rollout.decide import decide
from turnout.rollout.measuring import measure
from turnout.rollout.mirrors import Mirrors
from turnout.rollout.moves import LeaseLost, Moves
from turnout.rollout.status import LEASE, Event, Lease, RolloutStatus, State
from turnout.rollout.steps import moved, take_back
from turnout.rollout.store import RolloutStore
from turnout.rollout.swap import kept

TELL_FOR = timedelta(minutes=1)
"""How long after a rollout's end a driver tries to tell of it."""
ACTIONS_A_TICK = 50
"""More in one tick would be a defect: a decision that repeats itself."""
LEFT = "smoke test left to another driver"


@dataclass(frozen=True)
class Tick:
    """What a tick left behind: the status, what it waits for, and who else drives. `is_done`: nothing is left to be done."""

    status: RolloutStatus
    waits: str = ""
    driven_by: Operator | None = None
    is_done: bool = False


class Controller:
    """One driver of rollouts. `alert` tells people of an event; `smoke` runs a smoke test and says why it failed ("" where it
    passed): without it the step is left to a driver that has one; `notify` gets a line for each thing that happens."""

    def __init__(
        self,
        rollouts: RolloutStore,
        records: RecordStore,
        cloud: LiveCloud,
        metrics: MetricProvider,
        *,
        step_downs: StepDowns | None = None,
        alert: Callable[[RolloutStatus, Event], None] = lambda status, event: None,
        smoke: Callable[[RolloutStatus, RunSmokeTest], str] | None = None,
        notify: Callable[[str], None] = lambda line: None,
        operator: Operator | None = None,
        clock: Callable[[], datetime] = utc_now,
        mirrors: Mirrors | None = None,
    ) -> None:
        self._rollouts, self._metrics = rollouts, metrics
        self._alert, self._smoke, self._notify = alert, smoke, notify
        self._operator, self._clock = operator or Operator.current(), clock
        self._token = uuid4().hex
        self._moves = Moves(records, cloud, step_downs, self._operator, self._token, notify, clock, mirrors)
        self._mirrors = mirrors
        self._last: tuple[RolloutStatus, SwitchRecord] | None = None
        """What was read at the last tick, for the case that the store is away at the next."""

    def tick(self, rollout: str) -> Tick:
        """Takes the rollout as far as it can go now.

        Raises whatever the store and the cloud raise; the next tick goes on."""
        try:
            status, record = self._rollouts.read(rollout), self._moves.record()
        except Exception:
            self._return_without_store(rollout)
            raise
        holder = status.holder(self._clock(), self._token)
        if holder is not None and not status.state.is_over:
            return Tick(status, driven_by=holder)
        try:
            status = self._leased(status)
            self._last = status, record
            decision = self._advance(status, self._measured(status, record), record)
            self._last = decision.status, record
            self._tend(decision.status)
            status = self._told(decision.status)
            return Tick(status, decision.waits, is_done=self._is_done(status))
        except LeaseLost as lost:
            self._last = None
            return Tick(self._rollouts.read(rollout), waits=str(lost))

    def waits(self, status: RolloutStatus) -> str:
        """What its driver would wait for now ("" where it would act, or is over). Writes nothing.

        Raises whatever the store and the cloud raise."""
        if status.state.is_over:
            return ""
        return decide(status, self._moves.seen(status, self._moves.record()), self._clock()).waits

    def _is_done(self, status: RolloutStatus) -> bool:
        """Over, and people are told, or could not be for a while: nobody waits for ever for a webhook."""
        late = status.ended is not None and self._clock() - status.ended > TELL_FOR
        return status.state.is_over and (not status.alerts or late)

    def abort(self, rollout: str, reason: str) -> RolloutStatus:
        """Takes all traffic back now, whoever drives: the load balancer first, then the status, then the record. Inside
        `max_surge` as much as the stable side's nodes carry: the rest follows as whoever drives finds more of them."""
        status, record = self._rollouts.read(rollout), self._moves.record()
        if status.state.is_over:
            return status
        if record.rollout == status.id:
            self._moves.put_back(status, record, self._kept(status, record))

        def aborted(found: RolloutStatus) -> RolloutStatus:
            if found.state.is_over:
                return found
            cause = f"aborted by {self._operator}: {reason}"
            return take_back(found, self._clock(), cause, unstable=False).status.changed(lease=None)

        status = self._rollouts.update(rollout, aborted)
        if not status.state.is_over:
            return self.tick(rollout).status
        self._moves.record_return(status)
        return self._told(status)

    def _kept(self, status: RolloutStatus, record: SwitchRecord) -> int:
        return 0 if status.spec.max_surge is None else kept(status, self._moves.seen(status, record))

    def release(self, rollout: str) -> None:
        """Gives the lease up, where it is ours: the next driver need not wait until it ends."""

        def given_up(found: RolloutStatus) -> RolloutStatus:
            return found.changed(lease=None) if self._is_ours(found) else found

        if self._is_ours(self._rollouts.read(rollout)):
            self._rollouts.update(rollout, given_up)

    def _is_ours(self, status: RolloutStatus) -> bool:
        return status.lease is not None and status.lease.token == self._token

    def _return_without_store(self, rollout: str) -> None:
        """While the store is away, what was read last may still take traffic back, for as long as the lease holds."""
        if self._last is None or self._last[0].id != rollout or self._last[0].state.is_over:
            return
        status, record = self._last
        if status.lease is None or status.lease.expires <= self._clock():
            return
        status = self._measured(status, record)
        decision = decide(status, self._moves.seen(status, record), self._clock())
        self._last = status, record
        if isinstance(decision.action, TakeBack):
            self._moves.put_back(decision.status, record, decision.action.weight)
            self._notify(f"traffic is back at {status.stable} while the store is away: {decision.status.cause}")

    def _leased(self, status: RolloutStatus) -> RolloutStatus:
        """The status with our lease, written where it is new or a third of it is over."""
        now, lease = self._clock(), status.lease
        if lease is not None and lease.token == self._token and lease.expires - now > LEASE * 2 / 3:
            return status
        if lease is not None and lease.token != self._token and not status.state.is_over:
            status = status.said(now, f"taken over from {lease.by}", f"by {self._operator}")
        return self._write(status.changed(lease=self._lease()))

    def _lease(self, busy: timedelta = timedelta(0)) -> Lease:
        return Lease(by=self._operator, token=self._token, expires=self._clock() + busy + LEASE)

    def _write(self, status: RolloutStatus) -> RolloutStatus:
        """Writes what we know; what an operator has asked for meanwhile (a pause, an approval) is taken up.

        Raises `LeaseLost`."""
        while True:
            try:
                return self._rollouts.write(status)
            except Conflict:
                found = self._rollouts.read(status.id)
                if not self._is_ours(found) or (found.state.is_over and not status.state.is_over):
                    raise LeaseLost(f"somebody else drives {status.id} or has ended it") from None
                state = status.state if status.state.is_over else found.state
                said = [event for event in found.events if event not in status.events]
                status = status.changed(events=tuple(sorted([*status.events, *said], key=lambda event: event.at)))
                approved = status.approved if _began_since(found, status) else found.approved
                status = status.changed(generation=found.generation, approved=approved, state=state)

    def _measured(self, status: RolloutStatus, record: SwitchRecord) -> RolloutStatus:
        if status.state.is_over:
            return status
        try:
            windows = measure(status, self._metrics, record, self._moves.key, self._clock())
        except MetricsUnavailable as error:
            return status.changed(unmeasured=f"metrics: {error}")
        status = status.measured(windows).changed(unmeasured="")
        try:
            status = self._compared(status)
        except MetricsUnavailable as error:
            return status.changed(unmeasured=f"the mirror: {error}")
        try:
            return experiments.measured(status, self._metrics, record, self._moves.key, self._clock())
        except MetricsUnavailable as error:
            return status.changed(unmeasured=f"the experiment's metric: {error}")

    def _compared(self, status: RolloutStatus) -> RolloutStatus:
        if self._mirrors is None or not status.mirror:
            return status
        copied, compared = self._mirrors.windows(status, self._clock())
        return status.measured(copied).changed(compared=compared)

    def _advance(self, written: RolloutStatus, status: RolloutStatus, record: SwitchRecord) -> Decision:
        smoke: str | None = None
        for _ in range(ACTIONS_A_TICK):
            decision = decide(status, self._moves.seen(status, record, smoke), self._clock())
            smoke = None
            if isinstance(decision.action, TakeBack):
                self._moves.put_back(decision.status, record, decision.action.weight)
            self._say_new(status, decision.status)
            status = written = self._write(decision.status) if decision.status != written else written
            if decision.action is None and not decision.goes_on:
                return Decision(status, waits=decision.waits)
            if isinstance(decision.action, RunSmokeTest):
                if self._smoke is None:
                    return Decision(self._left(status, decision.action), waits=f"{LEFT}: `turnout rollout run` runs it")
                status = self._write(status.changed(lease=self._lease(decision.action.timeout)))
                smoke = self._smoke(status, decision.action)
                status = status.changed(lease=self._lease())
            elif decision.action is not None:
                status = written = self._act(status, decision.action)
            record = self._moves.record()
        raise RuntimeError(f"rollout {status.id} repeats itself at step {status.step + 1}: {status.current}")

    def _left(self, status: RolloutStatus, test: RunSmokeTest) -> RolloutStatus:
        """The lease is given up after each look, so that who can run the test may; it is said once a step."""
        if not any(event.what == LEFT and event.at >= status.step_began for event in status.events):
            told = status.said(self._clock(), LEFT, f"{self._operator} runs no commands: {test.command}", alert=True)
            self._say_new(status, told)
            status = told
        return self._write(status.changed(lease=None))

    def _act(self, status: RolloutStatus, action: Action) -> RolloutStatus:
        match action:
            case Raise():
                self._moves.raise_minimum(status, action.minimum)
            case Hold():
                self._moves.hold(status, action.side, action.size)
            case PutWeight():
                return self._put_weight(status, action.weight)
            case PutMirror():
                self._put_mirror(status, action.share)
            case PutVariants():
                self._moves.put_variants(status, action.variants)
                return self._written_or_corrected(status)
            case TakeBack():
                if not status.state.is_over:
                    return self._put_weight(status, action.weight)
                self._moves.record_return(status)
            case Finish():
                self._moves.finish(status)
        return status

    def _put_mirror(self, status: RolloutStatus, share: int) -> None:
        """Like a weight it has no condition: who finds afterwards that somebody else drives puts right what he did."""
        self._moves.put_mirror(status, share)
        found = self._rollouts.read(status.id)
        if not self._is_ours(found):
            self._moves.put_mirror(status, 0 if found.state.is_over else found.mirror)
            raise LeaseLost(f"somebody else drives {status.id} or has ended it")

    def _put_weight(self, status: RolloutStatus, weight: int) -> RolloutStatus:
        self._moves.put_weight(status, weight)
        after = moved(status, weight, self._clock())
        self._say_new(status, after)
        return self._written_or_corrected(after)

    def _written_or_corrected(self, status: RolloutStatus) -> RolloutStatus:
        try:
            return self._write(status)
        except LeaseLost:
            self._moves.correct()
            found = self._rollouts.read(status.id)
            if found.state.is_over or found.trial.until is not None:
                self._moves.clear_variants(found, self._moves.record())
            raise

    def _tend(self, status: RolloutStatus) -> None:
        """A promotion's step-downs. People are told of it last: as long as they are not, its driver may have been killed before
        it had made them. What cannot be made for a while is left to the next update."""
        if status.ended is None or status.state is State.TAKEN_BACK or not status.alerts:
            return
        try:
            self._moves.tend(status)
        except Exception as error:
            if self._clock() - status.ended <= TELL_FOR:
                raise
            self._notify(f"! the standby's step-downs could not be made, `turnout up` makes them: {error}")

    def _told(self, status: RolloutStatus) -> RolloutStatus:
        """Tells people what they have not been told; what cannot be told now stays for the next tick."""
        left = []
        for event in status.alerts:
            try:
                self._alert(status, event)
            except Exception as error:
                self._notify(f"! the alert {event.what!r} could not be sent: {error}")
                left.append(event)
        if len(left) == len(status.alerts):
            return status
        sent = [event for event in status.alerts if event not in left]
        return self._rollouts.update(
            status.id, lambda found: found.changed(alerts=tuple(event for event in found.alerts if event not in sent))
        )

    def _say_new(self, before: RolloutStatus, after: RolloutStatus) -> None:
        for event in after.events[len(before.events) :]:
            self._notify(f"{event.what}{f': {event.why}' if event.why else ''}")


def _began_since(found: RolloutStatus, status: RolloutStatus) -> bool:
    """Whether a mirror or an experiment began in `status` that `found` does not know of: what was approved there is that it
    begins, and not that it ends."""
    return (found.trial.since, found.mirror_since) != (status.trial.since, status.mirror_since)
