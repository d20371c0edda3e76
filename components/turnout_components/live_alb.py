"""A listener of Elastic Load Balancing as the switch's router: weights of its forward action, rules, targets' health."""

from collections.abc import Collection, Mapping
from typing import Any

from turnout_components.live import Target
from turnout_components.variant_rules import VariantRules

_HAVE_STICKINESS = ("HTTP", "HTTPS")
"""Protocols of the listeners whose forward action can be sticky: an application load balancer's."""
_MUST_STAY_STICKY = ("InvalidLoadBalancerAction", "InvalidConfigurationRequest")
STAYS_STICKY = (
    "clients with a stickiness cookie may still go to the environment that was left: AWS demands target group stickiness while "
    "a target group has sticky sessions of its own; set its stickiness.enabled to false, then Enabled of the listener's "
    "TargetGroupStickinessConfig"
)
"""What an operator is told where new weights do not reach every client."""


class AlbRouter:
    """A `TrafficRouter` over listeners and target groups, by ARN. `elbv2` is boto3's client."""

    def __init__(self, elbv2: Any) -> None:
        self._elbv2 = elbv2
        self._read: dict[str, dict[str, Any]] = {}
        """Each listener as it was read last."""
        self._rules: dict[str, VariantRules] = {}
        """Rules of variants by listener."""

    @property
    def unfollowed(self) -> str:
        """What an operator is told where new weights do not reach every client."""
        return STAYS_STICKY

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

    def refusal(self, listener: str, *, wait: bool = False) -> str | None:  # noqa: ARG002 -- of the protocol
        """Nothing: the answer to a write comes when AWS has taken it."""
        return None

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


def _forward(listener: Mapping[str, Any]) -> dict[str, Any]:
    """The listener's forward action, or nothing."""
    return next((action for action in listener.get("DefaultActions", []) if action["Type"] == "forward"), {})


def _target_groups(action: Mapping[str, Any]) -> list[dict[str, Any]]:
    groups = action.get("ForwardConfig", {}).get("TargetGroups")
    if groups:
        return list(groups)
    return [{"TargetGroupArn": action["TargetGroupArn"], "Weight": 1}] if action.get("TargetGroupArn") else []
