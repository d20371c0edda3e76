"""The switch's view of the cloud: a listener's weights, target health and groups' sizes, read and changed by AWS's API."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from turnout_components.standby import Launch, time_back
from turnout_components.variant_rules import VariantRules

IN_SERVICE = "InService"
_HAVE_STICKINESS = ("HTTP", "HTTPS")
"""Protocols of the listeners whose forward action can be sticky: an application load balancer's."""
_MUST_STAY_STICKY = ("InvalidLoadBalancerAction", "InvalidConfigurationRequest")
STAYS_STICKY = (
    "clients with a stickiness cookie may still go to the environment that was left: AWS demands target group stickiness while "
    "a target group has sticky sessions of its own; set its stickiness.enabled to false, then Enabled of the listener's "
    "TargetGroupStickinessConfig"
)
"""What an operator is told where new weights do not reach every client."""
WARMED = ("Warmed:Stopped", "Warmed:Running", "Warmed:Hibernated")


@dataclass(frozen=True)
class Group:
    """An auto scaling group: its bounds, the instances in service, and how many boot or drain."""

    name: str
    minimum: int
    maximum: int
    desired: int
    in_service: frozenset[str]
    moving: int = 0

    @property
    def present(self) -> int:
        """Instances that take a place: in service, booting or draining."""
        return len(self.in_service) + self.moving


@dataclass(frozen=True)
class Target:
    """A target's health under AWS's names (`healthy`, `unhealthy`, `initial`, `draining`, `unused`)."""

    id: str
    state: str
    reason: str = ""


