"""What scales a workload on Kubernetes: the specs of a HorizontalPodAutoscaler and of a KEDA ScaledObject, as pure functions.

`scaling` holds the known values of `WorkloadAutoscalerArgs`. docs/kubernetes-autoscaling.md has the pages.
"""

from collections.abc import Mapping
from typing import Any

from turnout_components import scaling_rules

Scaling = Mapping[str, Any]

KINDS = {"Deployment": "apps/v1", "LeaderWorkerSet": "leaderworkerset.x-k8s.io/v1"}
"""Workloads with a scale subresource that the switch knows, and their API version."""
STEP_DEFAULTS: Mapping[str, Any] = {key: value for key, value in scaling_rules.STEP_DEFAULTS.items() if key != "missing_data"}
"""The same rule as on auto scaling groups. Missing data never scales here, so nothing is said of them."""
WARMUP = 60
"""Seconds between two growths, as an auto scaling group's instance warm-up."""
GROWTH: Mapping[str, int] = {"pods": 2, "percent": 50, "window": 0}
"""The larger of the two at a time, at once."""
SHRINKING: Mapping[str, int] = {"pods": 1, "period": 60, "window": 300}
"""One a minute, and only when five minutes agree."""
MANY = 1000
"""The demand of a busy workload: so many times what is there. The policy for growth makes of it the pods that are added."""
METRICS = {"queue_length": "waiting", "running_requests": "running", "gpu_utilization": "gpu"}
"""What is tracked, and which of the three queries measures it."""
POD_METRICS = {"waiting": "turnout_requests_waiting", "running": "turnout_requests_running", "gpu": "turnout_gpu_utilization"}
DEMAND_METRIC = "turnout_demand"
WAITING = ("vllm:num_requests_waiting", "llamacpp:requests_deferred", "turnout_requests_waiting")
RUNNING = ("vllm:num_requests_running", "llamacpp:requests_processing", "turnout_requests_running")
GPU = ("DCGM_FI_DEV_GPU_UTIL",)
"""Percent, of dcgm-exporter ("DCGM Exporter", NVIDIA): it says of each GPU which pod has it."""


def uses_step(scaling: Scaling) -> bool:
    """Whether the step rule holds: it was given, or nothing else follows the load."""
    return scaling_rules.uses_step(scaling)


def step_of(scaling: Scaling) -> dict[str, Any]:
    """The step rule with its defaults."""
    return {**STEP_DEFAULTS, **(scaling.get("step") or {})}


def queries(scaling: Scaling) -> dict[str, str]:
    """PromQL of all pods' waiting and running requests together, and of their GPUs' mean use in percent, over a minute."""
    pods = f'namespace="{scaling["namespace"]}",pod=~"{_pods(scaling)}"'
    own = scaling.get("prometheus") or {}

    def over(how: str, names: tuple[str, ...]) -> str:
        return f'{how}(avg_over_time({{__name__=~"{"|".join(names)}",{pods}}}[1m]))'

    found = {"waiting": over("sum", WAITING), "running": over("sum", RUNNING), "gpu": over("avg", GPU)}
    return {name: own.get(name) or query for name, query in found.items()}


def _pods(scaling: Scaling) -> str:
    """Names of the workload's pods and of no others': a Deployment's end in its ReplicaSet's hash and five characters
    ("Deployments"), a LeaderWorkerSet's in the number of the group and that of the worker."""
    end = "-[a-z0-9]+-[a-z0-9]+" if scaling.get("kind", "Deployment") == "Deployment" else "-[0-9]+(-[0-9]+)?"
    return str(scaling["workload"]) + end


def demand(scaling: Scaling) -> str:
    """PromQL of the step rule's verdict: `MANY` busy, 0 idle, else 1. It has no value where one of its metrics has none, for
    then nothing is known ("Operators", Prometheus: what has no match is not in the result)."""
    rule, asked = step_of(scaling), queries(scaling)
    waiting, gpu = f"({asked['waiting']})", f"({asked['gpu']})"
    busy = f"clamp_max(({waiting} > bool {rule['pending']:g}) + ({gpu} > bool {rule['gpu']:g}), 1)"
    idle = f"({waiting} < bool 1) * ({gpu} < bool {rule['idle_gpu']:g})"
    return f"1 - {idle} + {MANY - 1} * {busy}"


def behavior(scaling: Scaling) -> dict[str, Any]:
    """How fast it grows and shrinks ("Horizontal Pod Autoscaling", Kubernetes: Configurable scaling behavior).

    The step rule's `idle_minutes` are the stabilisation window: of the sizes wanted within it the largest counts, so only when
    all of them want less does it shrink."""
    warmup = scaling.get("warmup") or WARMUP
    if uses_step(scaling):
        rule = step_of(scaling)
        up = {"pods": rule["add"], "period": warmup, "window": 0}
        down = {"pods": rule["remove"], "period": 60, "window": rule["idle_minutes"] * 60}
    else:
        up = {"period": warmup, **(scaling.get("growth") or GROWTH)}
        down = {"period": SHRINKING["period"], "window": SHRINKING["window"], **(scaling.get("shrinking") or SHRINKING)}
    return {"scaleUp": _pace(up, "Max"), "scaleDown": _pace(down, "Min")}


def _pace(pace: Mapping[str, int], select: str) -> dict[str, Any]:
    kinds = (("Pods", pace.get("pods")), ("Percent", pace.get("percent")))
    policies = [{"type": kind, "value": value, "periodSeconds": pace["period"]} for kind, value in kinds if value]
    return {"stabilizationWindowSeconds": pace.get("window", 0), "selectPolicy": select, "policies": policies}


