"""Extends moto's managed node groups: what DescribeNodegroup tells, updates, and what AWS refuses. No instances are launched:
nodes of the local cluster are kwok's, and the group's auto scaling group is a name.

Sources: Amazon EKS API Reference, "CreateNodegroup", "UpdateNodegroupConfig", "UpdateNodegroupVersion",
"NodegroupUpdateConfig", "NodeRepairConfig"; Amazon EKS User Guide, "Customize managed nodes with launch templates", "Decrease
latency for applications with long boot times using warm pools with managed node groups", "Create a managed node group with
Capacity Blocks for ML"; Amazon EC2 Auto Scaling User Guide, "Decrease latency for applications with long boot times using warm
pools".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.eks import models
from moto.eks.models import Nodegroup
from moto.eks.responses import EKSResponse

from turnout.cloud.moto_eks_state import body, cluster_of, invalid, missing, need_role, parameter, updated

_MOST_TAINTS = 50
RELEASE = "20260101"


def extend_node_groups() -> None:
    """Lets the API answer these calls."""
    # need_role looks for the role itself; moto would read every partition for each.
    models.validate_role_arn = lambda _: None  # type: ignore[assignment, attr-defined]
    for method in (_create_nodegroup(), update_nodegroup_config, update_nodegroup_version):
        setattr(EKSResponse, method.__name__, method)


def _create_nodegroup() -> Any:
    create = EKSResponse.create_nodegroup

    def create_nodegroup(self: EKSResponse) -> ActionResult:
        """ "CreateNodegroup"."""
        cluster, given = cluster_of(self), body(self)
        need_role(self, given["nodeRole"])
        template = _template(self, given.get("launchTemplate"))
        _check_template(given, template)
        _check_sizes(given.get("scalingConfig") or {"minSize": 2, "maxSize": 2, "desiredSize": 2})
        _check_taints(given.get("taints") or [])
        image = given.get("amiType") or ("CUSTOM" if template and template.get("ImageId") else "AL2023_x86_64_STANDARD")
        kind = given.get("capacityType") or "ON_DEMAND"
        types = given.get("instanceTypes") or [name for name in [(template or {}).get("InstanceType")] if name]
        pool = _warm_pool(given.get("warmPoolConfig"), None)
        _check_warm_pool(pool, image, kind, types)
        version = given.get("version") or cluster.version
        if version != cluster.version:
            raise invalid(f"Requested Nodegroup version {version} doesn't match the cluster's version {cluster.version}")
        result = create(self)
        group: Nodegroup = cluster.nodegroups[given["nodegroupName"]]
        group.ami_type, group.version, group.scaling_config = image, version, dict(given.get("scalingConfig") or {})
        group.instance_types = given.get("instanceTypes") or ([] if template else ["t3.medium"])
        group.launched_types = types  # type: ignore[attr-defined]
        group.release_version = given.get("releaseVersion") or f"{version}.0-{RELEASE}"
        group.disk_size = None if template else group.disk_size  # type: ignore[assignment]
        group.remote_access = given.get("remoteAccess")  # type: ignore[assignment]
        group.update_config = given.get("updateConfig") or {"maxUnavailable": 1}
        group.node_repair_config = given.get("nodeRepairConfig") or {"enabled": False}
        group.warm_pool_config = pool  # type: ignore[attr-defined]
        group.resources = {"autoScalingGroups": [{"name": f"eks-{group.nodegroup_name}-{group.uuid}"}]}
        return result

    return create_nodegroup


def _template(self: EKSResponse, given: Mapping[str, str] | None) -> dict[str, Any] | None:
    """The launch template's data; "CreateNodegroup" takes an id or a name."""
    if not given:
        return None
    if bool(given.get("id")) == bool(given.get("name")):
        raise invalid("Either provide launch template ID or launch template name in the request.")
    ec2 = ec2_backends[self.current_account][self.region]
    held = [one for one in ec2.launch_templates.values() if one.id == given.get("id") or one.name == given.get("name")]
    versions = {str(one.number): one for template in held for one in template.versions}
    version = given.get("version") or (str(held[0].default_version_number) if held else "")
    if not held or version not in versions:
        raise invalid(f"Launch template {given.get('id') or given.get('name')} with version {version} does not exist")
    return dict(versions[version].data)


