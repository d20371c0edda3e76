"""Scaling activities: what DescribeScalingActivities tells of launches and terminations.

Sources: `Activity` and `DescribeScalingActivities` in the Amazon EC2 Auto Scaling API Reference; "Verify a scaling activity for
an Auto Scaling group", Amazon EC2 Auto Scaling User Guide (wording of descriptions and causes).
"""

import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

KEPT = 1000
"""Newest activities of a group that are kept; AWS keeps those of six weeks."""
IN_PROGRESS, WAITING, DRAINING = "InProgress", "MidLifecycleAction", "WaitingForELBConnectionDraining"
SUCCESSFUL, CANCELLED = "Successful", "Cancelled"


def stamp(when: datetime) -> str:
    """A time as causes write it."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Activity:
    """One launch or termination, with the API's members."""

    auto_scaling_group_name: str
    auto_scaling_group_arn: str
    description: str
    cause: str
    start_time: datetime
    activity_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    end_time: datetime | None = None
    status_code: str = IN_PROGRESS
    status_message: str | None = None
    progress: int = 0
    details: str = "{}"

    def now_is(self, status: str, progress: int = 50) -> None:
        """On its way, in this status."""
        if self.end_time is None:
            self.status_code, self.progress = status, progress

    def end(self, when: datetime, status: str = SUCCESSFUL, message: str | None = None) -> None:
        """Over; what is over stays as it was."""
        if self.end_time is None:
            self.end_time, self.status_code, self.progress, self.status_message = when, status, 100, message


@dataclass
class Book:
    """The activities of one region's groups by name; they outlive their group."""

    _of: dict[str, deque[Activity]] = field(default_factory=dict)

    def begin(self, group: str, arn: str, description: str, cause: str, when: datetime) -> Activity:
        """A new activity."""
        activity = Activity(group, arn, description, cause, when)
        self._of.setdefault(group, deque(maxlen=KEPT)).appendleft(activity)
        return activity

    def listed(self, group: str | None, ids: list[str]) -> list[Activity]:
        """Newest first: a group's or all, or those named."""
        names = [group] if group else list(self._of)
        found = [item for name in names for item in self._of.get(name, ()) if not ids or item.activity_id in ids]
        return sorted(found, key=lambda item: item.start_time, reverse=True)