class LiveCloud:
    """The calls that the gate and a rollback make. Clients are boto3's (`elbv2`, `autoscaling`)."""

    def __init__(self, elbv2: Any, autoscaling: Any) -> None:
        self._elbv2 = elbv2
        self._autoscaling = autoscaling
        self._read: dict[str, dict[str, Any]] = {}
        """Each listener as it was read last."""
        self._rules: dict[str, VariantRules] = {}
        """Rules of variants by listener."""

    def weights(self, listener: str) -> dict[str, int] | None:
        """Weight by target group ARN of the listener's default action; None when the listener is gone."""
        found = self._listener(listener)
        if found is None:
            return None
        return {group["TargetGroupArn"]: group.get("Weight", 1) for group in _target_groups(_forward(found))}

    def is_sticky(self, listener: str) -> bool:
        """Whether target group stickiness is on in the listener's default action."""
        config = _forward(self._listener(listener) or {}).get("ForwardConfig", {})
        return bool(config.get("TargetGroupStickinessConfig", {}).get("Enabled"))

    def listener_of(self, target_groups: Collection[str]) -> str | None:
        """The listener that forwards to just these target groups, or None."""
        if not target_groups:
            return None
        try:
            found = self._elbv2.describe_target_groups(TargetGroupArns=list(target_groups))["TargetGroups"]
        except self._elbv2.exceptions.TargetGroupNotFoundException:
            return None
        for balancer in sorted({arn for group in found for arn in group["LoadBalancerArns"]}):
            for listener in self._elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"]:
                groups = {g["TargetGroupArn"] for a in listener["DefaultActions"] for g in _target_groups(a)}
                if groups == set(target_groups):
                    return str(listener["ListenerArn"])
        return None

    def set_weights(self, listener: str, weights: Mapping[str, int], *, at_once: bool = False) -> bool:
        """Puts these weights (by target group ARN) in force, ends target group stickiness with the same call, and leaves the
        rest of the action as it is; `at_once`: as it was read last, which saves a call.

        A stickiness cookie comes before the weights, also before 0 ("Action types for listener rules", User Guide for
        Application Load Balancers). AWS demands stickiness while a target group has sticky sessions of its own (same page):
        then it stays, with the shortest duration, and the answer is False: clients with a cookie need not follow the weights.

        Raises `LookupError` when the listener is gone."""
        found = self._read.get(listener) if at_once else None
        found = found if found is not None else self._listener(listener)
        if found is None:
            raise LookupError(f"listener {listener} is gone")
        groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
        forward = {**_forward(found).get("ForwardConfig", {}), "TargetGroups": groups}
        if found.get("Protocol") not in _HAVE_STICKINESS:
            self._put(listener, forward)
            return True
        try:
            self._put(listener, {**forward, "TargetGroupStickinessConfig": {"Enabled": False}})
        except self._elbv2.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in _MUST_STAY_STICKY:
                raise
            self._put(listener, {**forward, "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 1}})
            return False
        return True

    def _put(self, listener: str, forward: Mapping[str, Any]) -> None:
        self._elbv2.modify_listener(ListenerArn=listener, DefaultActions=[{"Type": "forward", "ForwardConfig": forward}])

    def variants(self, listener: str) -> dict[str, str]:
        """Target group by variant, where an experiment's rules send them past the weights."""
        return self._variant_rules(listener).standing()

    def put_variants(self, listener: str, targets: Mapping[str, str]) -> None:
        """Sends these variants to their target groups past the weights, and no others anywhere.

        Raises `LookupError` when other rules hold all priorities."""
        self._variant_rules(listener).put(targets)

    def clear_variants(self, listener: str, first: str | None, *, at_once: bool = False) -> bool:
        """Takes an experiment's rules out, those to the target group `first` before the others; whether there were any.
        `at_once`: as they were read last, which saves a call."""
        return bool(self._variant_rules(listener).clear(first, at_once=at_once))

    def _variant_rules(self, listener: str) -> VariantRules:
        return self._rules.setdefault(listener, VariantRules(self._elbv2, listener))

    def group(self, name: str) -> Group | None:
        """The group of that name, or None."""
        found = self._autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        if not found:
            return None
        group = found[0]
        ids = frozenset(i["InstanceId"] for i in group["Instances"] if i["LifecycleState"] == IN_SERVICE)
        present = sum(not i["LifecycleState"].startswith("Warmed") for i in group["Instances"])
        return Group(name, group["MinSize"], group["MaxSize"], group["DesiredCapacity"], ids, present - len(ids))

    def set_minimum(self, name: str, minimum: int, maximum: int = 0) -> None:
        """Sets the group's minimum; a desired capacity or maximum below it follows, since AWS refuses a minimum above either
        ("UpdateAutoScalingGroup", EC2 Auto Scaling API). The maximum becomes `maximum` at least."""
        group = self.group(name)
        sizes: dict[str, int] = {"MinSize": minimum}
        if group is not None and group.desired < minimum:
            sizes["DesiredCapacity"] = minimum
        if group is not None and group.maximum < max(minimum, maximum):
            sizes["MaxSize"] = max(minimum, maximum)
        self._autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, **sizes)

    def hold(self, name: str, size: int) -> None:
        """Holds the group at just this size: its bounds and its desired capacity. What is too much drains before it ends."""
        sizes = {"MinSize": size, "MaxSize": size, "DesiredCapacity": size}
        self._autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, **sizes)

    def let_scale(self, name: str, minimum: int, maximum: int) -> None:
        """Lets a group that was held scale between these bounds again."""
        self._autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=minimum, MaxSize=maximum)

    def restore(self, before: Group) -> None:
        """Gives a group its minimum back, and its desired capacity where that is still the one that `set_minimum` raised."""
        group = self.group(before.name)
        if group is None:
            return
        sizes = {"MinSize": before.minimum}
        if before.desired < group.desired == group.minimum:
            sizes["DesiredCapacity"] = before.desired
        self._autoscaling.update_auto_scaling_group(AutoScalingGroupName=before.name, **sizes)

    def warm(self, name: str) -> int:
        """Instances that are ready in the group's warm pool."""
        found = self._autoscaling.describe_warm_pool(AutoScalingGroupName=name).get("Instances") or []
        return sum(item["LifecycleState"] in WARMED for item in found)

    def launches(self, name: str) -> list[Launch]:
        """The group's launches that AWS remembers (six weeks: "DescribeScalingActivities"), the newest first."""
        return [
            Launch((activity["EndTime"] - activity["StartTime"]).total_seconds(), _from_warm_pool(activity))
            for activity in self._launch_activities(name)
            if activity["StatusCode"] == "Successful"
        ]

    def coming(self, name: str) -> list[bool]:
        """The launches under way: whether each comes from the warm pool."""
        return [_from_warm_pool(activity) for activity in self._launch_activities(name) if "EndTime" not in activity]

    def failed_launch(self, name: str) -> str | None:
        """Why the group's newest launch failed; None where it did not, or is still under way."""
        found = self._autoscaling.describe_scaling_activities(AutoScalingGroupName=name, MaxRecords=20)["Activities"]
        newest = next((activity for activity in found if activity["Description"].startswith("Launching")), None)
        if newest is None or newest["StatusCode"] not in ("Failed", "Cancelled"):
            return None
        return str(newest.get("StatusMessage") or newest["StatusCode"])

    def _launch_activities(self, name: str) -> list[dict[str, Any]]:
        found = self._autoscaling.describe_scaling_activities(AutoScalingGroupName=name, MaxRecords=50)["Activities"]
        return [
            activity
            for activity in found
            if activity["Description"].startswith("Launching") and "into warm pool" not in activity["Description"]
        ]

    def targets(self, target_group: str) -> list[Target]:
        """Every registered target with its health."""
        found = self._elbv2.describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"]
        return [Target(t["Target"]["Id"], t["TargetHealth"]["State"], t["TargetHealth"].get("Reason", "")) for t in found]

    def _listener(self, listener: str) -> dict[str, Any] | None:
        try:
            (found,) = self._elbv2.describe_listeners(ListenerArns=[listener])["Listeners"]
        except self._elbv2.exceptions.ListenerNotFoundException:
            return None
        self._read[listener] = found
        return self._read[listener]