def _check_template(given: Mapping[str, Any], template: Mapping[str, Any] | None) -> None:
    """The tables of "Customize managed nodes with launch templates", and Capacity Blocks."""
    block = given.get("capacityType") == "CAPACITY_BLOCK"
    if template is None:
        if block:
            raise invalid("Node groups with Capacity Blocks need a launch template")
        return
    market = (template.get("InstanceMarketOptions") or {}).get("MarketType")
    reserved = (template.get("CapacityReservationSpecification") or {}).get("CapacityReservationTarget")
    interfaces = template.get("NetworkInterfaces") or template.get("NetworkInterface") or []
    refused = {
        "IamInstanceProfile": bool(template.get("IamInstanceProfile")),
        "Subnet": any(one.get("SubnetId") for one in interfaces),
        "InstanceInitiatedShutdownBehavior": bool(template.get("InstanceInitiatedShutdownBehavior")),
        "HibernationOptions": bool(template.get("HibernationOptions")),
        "InstanceMarketOptions spot (use the capacity type)": market == "spot",
    }
    for name in (name for name, held in refused.items() if held):
        raise invalid(f"Launch template should not specify {name}.")
    if template.get("InstanceType") and given.get("instanceTypes"):
        raise invalid("Instance types must be specified in either the launch template or the API request, not both")
    if template.get("ImageId") and given.get("amiType"):
        raise invalid("You cannot specify an AMI Type other than CUSTOM, when specifying an image id in the launch template.")
    if block and not (market == "capacity-block" and reserved and template.get("InstanceType")):
        raise invalid("A Capacity Block needs market type capacity-block, its reservation and type in the launch template")
    if market == "capacity-block" and not block:
        raise invalid("The launch template's Capacity Block needs capacity type CAPACITY_BLOCK")


def _check_sizes(sizes: Mapping[str, int]) -> None:
    """ "NodegroupScalingConfig"."""
    least, wanted, most = sizes.get("minSize", 0), sizes.get("desiredSize", 0), sizes.get("maxSize", 1)
    if not least <= wanted <= most:
        raise invalid(f"Minimum capacity {least}, desired capacity {wanted} and maximum capacity {most} must be in this order")


def _check_taints(taints: Sequence[Mapping[str, str]]) -> None:
    """ "Taint": at most 50 of a group, each key and effect once."""
    pairs = [(one["key"], one["effect"]) for one in taints]
    if len(pairs) > _MOST_TAINTS or len(set(pairs)) < len(pairs):
        raise invalid(f"A node group has at most {_MOST_TAINTS} taints, each with a key and effect of its own")


