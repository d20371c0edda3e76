"""Room on GPU nodes that is kept for what comes, as pure functions: what holds it, and what would not (`checks.Fault`).

Sources: "Pod Priority and Preemption" (Kubernetes); "CapacityBuffers" (Karpenter); rules of the CRD
autoscaling.x-k8s.io_capacitybuffers, which Karpenter's module has since 1.14.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from turnout_components.checks import Fault
from turnout_components.gpu_support_rules import GPU

KINDS = ("pods", "buffer")
PRIORITY = -10
"""Below 0, which pods have by default. Cluster Autoscaler adds no nodes for pods below -10 ("Frequently Asked Questions",
Cluster Autoscaler: expendable pods)."""
UNAWAITED = {"pulumi.com/skipAwait": "true"}
"""A placeholder that has left its place waits for a node: no update may wait for that ("apps/v1 Deployment", Pulumi Kubernetes:
ready within 10 minutes)."""
STRATEGY = "buffer.x-k8s.io/active-capacity"
LABEL = "turnout.dev/placeholder"
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_IMAGE = re.compile(r"^[a-z0-9.-]+(:\d+)?/[a-z0-9._/-]+(:[\w.-]+)?@sha256:[0-9a-f]{64}$")


def faults(args: Mapping[str, Any]) -> list[Fault]:
    """Every rule that the arguments of `CapacityPlaceholder` break. What is not known yet (an output) is not judged."""
    return [*_names(args), *_room(args), *_by(args)]


def _names(args: Mapping[str, Any]) -> Iterable[Fault]:
    for field in ("namespace", "name"):
        value = args.get(field)
        if isinstance(value, str) and not _NAME.match(value):
            yield Fault(field, value, "is no name of an object", "write up to 63 small letters, digits and hyphens")


def _room(args: Mapping[str, Any]) -> Iterable[Fault]:
    if isinstance(nodes := args.get("replicas"), int) and nodes < 0:
        yield Fault("replicas", nodes, "is no number of places", "write 0 or more")
    for field, least, default in (("gpus", 1, 1), ("cpus", 0, 2), ("memory_gib", 0, 12)):
        value = args.get(field, default)
        if isinstance(value, (int, float)) and value < least:
            yield Fault(field, value, "holds no GPU" if field == "gpus" else "is no amount", f"write {least} or more")


def _by(args: Mapping[str, Any]) -> Iterable[Fault]:
    kind = args.get("by", "pods")
    if kind not in KINDS:
        yield Fault("by", kind, "holds no room", f"write {' or '.join(KINDS)}")
    image = args.get("image")
    if kind == "pods" and "image" not in args:
        yield Fault("image", None, "is missing, and pods must run something", "write the cluster's pause image by digest")
    if kind == "pods" and isinstance(image, str) and not _IMAGE.match(image):
        yield Fault("image", image, "is not named by its digest", "write <registry>/<repository>@sha256:<64 hex digits>")
    if kind == "buffer" and "image" in args:
        yield Fault("image", image, "is run by nobody: a buffer is no pods", "leave it out")
    priority = args.get("priority", PRIORITY)
    if kind == "buffer" and "priority" in args:
        yield Fault("priority", priority, "is nobody's: a buffer is no pods", "leave it out")
    elif isinstance(priority, int) and not PRIORITY <= priority < 0:
        reason = (
            "would not be preempted by a pod without a class" if priority >= 0 else "is so low that no node is added for it"
        )
        yield Fault("priority", priority, reason, f"write {PRIORITY} to -1")


def labels(name: str) -> dict[str, str]:
    """What marks and selects the placeholders."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "turnout", LABEL: "true"}


def priority_class(args: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs of the class of pods whose place everybody's take, and that take nobody's."""
    return {
        "value": args.get("priority", PRIORITY),
        "preemption_policy": "Never",
        "global_default": False,
        "description": "Holds room on GPU nodes until a pod wants it",
    }


def _pod(args: Mapping[str, Any], container: Mapping[str, Any]) -> dict[str, Any]:
    """A pod as large as what is to come, on the same nodes."""
    asked = {"cpu": f"{args.get('cpus', 2):g}", "memory": f"{args.get('memory_gib', 12):g}Gi"}
    gpus = {args.get("gpu_resource") or GPU: str(args.get("gpus", 1))}
    room = {"requests": {**asked, **gpus}, "limits": {"memory": asked["memory"], **gpus}}
    locked = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
        **({"nodeSelector": dict(args["node_selector"])} if args.get("node_selector") else {}),
        "tolerations": [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}, *(args.get("tolerations") or ())],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65535, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{**container, "resources": room, "securityContext": locked}],
    }


def deployment(args: Mapping[str, Any]) -> dict[str, Any]:
    """Spec of a Deployment of placeholders. They go at once when they are preempted, and wait as long as it takes."""
    name = args["name"]
    pod = {**_pod(args, {"name": "pause", "image": args.get("image")}), "priorityClassName": name}
    return {
        "replicas": args["replicas"],
        "selector": {"matchLabels": labels(name)},
        "strategy": {"type": "Recreate"},
        "revisionHistoryLimit": 1,
        "template": {"metadata": {"labels": labels(name)}, "spec": pod},
    }


def template(args: Mapping[str, Any]) -> dict[str, Any]:
    """The template of a PodTemplate by which an autoscaler simulates pods that there are not."""
    container = {"name": "server", "image": "none.invalid/none"}
    return {"metadata": {"labels": labels(args["name"])}, "spec": _pod(args, container)}


def buffer(args: Mapping[str, Any]) -> dict[str, Any]:
    """Spec of a CapacityBuffer."""
    return {"provisioningStrategy": STRATEGY, "podTemplateRef": {"name": args["name"]}, "replicas": args["replicas"]}