def _from_warm_pool(activity: Mapping[str, Any]) -> bool:
    return "from warm pool" in activity["Description"]


def _forward(listener: Mapping[str, Any]) -> dict[str, Any]:
    """The listener's forward action, or nothing."""
    return next((action for action in listener.get("DefaultActions", []) if action["Type"] == "forward"), {})


def _target_groups(action: Mapping[str, Any]) -> list[dict[str, Any]]:
    groups = action.get("ForwardConfig", {}).get("TargetGroups")
    if groups:
        return list(groups)
    return [{"TargetGroupArn": action["TargetGroupArn"], "Weight": 1}] if action.get("TargetGroupArn") else []


def shares(weights: Mapping[str, int]) -> dict[str, int]:
    """Relative weights (an ALB's 0–999) as percent, rounded so that they sum to 100; all 0 stays all 0."""
    total = sum(weights.values())
    if total == 0:
        return dict.fromkeys(weights, 0)
    exact = {key: 100 * weight / total for key, weight in weights.items()}
    rounded = {key: int(share) for key, share in exact.items()}
    for key in sorted(exact, key=lambda k: rounded[k] - exact[k])[: 100 - sum(rounded.values())]:
        rounded[key] += 1
    return rounded


def ready_targets(cloud: LiveCloud, target_group: str, group: str | None) -> tuple[int, list[Target]]:
    """How many targets are healthy and belong to the group that was made for the release; and all targets."""
    return ready_members(cloud, target_group, cloud.group(group) if group else None)


def ready_members(cloud: LiveCloud, target_group: str, group: Group | None) -> tuple[int, list[Target]]:
    """The same of a group that was looked up already; None: there is none."""
    targets = cloud.targets(target_group)
    members = group.in_service if group else frozenset()
    return sum(t.state == "healthy" and t.id in members for t in targets), targets


def insist(cloud: LiveCloud, listener: str, weights: Mapping[str, int]) -> bool:
    """Puts the weights in force again where others are found: a driver that was about to move traffic may have done so after
    they were put. Whether that was so; once the record says no to it, it stops there."""
    found = cloud.weights(listener)
    if found is None or shares(found) == shares(weights):
        return False
    cloud.set_weights(listener, weights)
    return True


def way_back(cloud: LiveCloud, group: str | None, missing: int) -> str:
    """How long it takes until `missing` more instances of the group serve, in words."""
    if group is None or missing <= 0:
        return time_back(missing, 0, [])
    coming = cloud.coming(group)
    warm = min(cloud.warm(group) + coming.count(True), missing - coming.count(False))
    return time_back(missing, max(warm, 0), cloud.launches(group))


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)