def target_of(scaling: Scaling) -> dict[str, str]:
    """The workload, as both kinds of scalers name it."""
    kind = scaling.get("kind", "Deployment")
    return {"apiVersion": KINDS[kind], "kind": kind, "name": scaling["workload"]}


def autoscaler(scaling: Scaling) -> dict[str, Any]:
    """Spec of a HorizontalPodAutoscaler (autoscaling/v2). It has a minimum of 1 at least: with a workload of 0 replicas it
    does nothing until somebody gives it some ("Horizontal Pod Autoscaling": Implicit maintenance-mode deactivation)."""
    tracked = scaling.get("target_tracking") or {}
    names = {**POD_METRICS, **(scaling.get("pod_metrics") or {})}
    metrics: list[dict[str, Any]] = []
    if uses_step(scaling):
        of_workload = {"matchLabels": {"workload": scaling["workload"]}}
        metric = {"name": scaling.get("demand_metric") or DEMAND_METRIC, "selector": of_workload}
        metrics.append({"type": "External", "external": {"metric": metric, "target": {"type": "Value", "value": "1"}}})
    for name in (name for name in METRICS if name in tracked):
        average = {"type": "AverageValue", "averageValue": f"{tracked[name]:g}"}
        metrics.append({"type": "Pods", "pods": {"metric": {"name": names[METRICS[name]]}, "target": average}})
    if "cpu_utilization" in tracked:
        used = {"type": "Utilization", "averageUtilization": tracked["cpu_utilization"]}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": used}})
    return {
        "scaleTargetRef": target_of(scaling),
        "minReplicas": max(scaling["minimum"], 1),
        "maxReplicas": max(scaling["maximum"], 1),
        "metrics": metrics,
        "behavior": behavior(scaling),
    }


def scaled_object(scaling: Scaling) -> dict[str, Any]:
    """Spec of a KEDA ScaledObject ("ScaledObject specification", KEDA). KEDA's own HorizontalPodAutoscaler gets the workload's
    name, so that there cannot be another one of it."""
    advanced = {"horizontalPodAutoscalerConfig": {"name": scaling["workload"], "behavior": behavior(scaling)}}
    spec = {
        "scaleTargetRef": target_of(scaling),
        "minReplicaCount": scaling["minimum"],
        "maxReplicaCount": max(scaling["maximum"], 1),
        "advanced": advanced,
        "triggers": [*_tracking(scaling), *_schedules(scaling)],
    }
    if fallback := scaling.get("fallback"):
        spec["fallback"] = {
            "behavior": "currentReplicasIfHigher",
            "replicas": fallback["minimum"],
            "failureThreshold": fallback.get("failures", 3),
        }
    return spec


def _tracking(scaling: Scaling) -> list[dict[str, Any]]:
    tracked, asked = scaling.get("target_tracking") or {}, queries(scaling)
    triggers = []
    if uses_step(scaling):
        triggers.append(_prometheus(scaling, "demand", demand(scaling), 1, "Value"))
    for name in (name for name in METRICS if name in tracked):
        # What all pods have together is divided by their number; a mean is compared as it is.
        kind = "Value" if name == "gpu_utilization" else "AverageValue"
        triggers.append(_prometheus(scaling, name.replace("_", "-"), asked[METRICS[name]], tracked[name], kind))
    if "messages" in tracked:
        queue = scaling["queue"]
        metadata = {"queueURL": queue["url"], "awsRegion": queue["region"], "queueLength": f"{tracked['messages']:g}"}
        signed = {"authenticationRef": {"name": scaling["workload"]}}
        triggers.append(
            {"type": "aws-sqs-queue", "name": "messages", "metadata": metadata, "metricType": "AverageValue", **signed}
        )
    if "cpu_utilization" in tracked:
        used = {"value": f"{tracked['cpu_utilization']:g}"}
        triggers.append({"type": "cpu", "name": "cpu-utilization", "metadata": used, "metricType": "Utilization"})
    return triggers


def _prometheus(scaling: Scaling, name: str, query: str, threshold: float, kind: str) -> dict[str, Any]:
    """No answer is an error and not 0 (`ignoreNullValues`, "Prometheus", KEDA): where metrics are missing nothing scales."""
    server = scaling["prometheus"]
    metadata = {"serverAddress": server["address"], "query": query, "threshold": f"{threshold:g}", "ignoreNullValues": "false"}
    trigger = {"type": "prometheus", "name": name, "metadata": metadata, "metricType": kind}
    if server.get("region"):
        metadata["awsRegion"] = server["region"]
        trigger["authenticationRef"] = {"name": scaling["workload"]}
    return trigger


def _schedules(scaling: Scaling) -> list[dict[str, Any]]:
    """KEDA's cron trigger wants a size while it lasts; as the largest of all wishes counts, that is a minimum."""
    return [
        {
            "type": "cron",
            "name": f"schedule-{schedule['name']}",
            "metadata": {
                "timezone": schedule.get("time_zone") or "Etc/UTC",
                "start": schedule["cron"],
                "end": schedule["until"],
                "desiredReplicas": str(schedule["minimum"]),
            },
        }
        for schedule in scaling.get("schedules") or ()
    ]


def signs(scaling: Scaling) -> bool:
    """Whether a trigger asks AWS, and so needs an identity."""
    return "messages" in (scaling.get("target_tracking") or {}) or bool((scaling.get("prometheus") or {}).get("region"))
