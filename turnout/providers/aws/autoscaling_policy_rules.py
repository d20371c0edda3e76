"""What AWS refuses of a scaling policy, from its inputs alone. Sources are API pages of Amazon EC2 Auto Scaling."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from turnout.engine.provider import Fault, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.base import known

SIMPLE, STEP, TRACKING, PREDICTIVE = "SimpleScaling", "StepScaling", "TargetTrackingScaling", "PredictiveScaling"
ADJUSTED, WARMED = {SIMPLE, STEP}, {STEP, TRACKING}
SOURCE = "PutScalingPolicy"
ONLY = {
    "cooldown": {SIMPLE},
    "scalingAdjustment": {SIMPLE},
    "estimatedInstanceWarmup": WARMED,
    "stepAdjustments": {STEP},
    "targetTrackingConfiguration": {TRACKING},
    "predictiveScalingConfiguration": {PREDICTIVE},
}
NEEDS = {
    SIMPLE: ("adjustmentType", "scalingAdjustment"),
    STEP: ("adjustmentType", "stepAdjustments"),
    TRACKING: ("targetTrackingConfiguration",),
    PREDICTIVE: ("predictiveScalingConfiguration",),
}
EXACT = "ExactCapacity"
ADJUSTMENTS = {"ChangeInCapacity", EXACT, "PercentChangeInCapacity"}
TRACKED = {
    "ASGAverageCPUUtilization",
    "ASGAverageCPUUtilizationHighResolution",
    "ASGAverageNetworkIn",
    "ASGAverageNetworkOut",
    "ALBRequestCountPerTarget",
}
LABELLED = {"ALBRequestCountPerTarget", "ALBRequestCount", "ALBTargetGroupRequestCount"}
LABEL = r"app/[^/]+/[^/]+/targetgroup/[^/]+/[^/]+"
PERIODS = {10, 30, 60}
NAMED = ("metricName", "namespace", "statistic", "unit", "metricDimensions", "period")
PREDICTED = {
    "predefinedMetricPairSpecification": {"ASGCPUUtilization", "ASGNetworkIn", "ASGNetworkOut", "ALBRequestCount"},
    "predefinedScalingMetricSpecification": {
        "ASGAverageCPUUtilization",
        "ASGAverageNetworkIn",
        "ASGAverageNetworkOut",
        "ALBRequestCountPerTarget",
    },
    "predefinedLoadMetricSpecification": {
        "ASGTotalCPUUtilization",
        "ASGTotalNetworkIn",
        "ASGTotalNetworkOut",
        "ALBTargetGroupRequestCount",
    },
}
INFINITY = float("inf")


def faults(inputs: Properties) -> list[Fault]:
    """Every rule that the policy breaks."""
    found = rules.required(inputs, "autoscalingGroupName")
    found += rules.matches(inputs, "name", r"[^\x00-\x1f]{1,255}", "1 to 255 characters", SOURCE)
    found += rules.one_of(inputs, "policyType", set(NEEDS), SOURCE)
    found += rules.one_of(inputs, "adjustmentType", ADJUSTMENTS, SOURCE)
    found += rules.one_of(inputs, "metricAggregationType", {"Minimum", "Maximum", "Average"}, SOURCE)
    found += rules.between(inputs, "cooldown", 0, INFINITY, SOURCE)
    found += rules.between(inputs, "estimatedInstanceWarmup", 0, INFINITY, SOURCE)
    found += rules.between(inputs, "minAdjustmentMagnitude", 1, INFINITY, SOURCE)
    return [*found, *_kind(inputs), *_steps(inputs), *_exact(inputs), *_tracking(inputs), *_predictive(inputs)]


def _kind(inputs: Properties) -> Iterable[Fault]:
    """expandPutScalingPolicyInput: what goes with the policy's type only, and what it needs."""
    kind = inputs.get("policyType") or SIMPLE
    if not isinstance(kind, str):
        return
    for name, kinds in ONLY.items():
        if inputs.get(name) and kind not in kinds:
            yield Fault(name, f"goes with {' and '.join(sorted(kinds))} only, not with {kind} ({SOURCE})")
    for name in NEEDS.get(kind, ()):
        if inputs.get(name) is None:
            yield Fault(name, f"is required for {kind} ({SOURCE})")


def _exact(inputs: Properties) -> Iterable[Fault]:
    """ "For exact capacity, you must specify a non-negative value" ("StepAdjustment")."""
    if inputs.get("adjustmentType") != EXACT:
        return
    given = [("scalingAdjustment", inputs.get("scalingAdjustment"))]
    for index, step in enumerate(_list(inputs.get("stepAdjustments"))):
        given.append((f"stepAdjustments[{index}].scalingAdjustment", step.get("scalingAdjustment")))
    for name, value in given:
        number = _number(value)
        if number is not None and number < 0:
            yield Fault(name, f"{value} is no exact capacity (StepAdjustment)")


