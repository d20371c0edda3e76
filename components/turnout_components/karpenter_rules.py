"""Karpenter's NodePool and EC2NodeClass for GPU nodes as documents, and what would evict a model or never start, as pure
functions (`checks.Fault`).

Pages of Karpenter's documentation: "Disruption", "NodePools", "NodeClasses", "Managing Capacity Reservations"; docs/eks.md.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from turnout_components import capacity, checks
from turnout_components.checks import Fault
from turnout_components.eks_capacity import HOPS, TAINT, disks

Pool = Mapping[str, Any]

NODE_POOL = ("karpenter.sh/v1", "NodePool")
NODE_CLASS = ("karpenter.k8s.aws/v1", "EC2NodeClass")
CAPACITIES = ("reserved", "on-demand", "spot")
IMAGES = ("al2023", "bottlerocket")
NEVER = "Never"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DURATION = re.compile(r"([0-9]+(s|m|h))+")
_BUDGET = re.compile(r"[0-9]{1,3}%?")
_VERSION = re.compile(r"latest|v?[0-9][0-9A-Za-z.-]*")
_UNITS = {"s": 1, "m": 60, "h": 3600}


def faults(pool: Pool) -> list[Fault]:
    """Every rule that the pool breaks."""
    return [fault for rule in _RULES for fault in rule(pool)]


def seconds(duration: str) -> int:
    """A duration such as 720h or 1h30m."""
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([smh])", duration))


def _names(pool: Pool) -> Iterable[Fault]:
    if not _NAME.fullmatch(str(pool["name"])):
        yield Fault("name", pool["name"], "is no name of an object", "write small letters, digits and -, at most 63")
    if pool.get("image", "al2023") not in IMAGES:
        yield Fault("image", pool["image"], "is not known", f"write {' or '.join(IMAGES)}")
    version = pool.get("image_version", "latest")
    if not _VERSION.fullmatch(str(version)):
        yield Fault("image_version", version, "is no version of an image", "write latest, or one such as v20260101")


def _types(pool: Pool) -> Iterable[Fault]:
    types = types_of(pool)
    for name in types:
        yield from (Fault("instance_types", f.value, f.reason, f.fix) for f in checks.gpu_instance_type(name))
    if len(set(types)) < len(types):
        yield Fault("instance_types", types, "name a type twice", "name each once")


def _capacities(pool: Pool) -> Iterable[Fault]:
    """Capacity type `reserved` takes the reservations that the class selects ("Managing Capacity Reservations")."""
    kinds, held = list(pool.get("capacities", ("on-demand",))), list(pool.get("reservation_ids", ()))
    for kind in kinds:
        if kind not in CAPACITIES:
            yield Fault("capacities", kind, "is no capacity type", f"write {', '.join(CAPACITIES)}")
    if not kinds:
        yield Fault("capacities", [], "are none: no node could start", f"write some of {', '.join(CAPACITIES)}")
    if ("reserved" in kinds) != bool(held):
        fix = "give reservation_ids and write reserved among capacities, or neither"
        yield Fault("reservation_ids", held, "go with the capacity reserved, and it with them", fix)
    for id in held:
        if not capacity.is_reservation(str(id)):
            yield Fault("reservation_ids", id, "is no capacity reservation", "write an id such as cr-0a1b2c3d4e5f60718")


def _limits(pool: Pool) -> Iterable[Fault]:
    """Without a limit a mistake is noticed on the bill ("NodePools", spec.limits)."""
    if pool["gpus_at_most"] < 1:
        yield Fault("gpus_at_most", pool["gpus_at_most"], "lets no node start", "write a whole number from 1")
    if not 1 <= pool.get("weight", 1) <= 100:
        yield Fault("weight", pool["weight"], "is outside 1 to 100", "write a whole number from 1 to 100")
    if pool.get("disk_gib", 100) < 30:
        yield Fault("disk_gib", pool["disk_gib"], "holds no image of a GPU server", "write 30 or more")


def _disruption(pool: Pool) -> Iterable[Fault]:
    """Expiry is forceful: no budget holds it back, and what must not be disrupted blocks it for ever unless the node has an end
    of its own ("Disruption", Expiration, TerminationGracePeriod)."""
    expires, grace = pool.get("expire_after", NEVER), pool.get("termination_grace")
    for key, value in (("expire_after", expires), ("termination_grace", grace), ("empty_for", pool.get("empty_for"))):
        if value is not None and value != NEVER and not _DURATION.fullmatch(str(value)):
            yield Fault(key, value, "is no duration", "write one such as 720h or 90m")
            return
    if expires != NEVER and grace is None:
        fix = "write a termination_grace above the longest stream, or leave expire_after out"
        yield Fault("termination_grace", None, "is missing: pods that must stay would hold an expired node for ever", fix)
    drain = pool.get("drain", 3600)
    if grace is not None and seconds(str(grace)) < drain:
        yield Fault("termination_grace", grace, f"cuts off what may take {drain} s", f"write {drain}s or more")
    budget = pool.get("disruptions", "1")
    if not _BUDGET.fullmatch(str(budget)):
        yield Fault("disruptions", budget, "is no count and no percentage of nodes", "write one such as 1 or 10%")


_RULES = (_names, _types, _capacities, _limits, _disruption)


def types_of(pool: Pool) -> list[str]:
    """Instance types that the pool may start."""
    return list(pool.get("instance_types") or (capacity.DEFAULT_TYPE,))


def labels(pool: Pool) -> dict[str, str]:
    """What its nodes are known by, beside what Karpenter gives every node."""
    return {f"{TAINT}.present": "true", "turnout.dev/pool": "gpu", **pool.get("labels", {})}


def node_pool(pool: Pool) -> dict[str, Any]:
    """The NodePool's spec.

    Consolidation takes empty nodes only, and no node of a pool with reservations, which are paid for anyway: a model that must
    load again costs more than the room that it would save. Nodes with pods are replaced for no reason of Karpenter's own but
    drift, where that is asked for, a budget at a time; and a pod with `karpenter.sh/do-not-disrupt` keeps its node."""
    kinds = list(pool.get("capacities", ("on-demand",)))
    still = ["Underutilized", *([] if pool.get("replace_drifted", False) else ["Drifted"])]
    grace = pool.get("termination_grace")
    return {
        "template": {
            "metadata": {"labels": labels(pool)},
            "spec": {
                "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": pool["name"]},
                "taints": [{"key": TAINT, "value": "present", "effect": "NoSchedule"}],
                "expireAfter": pool.get("expire_after", NEVER),
                **({"terminationGracePeriod": grace} if grace else {}),
                "requirements": [
                    {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": types_of(pool)},
                    {"key": "karpenter.sh/capacity-type", "operator": "In", "values": kinds},
                    *_zones(pool),
                ],
            },
        },
        "limits": {TAINT: str(pool["gpus_at_most"])},
        "disruption": {
            "consolidationPolicy": "WhenEmpty",
            "consolidateAfter": pool.get("empty_for", NEVER if "reserved" in kinds else "10m"),
            "budgets": [{"nodes": "0", "reasons": still}, {"nodes": str(pool.get("disruptions", "1"))}],
        },
        **({"weight": pool["weight"]} if "weight" in pool else {}),
    }


def _zones(pool: Pool) -> list[dict[str, Any]]:
    zones = list(pool.get("zones", ()))
    return [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": zones}] if zones else []


def node_class(
    pool: Pool, profile: str, subnets: Sequence[str], security_groups: Sequence[str], tags: Mapping[str, str]
) -> Any:
    """The EC2NodeClass's spec: private subnets, sessions only at the metadata service, encrypted disks."""
    image = pool.get("image", "al2023")
    mappings = [
        {
            "deviceName": disk["device_name"],
            "ebs": {
                "volumeSize": f"{disk['ebs']['volume_size']}Gi",
                "volumeType": disk["ebs"]["volume_type"],
                "encrypted": True,
                "deleteOnTermination": True,
            },
        }
        for disk in disks({"image": image, "disk_gib": pool.get("disk_gib", 100)})
    ]
    held = [{"id": id} for id in pool.get("reservation_ids", ())]
    return {
        "amiSelectorTerms": [{"alias": f"{image}@{pool.get('image_version', 'latest')}"}],
        "instanceProfile": profile,
        "subnetSelectorTerms": [{"id": subnet} for subnet in subnets],
        "securityGroupSelectorTerms": [{"id": group} for group in security_groups],
        "associatePublicIPAddress": False,
        "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": HOPS},
        "blockDeviceMappings": mappings,
        **({"instanceStorePolicy": "RAID0"} if pool.get("instance_store", False) else {}),
        **({"capacityReservationSelectorTerms": held} if held else {}),
        "tags": dict(tags),
    }


def pass_role(role_arn: str) -> str:
    """A policy: who has it may start instances with this role, and give it to nothing else ("CloudFormation", Karpenter's
    documentation: AllowPassingInstanceRole)."""
    allowed = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": role_arn,
        "Condition": {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
