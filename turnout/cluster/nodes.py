"""Simulated nodes: objects that kwok keeps ready, with the labels, capacity and taints that a cloud's nodes have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GPU = "nvidia.com/gpu"
GPU_TAINT = {"key": GPU, "value": "true", "effect": "NoSchedule"}
"""What keeps pods without GPU work away from GPU nodes."""
MANAGED = "kwok.x-k8s.io/node"
"""Kwok's annotation: it takes up the nodes that have it, and keeps them when they lose it."""


@dataclass(frozen=True)
class Machine:
    """What a type of machine has, as its node tells: vCPUs, GiB and GPUs ("Amazon EC2 instance types")."""

    cpus: int
    memory: int
    gpus: int = 0


MACHINES: Mapping[str, Machine] = {
    "m5.2xlarge": Machine(8, 32),
    "g5.xlarge": Machine(4, 16, 1),
    "g5.12xlarge": Machine(48, 192, 4),
    "p4d.24xlarge": Machine(96, 1152, 8),
    "p5.48xlarge": Machine(192, 2048, 8),
}


def node(name: str, instance_type: str, zone: str, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A Node of the type in the zone, such as `us-east-1a`; one with GPUs has the taint.

    Raises `LookupError` for a type that `MACHINES` has not."""
    machine = MACHINES[instance_type]
    capacity = {"cpu": str(machine.cpus), "memory": f"{machine.memory}Gi", "pods": "110", "ephemeral-storage": "200Gi"}
    if machine.gpus:
        capacity[GPU] = str(machine.gpus)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {MANAGED: "fake"},
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": instance_type,
                "topology.kubernetes.io/region": zone[:-1],
                "topology.kubernetes.io/zone": zone,
                **({f"{GPU}.present": "true"} if machine.gpus else {}),
                **(labels or {}),
            },
        },
        "spec": {"taints": [dict(GPU_TAINT)] if machine.gpus else []},
        "status": {"capacity": capacity, "allocatable": capacity},
    }


ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")


def small_fleet() -> list[dict[str, Any]]:
    """A node without GPU, two with one GPU and one with four in each of three zones."""
    kinds = {"cpu-0": "m5.2xlarge", "gpu-0": "g5.xlarge", "gpu-1": "g5.xlarge", "gpus-0": "g5.12xlarge"}
    return [node(f"{zone}-{name}", kind, zone) for zone in ZONES for name, kind in kinds.items()]
