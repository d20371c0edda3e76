"""Auto scaling group (terraform-provider-aws internal/service/autoscaling/group.go)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, Properties, ProviderError
from turnout.providers.aws import autoscaling_capacity as capacity
from turnout.providers.aws import autoscaling_group_rules as group_rules
from turnout.providers.aws import autoscaling_parts as parts
from turnout.providers.aws.autoscaling_capacity import find_group
from turnout.providers.aws.autoscaling_group_live import check_live
from turnout.providers.aws.autoscaling_hook import put_hook
from turnout.providers.aws.base import INTENT_TAG, AwsType, Deadline, changed
from turnout.providers.aws.clients import Cloud

DEFAULT_WAIT = "10m"
"""terraform-provider-aws' default of wait_for_capacity_timeout."""
SCALARS = {
    "minSize": "MinSize",
    "maxSize": "MaxSize",
    "desiredCapacity": "DesiredCapacity",
    "healthCheckType": "HealthCheckType",
    "healthCheckGracePeriod": "HealthCheckGracePeriod",
    "defaultCooldown": "DefaultCooldown",
    "terminationPolicies": "TerminationPolicies",
    "protectFromScaleIn": "NewInstancesProtectedFromScaleIn",
    "capacityRebalance": "CapacityRebalance",
    "placementGroup": "PlacementGroup",
    "defaultInstanceWarmup": "DefaultInstanceWarmup",
    "maxInstanceLifetime": "MaxInstanceLifetime",
}
LIVE_RULES = frozenset({"launchTemplate", *parts.BLOCKS, "warmPool", "placementGroup", "vpcZoneIdentifiers"})
"""Inputs whose change is judged by what else there is."""