def _steps(inputs: Properties) -> Iterable[Fault]:
    """ "StepAdjustment": the ranges of the steps have no gap and do not overlap; one may be open below, one above, none both;
    a bound below zero needs a step that is open below, one above zero a step that is open above."""
    steps, source = inputs.get("stepAdjustments"), "StepAdjustment"
    if not isinstance(steps, list):
        return
    ranges: list[tuple[float, float]] = []
    for index, step in enumerate(_list(steps)):
        low, high = step.get("metricIntervalLowerBound"), step.get("metricIntervalUpperBound")
        where = f"stepAdjustments[{index}]"
        if step.get("scalingAdjustment") is None:
            yield Fault(f"{where}.scalingAdjustment", f"is required ({source})")
        bounds = (_bound(low, -INFINITY), _bound(high, INFINITY))
        if bounds[0] is None or bounds[1] is None:
            for name, value, bound in (("Lower", low, bounds[0]), ("Upper", high, bounds[1])):
                if bound is None and isinstance(value, str):
                    yield Fault(f"{where}.metricInterval{name}Bound", f"{value!r} is no number ({source})")
            return
        if low is None and high is None:
            yield Fault(where, f"has neither a lower nor an upper bound ({source})")
        elif bounds[0] >= bounds[1]:
            yield Fault(f"{where}.metricIntervalUpperBound", f"{high} is not above the lower bound {low} ({source})")
        ranges.append((bounds[0], bounds[1]))
    yield from _ranges(sorted(ranges), source)


def _ranges(ranges: list[tuple[float, float]], source: str) -> Iterable[Fault]:
    for (_, end), (start, _) in pairwise(ranges):
        if end != start:
            said = "overlap" if end > start else "leave a gap"
            yield Fault("stepAdjustments", f"the ranges {said} between {min(start, end):g} and {max(start, end):g} ({source})")
    if ranges and 0 > ranges[0][0] > -INFINITY:
        yield Fault("stepAdjustments", f"a lower bound below 0 needs a step without a lower bound ({source})")
    if ranges and 0 < ranges[-1][1] < INFINITY:
        yield Fault("stepAdjustments", f"an upper bound above 0 needs a step without an upper bound ({source})")


def _tracking(inputs: Properties) -> Iterable[Fault]:
    block, at = inputs.get("targetTrackingConfiguration"), "targetTrackingConfiguration"
    if not isinstance(block, dict):
        return
    if block.get("targetValue") is None:
        yield Fault(f"{at}.targetValue", "is required (TargetTrackingConfiguration)")
    given = [name for name in ("predefinedMetricSpecification", "customizedMetricSpecification") if block.get(name) is not None]
    if len(given) != 1:
        message = "needs exactly one of predefinedMetricSpecification, customizedMetricSpecification"
        yield Fault(at, f"{message} (TargetTrackingConfiguration)")
    yield from _predefined(block, "predefinedMetricSpecification", TRACKED, at)
    own, at = block.get("customizedMetricSpecification"), f"{at}.customizedMetricSpecification"
    if not isinstance(own, dict):
        return
    named = [name for name in NAMED if own.get(name) is not None]
    if own.get("metrics") is not None:
        for name in named:
            yield Fault(f"{at}.{name}", "and metrics exclude each other (CustomizedMetricSpecification)")
        yield from _queries(own["metrics"], f"{at}.metrics", "TargetTrackingMetricDataQuery")
        return
    for name in ("metricName", "namespace", "statistic"):
        if own.get(name) is None:
            yield Fault(f"{at}.{name}", "is required without metrics (CustomizedMetricSpecification)")
    statistics = {"Average", "Minimum", "Maximum", "SampleCount", "Sum"}
    for fault in rules.one_of(own, "statistic", statistics, "CustomizedMetricSpecification"):
        yield Fault(f"{at}.{fault.property}", fault.reason)
    yield from _period(own.get("period"), f"{at}.period", "CustomizedMetricSpecification")


def _predefined(block: Properties, name: str, allowed: set[str], at: str) -> Iterable[Fault]:
    """A metric of AWS's; requests of a load balancer need a label of the documented form."""
    metric, at = block.get(name), f"{at}.{name}"
    if not isinstance(metric, dict):
        return
    source = f"{name[0].upper()}{name[1:]}"
    for fault in (
        *rules.required(metric, "predefinedMetricType"),
        *rules.one_of(metric, "predefinedMetricType", allowed, source),
        *rules.matches(metric, "resourceLabel", LABEL, "write app/<name>/<id>/targetgroup/<name>/<id>", source),
    ):
        yield Fault(f"{at}.{fault.property}", fault.reason)
    if metric.get("predefinedMetricType") in LABELLED and metric.get("resourceLabel") is None:
        yield Fault(f"{at}.resourceLabel", f"is required for {metric['predefinedMetricType']} ({source})")


