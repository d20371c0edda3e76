"""Metric alarm (terraform-provider-aws internal/service/cloudwatch/metric_alarm.go)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.base import AwsType, Deadline, changed, known
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.mapping import tag_list, tag_map

MEMBERS = {
    "actionsEnabled": "ActionsEnabled",
    "alarmActions": "AlarmActions",
    "alarmDescription": "AlarmDescription",
    "comparisonOperator": "ComparisonOperator",
    "datapointsToAlarm": "DatapointsToAlarm",
    "evaluationPeriods": "EvaluationPeriods",
    "extendedStatistic": "ExtendedStatistic",
    "insufficientDataActions": "InsufficientDataActions",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "okActions": "OKActions",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "treatMissingData": "TreatMissingData",
    "unit": "Unit",
}
OPERATORS = {
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
}
STATISTICS = {"SampleCount", "Average", "Sum", "Minimum", "Maximum"}
MISSING = {"breaching", "notBreaching", "ignore", "missing"}
EXTENDED = r"(p|tm|wm|tc|ts)(\d{1,2}(\.\d{1,10})?|100)|IQM|(PR|TM|WM|TC|TS)\(.*:.*\)"
DAY, WEEK = 86_400, 604_800


class MetricAlarm(AwsType):
    """aws_cloudwatch_metric_alarm: PutMetricAlarm writes the whole alarm every time. The id is the name."""

    token = "aws:cloudwatch/metricAlarm:MetricAlarm"
    inputs = frozenset({*MEMBERS, "name", "dimensions", "metricQueries", "tags"})
    replace_on = frozenset({"name"})
    auto_name = AutoName("name", 255)
    defaults: ClassVar[Mapping[str, Any]] = {
        "actionsEnabled": True,
        "alarmActions": [],
        "okActions": [],
        "insufficientDataActions": [],
        "treatMissingData": "missing",
        "alarmDescription": "",
        **dict.fromkeys(("datapointsToAlarm", "extendedStatistic", "metricName", "metricQueries", "namespace")),
        **dict.fromkeys(("period", "statistic", "threshold", "unit")),
    }
    exact = frozenset({"tags", "dimensions"})

    def check(self, inputs: Properties) -> list[Fault]:
        """AWS "PutMetricAlarm", parameter by parameter."""
        source = "PutMetricAlarm"
        faults = rules.required(inputs, "comparisonOperator", "evaluationPeriods")
        faults += rules.one_of(inputs, "comparisonOperator", OPERATORS, source)
        faults += rules.one_of(inputs, "statistic", STATISTICS, source)
        faults += rules.one_of(inputs, "treatMissingData", MISSING, source)
        faults += rules.matches(inputs, "extendedStatistic", EXTENDED, "such as p95, tm90 or TC(0.5:)", source)
        faults += rules.between(inputs, "evaluationPeriods", 1, float("inf"), source)
        for name in ("alarmActions", "okActions", "insufficientDataActions"):
            if isinstance(inputs.get(name), list) and len(inputs[name]) > 5:
                faults.append(Fault(name, f"{len(inputs[name])} actions are more than 5 ({source})"))
        return faults + _check_metric(inputs) + _check_window(inputs)

    def _put(self, cloud: Cloud, id: str, inputs: Properties, tags: Mapping[str, str] | None) -> None:
        queries = inputs.get("metricQueries")
        cloud.call(
            "cloudwatch",
            "put_metric_alarm",
            AlarmName=id,
            Dimensions=_dimensions(inputs.get("dimensions")) or None,
            Metrics=[_query(query) for query in queries] if queries else None,
            Tags=tag_list(tags) if tags else None,
            **{member: inputs.get(name) for name, member in MEMBERS.items()},
        )

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        self._put(cloud, inputs["name"], inputs, tags)
        return str(inputs["name"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old and changed(old, new, *(self.inputs - {"tags", "name"})):
            self._put(cloud, id, new, None)

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        alarms = cloud.call("cloudwatch", "describe_alarms", AlarmNames=[id], AlarmTypes=["MetricAlarm"])["MetricAlarms"]
        if not alarms:
            return None
        alarm = alarms[0]
        tags = cloud.call("cloudwatch", "list_tags_for_resource", ResourceARN=alarm["AlarmArn"])["Tags"]
        return {
            **{name: alarm.get(member) for name, member in MEMBERS.items()},
            "treatMissingData": alarm.get("TreatMissingData") or "missing",
            "name": alarm["AlarmName"],
            "dimensions": {item["Name"]: item["Value"] for item in alarm.get("Dimensions") or []},
            "metricQueries": [_from_query(query) for query in alarm.get("Metrics") or []],
            "arn": alarm["AlarmArn"],
            "tagsAll": tag_map(tags),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        return str(inputs["name"]) if self.look(cloud, inputs["name"], inputs) else None

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        live = self.look(cloud, id, {}) or {}
        if add:
            cloud.call("cloudwatch", "tag_resource", ResourceARN=live["arn"], Tags=tag_list(add))
        if drop:
            cloud.call("cloudwatch", "untag_resource", ResourceARN=live["arn"], TagKeys=drop)

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        cloud.call("cloudwatch", "delete_alarms", AlarmNames=[id])


def _dimensions(dimensions: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in sorted((dimensions or {}).items())]


def _query(query: Properties) -> dict[str, Any]:
    made = {"Id": query["id"], "ReturnData": bool(query.get("returnData"))}
    for name, member in (
        ("expression", "Expression"),
        ("label", "Label"),
        ("period", "Period"),
        ("accountId", "AccountId"),
    ):
        if query.get(name) is not None:
            made[member] = query[name]
    metric = query.get("metric")
    if metric:
        inner = {"MetricName": metric["metricName"], "Dimensions": _dimensions(metric.get("dimensions"))}
        if metric.get("namespace"):
            inner["Namespace"] = metric["namespace"]
        made["MetricStat"] = {"Metric": inner, "Period": int(metric["period"]), "Stat": metric["stat"]}
        if metric.get("unit"):
            made["MetricStat"]["Unit"] = metric["unit"]
    return made


def _from_query(query: Mapping[str, Any]) -> Properties:
    found: Properties = {
        "id": query["Id"],
        "returnData": query.get("ReturnData", False),
        "expression": query.get("Expression"),
        "label": query.get("Label"),
        "period": query.get("Period"),
        "accountId": query.get("AccountId"),
    }
    stat = query.get("MetricStat")
    if stat:
        metric = stat["Metric"]
        found["metric"] = {
            "metricName": metric["MetricName"],
            "namespace": metric.get("Namespace"),
            "dimensions": {item["Name"]: item["Value"] for item in metric.get("Dimensions") or []},
            "period": stat["Period"],
            "stat": stat["Stat"],
            "unit": stat.get("Unit"),
        }
    return found


def _check_metric(inputs: Properties) -> list[Fault]:
    queries, metric = inputs.get("metricQueries"), inputs.get("metricName")
    if (queries is None) == (metric is None):
        return [Fault("metricName", "needs exactly one of metricName, metricQueries (PutMetricAlarm)")]
    if queries is not None:
        returned = (
            [query for query in queries if isinstance(query, dict) and query.get("returnData")] if known(queries) else [{}]
        )
        if len(returned) != 1:
            return [Fault("metricQueries", f"{len(returned)} of the queries have returnData, not exactly one (PutMetricAlarm)")]
        return []
    faults = rules.required(inputs, "namespace", "period", "threshold")
    if (inputs.get("statistic") is None) == (inputs.get("extendedStatistic") is None):
        faults.append(Fault("statistic", "needs exactly one of statistic, extendedStatistic (PutMetricAlarm)"))
    return faults


def _check_window(inputs: Properties) -> list[Fault]:
    period, periods, datapoints = inputs.get("period"), inputs.get("evaluationPeriods"), inputs.get("datapointsToAlarm")
    faults: list[Fault] = []
    if known(period) and period not in (10, 20, 30) and (period <= 0 or period % 60):
        faults.append(Fault("period", f"{period} is neither 10, 20, 30 nor a multiple of 60 (PutMetricAlarm)"))
    if known(datapoints) and known(periods) and datapoints > periods:
        faults.append(Fault("datapointsToAlarm", f"{datapoints} is above evaluationPeriods {periods} (PutMetricAlarm)"))
    if known(period) and known(periods):
        limit = WEEK if period >= 3600 else DAY
        if period * periods > limit:
            faults.append(Fault("evaluationPeriods", f"{period} s x {periods} is more than {limit} s (PutMetricAlarm)"))
    return faults


TYPES = (MetricAlarm(),)