def _warm_pool(given: Mapping[str, Any] | None, held: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """ "WarmPoolConfig": off is none; what an update leaves out stays."""
    if given is None:
        return dict(held) if held else None
    if not given.get("enabled", held is not None):
        return None
    defaults = {"minSize": 0, "maxGroupPreparedCapacity": -1, "poolState": "STOPPED", "reuseOnScaleIn": False}
    return {**defaults, **(held or {}), **given, "enabled": True}


def _check_warm_pool(pool: Mapping[str, Any] | None, image: str, capacity: str, types: list[str]) -> None:
    if pool is None:
        return
    state, most = pool["poolState"], pool["maxGroupPreparedCapacity"]
    if image == "CUSTOM":
        raise invalid("Warm pools don't support custom AMIs")
    if image.startswith("BOTTLEROCKET") and (state == "HIBERNATED" or pool["reuseOnScaleIn"]):
        raise invalid("Hibernated pool state and reuseOnScaleIn are not supported for Bottlerocket AMIs")
    if capacity != "ON_DEMAND":
        raise invalid(f"Warm pools are not supported with capacity type {capacity}")
    if state == "HIBERNATED" and not all(INSTANCE_TYPES.get(name, {}).get("HibernationSupported") for name in types):
        raise invalid(f"Instance types {', '.join(types)} do not all support hibernation")
    if most != -1 and pool["minSize"] > most:
        raise invalid(f"Warm pool minSize {pool['minSize']} is above its maxGroupPreparedCapacity {most}")


def _group(self: EKSResponse) -> Nodegroup:
    cluster, name = cluster_of(self), parameter(self, "nodegroupName")
    if name not in cluster.nodegroups:
        raise missing(f"No node group found for name: {name}.")
    return cluster.nodegroups[name]


def update_nodegroup_config(self: EKSResponse) -> ActionResult:
    """ "UpdateNodegroupConfig"."""
    group, given = _group(self), body(self)
    taints = _changed_taints(group.taints, given.get("taints") or {})
    sizes = {**group.scaling_config, **(given.get("scalingConfig") or {})}
    pool = _warm_pool(given.get("warmPoolConfig"), group.warm_pool_config)  # type: ignore[attr-defined]
    _check_taints(taints)
    _check_sizes(sizes)
    _check_warm_pool(pool, group.ami_type, group.capacity_type, group.launched_types)  # type: ignore[attr-defined]
    labels = given.get("labels") or {}
    group.labels = {
        **{key: value for key, value in (group.labels or {}).items() if key not in (labels.get("removeLabels") or ())},
        **(labels.get("addOrUpdateLabels") or {}),
    }
    group.taints, group.scaling_config = taints, sizes
    group.warm_pool_config = pool  # type: ignore[attr-defined]
    if given.get("updateConfig"):
        group.update_config = given["updateConfig"]
    if given.get("nodeRepairConfig"):
        group.node_repair_config = given["nodeRepairConfig"]
    return ActionResult({"update": updated(self, "ConfigUpdate", given)})


def _changed_taints(held: list[dict[str, str]], given: Mapping[str, Any]) -> list[dict[str, str]]:
    """A taint is known by its key and effect ("UpdateTaintsPayload")."""
    changed = [*(given.get("removeTaints") or ()), *(given.get("addOrUpdateTaints") or ())]
    named = {(one["key"], one["effect"]) for one in changed}
    return [one for one in held if (one["key"], one["effect"]) not in named] + list(given.get("addOrUpdateTaints") or ())


def update_nodegroup_version(self: EKSResponse) -> ActionResult:
    """ "UpdateNodegroupVersion": another version of the same launch template, or the cluster's version of Kubernetes."""
    cluster, group, given = cluster_of(self), _group(self), body(self)
    template = given.get("launchTemplate")
    if template:
        if not group.launch_template:
            raise invalid("Node group was not created with a launch template; make another node group")
        _template(self, template)
        if group.launch_template.get("id" if template.get("id") else "name") not in (template.get("id"), template.get("name")):
            raise invalid("Launch template of a node group cannot be replaced by another; only its version changes")
        group.launch_template = {**group.launch_template, "version": template["version"]}
    wanted = given.get("version") or group.version
    if int(wanted.split(".")[1]) not in (int(group.version.split(".")[1]), int(cluster.version.split(".")[1])):
        raise invalid(f"Nodegroup version {wanted} is neither its own nor the cluster's {cluster.version}")
    if group.ami_type == "CUSTOM" and (given.get("version") or given.get("releaseVersion")):
        raise invalid("A node group with a custom AMI changes its version by its launch template")
    if wanted != group.version:
        group.version, group.release_version = wanted, f"{wanted}.0-{RELEASE}"
    if given.get("releaseVersion"):
        group.release_version = given["releaseVersion"]
    return ActionResult({"update": updated(self, "VersionUpdate", given)})
