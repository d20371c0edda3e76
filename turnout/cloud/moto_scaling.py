"""Extends moto's scaling policies and alarms: policies are a group's own, target tracking makes its alarms, alarms begin
without data and keep their state and a history.

Sources: "PutScalingPolicy", "DeletePolicy", "DescribePolicies" (Amazon EC2 Auto Scaling API Reference), "Target tracking
scaling policies for Amazon EC2 Auto Scaling" (its User Guide), "PutMetricAlarm", "DescribeAlarmHistory" (Amazon CloudWatch
API Reference).
"""

import uuid
from collections.abc import Iterator
from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeScalingPolicy, autoscaling_backends
from moto.autoscaling.responses import AutoScalingResponse
from moto.cloudwatch.models import (
    Alarm,
    CloudWatchBackend,
    Dimension,
    Metric,
    MetricDataQuery,
    MetricStat,
    cloudwatch_backends,
)
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow

from turnout.cloud.alarms import INSUFFICIENT_DATA
from turnout.cloud.moto_state import ACCOUNT
from turnout.cloud.scaling import HIGH_PERIODS, LOW_PERIODS, LOW_SHARE

TRACKING = "TargetTrackingScaling"
_HISTORY = 100
"""Newest items of an alarm's history that are kept."""


def extend_scaling() -> None:
    """Lets moto's scaling policies and alarms answer as AWS does."""
    _extend_alarms()
    _extend_policies()


def _extend_alarms() -> None:
    put = CloudWatchBackend.put_metric_alarm

    def put_metric_alarm(self: CloudWatchBackend, name: str, *args: Any, **kwargs: Any) -> Alarm:
        old = self.alarms.get(name)
        alarm = put(self, name, *args, **kwargs)
        if old is None:
            alarm.state_value = INSUFFICIENT_DATA
        else:  # an update leaves the state unchanged ("PutMetricAlarm")
            for field in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp", "history"):
                setattr(alarm, field, getattr(old, field))
        return alarm

    def update_state(self: Alarm, reason: str, reason_data: str, state_value: str) -> None:
        note(self, "StateUpdate", f"Alarm updated from {self.state_value} to {state_value}", reason)
        self.state_reason, self.state_reason_data, self.state_value = reason, reason_data, state_value
        self.state_updated_timestamp = utcnow()

    def describe_alarm_history(self: CloudWatchResponse) -> ActionResult:
        name, kind = self._get_param("AlarmName"), self._get_param("HistoryItemType")
        alarms = [alarm for alarm in self.cloudwatch_backend.alarms.values() if name in (None, alarm.name)]
        items = [item for alarm in alarms for item in alarm.history if kind in (None, item["HistoryItemType"])]
        items.sort(key=lambda item: item["Timestamp"], reverse=self._get_param("ScanBy") != "TimestampAscending")
        return ActionResult({"AlarmHistoryItems": items[: int(self._get_param("MaxRecords") or _HISTORY)]})

    CloudWatchBackend.put_metric_alarm = put_metric_alarm  # type: ignore[method-assign]
    Alarm.update_state = update_state  # type: ignore[method-assign]
    CloudWatchResponse.describe_alarm_history = describe_alarm_history  # type: ignore[attr-defined]


def note(alarm: Alarm, kind: str, summary: str, data: str = "") -> None:
    """Adds an item to the alarm's history. `kind`: StateUpdate or Action."""
    item = {
        "AlarmName": alarm.name,
        "AlarmType": "MetricAlarm",
        "Timestamp": utcnow(),
        "HistoryItemType": kind,
        "HistorySummary": summary,
        "HistoryData": data,
    }
    alarm.history[:] = [*alarm.history, item][-_HISTORY:]


def _extend_policies() -> None:
    put, execute = AutoScalingResponse.put_scaling_policy, FakeScalingPolicy.execute
    delete_group = AutoScalingResponse.delete_auto_scaling_group

    def put_scaling_policy(self: AutoScalingResponse) -> ActionResult:
        backend, group = self.autoscaling_backend, self._get_param("AutoScalingGroupName")
        if group not in backend.autoscaling_groups:
            raise ValidationError(f"Group {group} not found")
        put(self)
        policy: Any = backend.policies.pop(self._get_param("PolicyName"))
        key: Any = (group, policy.name)
        old: Any = backend.policies.get(key)
        policy.identifier = old.identifier if old else str(uuid.uuid4())
        policy.enabled = self._get_param("Enabled") not in (False, "false")
        backend.policies[key] = policy
        _track(policy, self.region)
        return ActionResult({"PolicyARN": policy.arn, "Alarms": policy.alarms})

    def delete_policy(self: AutoScalingResponse) -> EmptyResult:
        _remove(self.autoscaling_backend, _named(self))
        return EmptyResult()

    def execute_policy(self: AutoScalingResponse) -> EmptyResult:
        execute(_named(self))
        return EmptyResult()

    def delete_auto_scaling_group(self: AutoScalingResponse) -> Any:
        answer, backend = delete_group(self), self.autoscaling_backend
        kept = backend.autoscaling_groups
        for policy in [item for item in backend.policies.values() if item.auto_scaling_group_name not in kept]:
            _remove(backend, policy)
        return answer

    def arn(self: Any) -> str:
        backend = self.autoscaling_backend
        group = f"autoScalingGroupName/{self.auto_scaling_group_name}:policyName/{self.name}"
        return f"arn:aws:autoscaling:{backend.region_name}:{ACCOUNT}:scalingPolicy:{self.identifier}:{group}"

    def alarms(self: Any) -> list[dict[str, str]]:
        found = cloudwatch_backends[ACCOUNT][self.autoscaling_backend.region_name].alarms
        named = [alarm for alarm in list(found.values()) if self.arn in alarm.alarm_actions]
        return [{"AlarmName": alarm.name, "AlarmARN": alarm.alarm_arn} for alarm in named]

    AutoScalingResponse.put_scaling_policy = put_scaling_policy  # type: ignore[method-assign]
    AutoScalingResponse.delete_policy = delete_policy  # type: ignore[method-assign]
    AutoScalingResponse.execute_policy = execute_policy  # type: ignore[method-assign]
    AutoScalingResponse.delete_auto_scaling_group = delete_auto_scaling_group  # type: ignore[method-assign]
    FakeScalingPolicy.arn = FakeScalingPolicy.policy_arn = property(arn)  # type: ignore[assignment,method-assign]
    FakeScalingPolicy.identifier = ""  # type: ignore[attr-defined]
    FakeScalingPolicy.alarms = property(alarms)  # type: ignore[attr-defined]


