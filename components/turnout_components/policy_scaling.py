"""Scalers of workloads on Kubernetes among a stack's resources: one workload has one."""

from collections.abc import Iterator, Mapping
from typing import Any

from turnout_components.checks import Fault
from turnout_components.policy_resources import UNKNOWN, Resource, Stack, StackFound, Undecided, of

SCALERS = (
    "kubernetes:keda.sh/v1alpha1:ScaledObject",
    "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
    "kubernetes:autoscaling/v1:HorizontalPodAutoscaler",
)


def one_scaler(stack: Stack, _: Mapping[str, Any]) -> StackFound:
    """Two scalers of one workload undo each other's sizes. A ScaledObject is one with the autoscaler that KEDA makes of it
    ("Scaling Deployments, StatefulSets & Custom Resources", KEDA: no other autoscaler beside it)."""
    first: dict[tuple[Any, ...], Resource] = {}
    for scaler in of(stack, *SCALERS):
        target = tuple(_target(scaler))
        if UNKNOWN in target:
            yield scaler, Undecided("spec.scaleTargetRef")
        elif (other := first.setdefault(target, scaler)) is not scaler:
            reason = f"is scaled by {other.name} too, and they would undo each other's sizes"
            yield scaler, Fault("spec.scaleTargetRef.name", target[-1], reason, f"leave out {scaler.name} or {other.name}")


def _target(scaler: Resource) -> Iterator[Any]:
    """Namespace, kind and name of the workload. A ScaledObject's is a Deployment where it says nothing."""
    yield scaler.get("metadata.namespace") or "default"
    yield scaler.get("spec.scaleTargetRef.kind") or "Deployment"
    yield scaler.get("spec.scaleTargetRef.name")
