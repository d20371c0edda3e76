"""What AWS refuses of a managed node group with GPUs, as pure functions (`checks.Fault`), and its launch template.

docs/eks.md has the pages.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from turnout_components import capacity, checks
from turnout_components.capacity import EFA_CARDS
from turnout_components.checks import Fault

Nodes = Mapping[str, Any]

IMAGES = {
    "al2023": "AL2023_x86_64_NVIDIA",
    "al2023-arm": "AL2023_ARM_64_NVIDIA",
    "bottlerocket": "BOTTLEROCKET_x86_64_NVIDIA",
    "bottlerocket-arm": "BOTTLEROCKET_ARM_64_NVIDIA",
}
"""EKS-optimized images with NVIDIA's driver and container toolkit ("Nodegroup", amiType, Amazon EKS API Reference)."""
CAPACITIES = {"on-demand": "ON_DEMAND", "spot": "SPOT", "capacity-block": "CAPACITY_BLOCK"}
STRATEGIES = {"default": "DEFAULT", "minimal": "MINIMAL"}
WARM_STATES = {"stopped": "STOPPED", "running": "RUNNING"}
TAINT = "nvidia.com/gpu"
HOPS = 1
"""Hops of the metadata service's answers: pods get their roles by pod identity, so none may have the node's."""
_DATA = "/dev/xvdb"
"""Bottlerocket's disk for images and pods ("Bottlerocket", its default volumes)."""
_SYSTEM_GIB = 4
_LEAST_GIB = 30
_ARM = ("g5g", "p6e-gb200")


def faults(nodes: Nodes, subnets: int | None = None) -> list[Fault]:
    """Every rule that the group breaks. `subnets`: how many it has, where that is known."""
    return [fault for rule in _RULES for fault in rule(nodes, subnets)]


def refuse(nodes: Nodes, subnets: int | None = None) -> None:
    """Raises `ValueError` with a line for each fault."""
    checks.refuse(faults(nodes, subnets))


def image_of(nodes: Nodes) -> str:
    """`al2023`, `bottlerocket`, … as the settings say it."""
    return str(nodes.get("image") or "al2023")


def capacity_of(nodes: Nodes) -> str:
    """`on-demand`, `spot` or `capacity-block`."""
    return str(nodes.get("capacity") or "on-demand")


def types_of(nodes: Nodes) -> list[str]:
    """Instance types in order of preference."""
    return list(nodes.get("instance_types") or (capacity.DEFAULT_TYPE,))


def _words(nodes: Nodes, _: int | None) -> Iterable[Fault]:
    held = (("image", image_of(nodes), IMAGES), ("capacity", capacity_of(nodes), CAPACITIES))
    strategy = (nodes.get("update") or {}).get("strategy") or "default"
    for field, value, known in (*held, ("update.strategy", strategy, STRATEGIES)):
        if value not in known:
            yield Fault(field, value, "is not known", f"write {', '.join(known)}")


def _types(nodes: Nodes, _: int | None) -> Iterable[Fault]:
    """Each has a GPU, and all are of the image's processor; several are for Spot ("Managed node group capacity types")."""
    types = types_of(nodes)
    for name in types:
        yield from (Fault("instance_types", f.value, f.reason, f.fix) for f in checks.gpu_instance_type(name))
        if (name.partition(".")[0] in _ARM) is not image_of(nodes).endswith("-arm"):
            fix = "choose the image, or the type, of the other processor"
            yield Fault("instance_types", name, f"does not start the image {image_of(nodes)}", fix)
    if len(set(types)) < len(types):
        yield Fault("instance_types", types, "name a type twice", "name each once")
    if len(types) > 20:
        yield Fault("instance_types", len(types), "are more than a node group takes", "name 20 or fewer")


def _block(nodes: Nodes, subnets: int | None) -> Iterable[Fault]:
    """ "Create a managed node group with Capacity Blocks for ML": market type, reservation and type in the launch template."""
    block = nodes.get("capacity_block_id")
    if capacity_of(nodes) != "capacity-block":
        if block:
            yield Fault("capacity_block_id", block, "is of no use here", "write capacity: capacity-block, or leave it out")
        return
    if not block:
        yield Fault("capacity_block_id", None, "is missing", "write the block's id, such as cr-0a1b2c3d4e5f60718")
    elif not capacity.is_reservation(str(block)):
        yield Fault("capacity_block_id", block, "is no capacity reservation", "write an id such as cr-0a1b2c3d4e5f60718")
    if len(types_of(nodes)) > 1:
        yield Fault("instance_types", types_of(nodes), "are several, a Capacity Block has one", "name the block's type")
    if subnets is not None and subnets != 1:
        yield Fault("subnet_ids", subnets, "are in several zones, a Capacity Block is in one", "give the subnet of its zone")


def _warm_pool(nodes: Nodes, _: int | None) -> Iterable[Fault]:
    """ "Decrease latency for applications with long boot times using warm pools with managed node groups" (no custom AMI: none
    can be given here), and the Auto Scaling page of the same subject, which has neither Spot nor Capacity Blocks."""
    warm = nodes.get("warm_pool")
    if warm is None:
        return
    state, least, most = warm.get("state") or "stopped", warm.get("minimum") or 0, warm.get("maximum_prepared")
    if state == "hibernated":
        reason = "is not there on Bottlerocket" if _is_bottlerocket(nodes) else "is not there for instances with GPUs"
        yield Fault("warm_pool.state", state, reason, f"write {' or '.join(WARM_STATES)}")
    elif state not in WARM_STATES:
        yield Fault("warm_pool.state", state, "is no state of a warm pool", f"write {' or '.join(WARM_STATES)}")
    if warm.get("reuse") and _is_bottlerocket(nodes):
        yield Fault("warm_pool.reuse", True, "is not there on Bottlerocket", "leave it out, or write image: al2023")
    if capacity_of(nodes) != "on-demand":
        fix = "write capacity: on-demand, or leave warm_pool out"
        yield Fault("warm_pool", dict(warm), f"does not go with capacity {capacity_of(nodes)}", fix)
    if least < 0:
        yield Fault("warm_pool.minimum", least, "is below 0", "write a whole number from 0")
    if most is not None and most < least:
        yield Fault("warm_pool.maximum_prepared", most, f"is below minimum {least}", f"write {least} or more")


