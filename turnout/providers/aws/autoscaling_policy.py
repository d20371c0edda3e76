"""Scaling policy (terraform-provider-aws internal/service/autoscaling/policy.go): simple, step, target tracking, predictive."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, Properties, ProviderError
from turnout.providers.aws import autoscaling_policy_rules as policy_rules
from turnout.providers.aws.autoscaling_policy_rules import ADJUSTED, SIMPLE, STEP, TRACKING, WARMED
from turnout.providers.aws.base import AwsType, Deadline
from turnout.providers.aws.clients import Cloud, client
from turnout.providers.aws.mapping import from_members, to_members

BLOCKS = ("predictiveScalingConfiguration", "stepAdjustments", "targetTrackingConfiguration")
MEMBERS = {
    "adjustmentType": "AdjustmentType",
    "cooldown": "Cooldown",
    "estimatedInstanceWarmup": "EstimatedInstanceWarmup",
    "metricAggregationType": "MetricAggregationType",
    "minAdjustmentMagnitude": "MinAdjustmentMagnitude",
    "scalingAdjustment": "ScalingAdjustment",
}
SENT = {
    "adjustmentType": ADJUSTED,
    "cooldown": {SIMPLE},
    "estimatedInstanceWarmup": WARMED,
    "metricAggregationType": {STEP},
    "minAdjustmentMagnitude": ADJUSTED,
    "scalingAdjustment": {SIMPLE},
}
"""Which types of policy a member is sent for (expandPutScalingPolicyInput); 0 stands for nothing with the others."""


class Policy(AwsType):
    """aws_autoscaling_policy. The id is the name. Every update sends all of it again, as PutScalingPolicy wants."""

    token = "aws:autoscaling/policy:Policy"
    inputs = frozenset({*MEMBERS, *BLOCKS, "name", "autoscalingGroupName", "policyType", "enabled"})
    replace_on = frozenset({"name", "autoscalingGroupName"})
    auto_name = AutoName("name", 255)
    defaults: ClassVar[Mapping[str, Any]] = {
        "enabled": True,
        "policyType": SIMPLE,
        **dict.fromkeys([*BLOCKS, *(name for name in MEMBERS if name != "metricAggregationType")]),
    }

    def check(self, inputs: Properties) -> list[Fault]:
        return policy_rules.faults(inputs)

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        self._put(cloud, inputs)
        return str(inputs["name"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old and old != new:
            self._put(cloud, new)

    def _put(self, cloud: Cloud, inputs: Properties) -> None:
        _check_label(cloud, inputs)
        kind = inputs.get("policyType") or SIMPLE
        cloud.call(
            "autoscaling",
            "put_scaling_policy",
            AutoScalingGroupName=inputs["autoscalingGroupName"],
            PolicyName=inputs["name"],
            PolicyType=kind,
            Enabled=inputs.get("enabled") is not False,
            **{MEMBERS[name]: inputs.get(name) for name, kinds in SENT.items() if kind in kinds},
            **_blocks(cloud, inputs),
        )

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        group = inputs["autoscalingGroupName"]
        found = cloud.pages("autoscaling", "describe_policies", "ScalingPolicies", AutoScalingGroupName=group, PolicyNames=[id])
        if not found:
            return None
        policy = found[0]
        return {
            **{name: policy.get(member) for name, member in MEMBERS.items()},
            **_declared(policy),
            "name": policy["PolicyName"],
            "autoscalingGroupName": group,
            "policyType": policy.get("PolicyType") or SIMPLE,
            "enabled": policy.get("Enabled") is not False,
            "arn": policy["PolicyARN"],
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        return str(inputs["name"]) if self.look(cloud, inputs["name"], inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        if self.look(cloud, id, inputs) is not None:
            group = inputs["autoscalingGroupName"]
            cloud.call("autoscaling", "delete_policy", AutoScalingGroupName=group, PolicyName=id)


def _blocks(cloud: Cloud, inputs: Properties) -> dict[str, Any]:
    """The blocks as the API wants them: two names differ (expandTargetTrackingConfiguration, expandPredictiveScalingConfig)."""
    shapes = client(cloud.config, "autoscaling").meta.service_model.shape_for("PutScalingPolicyType").members
    made: dict[str, Any] = {}
    steps, tracking = inputs.get("stepAdjustments"), inputs.get("targetTrackingConfiguration")
    if steps:
        made["StepAdjustments"] = to_members(shapes["StepAdjustments"], steps)
    if tracking:
        own = tracking.get("customizedMetricSpecification")
        if own and "metricDimensions" in own:
            own = {**own, "dimensions": own["metricDimensions"]}
            tracking = {**tracking, "customizedMetricSpecification": {k: v for k, v in own.items() if k != "metricDimensions"}}
        made["TargetTrackingConfiguration"] = to_members(shapes["TargetTrackingConfiguration"], tracking)
    if inputs.get("predictiveScalingConfiguration"):
        made["PredictiveScalingConfiguration"] = to_members(
            shapes["PredictiveScalingConfiguration"],
            inputs["predictiveScalingConfiguration"],
            {"metricSpecification": "MetricSpecifications"},
        )
    return made


def _declared(policy: Mapping[str, Any]) -> Properties:
    """The way back."""
    tracking = from_members(policy.get("TargetTrackingConfiguration")) or None
    own = tracking.get("customizedMetricSpecification") if tracking else None
    if own and "dimensions" in own:
        own["metricDimensions"] = own.pop("dimensions")
    predictive = from_members(policy.get("PredictiveScalingConfiguration")) or None
    if predictive and "metricSpecifications" in predictive:
        predictive["metricSpecification"] = predictive.pop("metricSpecifications")[0]
    return {
        "stepAdjustments": from_members(policy.get("StepAdjustments") or []) or None,
        "targetTrackingConfiguration": tracking,
        "predictiveScalingConfiguration": predictive,
    }


def _check_label(cloud: Cloud, inputs: Properties) -> None:
    """ "You can't specify a resource label unless the target group is attached to the Auto Scaling group"
    ("PredefinedMetricSpecification")."""
    if (inputs.get("policyType") or SIMPLE) != TRACKING:
        return
    tracked = inputs["targetTrackingConfiguration"].get("predefinedMetricSpecification") or {}
    label = tracked.get("resourceLabel")
    if not label:
        return
    name = inputs["autoscalingGroupName"]
    answer = cloud.call("autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=[name])["AutoScalingGroups"]
    attached = answer[0].get("TargetGroupARNs") or [] if answer else []
    group = "targetgroup/" + label.partition("/targetgroup/")[2]
    if not any(arn.endswith(f":{group}") for arn in attached):
        raise ProviderError(
            f"autoscaling: ValidationError: policy {inputs['name']}: resource label {label}: {group} is not attached to the "
            f"Auto Scaling group {name} (PredefinedMetricSpecification)"
        )


TYPES = (Policy(),)
