"""What policies find in a plan: read from `policyEvent`s, which both engines write; new, or standing at the base. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

_REMARK = "can't run policy "
"""How the policy SDK says that a policy asked for what is known after the update only (pulumi_policy, `Analyze`)."""
_SEVERITIES = ("critical", "high", "medium", "low", "")


class Level(StrEnum):
    """What a finding does to an `up`, in the order in which they are told."""

    MANDATORY = "mandatory"
    ADVISORY = "advisory"
    UNDECIDED = "undecided"
    """Not looked at: the policy asks for what is known after the update only."""


@dataclass(frozen=True)
class Finding:
    """What a policy found in a resource, or in the stack. `demand` is what the policy wants, `detail` what is wrong;
    `severity` may be "" (Pulumi's events have none). `standing`: the base has it too."""

    level: Level
    severity: str
    policy: str
    pack: str
    urn: str
    demand: str
    detail: str
    standing: bool = False

    @property
    def resource(self) -> str:
        """The logical name."""
        return self.urn.rpartition("::")[2]

    @property
    def label(self) -> str:
        """`mandatory, high`."""
        return ", ".join(filter(None, (self.level, self.severity)))

    @property
    def said(self) -> str:
        """Resource and detail in a line; a detail that begins with the resource's name says it once."""
        words = " ".join(self.detail.split())
        mark = " (standing)" if self.standing else ""
        return f"{words}{mark}" if words.startswith(self.resource) else f"{self.resource}: {words}{mark}"

    @property
    def refusal(self) -> str:
        """The error of a mandatory one."""
        return f"policy {self.policy} refuses {self.said}"

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "level": self.level.value,
            "severity": self.severity or None,
            "policy": self.policy,
            "pack": self.pack,
            "resource": self.resource,
            "urn": self.urn,
            "demand": self.demand,
            "detail": self.detail,
            "standing": self.standing,
        }


def findings(events: Iterable[Mapping[str, Any]], named: Callable[[str], str] = str) -> tuple[Finding, ...]:
    """What policies found, the worst first. `events` are `policyEvent`s by Pulumi's names; `named` makes texts readable."""
    order, grave = list(Level).index, _SEVERITIES.index
    found = {_finding(event, named) for event in events}
    return tuple(sorted(found, key=lambda f: (order(f.level), grave(f.severity), f.policy, f.resource, f.urn, f.detail)))


def marked(found: Iterable[Finding], base: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings of a head, with those marked that stand at the base: same policy, resource and words."""
    standing = {(each.policy, each.urn, each.detail) for each in base}
    return tuple(replace(each, standing=(each.policy, each.urn, each.detail) in standing) for each in found)


def counted(found: Iterable[Finding]) -> str:
    """`1 mandatory, 2 advisory (1 standing)`; "" for none."""
    numbers = Counter((each.level, each.standing) for each in found)
    told = []
    for level in Level:
        new, old = numbers[level, False], numbers[level, True]
        if new or old:
            told.append(f"{new + old} {level}" + (f" ({old} standing)" if old else ""))
    return ", ".join(told)


def by_policy(found: Iterable[Finding]) -> list[list[Finding]]:
    """Violations of one policy together, in their order."""
    groups: dict[tuple[str, str, Level], list[Finding]] = {}
    for each in found:
        if each.level is not Level.UNDECIDED:
            groups.setdefault((each.policy, each.pack, each.level), []).append(each)
    return list(groups.values())


def undecided(found: Iterable[Finding]) -> str:
    """`encryption (2), tags (1)`: the policies that asked for what is not known yet, with the number of resources."""
    numbers = Counter(each.policy for each in found if each.level is Level.UNDECIDED)
    return ", ".join(f"{policy} ({number})" for policy, number in sorted(numbers.items()))


def _finding(event: Mapping[str, Any], named: Callable[[str], str]) -> Finding:
    message = named(event["message"].strip())
    level = Level.MANDATORY if event["enforcementLevel"] == Level.MANDATORY else Level.ADVISORY
    if message.startswith(_REMARK):
        level, demand, detail = Level.UNDECIDED, "", message.partition("during preview: ")[2] or message
    else:
        demand, _, detail = message.partition("\n")
    return Finding(
        level=level,
        severity=event.get("severity") or "",
        policy=event["policyName"],
        pack=event["policyPackName"],
        urn=event.get("resourceUrn") or "",
        demand=demand,
        detail=detail or demand,
    )