class Group(AwsType):
    """aws_autoscaling_group with a launch template. The id is the name; provider default tags do not reach it."""

    token = "aws:autoscaling/group:Group"
    inputs = frozenset(
        {
            *SCALARS,
            *parts.BLOCKS,
            "name",
            "launchTemplate",
            "vpcZoneIdentifiers",
            "targetGroupArns",
            "tags",
            "waitForCapacityTimeout",
            "ignoreFailedScalingActivities",
            "forceDelete",
            "forceDeleteWarmPool",
            "initialLifecycleHooks",
            "warmPool",
            "enabledMetrics",
            "metricsGranularity",
            "suspendedProcesses",
        }
    )
    replace_on = frozenset({"name"})
    auto_name = AutoName("name", 255)
    defaults: ClassVar[Mapping[str, Any]] = {
        "tags": [],
        "protectFromScaleIn": False,
        "warmPool": None,
        "enabledMetrics": [],
        "suspendedProcesses": [],
        "capacityRebalance": False,
        "placementGroup": "",
        "maxInstanceLifetime": 0,
        "terminationPolicies": ["Default"],
        "instanceMaintenancePolicy": None,
        "launchTemplate": None,
        "mixedInstancesPolicy": None,
    }
    exact = frozenset()
    ordered = frozenset({"terminationPolicies"})
    mapped_tags = False

    def check(self, inputs: Properties) -> list[Fault]:
        return group_rules.faults(inputs)

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        if find_group(cloud, inputs["name"]):
            raise ProviderError(f"autoscaling: AlreadyExists: there is a group named {inputs['name']} already")
        check_live(cloud, inputs)
        members = _members(inputs, frozenset(SCALARS) | {"launchTemplate", "vpcZoneIdentifiers"})
        members |= parts.blocks(cloud, inputs, self.inputs)
        hooks = inputs.get("initialLifecycleHooks") or []
        nothing = {"MinSize": 0, "MaxSize": 0, "DesiredCapacity": 0}
        cloud.call(
            "autoscaling",
            "create_auto_scaling_group",
            AutoScalingGroupName=inputs["name"],
            **{**members, **(nothing if hooks else {})},
            TargetGroupARNs=inputs.get("targetGroupArns") or None,
            Tags=[_tag(inputs["name"], tag) for tag in inputs.get("tags") or []],
        )
        return str(inputs["name"])

    @staticmethod
    def _start(cloud: Cloud, id: str, inputs: Properties) -> None:
        """resourceGroupCreate's second phase: a group with hooks is made empty, and gets its sizes when they are in force."""
        hooks = inputs.get("initialLifecycleHooks") or []
        if not hooks:
            return
        for hook in hooks:
            put_hook(cloud, id, hook)
        sizes = _members(inputs, frozenset({"minSize", "maxSize", "desiredCapacity"}))
        cloud.call("autoscaling", "update_auto_scaling_group", AutoScalingGroupName=id, **sizes)

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """Copies resourceGroupCreate's and -Update's waiting: after a create for at least the minimum, after an update for
        exactly it, and then only when min_size or desired_capacity changed. A desired capacity that is not declared is the
        last one known, as `d.Get` of a computed attribute is. Hooks are the create's alone: an update leaves them."""
        if not old:
            self._start(cloud, id, new)
            self._set_parts(cloud, id, old, new)
            wanted = new.get("desiredCapacity") or new["minSize"]
            self._wait(cloud, id, new, lambda have: have >= wanted, f"wants at least {wanted}")
            return
        self._update_group(cloud, id, old, new)
        self._set_parts(cloud, id, old, new)
        self._update_tags(cloud, id, old.get("tags") or [], new.get("tags") or [])
        self._update_targets(cloud, id, old.get("targetGroupArns") or [], new.get("targetGroupArns") or [])
        if changed(old, new, "minSize", "desiredCapacity"):
            desired = new.get("desiredCapacity") or outputs.get("desiredCapacity") or 0
            exactly = max(new["minSize"], desired)
            self._wait(cloud, id, new, lambda have: have == exactly, f"wants exactly {exactly}")

    @staticmethod
    def _set_parts(cloud: Cloud, id: str, old: Properties, new: Properties) -> None:
        parts.set_processes(cloud, id, old, new)
        parts.set_metrics(cloud, id, old, new)
        parts.set_warm_pool(cloud, id, old, new)

    @staticmethod
    def _wait(cloud: Cloud, id: str, inputs: Properties, enough: Any, wants: str) -> None:
        timeout = capacity.seconds(inputs.get("waitForCapacityTimeout") or DEFAULT_WAIT)
        capacity.wait_for_capacity(cloud, id, timeout, enough, wants, bool(inputs.get("ignoreFailedScalingActivities")))

    @staticmethod
    def _update_group(cloud: Cloud, id: str, old: Properties, new: Properties) -> None:
        """Only what differs is sent, so that a live desired capacity stays: AWS itself lowers it to a new maximum and raises
        it to a new minimum (UpdateAutoScalingGroup)."""
        every = (*SCALARS, "launchTemplate", "vpcZoneIdentifiers", *parts.BLOCKS)
        names = frozenset(name for name in every if old.get(name) != new.get(name))
        if changed(old, new, *LIVE_RULES):
            check_live(cloud, new)
        wanted = {**_RESETS, **new}
        members = _members(wanted, names) | parts.blocks(cloud, wanted, names)
        if members:
            cloud.call("autoscaling", "update_auto_scaling_group", AutoScalingGroupName=id, **members)

    @staticmethod
    def _update_tags(cloud: Cloud, id: str, old: list[Properties], new: list[Properties]) -> None:
        keys = {tag["key"] for tag in new}
        gone = [_tag(id, tag) for tag in old if tag["key"] not in keys]
        fresh = [_tag(id, tag) for tag in new if tag not in old]
        if gone:
            cloud.call("autoscaling", "delete_tags", Tags=gone)
        if fresh:
            cloud.call("autoscaling", "create_or_update_tags", Tags=fresh)

    @staticmethod
    def _update_targets(cloud: Cloud, id: str, old: list[str], new: list[str]) -> None:
        for operation, arns in (
            ("detach_load_balancer_target_groups", [arn for arn in old if arn not in new]),
            ("attach_load_balancer_target_groups", [arn for arn in new if arn not in old]),
        ):
            if arns:
                cloud.call("autoscaling", operation, AutoScalingGroupName=id, TargetGroupARNs=arns)

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        group = find_group(cloud, id)
        if group is None:
            return None
        template = group.get("LaunchTemplate") or {}
        return {
            **{name: group.get(member) for name, member in SCALARS.items()},
            **parts.look(group),
            "name": group["AutoScalingGroupName"],
            "launchTemplate": {
                "id": template.get("LaunchTemplateId"),
                "name": template.get("LaunchTemplateName"),
                "version": template.get("Version"),
            }
            if template
            else None,
            "vpcZoneIdentifiers": [subnet for subnet in group.get("VPCZoneIdentifier", "").split(",") if subnet],
            "availabilityZones": group.get("AvailabilityZones") or [],
            "targetGroupArns": group.get("TargetGroupARNs") or [],
            "tags": [
                {"key": tag["Key"], "value": tag.get("Value", ""), "propagateAtLaunch": tag["PropagateAtLaunch"]}
                for tag in group.get("Tags") or []
                if tag["Key"] != INTENT_TAG and not tag["Key"].startswith("aws:")
            ],
            "arn": group["AutoScalingGroupARN"],
            "warmPoolSize": group.get("WarmPoolSize") or 0,
            "predictedCapacity": group.get("PredictedCapacity") or 0,
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        return str(inputs["name"]) if find_group(cloud, inputs["name"]) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """resourceGroupDelete: the warm pool first, then (unless forceDelete) the group is drained to 0, then deleted; after
        that its instances must be gone."""
        group = find_group(cloud, id)
        if group is None:
            return
        force = bool(inputs.get("forceDelete"))
        if group.get("WarmPoolConfiguration"):
            capacity.delete_warm_pool(cloud, id, parts.force_of(inputs), deadline)
        instances = [instance["InstanceId"] for instance in group["Instances"]]
        if not force:
            capacity.drain_group(cloud, id, group, deadline)
        deadline.retry(
            lambda: cloud.call("autoscaling", "delete_auto_scaling_group", AutoScalingGroupName=id, ForceDelete=force),
            capacity.BUSY,
        )
        deadline.until(lambda: not capacity.alive(cloud, instances), "is deleted and its instances still run")


_RESETS: Properties = {
    "protectFromScaleIn": False,
    "terminationPolicies": ["Default"],
    "defaultCooldown": 300,
    "healthCheckType": "EC2",
    "capacityRebalance": False,
    "placementGroup": "",
    "defaultInstanceWarmup": 0,
    "maxInstanceLifetime": 0,
    "instanceMaintenancePolicy": {"minHealthyPercentage": -1, "maxHealthyPercentage": -1},
}
"""What an update sends for what was taken out of the program (resourceGroupUpdate; expandInstanceMaintenancePolicy)."""


def _members(inputs: Properties, names: frozenset[str]) -> dict[str, Any]:
    made = {member: inputs.get(name) for name, member in SCALARS.items() if name in names and inputs.get(name) is not None}
    block = inputs.get("launchTemplate")
    if "launchTemplate" in names and block is not None:
        template = {
            "LaunchTemplateId": block.get("id"),
            "LaunchTemplateName": block.get("name"),
            "Version": block.get("version"),
        }
        made["LaunchTemplate"] = {key: str(value) for key, value in template.items() if value is not None}
    if "vpcZoneIdentifiers" in names:
        made["VPCZoneIdentifier"] = ",".join(inputs["vpcZoneIdentifiers"])
    return made


def _tag(group: str, tag: Properties) -> dict[str, Any]:
    return {
        "ResourceId": group,
        "ResourceType": "auto-scaling-group",
        "Key": tag["key"],
        "Value": tag["value"],
        "PropagateAtLaunch": bool(tag["propagateAtLaunch"]),
    }


TYPES = (Group(),)
