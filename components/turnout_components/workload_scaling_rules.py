"""What Kubernetes and KEDA refuse of a workload's scaling, and what would fight itself, as pure functions (`checks.Fault`)."""

import re
import zoneinfo
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from turnout_components import checks, cron, scaling_rules
from turnout_components import workload_scaling as scalers
from turnout_components.checks import Fault
from turnout_components.workload_scaling import Scaling

BY = ("keda", "hpa")
TRACKED = (*scalers.METRICS, "messages", "cpu_utilization")
_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_ROLE = re.compile(r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")
_QUEUE = re.compile(r"^https?://[^/@\s]+/\d{12}/[A-Za-z0-9_-]{1,80}(\.fifo)?$")
_BY_STEP = {"gpu_utilization": "gpu", "queue_length": "pending"}
_PERIOD, _WINDOW = 1800, 3600
"""Seconds of a policy's period and of a stabilisation window at most ("HPAScalingPolicy", "HPAScalingRules", Kubernetes)."""
_OF_KEDA = {
    "schedules": "a HorizontalPodAutoscaler knows no times, and changing its minimum by the clock would end a floor",
    "fallback": "a HorizontalPodAutoscaler holds the size where metrics are missing, and cannot raise it",
    "prometheus": "a HorizontalPodAutoscaler asks the cluster's metrics APIs and no server",
    "queue": "a HorizontalPodAutoscaler asks the cluster's metrics APIs and no queue",
}
_OF_HPA = {
    "pod_metrics": "KEDA asks Prometheus itself: the queries are in `prometheus`",
    "demand_metric": "KEDA asks Prometheus itself",
}


def faults(scaling: Scaling) -> list[Fault]:
    """Every rule that the scaling of one workload breaks. What is not known yet (an output) is not judged."""
    return [
        *_names(scaling),
        *bounds(scaling.get("minimum"), scaling.get("maximum")),
        *_source(scaling),
        *_tracking(scaling),
        *_step(scaling),
        *_paces(scaling),
        *_schedules(scaling),
        *_fallback(scaling),
    ]


def bounds(minimum: object, maximum: object) -> Iterable[Fault]:
    """A ScaledObject's minimum is not above its maximum, as its CRD's rule says too."""
    for name, value in (("minimum", minimum), ("maximum", maximum)):
        if isinstance(value, int) and value < 0:
            yield Fault(name, value, "is no number of pods", "write 0 or more")
    if isinstance(minimum, int) and isinstance(maximum, int) and minimum > maximum:
        yield Fault("minimum", minimum, f"is above the maximum of {maximum}", f"write {maximum} or less")


def sleeping(scaling: Scaling) -> Iterable[Fault]:
    """With no pods there are no metrics of pods: something else must wake the workload. 0 of 0 is a cold standby, which the
    switch wakes."""
    tracked = scaling.get("target_tracking") or {}
    if scaling.get("minimum") == 0 and scaling.get("maximum") and "messages" not in tracked and not scaling.get("schedules"):
        reason = "lets it come down to no pods, and its metrics are its own pods': nothing would wake it"
        yield Fault("minimum", 0, reason, "write 1, or follow target_tracking.messages or schedules")


def _names(scaling: Scaling) -> Iterable[Fault]:
    for name in ("namespace", "workload"):
        value = scaling.get(name)
        if isinstance(value, str) and not _LABEL.match(value):
            fix = "write up to 63 small letters, digits and hyphens"
            yield Fault(name, value, "is no name that a label can hold, as KEDA wants it", fix)
    if scaling.get("kind", "Deployment") not in scalers.KINDS:
        yield Fault("kind", scaling["kind"], "is no workload that the switch knows", f"write {' or '.join(scalers.KINDS)}")
    if scaling.get("by", "keda") not in BY:
        yield Fault("by", scaling["by"], "scales nothing", "write keda or hpa: one of them scales a workload, never both")
    role = scaling.get("role_arn")
    if isinstance(role, str) and not _ROLE.match(role):
        yield Fault("role_arn", role, "is no ARN of a role", "write arn:aws:iam::<account>:role/<name>")


def _source(scaling: Scaling) -> Iterable[Fault]:
    """Who scales can measure what the rules follow."""
    tracked = scaling.get("target_tracking") or {}
    if scaling.get("by", "keda") == "hpa":
        for name, reason in _OF_KEDA.items():
            if scaling.get(name):
                yield Fault(name, _short(scaling[name]), reason, f"write by: keda, or leave {name} out")
        return
    for name, reason in _OF_HPA.items():
        if scaling.get(name):
            yield Fault(name, _short(scaling[name]), reason, f"write by: hpa, or leave {name} out")
    server = scaling.get("prometheus") or {}
    asks = scalers.uses_step(scaling) or any(name in tracked for name in scalers.METRICS)
    if asks and server.get("address") is None:
        reason = "is missing, and the step rule or target_tracking measures by it"
        yield Fault("prometheus.address", None, reason, "write such as http://prometheus.monitoring.svc:9090")
    if isinstance(address := server.get("address"), str):
        yield from _address(address)
    queue = scaling.get("queue") or {}
    if "messages" in tracked and (queue.get("url") is None or queue.get("region") is None):
        yield Fault("queue", dict(queue), "does not say whose messages are counted", "give its url and region")
    if isinstance(url := queue.get("url"), str) and not _QUEUE.match(url):
        fix = "write https://sqs.<region>.amazonaws.com/<account>/<name>"
        yield Fault("queue.url", url, "is no URL of a queue", fix)
    if queue and "messages" not in tracked:
        yield Fault("queue", _short(queue), "is followed by nothing", "give target_tracking.messages, or leave it out")
    if scaling.get("role_arn") and not scalers.signs(scaling):
        yield Fault("role_arn", scaling["role_arn"], "is taken for nothing: no trigger asks AWS", "leave it out")


def _address(address: str) -> Iterable[Fault]:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield Fault("prometheus.address", "(not shown)", "is no URL of a server", "write http://host:port or https://host")
    elif parts.username or parts.password:
        reason = "holds a credential, which everybody could read in the object"
        yield Fault("prometheus.address", "(not shown)", reason, "leave it out: let Prometheus admit KEDA by network policy")


def _tracking(scaling: Scaling) -> Iterable[Fault]:
    for name, value in (scaling.get("target_tracking") or {}).items():
        field = f"target_tracking.{name}"
        if name == "requests_per_target":
            reason = "is counted by an AWS load balancer for auto scaling groups"
            yield Fault(field, value, reason, "follow running_requests or queue_length")
        elif name not in TRACKED:
            yield Fault(field, value, "is no metric that can be tracked", f"use {', '.join(TRACKED)}")
        elif value <= 0:
            yield Fault(field, value, "is no target", "write a number above 0")
        elif name == "gpu_utilization" and value >= 90:
            reason = "is hardly ever exceeded by the tenth that a HorizontalPodAutoscaler tolerates, so it never grows"
            yield Fault(field, value, reason, "write a percentage below 90, such as 70")
        elif name == "messages" and scaling.get("by") == "hpa":
            yield Fault(field, value, "is measured by KEDA only", "write by: keda, or leave it out")
        elif name == "cpu_utilization" and int(value) != value:
            yield Fault(field, value, "is no whole percentage", "write one")
        if name in _BY_STEP and scaling.get("step") is not None:
            reason = f"and step.{_BY_STEP[name]} follow the same metric and would undo each other"
            yield Fault(field, value, reason, f"leave out step or {field}")


def _step(scaling: Scaling) -> Iterable[Fault]:
    if not scalers.uses_step(scaling):
        return
    given = dict(scaling.get("step") or {})
    if "missing_data" in given:
        reason = "is nothing that can be chosen on Kubernetes: where metrics are missing nothing scales"
        yield Fault("step.missing_data", given.pop("missing_data"), reason, "leave it out")
    yield from scaling_rules.faults({"step": given})
    minutes, most = scalers.step_of(scaling)["idle_minutes"], _WINDOW // 60
    if most < minutes <= 1440:
        reason = "is longer than a stabilisation window can be"
        yield Fault("step.idle_minutes", minutes, reason, f"write {most} or less")


def _paces(scaling: Scaling) -> Iterable[Fault]:
    warmup = scaling.get("warmup")
    if warmup is not None and not 1 <= warmup <= _PERIOD:
        yield Fault("warmup", warmup, "is no period of a policy", f"write seconds from 1 to {_PERIOD}")
    for name in ("growth", "shrinking"):
        pace: Mapping[str, Any] | None = scaling.get(name)
        if pace is None:
            continue
        if scalers.uses_step(scaling):
            yield Fault(
                name, dict(pace), "is said by the step rule already", "leave it out, or give target_tracking without step"
            )
        if not pace.get("pods") and not pace.get("percent"):
            yield Fault(name, dict(pace), "would never change anything", "give pods or percent")
        for key, least, most in (("pods", 1, None), ("percent", 1, None), ("period", 1, _PERIOD), ("window", 0, _WINDOW)):
            value = pace.get(key)
            if value is not None and (value < least or (most is not None and value > most)):
                reach = f"from {least} to {most}" if most is not None else f"of {least} or more"
                yield Fault(f"{name}.{key}", value, f"is no number {reach}", f"write one {reach}")
    if (percent := (scaling.get("shrinking") or {}).get("percent")) is not None and percent > 100:
        yield Fault("shrinking.percent", percent, "is more than there is", "write 100 or less")


def _schedules(scaling: Scaling) -> Iterable[Fault]:
    seen: set[str] = set()
    for index, schedule in enumerate(scaling.get("schedules") or ()):
        field, name = f"schedules[{index}]", str(schedule.get("name") or "")
        if not _LABEL.match(name) or name in seen:
            reason = "is the name of an earlier schedule" if name in seen else "is no name of a trigger"
            yield Fault(f"{field}.name", name, reason, "give each its own, of small letters, digits and hyphens")
        seen.add(name)
        for key in ("maximum", "desired"):
            if schedule.get(key) is not None:
                reason = "cannot be scheduled: of what a ScaledObject's triggers want the largest counts, so a time only raises"
                yield Fault(f"{field}.{key}", schedule[key], reason, "write minimum, and until when it holds")
        yield from _times(field, schedule)
        most, minimum = scaling.get("maximum"), schedule.get("minimum")
        if not isinstance(minimum, int) or minimum < 1:
            yield Fault(f"{field}.minimum", minimum, "is no number of pods that a time could want", "write 1 or more")
        elif isinstance(most, int) and minimum > most:
            yield Fault(f"{field}.minimum", minimum, f"is above the maximum {most}", f"write {most} or less")


def _times(field: str, schedule: Mapping[str, Any]) -> Iterable[Fault]:
    """KEDA reads both with robfig/cron, whose Sunday is 0 only, and refuses two that are alike ("Cron", KEDA)."""
    for key in ("cron", "until"):
        expression = str(schedule.get(key) or "")
        if (wrong := cron.fault(expression)) is not None:
            yield Fault(f"{field}.{key}", expression, wrong, 'write such as "0 8 * * MON-FRI"')
        elif re.search(r"\b7\b", expression.split()[4]):
            yield Fault(f"{field}.{key}", expression, "names Sunday by 7, which KEDA does not know", "write 0 or SUN")
    if schedule.get("cron") == schedule.get("until"):
        yield Fault(f"{field}.until", schedule.get("until"), "is when it begins", "write when it ends")
    zone = str(schedule.get("time_zone") or "Etc/UTC")
    if zone not in zoneinfo.available_timezones():
        yield Fault(f"{field}.time_zone", zone, "is no time zone of the IANA database", "write such as Europe/Berlin")


def _fallback(scaling: Scaling) -> Iterable[Fault]:
    """KEDA falls back for metrics that it asks for itself ("ScaledObject specification", KEDA: fallback)."""
    fallback = scaling.get("fallback")
    if not fallback or scaling.get("by", "keda") == "hpa":
        return
    least, most = fallback.get("minimum"), scaling.get("maximum")
    if not isinstance(least, int) or least < 1:
        yield Fault("fallback.minimum", least, "is no number of pods", "write 1 or more")
    elif isinstance(most, int) and least > most:
        yield Fault("fallback.minimum", least, f"is above the maximum {most}", f"write {most} or less")
    if fallback.get("failures", 3) < 1:
        yield Fault("fallback.failures", fallback["failures"], "falls back before anything failed", "write 1 or more")
    if set(scaling.get("target_tracking") or {}) == {"cpu_utilization"} and not scalers.uses_step(scaling):
        yield Fault("fallback", dict(fallback), "cannot be had for CPU, which KEDA does not ask for itself", "leave it out")


def refuse(scaling: Scaling) -> None:
    """Raises `ValueError` with a line for each fault."""
    checks.refuse([*faults(scaling), *sleeping(scaling)])


def _short(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value
