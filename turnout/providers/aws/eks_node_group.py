"""EKS managed node group (terraform-provider-aws internal/service/eks/node_group.go)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import Deadline, changed
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.eks_base import MINOR, NAME, NAME_MEANING, EksType, active, send, settle
from turnout.providers.aws.mapping import fits

CREATE_SECONDS = 3600
"""As long as resourceNodeGroup waits for a new group (schema.DefaultTimeout)."""
WARM_POOLS = "Decrease latency for applications with long boot times using warm pools with managed node groups"
TEMPLATES = "Customize managed nodes with launch templates"
BLOCKS = "Create a managed node group with Capacity Blocks for ML"
AUTO_SCALING = "Decrease latency for applications with long boot times using warm pools"
_EFFECTS = {"NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"}
_CONFIG = ("labels", "nodeRepairConfig", "scalingConfig", "taints", "updateConfig", "warmPoolConfig")
"""What UpdateNodegroupConfig changes."""
_VERSION = ("launchTemplate", "releaseVersion", "version")
"""What UpdateNodegroupVersion changes: nodes are replaced by it."""
_REPAIR_PAIRS = ("maxUnhealthyNodeThreshold", "maxParallelNodesRepaired")


class NodeGroup(EksType):
    """aws_eks_node_group; the id is `<cluster>:<group>`. Remote access by SSH is not supported."""

    token = "aws:eks/nodeGroup:NodeGroup"
    inputs = frozenset(
        {
            *_CONFIG,
            *_VERSION,
            "amiType",
            "capacityType",
            "clusterName",
            "diskSize",
            "forceUpdateVersion",
            "instanceTypes",
            "nodeGroupName",
            "nodeRoleArn",
            "subnetIds",
            "tags",
        }
    )
    replace_on = frozenset(
        {
            "amiType",
            "capacityType",
            "clusterName",
            "diskSize",
            "instanceTypes",
            "nodeGroupName",
            "nodeRoleArn",
            "subnetIds",
        }
    )
    auto_name = AutoName("nodeGroupName", 63)
    volatile = frozenset({"status"})
    defaults: ClassVar[Mapping[str, Any]] = {"labels": {}, "taints": [], "warmPoolConfig": None}
    exact = frozenset({"tags", "labels"})
    ordered = frozenset({"instanceTypes"})
    arn_member = "nodegroupArn"

    def check(self, inputs: Properties) -> list[Fault]:
        """ "CreateNodegroup" (Amazon EKS API Reference), resourceNodeGroup's schema."""
        faults = rules.required(inputs, "clusterName", "nodeRoleArn", "scalingConfig", "subnetIds")
        faults += rules.matches(inputs, "clusterName", NAME, NAME_MEANING, "CreateNodegroup")
        meaning = "1 to 63 letters, digits, - and _, beginning with a letter or digit"
        faults += rules.matches(inputs, "nodeGroupName", r"[0-9A-Za-z][A-Za-z0-9\-_]{0,62}", meaning, "CreateNodegroup")
        faults += rules.matches(inputs, "version", MINOR, "a minor version such as 1.34", "CreateNodegroup")
        faults += rules.one_of(inputs, "capacityType", {"ON_DEMAND", "SPOT", "CAPACITY_BLOCK"}, "CreateNodegroup")
        return [*faults, *_sizes(inputs), *_taints(inputs), *_counts(inputs), *_template(inputs), *_warm_pool(inputs)]

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        """resourceNodeGroupCreate."""
        names = ("clusterName", "amiType", "capacityType", "diskSize", "instanceTypes", "labels", "launchTemplate", "taints")
        send(
            cloud,
            "create_nodegroup",
            **{name: inputs.get(name) or None for name in names},
            **{name: inputs.get(name) for name in ("nodeRepairConfig", "releaseVersion", "scalingConfig", "updateConfig")},
            version=inputs.get("version"),
            nodegroupName=inputs["nodeGroupName"],
            nodeRole=inputs["nodeRoleArn"],
            subnets=inputs["subnetIds"],
            warmPoolConfig=_pool_members(inputs),
            tags=dict(tags),
        )
        return f"{inputs['clusterName']}:{inputs['nodeGroupName']}"

    def described(self, cloud: Cloud, id: str, inputs: Properties) -> Mapping[str, Any]:
        cluster, group = id.split(":", 1)
        return dict(cloud.call("eks", "describe_nodegroup", clusterName=cluster, nodegroupName=group)["nodegroup"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """resourceNodeGroupUpdate: version, release and launch template in one call, then the rest in another."""
        active(lambda: self.described(cloud, id, new), f"eks node group {id}", CREATE_SECONDS)
        if not old:
            return
        cluster, group = id.split(":", 1)
        of = {"clusterName": cluster, "nodegroupName": group}
        live = self.described(cloud, id, new)
        version = _version_members(live, old, new)
        if version:
            force = bool(new.get("forceUpdateVersion"))
            update = send(cloud, "update_nodegroup_version", **of, **version, force=force)["update"]
            settle(cloud, update, name=cluster, nodegroupName=group)
        config = _config_members(live, old, new)
        if config:
            update = send(cloud, "update_nodegroup_config", **of, **config)["update"]
            settle(cloud, update, name=cluster, nodegroupName=group)

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = self.described(cloud, id, inputs)
        if found["status"] == "DELETING":
            return None
        template = found.get("launchTemplate")
        pool = {key: value for key, value in (found.get("warmPoolConfig") or {}).items() if key != "enabled"}
        return {
            **{name: found.get(name) for name in ("amiType", "capacityType", "clusterName", "diskSize", "instanceTypes")},
            **{name: found.get(name) for name in ("nodeRepairConfig", "releaseVersion", "scalingConfig", "updateConfig")},
            "version": found["version"],
            "labels": dict(found.get("labels") or {}),
            "taints": [dict(taint) for taint in found.get("taints") or []],
            "launchTemplate": {name: template.get(name) for name in ("id", "name", "version")} if template else None,
            "warmPoolConfig": pool if (found.get("warmPoolConfig") or {}).get("enabled") else None,
            "nodeGroupName": found["nodegroupName"],
            "nodeRoleArn": found["nodeRole"],
            "subnetIds": list(found["subnets"]),
            "arn": found["nodegroupArn"],
            "resources": [{"autoscalingGroups": (found.get("resources") or {}).get("autoScalingGroups") or []}],
            "status": found["status"],
            "tagsAll": dict(found.get("tags") or {}),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        return self.found_by_tag(cloud, f"{inputs['clusterName']}:{inputs['nodeGroupName']}", inputs, token)

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """resourceNodeGroupDelete."""
        cluster, group = id.split(":", 1)
        cloud.call("eks", "delete_nodegroup", clusterName=cluster, nodegroupName=group)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _sizes(inputs: Properties) -> list[Fault]:
    """ "NodegroupScalingConfig"."""
    held = inputs.get("scalingConfig")
    if not isinstance(held, dict):
        return []
    faults = [
        Fault(f"scalingConfig.{name}", "is required")
        for name in ("minSize", "maxSize", "desiredSize")
        if held.get(name) is None
    ]
    least, wanted, most = (_number(held.get(name)) for name in ("minSize", "desiredSize", "maxSize"))
    if most is not None and most < 1:
        faults.append(Fault("scalingConfig.maxSize", f"{most:g} is below 1 (NodegroupScalingConfig)"))
    for name, low, high in (("desiredSize", least, wanted), ("maxSize", wanted, most)):
        if low is not None and high is not None and low > high:
            faults.append(Fault(f"scalingConfig.{name}", f"{high:g} is below {low:g}: minSize <= desiredSize <= maxSize"))
    return faults


def _taints(inputs: Properties) -> list[Fault]:
    """ "Taint": a key of at most 63 characters, one of three effects; at most 50 of a group."""
    taints = inputs.get("taints")
    if not isinstance(taints, list):
        return []
    faults = []
    if len(taints) > 50:
        faults.append(Fault("taints", f"are {len(taints)}, at most 50 (CreateNodegroup)"))
    for index, taint in enumerate(taints):
        if not isinstance(taint, dict):
            continue
        key, effect = taint.get("key"), taint.get("effect")
        if isinstance(key, str) and not 1 <= len(key) <= 63:
            faults.append(Fault(f"taints[{index}].key", "has 1 to 63 characters (Taint)"))
        if isinstance(effect, str) and effect not in _EFFECTS:
            faults.append(Fault(f"taints[{index}].effect", f"{effect!r} is none of {', '.join(sorted(_EFFECTS))} (Taint)"))
    return faults


def _counts(inputs: Properties) -> list[Fault]:
    """ "NodegroupUpdateConfig", "NodeRepairConfig": a count or a percentage."""
    faults = rules.between(inputs, "updateConfig.maxUnavailable", 1, 100, "NodegroupUpdateConfig")
    faults += rules.between(inputs, "updateConfig.maxUnavailablePercentage", 1, 100, "NodegroupUpdateConfig")
    faults += rules.one_of(inputs, "updateConfig.updateStrategy", {"DEFAULT", "MINIMAL"}, "NodegroupUpdateConfig")
    pairs = [("updateConfig", "maxUnavailable", "maxUnavailablePercentage")]
    pairs += [("nodeRepairConfig", f"{name}Count", f"{name}Percentage") for name in _REPAIR_PAIRS]
    for block, count, share in pairs:
        held = inputs.get(block)
        if isinstance(held, dict) and held.get(count) is not None and held.get(share) is not None:
            faults.append(
                Fault(f"{block}.{share}", f"stands beside {count}: give one of them (resourceNodeGroup: ConflictsWith)")
            )
    return faults


def _template(inputs: Properties) -> list[Fault]:
    held, faults = inputs.get("launchTemplate"), []
    if isinstance(held, dict):
        if (held.get("id") is None) is (held.get("name") is None):
            faults.append(Fault("launchTemplate", "names an id or a name (CreateNodegroup)"))
        if held.get("version") is None:
            faults.append(Fault("launchTemplate.version", "is required"))
        if inputs.get("diskSize") is not None:
            faults.append(Fault("diskSize", f"stands in the launch template where there is one ({TEMPLATES})"))
    elif held is None and inputs.get("capacityType") == "CAPACITY_BLOCK":
        faults.append(Fault("launchTemplate", f"is required with a Capacity Block ({BLOCKS})"))
    return faults


def _warm_pool(inputs: Properties) -> list[Fault]:
    """What `WARM_POOLS` and the page on warm pools of Amazon EC2 Auto Scaling refuse."""
    pool = inputs.get("warmPoolConfig")
    if not isinstance(pool, dict):
        return []
    faults = rules.one_of(inputs, "warmPoolConfig.poolState", {"STOPPED", "RUNNING", "HIBERNATED"}, "WarmPoolConfig")
    image, capacity = str(inputs.get("amiType") or ""), inputs.get("capacityType")
    if image == "CUSTOM":
        faults.append(Fault("warmPoolConfig", f"does not go with a custom AMI ({WARM_POOLS})"))
    if image.startswith("BOTTLEROCKET") and pool.get("poolState") == "HIBERNATED":
        faults.append(Fault("warmPoolConfig.poolState", f"HIBERNATED does not go with Bottlerocket ({WARM_POOLS})"))
    if image.startswith("BOTTLEROCKET") and pool.get("reuseOnScaleIn") is True:
        faults.append(Fault("warmPoolConfig.reuseOnScaleIn", f"does not go with Bottlerocket ({WARM_POOLS})"))
    if capacity in ("SPOT", "CAPACITY_BLOCK"):
        faults.append(Fault("warmPoolConfig", f"does not go with {capacity} ({AUTO_SCALING})"))
    least, most = _number(pool.get("minSize")), _number(pool.get("maxGroupPreparedCapacity"))
    if least is not None and least < 0:
        faults.append(Fault("warmPoolConfig.minSize", f"{least:g} is below 0 (WarmPoolConfig)"))
    if most is not None and most != -1 and most < (least or 0):
        faults.append(Fault("warmPoolConfig.maxGroupPreparedCapacity", f"{most:g} is below minSize {least or 0:g}"))
    return faults


def _pool_members(inputs: Properties) -> dict[str, Any] | None:
    """The block's presence is the pool's (pulumi_aws, `warm_pool_config`); what it does not say is AWS's default."""
    pool = inputs.get("warmPoolConfig")
    if pool is None:
        return None
    defaults = {"minSize": 0, "maxGroupPreparedCapacity": -1, "poolState": "STOPPED", "reuseOnScaleIn": False}
    return {**defaults, **{name: value for name, value in pool.items() if value is not None}, "enabled": True}


def _version_members(live: Mapping[str, Any], old: Properties, new: Properties) -> dict[str, Any]:
    """What UpdateNodegroupVersion has to change: only what the program changed and AWS does not hold already."""
    found: dict[str, Any] = {}
    template, held = new.get("launchTemplate"), live.get("launchTemplate")
    if changed(old, new, "launchTemplate"):
        if not template or not held or any(template.get(name) not in (None, held.get(name)) for name in ("id", "name")):
            raise ProviderError(
                "launchTemplate: a node group keeps the template that it was made with; make another node group"
            )
        if str(template["version"]) != str(held["version"]):
            found["launchTemplate"] = {name: value for name, value in template.items() if value is not None}
    for name in ("releaseVersion", "version"):
        if changed(old, new, name) and new.get(name) not in (None, live.get(name)):
            found[name] = new[name]
    return found


def _config_members(live: Mapping[str, Any], old: Properties, new: Properties) -> dict[str, Any]:
    """What UpdateNodegroupConfig has to change (expandUpdateLabelsPayload, expandUpdateTaintsPayload)."""
    found: dict[str, Any] = {}
    labels, held = new.get("labels") or {}, live.get("labels") or {}
    if changed(old, new, "labels") and labels != held:
        fresh = {key: value for key, value in labels.items() if held.get(key) != value}
        found["labels"] = {"addOrUpdateLabels": fresh, "removeLabels": sorted(held.keys() - labels.keys())}
    taints, before = new.get("taints") or [], live.get("taints") or []
    if changed(old, new, "taints") and not fits(taints, before):
        kept = {(taint["key"], taint["effect"]) for taint in taints}
        dropped = [taint for taint in before if (taint["key"], taint["effect"]) not in kept]
        found["taints"] = {"addOrUpdateTaints": taints, "removeTaints": dropped}
    for name in ("nodeRepairConfig", "scalingConfig", "updateConfig"):
        if changed(old, new, name) and new.get(name) and not fits(new[name], live.get(name)):
            found[name] = new[name]
    pool = _pool_members(new)
    if changed(old, new, "warmPoolConfig") and not fits(
        pool or {"enabled": False}, live.get("warmPoolConfig") or {"enabled": False}
    ):
        found["warmPoolConfig"] = pool or {"enabled": False}
    return {
        name: {key: held for key, held in value.items() if held not in ({}, [])} if name in ("labels", "taints") else value
        for name, value in found.items()
    }


TYPES = (NodeGroup(),)
