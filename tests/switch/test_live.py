"""The calls that change a group or a listener, against clients that remember them."""

from types import SimpleNamespace
from typing import Any

import pytest
from turnout_components.live import Group, LiveCloud


class Autoscaling:
    def __init__(self, minimum: int, maximum: int, desired: int) -> None:
        self.group = {"MinSize": minimum, "MaxSize": maximum, "DesiredCapacity": desired, "Instances": []}
        self.updates: list[dict[str, Any]] = []

    def describe_auto_scaling_groups(self, **_: Any) -> Any:
        return {"AutoScalingGroups": [self.group]}

    def update_auto_scaling_group(self, **update: Any) -> None:
        self.updates.append(update)


@pytest.mark.parametrize(
    ("sizes", "update"),
    [
        ((1, 6, 5), {"MinSize": 3}),
        ((1, 6, 1), {"MinSize": 3, "DesiredCapacity": 3}),
        ((0, 0, 0), {"MinSize": 3, "DesiredCapacity": 3, "MaxSize": 3}),
    ],
)
def test_a_raised_minimum_takes_desired_and_maximum_along_only_where_they_are_below(sizes, update):
    autoscaling = Autoscaling(*sizes)
    LiveCloud(None, autoscaling).set_minimum("g", 3)
    assert autoscaling.updates == [{"AutoScalingGroupName": "g", **update}]


@pytest.mark.parametrize(
    ("now", "update"),
    [
        ((3, 6, 3), {"MinSize": 1, "DesiredCapacity": 2}),
        ((3, 6, 4), {"MinSize": 1}),
        ((3, 6, 2), {"MinSize": 1}),
    ],
)
def test_what_was_raised_is_given_back_unless_somebody_wants_more_meanwhile(now, update):
    autoscaling = Autoscaling(*now)
    LiveCloud(None, autoscaling).restore(Group("g", 1, 6, 2, frozenset()))
    assert autoscaling.updates == [{"AutoScalingGroupName": "g", **update}]


def test_new_weights_leave_the_rest_of_the_action_as_it_is():
    sticky = {"Enabled": True, "DurationSeconds": 60}
    forward = {"TargetGroups": [{"TargetGroupArn": "a", "Weight": 100}], "TargetGroupStickinessConfig": sticky}
    calls: list[Any] = []
    elbv2 = SimpleNamespace(
        exceptions=SimpleNamespace(ListenerNotFoundException=KeyError),
        describe_listeners=lambda **_: {"Listeners": [{"DefaultActions": [{"Type": "forward", "ForwardConfig": forward}]}]},
        modify_listener=lambda **call: calls.append(call),
    )
    LiveCloud(elbv2, None).set_weights("l", {"a": 0, "b": 100})
    wanted = [{"TargetGroupArn": "a", "Weight": 0}, {"TargetGroupArn": "b", "Weight": 100}]
    action = {"Type": "forward", "ForwardConfig": {"TargetGroups": wanted, "TargetGroupStickinessConfig": sticky}}
    assert calls == [{"ListenerArn": "l", "DefaultActions": [action]}]


def test_weights_at_once_take_one_call_once_the_action_is_known():
    read: list[Any] = []
    forward = {"TargetGroups": [{"TargetGroupArn": "a", "Weight": 100}], "TargetGroupStickinessConfig": {"Enabled": True}}
    written: list[Any] = []

    def described(**_: Any) -> Any:
        read.append(1)
        return {"Listeners": [{"DefaultActions": [{"Type": "forward", "ForwardConfig": forward}]}]}

    elbv2 = SimpleNamespace(describe_listeners=described, modify_listener=lambda **call: written.append(call))
    cloud = LiveCloud(elbv2, None)
    cloud.set_weights("l", {"a": 50}, at_once=True)
    cloud.set_weights("l", {"a": 0}, at_once=True)
    assert len(read) == 1
    kept = [call["DefaultActions"][0]["ForwardConfig"]["TargetGroupStickinessConfig"] for call in written]
    assert kept == [{"Enabled": True}] * 2
