"""What AWS refuses of an environment's scaling, and what would fight itself, as pure functions (`checks.Fault`).

`scaling` holds the plain values of `AutoscalingPolicyArgs`. docs/autoscaling.md has the pages.
"""

import zoneinfo
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from turnout_components import checks, cron
from turnout_components.checks import Fault

Scaling = Mapping[str, Any]

STEP_DEFAULTS: Mapping[str, Any] = {
    "pending": 50,
    "gpu": 80,
    "add": 2,
    "idle_gpu": 30,
    "idle_minutes": 5,
    "remove": 1,
    "missing_data": "notBreaching",
}
"""The rule of the project's first documents: more than 50 waiting or a GPU above 80 %: two more; none waiting and the GPU
below 30 % for five minutes: one less."""
RESERVED = frozenset({"turnout-step-down", "turnout-retain-end"})
"""Scheduled actions of a flip's step-down."""
MODES = {"forecast_only": "ForecastOnly", "forecast_and_scale": "ForecastAndScale"}
PREDICTED = ("requests_per_target", "cpu_utilization", "gpu_utilization")
TRACKED = ("requests_per_target", "gpu_utilization", "queue_length")
_TRACKED_BY_STEP = {"gpu_utilization": "gpu", "queue_length": "pending"}
_DAY = 1440


def faults(scaling: Scaling, minimum: int | None = None, maximum: int | None = None) -> list[Fault]:
    """Every rule that the scaling of one environment breaks. `minimum`, `maximum`: the pool's, where they are known."""
    return [
        *_bounds("", minimum, maximum, None),
        *_tracking(scaling),
        *_step(scaling),
        *_schedules(scaling),
        *_beyond(scaling, minimum, maximum),
        *_predictive(scaling),
    ]


def refuse(scaling: Scaling) -> None:
    """Raises `ValueError` with a line for each fault."""
    checks.refuse(faults(scaling))


def bounds_now(schedules: Iterable[Scaling], minimum: int, maximum: int, now: datetime) -> tuple[int, int]:
    """The minimum and maximum that the schedules have left in force: an update that wrote the pool's own would undo them until
    they come again. Of each the newest counts; before the first time the pool's own do."""
    times = [(cron.last_time(s["cron"], s.get("time_zone"), now), s) for s in schedules]
    for _, schedule in sorted(((when, s) for when, s in times if when is not None), key=lambda found: found[0]):
        minimum = minimum if schedule.get("minimum") is None else schedule["minimum"]
        maximum = maximum if schedule.get("maximum") is None else schedule["maximum"]
    return minimum, maximum


def uses_step(scaling: Scaling) -> bool:
    """Whether the step rule holds: it was given, or nothing else follows the load."""
    return scaling.get("step") is not None or not scaling.get("target_tracking")


def step_of(scaling: Scaling) -> dict[str, Any]:
    """The step rule with its defaults."""
    return {**STEP_DEFAULTS, **(scaling.get("step") or {})}


def missing_data(treatment: str, removes: bool) -> list[Fault]:
    """An alarm that removes instances must not take silence for a reason: a broken agent would scale a group to its minimum."""
    if removes and treatment == "breaching":
        return [Fault("", treatment, "lets minutes without data scale in", "write notBreaching")]
    if treatment not in ("notBreaching", "ignore", "missing", "breaching"):
        return [Fault("", treatment, "is no treatment of missing data", "write notBreaching, ignore or missing")]
    return []


def _bounds(field: str, minimum: int | None, maximum: int | None, desired: int | None) -> Iterable[Fault]:
    """DesiredCapacity lies between MinSize and MaxSize ("PutScheduledUpdateGroupAction", "CreateAutoScalingGroup")."""
    dot = f"{field}." if field else ""
    for name, value in (("minimum", minimum), ("maximum", maximum), ("desired", desired)):
        if value is not None and value < 0:
            yield Fault(f"{dot}{name}", value, "is no number of instances", "write 0 or more")
    if minimum is not None and maximum is not None and minimum > maximum:
        yield Fault(f"{dot}minimum", minimum, f"is above the maximum of {maximum}", f"write {maximum} or less")
    if desired is not None and minimum is not None and desired < minimum:
        yield Fault(f"{dot}desired", desired, f"is below the minimum of {minimum}", f"write {minimum} or more")
    if desired is not None and maximum is not None and desired > maximum:
        yield Fault(f"{dot}desired", desired, f"is above the maximum of {maximum}", f"write {maximum} or less")


def _tracking(scaling: Scaling) -> Iterable[Fault]:
    targets: Mapping[str, float] = scaling.get("target_tracking") or {}
    for name, value in targets.items():
        field = f"target_tracking.{name}"
        if name not in ("requests_per_target", "gpu_utilization", "queue_length"):
            yield Fault(
                field, value, "is no metric that can be tracked", "use requests_per_target, gpu_utilization or queue_length"
            )
        elif value <= 0:
            yield Fault(field, value, "is no target", "write a number above 0")
        elif name == "gpu_utilization" and value >= 100:
            yield Fault(field, value, "is never exceeded, so the group never grows", "write a percentage below 100, such as 70")
        if name in _TRACKED_BY_STEP and scaling.get("step") is not None:
            yield Fault(
                field,
                value,
                f"and step.{_TRACKED_BY_STEP[name]} follow the same metric and would undo each other",
                f"leave out step or {field}",
            )
    if "requests_per_target" in targets:
        yield from _needs_balancer(scaling, "target_tracking.requests_per_target", targets["requests_per_target"])


