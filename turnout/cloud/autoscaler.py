"""Evaluates every alarm once a minute (divided by `speed`) and carries out the scaling policies that they name.

Sources: "Using Amazon CloudWatch alarms" ("For Amazon EC2 Auto Scaling actions, the alarm continues to invoke the action for
every period that the alarm remains in the new state"); "Target tracking scaling policies for Amazon EC2 Auto Scaling" (in
only when all that may scale in are ready to); "Available warm-up and cooldown settings"; "Suspend and resume a process for an
Auto Scaling group" (AlarmNotification). What policies decide: `scaling`.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from moto.autoscaling.models import DEFAULT_COOLDOWN, autoscaling_backends
from moto.cloudwatch.models import Alarm, cloudwatch_backends

from turnout.cloud import alarms, scaling
from turnout.cloud.alarm_data import Data, NotEvaluated, rule_of
from turnout.cloud.alarms import ALARM, AlarmRule, Verdict
from turnout.cloud.auto_scaling import UnknownGroup
from turnout.cloud.moto_scaling import TRACKING, note, policies
from turnout.cloud.moto_state import ACCOUNT, api_lock
from turnout.cloud.scaling import Adjustment, Proposal, Sizes, Step

logger = logging.getLogger(__name__)

SetDesired = Callable[[str, str, int, str], None]
"""`set_desired(region, group, desired, cause)`."""
_ACTION = ":scalingPolicy:"


@dataclass
class _Call:
    """What policies ask of one group."""

    region: str
    group: Any
    proposals: list[Proposal] = field(default_factory=list)


class Autoscaler:
    """Its calls come from one thread."""

    def __init__(self, set_desired: SetDesired, speed: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._set_desired = set_desired
        self._speed = speed
        self._clock = clock
        self._serving_since: dict[str, float] = {}
        self._changed_at: dict[tuple[str, str], float] = {}
        self._unknown: set[str] = set()

    def evaluate(self, end: float) -> None:
        """Sets the state of every alarm from the data before `end` (seconds since 1970), then scales."""
        with api_lock:
            self._note_serving()
        calls: dict[tuple[str, str], _Call] = {}
        for region, backend in list(cloudwatch_backends[ACCOUNT].items()):
            data = Data(backend, end, self._speed)
            found = [(alarm, *judged) for alarm in list(backend.alarms.values()) if (judged := self._judge(alarm, data))]
            for alarm, rule, verdict in found:
                if verdict.state == ALARM and alarm.actions_enabled:
                    self._act(region, alarm, rule, verdict, calls)
        for call in calls.values():
            self._carry_out(call)

    def _judge(self, alarm: Alarm, data: Data) -> tuple[AlarmRule, Verdict] | None:
        if alarm.rule is not None:
            return None
        try:
            rule = rule_of(alarm)
            verdict = alarms.evaluate(data.points(alarm, rule), rule, alarm.state_value)
        except NotEvaluated as error:
            if alarm.name not in self._unknown:
                logger.warning("alarm %s stays %s: %s", alarm.name, alarm.state_value, error)
            self._unknown.add(alarm.name)
            return None
        if verdict.state != alarm.state_value:
            alarm.update_state(verdict.reason, "{}", verdict.state)
        return rule, verdict

    def _act(self, region: str, alarm: Alarm, rule: AlarmRule, verdict: Verdict, calls: dict[tuple[str, str], _Call]) -> None:
        named = [arn for arn in alarm.alarm_actions if _ACTION in arn]
        with api_lock:
            for place, policy in policies() if named else ():
                group = autoscaling_backends[ACCOUNT][place].autoscaling_groups.get(policy.auto_scaling_group_name)
                if place != region or policy.arn not in named or group is None or not _heard(policy, group):
                    continue
                capacity = self._decide(policy, region, group, rule, verdict)
                if capacity is not None:
                    call = calls.setdefault((region, group.name), _Call(region, group))
                    call.proposals.append(Proposal(policy.name, alarm.name, capacity))
                    note(alarm, "Action", f"Successfully executed action {policy.arn}")

    def _decide(self, policy: Any, region: str, group: Any, rule: AlarmRule, verdict: Verdict) -> int | None:
        sizes = self._sizes(group, self._warmup(policy, group))
        if not verdict.values:
            return None
        if policy.policy_type == TRACKING:
            target = float(policy.target_tracking_configuration.__dict__["TargetValue"])
            if rule.comparison.startswith("Greater"):
                return scaling.outward(target, verdict.values[-1], sizes)
            # "does not scale in your Auto Scaling group when the specified metric has insufficient data"
            known = len(verdict.values) == rule.periods
            return scaling.inward(target, verdict.values[-1], sizes) if known and _all_low(region, group.name) else None
        how = Adjustment(policy.adjustment_type, int(policy.min_adjustment_magnitude or 0))
        if policy.policy_type == "StepScaling":
            value = _aggregated(verdict.values, policy.metric_aggregation_type)
            return scaling.by_steps(how, _steps(policy.step_adjustments), value - rule.threshold, sizes)
        if policy.policy_type == "SimpleScaling" and not sizes.warming and self._rested(policy, region, group.name):
            return scaling.by_amount(how, int(policy.scaling_adjustment), sizes)
        return None

    def _carry_out(self, call: _Call) -> None:
        best = scaling.chosen(call.proposals)
        with api_lock:
            desired = int(call.group.desired_capacity or 0)
            if best is None or best.capacity == desired:
                return
            cause = (
                f"a monitor alarm {best.alarm} in state ALARM triggered policy {best.policy} changing the desired capacity "
                f"from {desired} to {best.capacity}"
            )
            self._changed_at[call.region, call.group.name] = self._clock()
            with contextlib.suppress(UnknownGroup):
                self._set_desired(call.region, call.group.name, best.capacity, cause)
                logger.info("%s: %s", call.group.name, cause)

    def _note_serving(self) -> None:
        """Since when each instance is in service."""
        now = self._clock()
        groups = [group for backend in autoscaling_backends[ACCOUNT].values() for group in backend.autoscaling_groups.values()]
        states = [item for group in groups for item in group.instance_states]
        serving = {item.instance_id for item in states if item.lifecycle_state == "InService"}
        self._serving_since = {name: self._serving_since.get(name, now) for name in serving}

    def _sizes(self, group: Any, warmup: float) -> Sizes:
        states = [(item.instance_id, str(item.lifecycle_state)) for item in group.instances]
        serving = [name for name, state in states if state == "InService"]
        now = self._clock()
        ready = [name for name in serving if now - self._serving_since.get(name, now) >= warmup / self._speed]
        desired = int(group.desired_capacity or 0)
        return Sizes(
            desired,
            int(group.min_size or 0),
            int(group.max_size or 0),
            len(ready),
            max(desired, len(serving)) - len(ready),
            sum(state.startswith("Terminating") for _, state in states),
        )

    @staticmethod
    def _warmup(policy: Any, group: Any) -> float:
        """The policy's, else the group's default instance warm-up, else its default cooldown; seconds."""
        given = (policy.estimated_instance_warmup, group.default_instance_warmup, group.default_cooldown)
        return float(next(value for value in (*given, DEFAULT_COOLDOWN) if value is not None))

    def _rested(self, policy: Any, region: str, group: str) -> bool:
        """Whether a simple policy's cooldown is over."""
        since = self._changed_at.get((region, group))
        return since is None or self._clock() - since >= float(policy.cooldown or 0) / self._speed