def _queries(queries: Any, at: str, source: str) -> Iterable[Fault]:
    """Metric math: unique ids, each a metric or an expression, and exactly one whose data are returned."""
    if not isinstance(queries, list):
        return
    if len(queries) > 10:
        yield Fault(at, f"{len(queries)} metrics are more than 10 ({source})")
    ids: set[str] = set()
    returned = 0
    for index, query in enumerate(queries):
        if not isinstance(query, dict):
            return
        for fault in (
            *rules.required(query, "id"),
            *rules.matches(query, "id", r"[a-z]\w{0,63}", "begin with a lowercase letter; letters, digits and _", source),
        ):
            yield Fault(f"{at}[{index}].{fault.property}", fault.reason)
        if isinstance(query.get("id"), str):
            if query["id"] in ids:
                yield Fault(f"{at}[{index}].id", f"{query['id']!r} is there twice ({source})")
            ids.add(query["id"])
        if (query.get("expression") is None) == (query.get("metricStat") is None):
            yield Fault(f"{at}[{index}]", f"needs exactly one of expression, metricStat ({source})")
        stat = query.get("metricStat")
        if isinstance(stat, dict):
            yield from _period(stat.get("period"), f"{at}[{index}].metricStat.period", source)
        flag = query.get("returnData")
        if flag is not None and not known(flag):
            return
        returned += flag is None or str(flag).lower() == "true"
    if returned != 1:
        yield Fault(at, f"returnData must be true for exactly one, the final one, and is for {returned} ({source})")


def _period(value: Any, at: str, source: str) -> Iterable[Fault]:
    number = _number(value)
    if number is not None and number not in PERIODS:
        yield Fault(at, f"{value} is none of 10, 30, 60 seconds ({source})")


def _predictive(inputs: Properties) -> Iterable[Fault]:
    block, at = inputs.get("predictiveScalingConfiguration"), "predictiveScalingConfiguration"
    source = "PredictiveScalingConfiguration"
    if not isinstance(block, dict):
        return
    breach = {"HonorMaxCapacity", "IncreaseMaxCapacity"}
    for fault in (
        *rules.required(block, "metricSpecification"),
        *rules.one_of(block, "mode", {"ForecastAndScale", "ForecastOnly"}, source),
        *rules.one_of(block, "maxCapacityBreachBehavior", breach, source),
        *rules.between(block, "schedulingBufferTime", 0, 3599, source),
        *rules.between(block, "maxCapacityBuffer", 0, 100, source),
    ):
        yield Fault(f"{at}.{fault.property}", fault.reason)
    behaviour = block.get("maxCapacityBreachBehavior")
    increases = behaviour == "IncreaseMaxCapacity"
    if (behaviour is None or isinstance(behaviour, str)) and (block.get("maxCapacityBuffer") is not None) != increases:
        said = "is required with" if increases else "goes with"
        yield Fault(f"{at}.maxCapacityBuffer", f"{said} maxCapacityBreachBehavior IncreaseMaxCapacity only ({source})")
    metric, at = block.get("metricSpecification"), f"{at}.metricSpecification"
    if not isinstance(metric, dict):
        return
    if metric.get("targetValue") is None:
        yield Fault(f"{at}.targetValue", "is required (PredictiveScalingMetricSpecification)")
    for name, allowed in PREDICTED.items():
        yield from _predefined(metric, name, allowed, at)
    for name in ("Load", "Scaling", "Capacity"):
        own = metric.get(f"customized{name}MetricSpecification")
        if isinstance(own, dict):
            path = f"{at}.customized{name}MetricSpecification.metricDataQueries"
            yield from _queries(own.get("metricDataQueries"), path, "MetricDataQuery")
    yield from _pairs(metric, at)


def _pairs(metric: Properties, at: str) -> Iterable[Fault]:
    """ "a target value and a single metric pair, or a target value and one scaling metric and one load metric"
    ("PredictiveScalingConfiguration"); a kind of metric is predefined or customized (resourcePolicy's ConflictsWith)."""
    pair = metric.get("predefinedMetricPairSpecification") is not None
    counts = {}
    for kind in ("Scaling", "Load"):
        given = [f"{way}{kind}MetricSpecification" for way in ("predefined", "customized")]
        counts[kind] = sum(metric.get(name) is not None for name in given)
        if counts[kind] > 1:
            yield Fault(f"{at}.{given[1]}", f"and {given[0]} exclude each other (PredictiveScalingMetricSpecification)")
    alone = not any(counts.values())
    if pair != alone or (not pair and 0 in counts.values()):
        message = "needs a predefined metric pair, or one scaling metric and one load metric"
        yield Fault(at, f"{message} (PredictiveScalingConfiguration)")


def _list(value: Any) -> list[Properties]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    try:
        return float(value) if known(value) else None
    except (TypeError, ValueError):
        return None


def _bound(value: Any, open_end: float) -> float | None:
    return open_end if value is None else _number(value)