def policies() -> Iterator[tuple[str, Any]]:
    """Every scaling policy of the account, with its region."""
    for region, backend in list(autoscaling_backends[ACCOUNT].items()):
        for policy in list(backend.policies.values()):
            yield region, policy


def _named(response: AutoScalingResponse) -> Any:
    """The policy that a call names, by name and group or by ARN."""
    name, group = response._get_param("PolicyName"), response._get_param("AutoScalingGroupName")
    for policy in response.autoscaling_backend.policies.values():
        if policy.arn == name or (policy.name == name and policy.auto_scaling_group_name == group):
            return policy
    raise ValidationError(f"PolicyName not found - No policy found with name {name}")


def _remove(backend: AutoScalingBackend, policy: Any) -> None:
    key: Any = (policy.auto_scaling_group_name, policy.name)
    del backend.policies[key]
    cloudwatch_backends[ACCOUNT][backend.region_name].delete_alarms([_alarm_name(policy, end) for end in ("High", "Low")])


def _alarm_name(policy: Any, end: str) -> str:
    return f"TargetTracking-{policy.auto_scaling_group_name}-Alarm{end}-{policy.identifier}"


def _track(policy: Any, region: str) -> None:
    """Target tracking's two alarms; one only where scale-in is disabled."""
    watch = cloudwatch_backends[ACCOUNT][region]
    watch.delete_alarms([_alarm_name(policy, "Low")] if policy.policy_type == TRACKING else [])
    if policy.policy_type != TRACKING:
        return
    config = policy.target_tracking_configuration.__dict__
    target, low = float(config["TargetValue"]), not _true(config.get("DisableScaleIn"))
    ends = [("High", "GreaterThanThreshold", target, HIGH_PERIODS)]
    ends += [("Low", "LessThanThreshold", target * LOW_SHARE, LOW_PERIODS)] if low else []
    for end, comparison, threshold, periods in ends:
        watch.put_metric_alarm(
            _alarm_name(policy, end),
            comparison_operator=comparison,
            evaluation_periods=periods,
            threshold=threshold,
            description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.arn}.",
            alarm_actions=[policy.arn],
            **_metric(config, policy.auto_scaling_group_name),
        )


def _true(value: Any) -> bool:
    return value in (True, "true", "True")


def _metric(config: dict[str, Any], group: str) -> dict[str, Any]:
    """What the alarms watch, as put_metric_alarm takes it."""
    own = config.get("CustomizedMetricSpecification")
    if own and own.get("Metrics"):
        queries = [_query(item) for item in own["Metrics"]]
        nothing = dict.fromkeys(("namespace", "metric_name", "statistic", "period"))
        return {**nothing, "dimensions": [], "metric_data_queries": queries}
    if own:
        names = (own["Namespace"], own["MetricName"], own["Statistic"])
        return _plain(*names, own.get("Dimensions", []), int(own.get("Period") or 60))
    given = config["PredefinedMetricSpecification"]
    kind = given["PredefinedMetricType"]
    if kind == "ALBRequestCountPerTarget":
        balancer, _, target_group = str(given.get("ResourceLabel", "")).partition("/targetgroup/")
        if not target_group:
            raise ValidationError("ResourceLabel must be specified for ALBRequestCountPerTarget")
        by = [{"Name": "LoadBalancer", "Value": balancer}, {"Name": "TargetGroup", "Value": f"targetgroup/{target_group}"}]
        return _plain("AWS/ApplicationELB", "RequestCountPerTarget", "Sum", by)
    name = kind.removeprefix("ASGAverage")
    return _plain("AWS/EC2", name, "Average", [{"Name": "AutoScalingGroupName", "Value": group}])


def _plain(namespace: str, name: str, statistic: str, dimensions: list[dict[str, str]], period: int = 60) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "metric_name": name,
        "statistic": statistic,
        "period": period,
        "dimensions": dimensions,
    }


def _query(item: dict[str, Any]) -> MetricDataQuery:
    stat = None
    if "MetricStat" in item:
        given = item["MetricStat"]
        by = [Dimension(dimension["Name"], dimension["Value"]) for dimension in given["Metric"].get("Dimensions", [])]
        metric = Metric(given["Metric"]["MetricName"], given["Metric"]["Namespace"], by)
        stat = MetricStat(metric, str(given.get("Period") or 60), given["Stat"], given.get("Unit"))
    returned = "true" if _true(item.get("ReturnData", True)) else "false"
    return MetricDataQuery(item["Id"], item.get("Label", ""), "60", returned, item.get("Expression"), stat)
