"""A pool's capacity as the inputs of its launch template and auto scaling group, from plain values (pulumi_aws's names)."""

from collections.abc import Mapping
from typing import Any

from turnout_components import capacity
from turnout_components.capacity import Machine
from turnout_components.node_policy import streams_with_node_role
from turnout_components.user_data import LAUNCH_HOOK, TERMINATE_HOOK

GPU_IMAGE = "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
"""Amazon Linux 2023 with NVIDIA's driver and container runtime ("Retrieving Amazon ECS-optimized Linux AMI metadata")."""
HOOKS = [
    {
        "name": LAUNCH_HOOK,
        "lifecycle_transition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "default_result": "ABANDON",
        "heartbeat_timeout": capacity.HEARTBEAT,
    },
    {
        "name": TERMINATE_HOOK,
        "lifecycle_transition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "default_result": "CONTINUE",
        "heartbeat_timeout": capacity.HEARTBEAT,
    },
]
"""Declared with the group, so that its first instances wait for them too. A node that gives no sign of life is replaced."""
POOL_STATES = {"stopped": "Stopped", "running": "Running"}


def image_id(machine: Machine) -> str:
    """An AMI, or the public parameter that names one, in the form in which a launch template takes it ("Use a Systems Manager
    parameter instead of an AMI ID in a launch template")."""
    image = str(machine.get("image_id") or GPU_IMAGE)
    return f"resolve:{image}" if image.startswith("ssm:") else image


def instance_type(machine: Machine) -> str | None:
    """The template's type, which a group's overrides replace; None where attributes choose."""
    types = capacity.instance_types(machine)
    return types[0] if types else None


def metadata_hops(release: Mapping[str, Any]) -> int:
    """Hop limit of the metadata service's answers: 1, so that the role's keys do not leave the host's own network.

    A container behind Docker's bridge is one hop further ("Use IMDS", Amazon EC2 User Guide): 2 for a release whose
    container itself reads from S3 with the node's role."""
    return 2 if streams_with_node_role(release) else 1


def network_interfaces(machine: Machine, security_group: str) -> list[dict[str, Any]]:
    """One interface; with EFA one a network card, of which only the first has an address ("LaunchTemplateInstance
    NetworkInterfaceSpecificationRequest": efa, efa-only)."""
    first: dict[str, Any] = {"device_index": 0, "delete_on_termination": "true", "security_groups": [security_group]}
    if not machine.get("efa"):
        return [{**first, "associate_public_ip_address": "false"}]
    cards = min(capacity.EFA_CARDS[name] for name in capacity.instance_types(machine))
    others = [{**first, "device_index": 1, "network_card_index": n, "interface_type": "efa-only"} for n in range(1, cards)]
    return [{**first, "network_card_index": 0, "interface_type": "efa"}, *others]


def market_options(machine: Machine) -> dict[str, Any] | None:
    """ "Use Capacity Blocks for machine learning workloads", Amazon EC2 Auto Scaling User Guide."""
    return {"market_type": "capacity-block"} if machine.get("capacity_block_id") else None


def block_target(machine: Machine) -> dict[str, Any] | None:
    """The capacity block in the launch template, same page."""
    block = machine.get("capacity_block_id")
    return {"capacity_reservation_target": {"capacity_reservation_id": block}} if block else None


def reservation(machine: Machine) -> dict[str, Any] | None:
    """The group fills the reservation first and goes on with On-Demand ("CapacityReservationSpecification", Amazon EC2 Auto
    Scaling API Reference)."""
    found = machine.get("capacity_reservation_id")
    if not found:
        return None
    return {
        "capacity_reservation_preference": "capacity-reservations-first",
        "capacity_reservation_target": {"capacity_reservation_ids": [found]},
    }


def mixed_instances(machine: Machine, template: Any, version: Any) -> dict[str, Any] | None:
    """The group's mixed instances policy, None where it has one type On-Demand.

    On-Demand takes the types in their order; with attributes, which have none, the cheapest. Spot takes the pools that are
    least likely to be interrupted at the lowest price ("InstancesDistribution", Amazon EC2 Auto Scaling API Reference)."""
    if not capacity.is_mixed(machine):
        return None
    requirements = machine.get("requirements")
    types = capacity.instance_types(machine)
    spot = capacity.has_spot(machine)
    base, percent = machine.get("on_demand_base"), machine.get("on_demand_percent")
    return {
        "launch_template": {
            "launch_template_specification": {"launch_template_id": template, "version": version},
            "overrides": [{"instance_requirements": attributes(requirements)}]
            if requirements
            else [{"instance_type": name} for name in types],
        },
        "instances_distribution": {
            "on_demand_allocation_strategy": "lowest-price" if requirements else "prioritized",
            "on_demand_base_capacity": 0 if base is None else base,
            "on_demand_percentage_above_base_capacity": 100 if percent is None else percent,
            **({"spot_allocation_strategy": "price-capacity-optimized"} if spot else {}),
        },
    }


def attributes(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """NVIDIA GPUs, and at least so much of everything; VCpuCount and MemoryMiB must be said ("InstanceRequirements")."""
    memory, names = wanted.get("gpu_memory_gib_min"), wanted.get("gpu_names")
    return {
        "accelerator_types": ["gpu"],
        "accelerator_manufacturers": ["nvidia"],
        "accelerator_count": {"min": wanted.get("gpus_min") or 1},
        "vcpu_count": {"min": wanted.get("vcpus_min") or 1},
        "memory_mib": {"min": (wanted.get("memory_gib_min") or 1) * 1024},
        **({"accelerator_total_memory_mib": {"min": memory * 1024}} if memory else {}),
        **({"accelerator_names": list(names)} if names else {}),
    }


def warm_pool(machine: Machine) -> dict[str, Any] | None:
    """ "PutWarmPool", Amazon EC2 Auto Scaling API Reference. Without a maximum: as many as the group may grow by."""
    warm = machine.get("warm_pool")
    if warm is None:
        return None
    prepared = warm.get("maximum_prepared")
    return {
        "pool_state": POOL_STATES[warm.get("state") or "stopped"],
        "min_size": warm.get("minimum") or 0,
        "instance_reuse_policy": {"reuse_on_scale_in": bool(warm.get("reuse"))},
        **({"max_group_prepared_capacity": prepared} if prepared is not None else {}),
    }