def _needs_balancer(scaling: Scaling, field: str, value: Any) -> Iterable[Fault]:
    """ALBRequestCountPerTarget and ALBRequestCount need a ResourceLabel ("PredefinedMetricSpecification")."""
    lacking = [name for name in ("target_group_arn", "load_balancer_arn") if scaling.get(name) is None]
    if lacking:
        yield Fault(field, value, "counts requests of a load balancer that is not named", f"give {' and '.join(lacking)}")


def _step(scaling: Scaling) -> Iterable[Fault]:
    if not uses_step(scaling):
        return
    rule = step_of(scaling)
    for name in rule.keys() - STEP_DEFAULTS.keys():
        yield Fault(f"step.{name}", rule[name], "is no part of the rule", f"use {', '.join(STEP_DEFAULTS)}")
    for name, least, most in (
        ("pending", 0, float("inf")),
        ("gpu", 1, 99),
        ("idle_gpu", 1, 100),
        ("add", 1, float("inf")),
        ("remove", 1, float("inf")),
        ("idle_minutes", 1, _DAY),
    ):
        if not least <= rule[name] <= most:
            bounds = f"from {least} to {most}" if most != float("inf") else f"of {least} or more"
            yield Fault(f"step.{name}", rule[name], f"is no number {bounds}", f"write one {bounds}")
    if rule["idle_gpu"] >= rule["gpu"]:
        yield Fault(
            "step.idle_gpu",
            rule["idle_gpu"],
            f"overlaps step.gpu of {rule['gpu']}: the same load would add and remove instances",
            f"write less than {rule['gpu']}, with room between",
        )
    yield from checks.below("step.missing_data", missing_data(str(rule["missing_data"]), removes=True))


def _schedules(scaling: Scaling) -> Iterable[Fault]:
    names: set[str] = set()
    times: dict[tuple[str, str], str] = {}
    for index, schedule in enumerate(scaling.get("schedules") or ()):
        field, name = f"schedules[{index}]", str(schedule.get("name", ""))
        if not name or name in names:
            reason = "is the name of an earlier schedule" if name else "names no schedule"
            yield Fault(f"{field}.name", name, reason, "give each schedule of the group its own name")
        if name in RESERVED:
            yield Fault(f"{field}.name", name, "is the name of a flip's own scheduled action", "choose another")
        names.add(name)
        expression, zone = str(schedule.get("cron", "")), str(schedule.get("time_zone") or "Etc/UTC")
        wrong = cron.fault(expression)
        if wrong is not None:
            yield Fault(f"{field}.cron", expression, wrong, 'write such as "0 8 * * MON-FRI"')
        if zone not in zoneinfo.available_timezones():
            yield Fault(f"{field}.time_zone", zone, "is no time zone of the IANA database", "write such as Europe/Berlin")
        if (expression, zone) in times:
            other = times[expression, zone]
            yield Fault(f"{field}.cron", expression, f"is the time of {other} too, which AWS refuses", "move one by a minute")
        times[expression, zone] = name
        sizes = {key: schedule.get(key) for key in ("minimum", "maximum", "desired")}
        if all(value is None for value in sizes.values()):
            yield Fault(field, name, "changes nothing", "give minimum, maximum or desired")
        yield from _bounds(field, sizes["minimum"], sizes["maximum"], sizes["desired"])


def _beyond(scaling: Scaling, minimum: int | None, maximum: int | None) -> Iterable[Fault]:
    """Where only one of the two is ever scheduled, the pool's own other one is always in force."""
    schedules = list(enumerate(scaling.get("schedules") or ()))
    if maximum is not None and all(s.get("maximum") is None for _, s in schedules):
        for index, schedule in schedules:
            if (schedule.get("minimum") or 0) > maximum:
                reason = f"is above the pool's maximum {maximum}"
                yield Fault(f"schedules[{index}].minimum", schedule["minimum"], reason, f"write {maximum} or less")
    if minimum is not None and all(s.get("minimum") is None for _, s in schedules):
        for index, schedule in schedules:
            if (most := schedule.get("maximum")) is not None and most < minimum:
                reason = f"is below the pool's minimum {minimum}"
                yield Fault(f"schedules[{index}].maximum", most, reason, f"write {minimum} or more")


def _predictive(scaling: Scaling) -> Iterable[Fault]:
    rule = scaling.get("predictive")
    if rule is None:
        return
    named = [name for name in PREDICTED if rule.get(name) is not None]
    if len(named) != 1:
        reason = f"names {len(named)} metrics to forecast" if named else "has no metric to forecast"
        yield Fault("predictive", dict(rule), reason, f"give one of {', '.join(PREDICTED)}")
    for name in named:
        if rule[name] <= 0:
            yield Fault(f"predictive.{name}", rule[name], "is no target", "write a number above 0")
    if "requests_per_target" in named:
        yield from _needs_balancer(scaling, "predictive.requests_per_target", rule["requests_per_target"])
    if rule.get("mode", "forecast_only") not in MODES:
        yield Fault("predictive.mode", rule["mode"], "is no mode", f"write {' or '.join(MODES)}")
    if not 0 <= rule.get("launch_ahead", 300) < 3600:
        yield Fault("predictive.launch_ahead", rule["launch_ahead"], "is not below an hour", "write seconds from 0 to 3599")