def _is_bottlerocket(nodes: Nodes) -> bool:
    return image_of(nodes).startswith("bottlerocket")


def _efa(nodes: Nodes, subnets: int | None) -> Iterable[Fault]:
    """ "Run machine learning training on Amazon EKS with Elastic Fabric Adapter": of some types, in one zone."""
    if not nodes.get("efa"):
        return
    for name in types_of(nodes):
        if name not in EFA_CARDS:
            yield Fault("efa", name, "has no EFA", f"choose of {', '.join(sorted(EFA_CARDS))}")
    if nodes.get("vpc_id") is None:
        yield Fault("vpc_id", None, "is missing: EFA's traffic has a security group of its own", "give the cluster's VPC")
    if subnets is not None and subnets != 1:
        yield Fault("subnet_ids", subnets, "are in several zones, EFA stays in one", "give the subnet of one zone")


def _sizes(nodes: Nodes, _: int | None) -> Iterable[Fault]:
    least = nodes.get("minimum", 1)
    most = nodes.get("maximum", max(least, 1))
    if least < 0:
        yield Fault("minimum", least, "is below 0", "write a whole number from 0")
    if most < max(least, 1):
        yield Fault("maximum", most, f"is below {max(least, 1)}", f"write {max(least, 1)} or more")
    if nodes.get("disk_gib", 100) < _LEAST_GIB:
        yield Fault("disk_gib", nodes["disk_gib"], "holds no image of a GPU server", f"write {_LEAST_GIB} or more")


def _update(nodes: Nodes, _: int | None) -> Iterable[Fault]:
    """ "NodegroupUpdateConfig": a count or a percentage, 1 to 100."""
    update = nodes.get("update") or {}
    given = [key for key in ("max_unavailable", "max_unavailable_percent") if update.get(key) is not None]
    if len(given) > 1:
        yield Fault("update.max_unavailable", update[given[0]], "stands beside a percentage", "leave one of them out")
    for key in given:
        if not 1 <= update[key] <= 100:
            yield Fault(f"update.{key}", update[key], "is outside 1 to 100", "write a whole number from 1 to 100")


_RULES = (_words, _types, _block, _warm_pool, _efa, _sizes, _update)


def network_interfaces(nodes: Nodes, security_groups: Sequence[str]) -> list[dict[str, Any]] | None:
    """With EFA one interface a network card, of which the first has an address ("LaunchTemplateInstanceNetworkInterface
    SpecificationRequest"); else None: EKS gives the nodes the cluster's security group by itself."""
    if not nodes.get("efa"):
        return None
    common = {"delete_on_termination": "true", "security_groups": list(security_groups)}
    cards = min(EFA_CARDS[name] for name in types_of(nodes))
    first = {**common, "device_index": 0, "network_card_index": 0, "interface_type": "efa"}
    other = {**common, "device_index": 1, "interface_type": "efa-only"}
    return [first, *({**other, "network_card_index": card} for card in range(1, cards))]


def disks(nodes: Nodes) -> list[dict[str, Any]]:
    """Where images and models go: AL2023's root, or Bottlerocket's second disk beside its system's. Encrypted."""
    size = nodes.get("disk_gib", 100)
    ebs = {"volume_type": "gp3", "encrypted": "true", "delete_on_termination": "true"}
    if _is_bottlerocket(nodes):
        return [
            {"device_name": "/dev/xvda", "ebs": {**ebs, "volume_size": _SYSTEM_GIB}},
            {"device_name": _DATA, "ebs": {**ebs, "volume_size": size}},
        ]
    return [{"device_name": "/dev/xvda", "ebs": {**ebs, "volume_size": size}}]


def user_data(nodes: Nodes) -> str | None:
    """What nodes with NVMe disks do with them: AL2023 puts images and pods there ("nodeadm", localStorage). Bottlerocket's
    settings for it are commands, so there its disks are left to pods."""
    if not nodes.get("instance_store") or _is_bottlerocket(nodes):
        return None
    config = {
        "apiVersion": "node.eks.aws/v1alpha1",
        "kind": "NodeConfig",
        "spec": {"instance": {"localStorage": {"strategy": "RAID0"}}},
    }
    lines = ["MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="//"', "", "--//"]
    return "\n".join([*lines, "Content-Type: application/node.eks.aws", "", json.dumps(config), "--//--", ""])


def warm_pool(nodes: Nodes) -> dict[str, Any] | None:
    """As the node group takes it ("WarmPoolConfig", Amazon EKS API Reference)."""
    warm = nodes.get("warm_pool")
    if warm is None:
        return None
    most = warm.get("maximum_prepared")
    return {
        "pool_state": WARM_STATES[warm.get("state") or "stopped"],
        "min_size": warm.get("minimum") or 0,
        "reuse_on_scale_in": bool(warm.get("reuse")),
        "max_group_prepared_capacity": -1 if most is None else most,
    }
