"""The load balancer's rules that send each variant of an experiment to its environment, whatever the weights say.

They match `x-variant`; requests without it keep the weighted default. While they stand they carry traffic past the weights:
whoever takes a rollout back clears them first (`clear`), then moves the weights.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from turnout_components.variants import VARIANT_HEADER

VALUES_AT_MOST = 3
"""Values that one condition compares ("Condition types for listener rules", User Guide for Application Load Balancers: up to
three match evaluations a condition, five a rule). Values are compared without regard to case; `*` and `?` are wildcards, which
a variant's name cannot hold."""
PRIORITIES = range(100, 200)
"""Of our rules, among AWS's 1 to 50,000; a load balancer has 100 rules ("Quotas for your Application Load Balancers")."""


_NETWORK = ":listener/net/"
"""In the ARN of a network load balancer's listener, which has no rules but its default action ("DescribeRules" knows the error
UnsupportedProtocol, Elastic Load Balancing API)."""


def has_rules(listener: str) -> bool:
    """Whether a listener (ARN) may have rules beside its default action."""
    return _NETWORK not in listener


@dataclass(frozen=True)
class VariantRule:
    """Requests of these variants go to this target group (any name of it)."""

    variants: tuple[str, ...]
    target: str


def rules(targets: Mapping[str, str]) -> list[VariantRule]:
    """The fewest rules for these targets by variant, in the order in which they are evaluated."""
    by_target: dict[str, list[str]] = {}
    for variant, target in targets.items():
        by_target.setdefault(target, []).append(variant)
    return [VariantRule(part, target) for target, held in by_target.items() for part in _parts(held)]


class VariantRules:
    """An experiment's rules of one listener, read and changed by AWS's API. `elbv2` is boto3's client. Every method may be
    repeated after a failure, and then does what is left."""

    def __init__(self, elbv2: Any, listener: str) -> None:
        self._elbv2 = elbv2
        self._listener = listener
        self._read: list[dict[str, Any]] = []
        """The listener's rules as they were read last."""

    def standing(self) -> dict[str, str]:
        """Target group by variant, as the listener sends them now."""
        return {variant: rule.target for _, rule in self._ours(self._listed()) for variant in rule.variants}

    def put(self, targets: Mapping[str, str]) -> None:
        """Makes the listener send each variant to its target group (ARN), and no other variant anywhere. Rules are made before
        others go.

        Raises `LookupError` when other rules hold all of our priorities."""
        listed = self._listed()
        standing = dict(self._ours(listed))
        wanted = rules(targets)
        taken = {rule["Priority"] for rule in listed}
        free = (priority for priority in PRIORITIES if str(priority) not in taken)
        for rule in wanted:
            if rule not in standing.values():
                self._make(rule, free)
        for arn, rule in standing.items():
            if rule not in wanted:
                self._delete(arn)

    def clear(self, first: str | None = None, *, at_once: bool = False) -> list[str]:
        """Takes the rules out, those to the target group `first` before the others, and returns their variants: from then on
        everybody goes by the weights. One call a rule; `at_once`: begins with the rules that were read last, so that the first
        call takes one out already."""
        known = self._drop(self._read, first) if at_once else []
        return known + self._drop(self._listed(), first)

    def _drop(self, listed: list[dict[str, Any]], first: str | None) -> list[str]:
        ours = sorted(self._ours(listed), key=lambda item: item[1].target != first)
        for arn, _ in ours:
            self._delete(arn)
        return [variant for _, rule in ours for variant in rule.variants]

    def _listed(self) -> list[dict[str, Any]]:
        if not has_rules(self._listener):
            return []
        pages = self._elbv2.get_paginator("describe_rules").paginate(ListenerArn=self._listener)
        self._read = [rule for page in pages for rule in page["Rules"]]
        return self._read

    def _ours(self, listed: list[dict[str, Any]]) -> Iterator[tuple[str, VariantRule]]:
        """By what they match, whoever made them."""
        for rule in listed:
            for condition in rule["Conditions"]:
                config = condition.get("HttpHeaderConfig", {})
                if config.get("HttpHeaderName", "").lower() == VARIANT_HEADER:
                    values = (*config.get("Values", ()), *config.get("RegexValues", ()))
                    yield rule["RuleArn"], VariantRule(values, _target(rule))

    def _make(self, rule: VariantRule, free: Iterator[int]) -> None:
        priority = next(free, None)
        if priority is None:
            where = f"{PRIORITIES.start} to {PRIORITIES.stop - 1}"
            raise LookupError(f"listener {self._listener}: rules hold all priorities from {where}; delete some, then go on")
        header = {"HttpHeaderName": VARIANT_HEADER, "Values": list(rule.variants)}
        self._elbv2.create_rule(
            ListenerArn=self._listener,
            Priority=priority,
            Conditions=[{"Field": "http-header", "HttpHeaderConfig": header}],
            Actions=[{"Type": "forward", "TargetGroupArn": rule.target}],
        )

    def _delete(self, arn: str) -> None:
        try:
            self._elbv2.delete_rule(RuleArn=arn)
        except self._elbv2.exceptions.RuleNotFoundException:
            return


def _parts(variants: list[str]) -> Iterator[tuple[str, ...]]:
    yield from (tuple(variants[at : at + VALUES_AT_MOST]) for at in range(0, len(variants), VALUES_AT_MOST))


def _target(rule: Mapping[str, Any]) -> str:
    action = rule["Actions"][-1]
    groups = action.get("ForwardConfig", {}).get("TargetGroups") or [action]
    return str(groups[0].get("TargetGroupArn", ""))