def _heard(policy: Any, group: Any) -> bool:
    """Whether the policy is enabled and its group's AlarmNotification process is not suspended."""
    suspended = {item["ProcessName"] for item in group.suspended_processes}
    return bool(policy.enabled) and "AlarmNotification" not in suspended


def _all_low(region: str, group: str) -> bool:
    """Whether every target tracking policy of the group that may scale in is ready to."""
    watch = cloudwatch_backends[ACCOUNT][region].alarms
    for place, policy in policies():
        if place == region and policy.auto_scaling_group_name == group and policy.policy_type == TRACKING and policy.enabled:
            low = [watch[item["AlarmName"]] for item in policy.alarms if "-AlarmLow-" in item["AlarmName"]]
            if any(alarm.state_value != ALARM for alarm in low):
                return False
    return True


def _steps(adjustments: Any) -> list[Step]:
    def bound(item: Any, name: str) -> float | None:
        return None if item.get(name) in (None, "") else float(item[name])

    return [
        Step(
            int(item["ScalingAdjustment"]),
            bound(item, "MetricIntervalLowerBound"),
            bound(item, "MetricIntervalUpperBound"),
        )
        for item in adjustments
    ]


def _aggregated(values: Sequence[float], kind: str | None) -> float:
    match kind:
        case "Minimum":
            return min(values)
        case "Maximum":
            return max(values)
    return sum(values) / len(values)
