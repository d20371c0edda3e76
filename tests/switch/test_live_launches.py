"""What a group's scaling activities say of its launches, against a stubbed API in AWS's form."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakes import FakeCloud
from turnout_components.live import way_back
from turnout_components.live_groups import AutoScalingGroups
from turnout_components.standby import Launch


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
    assert AutoScalingGroups(Activities(*found)).failed_launch("g") == why


def test_what_is_under_way_comes_from_the_warm_pool_or_from_nothing_and_does_not_lie_in_it_any_more() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    warm = LAUNCHING.replace("instance:", "instance from warm pool:")
    into = LAUNCHING.replace("instance:", "instance into warm pool:")
    found = Activities((warm, "InProgress", None), (into, "InProgress", None), (LAUNCHING, "InProgress", None))
    assert AutoScalingGroups(found).coming("g") == [True, False]
    found.found[0] |= {"StatusCode": "Successful", "StartTime": now, "EndTime": now + timedelta(seconds=9)}
    assert AutoScalingGroups(found).coming("g") == [False]
    assert AutoScalingGroups(found).launches("g") == [Launch(9, True)]


@pytest.mark.parametrize(
    ("warm", "under_way", "said"),
    [
        (0, [True], "in about 10 s (1 from the warm pool, 1 from nothing; median of 1)"),
        (1, [True], "in about 3 s (2 from the warm pool; median of 1)"),
        (2, [False], "in about 10 s (1 from the warm pool, 1 from nothing; median of 1)"),
        (1, [False, False, False], "in about 10 s (2 from nothing; median of 1)"),
    ],
)
def test_the_time_back_counts_what_is_under_way(warm: int, under_way: list[bool], said: str) -> None:
    cloud: Any = FakeCloud(warm_instances={"g": warm}, under_way={"g": under_way})
    cloud.past_launches = {"g": [Launch(3, True), Launch(10, False)]}
    assert way_back(cloud, "g", 2) == said
