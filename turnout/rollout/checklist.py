"""The checklist of a deployment, before, during and after, as checks that can fail. Pure.

The fifteen items are those of "Deployment Patterns for AI Systems" (Deployment Checklist); `checklist_before` and
`checklist_after` hold them. Each result says how it was checked, or is refused with the reason and what to do. What cannot be
known yet is open; what somebody lets pass is waived by name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class Phase(StrEnum):
    """When an item is checked."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


class Outcome(StrEnum):
    """What a check came to."""

    CHECKED = "checked"
    REFUSED = "refused"
    OPEN = "open"
    WAIVED = "waived"


class Item(StrEnum):
    """The items, by the name that a waiver gives."""

    TESTS = "tests"
    EVALUATION = "evaluation"
    ROLLBACK_PLAN = "rollback-plan"
    MONITORING = "monitoring"
    ALERTS = "alerts"
    NOTIFIED = "notified"
    ERRORS = "errors"
    LATENCY = "latency"
    QUALITY = "quality"
    ANOMALIES = "anomalies"
    WAY_BACK = "way-back"
    HEALTH = "health"
    STABLE = "stable"
    ISSUES = "issues"
    RUNBOOK = "runbook"


TEXTS: Mapping[Item, tuple[Phase, str]] = {
    Item.TESTS: (Phase.BEFORE, "All tests passing"),
    Item.EVALUATION: (Phase.BEFORE, "Evaluation metrics meet thresholds"),
    Item.ROLLBACK_PLAN: (Phase.BEFORE, "Rollback plan documented"),
    Item.MONITORING: (Phase.BEFORE, "Monitoring dashboards ready"),
    Item.ALERTS: (Phase.BEFORE, "Alerts configured"),
    Item.NOTIFIED: (Phase.BEFORE, "Team notified"),
    Item.ERRORS: (Phase.DURING, "Monitor error rates"),
    Item.LATENCY: (Phase.DURING, "Monitor latency"),
    Item.QUALITY: (Phase.DURING, "Monitor quality metrics"),
    Item.ANOMALIES: (Phase.DURING, "Watch for anomalies"),
    Item.WAY_BACK: (Phase.DURING, "Be ready to rollback"),
    Item.HEALTH: (Phase.AFTER, "Verify all health checks pass"),
    Item.STABLE: (Phase.AFTER, "Confirm metrics are stable"),
    Item.ISSUES: (Phase.AFTER, "Document any issues"),
    Item.RUNBOOK: (Phase.AFTER, "Update runbooks if needed"),
}
"""The items in their order, in the words of the checklist."""


@dataclass(frozen=True)
class Result:
    """One item's outcome. `said`: how it was checked, or the reason and what to do."""

    item: Item
    outcome: Outcome
    said: str

    @property
    def phase(self) -> Phase:
        return TEXTS[self.item][0]

    @property
    def text(self) -> str:
        return TEXTS[self.item][1]


def waived(results: Iterable[Result], waivers: Mapping[str, str]) -> tuple[Result, ...]:
    """The results, with what is refused and named let pass for the reason given.

    Raises `ValueError` for an unknown item, and for a waiver without a reason."""
    for name, reason in waivers.items():
        if name not in list(Item):
            raise ValueError(f"{name!r} is no item of the checklist; write one of {', '.join(Item)}")
        if not reason.strip():
            raise ValueError(f"{name} is waived without a reason; write {name}=<why it may be so>")
    return tuple(
        replace(result, outcome=Outcome.WAIVED, said=f"{waivers[result.item]} ({result.said})")
        if result.outcome is Outcome.REFUSED and result.item in waivers
        else result
        for result in results
    )


def refused(results: Iterable[Result]) -> tuple[Result, ...]:
    """Those that are refused."""
    return tuple(result for result in results if result.outcome is Outcome.REFUSED)


def checked(item: Item, said: str) -> Result:
    """It holds, and this is how it was checked."""
    return Result(item, Outcome.CHECKED, said)


def refusal(item: Item, said: str) -> Result:
    """It does not hold; `said` has the reason and what to do."""
    return Result(item, Outcome.REFUSED, said)
