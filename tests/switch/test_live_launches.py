"""What a group's scaling activities say of its launches, against a stubbed API in AWS's form."""

from typing import Any

import pytest
from turnout_components.live import LiveCloud


class Activities:
    """DescribeScalingActivities, the newest first."""

    def __init__(self, *found: tuple[str, str, str | None]) -> None:
        self.found = [
            {"Description": text, "StatusCode": code, **({"StatusMessage": message} if message else {})}
            for text, code, message in found
        ]

    def describe_scaling_activities(self, **_: Any) -> dict[str, Any]:
        return {"Activities": self.found}


LAUNCHING = "Launching a new EC2 instance: i-1"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ([], None),
        ([(LAUNCHING, "Successful", None)], None),
        ([(LAUNCHING, "InProgress", None), (LAUNCHING, "Failed", "no capacity")], None),
        ([(LAUNCHING, "Failed", "no capacity"), (LAUNCHING, "Successful", None)], "no capacity"),
        ([("Terminating EC2 instance: i-1", "Successful", None), (LAUNCHING, "Cancelled", None)], "Cancelled"),
        ([(LAUNCHING, "Successful", None), (LAUNCHING, "Failed", "no capacity")], None),
    ],
)
def test_the_newest_launch_counts(found: list[tuple[str, str, str | None]], why: str | None) -> None:
    assert LiveCloud(None, Activities(*found)).failed_launch("g") == why
