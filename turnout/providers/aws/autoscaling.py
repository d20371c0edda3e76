"""Auto scaling group (terraform-provider-aws internal/service/autoscaling/group.go)."""

import re
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, NotFound, Properties, ProviderError
from turnout.providers.aws import autoscaling_parts, rules
from turnout.providers.aws.base import INTENT_TAG, AwsType, Deadline, changed, known
from turnout.providers.aws.clients import Cloud, error_code

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
UNHELD = frozenset({"defaultCooldown", "terminationPolicies"})
"""moto drops these on an update: they are sent and never read back, so no drift of them is seen."""
BUSY = frozenset({"ResourceInUse", "ResourceInUseFault", "ScalingActivityInProgress", "ScalingActivityInProgressFault"})
GONE_STATES = frozenset({"terminated"})
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def seconds(duration: str) -> float:
    """Go's durations: `10m`, `1h30m`, `0`. Raises ValueError."""
    if duration == "0":
        return 0.0
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is not a duration such as 10m or 1h30m")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


class Group(AwsType):
    """aws_autoscaling_group with a launch template. The id is the name; provider default tags do not reach it."""

    token = "aws:autoscaling/group:Group"
    inputs = frozenset(
        {
            *SCALARS,
            "name",
            "launchTemplate",
            "vpcZoneIdentifiers",
            "targetGroupArns",
            "tags",
            "waitForCapacityTimeout",
            "forceDelete",
            "forceDeleteWarmPool",
            "initialLifecycleHooks",
            "warmPool",
            "enabledMetrics",
            "metricsGranularity",
            *autoscaling_parts.BLOCKS,
        }
    )
    replace_on = frozenset({"name"})
    auto_name = AutoName("name", 255)
    defaults: ClassVar[Mapping[str, Any]] = {"tags": [], "protectFromScaleIn": False, "warmPool": None, "enabledMetrics": []}
    exact = frozenset()
    ordered = frozenset({"terminationPolicies"})
    mapped_tags = False

    def check(self, inputs: Properties) -> list[Fault]:
        """AWS "CreateAutoScalingGroup"."""
        source = "CreateAutoScalingGroup"
        faults = rules.required(inputs, "minSize", "maxSize", "vpcZoneIdentifiers")
        faults += rules.matches(inputs, "name", r"[^\x00-\x1f:]{1,255}", "1 to 255 characters without a colon", source)
        for name in ("minSize", "maxSize", "desiredCapacity", "defaultCooldown", "healthCheckGracePeriod"):
            faults += rules.between(inputs, name, 0, float("inf"), source)
        faults += rules.one_of(inputs, "healthCheckType", {"EC2", "ELB"}, source)
        if isinstance(inputs.get("vpcZoneIdentifiers"), list) and not inputs["vpcZoneIdentifiers"]:
            faults.append(Fault("vpcZoneIdentifiers", f"needs at least one subnet ({source}: ValidationError)"))
        return faults + _check_sizes(inputs) + _check_template(inputs) + _check_wait(inputs)

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        if self._group(cloud, inputs["name"]):
            raise ProviderError(f"autoscaling: AlreadyExists: there is a group named {inputs['name']} already")
        self._check_live(cloud, inputs)
        members = _members(inputs, frozenset(SCALARS) | {"launchTemplate", "vpcZoneIdentifiers"})
        members |= autoscaling_parts.blocks(cloud, inputs, self.inputs)
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
        autoscaling_parts.put_hooks(cloud, id, hooks)
        sizes = _members(inputs, frozenset({"minSize", "maxSize", "desiredCapacity"}))
        cloud.call("autoscaling", "update_auto_scaling_group", AutoScalingGroupName=id, **sizes)

    @staticmethod
    def _check_live(cloud: Cloud, inputs: Properties) -> None:
        """CreateAutoScalingGroup and UpdateAutoScalingGroup, ValidationError: "You must use a valid fully-formed launch
        template" and "Provided Target Groups may not be valid" (moto takes both)."""
        block = launch_template_of(inputs)
        overrides = ((inputs.get("mixedInstancesPolicy") or {}).get("launchTemplate") or {}).get("overrides")
        found = cloud.call(
            "ec2",
            "describe_launch_template_versions",
            LaunchTemplateId=block.get("id"),
            LaunchTemplateName=block.get("name"),
            Versions=[str(block.get("version") or "$Default")],
        )["LaunchTemplateVersions"]
        data = found[0]["LaunchTemplateData"] if found else {}
        for member in ("ImageId", "InstanceType"):
            if not data.get(member) and not (member == "InstanceType" and overrides):
                raise ProviderError(
                    f"autoscaling: ValidationError: You must use a valid fully-formed launch template: it has no {member}"
                )
        for arn in inputs.get("targetGroupArns") or []:
            try:
                cloud.call("elbv2", "describe_target_groups", TargetGroupArns=[arn])
            except NotFound:
                raise ProviderError(f"autoscaling: ValidationError: target group {arn} does not exist") from None

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """Copies resourceGroupCreate's and -Update's waiting: after a create for at least the minimum, after an update for
        exactly it, and then only when min_size or desired_capacity changed. A desired capacity that is not declared is the
        last one known, as `d.Get` of a computed attribute is."""
        timeout = seconds(new.get("waitForCapacityTimeout") or DEFAULT_WAIT)
        if not old:
            self._start(cloud, id, new)
            autoscaling_parts.set_metrics(cloud, id, {}, new)
            autoscaling_parts.set_warm_pool(cloud, id, {}, new)
            wanted = new.get("desiredCapacity") or new["minSize"]
            self._wait(cloud, id, timeout, lambda have: have >= wanted, f"wants at least {wanted}")
            return
        self._update_group(cloud, id, old, new)
        autoscaling_parts.set_metrics(cloud, id, old, new)
        autoscaling_parts.set_warm_pool(cloud, id, old, new)
        self._update_tags(cloud, id, old.get("tags") or [], new.get("tags") or [])
        self._update_targets(cloud, id, old.get("targetGroupArns") or [], new.get("targetGroupArns") or [])
        if changed(old, new, "minSize", "desiredCapacity"):
            desired = new.get("desiredCapacity") or outputs.get("desiredCapacity") or 0
            exactly = max(new["minSize"], desired)
            self._wait(cloud, id, timeout, lambda have: have == exactly, f"wants exactly {exactly}")

    def _update_group(self, cloud: Cloud, id: str, old: Properties, new: Properties) -> None:
        """Only what differs is sent, so that a live desired capacity stays: AWS itself lowers it to a new maximum and raises
        it to a new minimum (UpdateAutoScalingGroup)."""
        parts = (*SCALARS, "launchTemplate", "vpcZoneIdentifiers", *autoscaling_parts.BLOCKS)
        names = frozenset(name for name in parts if old.get(name) != new.get(name))
        members = _members({**_RESETS, **new}, names) | autoscaling_parts.blocks(cloud, new, names)
        if names & {"launchTemplate", "mixedInstancesPolicy"}:
            self._check_live(cloud, new)
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

    def _wait(self, cloud: Cloud, id: str, timeout: float, enough: Any, wants: str) -> None:
        if timeout <= 0:
            return
        have = 0

        def satisfied() -> bool:
            nonlocal have
            group = self._group(cloud, id)
            if group is None:
                raise NotFound(f"auto scaling group {id} is gone")
            have = in_service(group)
            return bool(enough(have))

        end = time.monotonic() + timeout
        while not satisfied():
            if time.monotonic() >= end:
                raise ProviderError(
                    f"auto scaling group {id}: waiting for capacity satisfied: {wants} healthy instance(s), has {have} "
                    f"after {timeout:g} s"
                )
            time.sleep(min(0.2, timeout))

    @staticmethod
    def _group(cloud: Cloud, id: str) -> dict[str, Any] | None:
        found = cloud.call("autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=[id])["AutoScalingGroups"]
        return dict(found[0]) if found else None

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        group = self._group(cloud, id)
        if group is None:
            return None
        template = group.get("LaunchTemplate") or {}
        return {
            **{name: group[member] for name, member in SCALARS.items() if name not in UNHELD and member in group},
            **autoscaling_parts.look(group),
            "name": group["AutoScalingGroupName"],
            "launchTemplate": {
                "id": template.get("LaunchTemplateId"),
                "name": template.get("LaunchTemplateName"),
                "version": template.get("Version"),
            },
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
        return str(inputs["name"]) if self._group(cloud, inputs["name"]) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """resourceGroupDelete: the warm pool first, then (unless forceDelete) the group is drained to 0, then deleted; after
        that its instances must be gone."""
        group = self._group(cloud, id)
        if group is None:
            return
        force = bool(inputs.get("forceDelete"))
        if group.get("WarmPoolConfiguration"):
            autoscaling_parts.delete_warm_pool(cloud, id, autoscaling_parts.force_of(inputs), deadline)
        instances = [instance["InstanceId"] for instance in group["Instances"]]
        if not force:
            self._drain(cloud, id, group, deadline)
        deadline.retry(
            lambda: cloud.call("autoscaling", "delete_auto_scaling_group", AutoScalingGroupName=id, ForceDelete=force),
            BUSY,
        )
        deadline.until(lambda: not _alive(cloud, instances), "is deleted and its instances still run")

    def _drain(self, cloud: Cloud, id: str, group: Mapping[str, Any], deadline: Deadline) -> None:
        """drainGroup; protection from scale-in goes first, as moto looks at it only when the size changes."""
        protected = [item["InstanceId"] for item in group["Instances"] if item.get("ProtectedFromScaleIn")]
        if protected:
            cloud.call(
                "autoscaling",
                "set_instance_protection",
                AutoScalingGroupName=id,
                InstanceIds=protected,
                ProtectedFromScaleIn=False,
            )
        cloud.call("autoscaling", "update_auto_scaling_group", AutoScalingGroupName=id, MinSize=0, MaxSize=0, DesiredCapacity=0)
        deadline.until(lambda: not (self._group(cloud, id) or {"Instances": []})["Instances"], "still has instances")


_RESETS: Properties = {
    "protectFromScaleIn": False,
    "terminationPolicies": ["Default"],
    "defaultCooldown": 300,
    "healthCheckType": "EC2",
}
"""AWS's values of what an update takes out of the program."""


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


def in_service(group: Mapping[str, Any]) -> int:
    """Healthy instances in service, as waitGroupCapacitySatisfied counts them."""
    return sum(
        1
        for instance in group.get("Instances") or []
        if instance.get("HealthStatus", "").lower() == "healthy" and instance.get("LifecycleState") == "InService"
    )


def _alive(cloud: Cloud, instances: list[str]) -> bool:
    if not instances:
        return False
    try:
        reservations = cloud.call("ec2", "describe_instances", InstanceIds=instances)["Reservations"]
    except ProviderError as error:
        if error_code(error).endswith("NotFound"):
            return False
        raise
    states = [instance["State"]["Name"] for reservation in reservations for instance in reservation["Instances"]]
    return any(state not in GONE_STATES for state in states)


def _check_sizes(inputs: Properties) -> list[Fault]:
    low, high, desired = inputs.get("minSize"), inputs.get("maxSize"), inputs.get("desiredCapacity")
    source = "CreateAutoScalingGroup: ValidationError"
    faults: list[Fault] = []
    if known(low) and known(high) and low > high:
        faults.append(Fault("minSize", f"{low} is above maxSize {high} ({source})"))
    if known(desired) and known(high) and desired > high:
        faults.append(Fault("desiredCapacity", f"{desired} is above maxSize {high} ({source})"))
    if known(desired) and known(low) and desired < low:
        faults.append(Fault("desiredCapacity", f"{desired} is below minSize {low} ({source})"))
    return faults


def launch_template_of(inputs: Properties) -> Properties:
    """The group's launch template, or its instances policy's, as a block of id or name, and version."""
    block = inputs.get("launchTemplate")
    if block is None:
        named = inputs["mixedInstancesPolicy"]["launchTemplate"]["launchTemplateSpecification"]
        block = {"id": named.get("launchTemplateId"), "name": named.get("launchTemplateName"), "version": named.get("version")}
    return dict(block)


def _check_template(inputs: Properties) -> list[Fault]:
    block, policy = inputs.get("launchTemplate"), inputs.get("mixedInstancesPolicy")
    if (block is None) == (policy is None):
        return [Fault("launchTemplate", "needs exactly one of launchTemplate, mixedInstancesPolicy (CreateAutoScalingGroup)")]
    if not isinstance(block, dict):
        return []
    if (block.get("id") is None) == (block.get("name") is None):
        return [Fault("launchTemplate", "needs exactly one of id, name (LaunchTemplateSpecification)")]
    return []


def _check_wait(inputs: Properties) -> list[Fault]:
    value = inputs.get("waitForCapacityTimeout")
    if not isinstance(value, str):
        return []
    try:
        seconds(value)
    except ValueError as error:
        return [Fault("waitForCapacityTimeout", str(error))]
    return []


TYPES = (Group(),)
