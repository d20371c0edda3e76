"""Between which sizes a workload on Kubernetes is scaled, and what is written to change that. Pure.

A HorizontalPodAutoscaler takes no minimum of 0 ("HorizontalPodAutoscaler", API reference, minReplicas) and leaves a workload
of 0 replicas alone ("Horizontal Pod Autoscaling", implicit maintenance-mode deactivation); KEDA's ScaledObject is held at 0 by
an annotation ("Scaling Deployments, StatefulSets & Custom Resources", pause autoscaling).
"""

from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]
HPA, SCALED_OBJECT = "HorizontalPodAutoscaler", "ScaledObject"
SCALERS = (HPA, SCALED_OBJECT)
PAUSED = "autoscaling.keda.sh/paused-replicas"


def replicas(workload: Object) -> int:
    """Pods (of a LeaderWorkerSet: groups of pods) that are wanted now; 1 where none are named."""
    return int(workload["spec"].get("replicas", 1))


def bounds(workload: Object, scaler: Object | None) -> tuple[int, int]:
    """Minimum and maximum: the scaler's; what is wanted, where nothing scales; 0 and 0 while it is switched off."""
    wanted = replicas(workload)
    if scaler is None:
        return wanted, wanted
    spec = scaler["spec"]
    if scaler["kind"] == HPA:
        return (0, 0) if wanted == 0 else (int(spec.get("minReplicas", 1)), int(spec["maxReplicas"]))
    paused = (scaler["metadata"].get("annotations") or {}).get(PAUSED)
    if paused is not None:
        return int(paused), int(paused)
    return int(spec.get("minReplicaCount", 0)), int(spec.get("maxReplicaCount", 100))


def ceiling(scaler: Object) -> int:
    """The maximum that the scaler has, also while it is switched off."""
    return int(scaler["spec"].get("maxReplicas") or scaler["spec"].get("maxReplicaCount", 100))


def bounded(kind: str, minimum: int, maximum: int) -> dict[str, Any]:
    """The change that gives a scaler these bounds, and switches it on. Neither takes a maximum of 0."""
    if kind == HPA:
        return {"spec": {"minReplicas": max(minimum, 1), "maxReplicas": max(maximum, minimum, 1)}}
    spec = {"minReplicaCount": minimum, "maxReplicaCount": max(maximum, minimum, 1)}
    return {"metadata": {"annotations": {PAUSED: None}}, "spec": spec}


def switched_off(kind: str) -> dict[str, Any] | None:
    """The change that keeps a scaler from a workload of 0 replicas; None where it needs none."""
    return None if kind == HPA else {"metadata": {"annotations": {PAUSED: "0"}}}
