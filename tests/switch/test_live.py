"""The calls that change a group or a listener, against clients that remember them."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from turnout_components.live import Group
from turnout_components.live_alb import AlbRouter
from turnout_components.live_groups import AutoScalingGroups


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
    AutoScalingGroups(autoscaling).set_minimum("g", 3)
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
    AutoScalingGroups(autoscaling).restore(Group("g", 1, 6, 2, frozenset()))
    assert autoscaling.updates == [{"AutoScalingGroupName": "g", **update}]


GROUPS = [{"TargetGroupArn": "a", "Weight": 100}]
OFF, SHORT = {"Enabled": False}, {"Enabled": True, "DurationSeconds": 1}


class Elbv2:
    """One listener with a forward action; `refuses`: the error code of a call that switches stickiness off."""

    class exceptions:
        ListenerNotFoundException = KeyError
        ClientError = ClientError

    def __init__(self, config: dict[str, Any], protocol: str = "HTTP", refuses: str = "") -> None:
        self._listener = {"Protocol": protocol, "DefaultActions": [{"Type": "forward", "ForwardConfig": config}]}
        self._refuses = refuses
        self.reads = 0
        self.written: list[dict[str, Any]] = []

    def describe_listeners(self, **_: Any) -> Any:
        self.reads += 1
        return {"Listeners": [self._listener]}

    def modify_listener(self, **call: Any) -> None:
        config = call["DefaultActions"][0]["ForwardConfig"]
        if self._refuses and not config.get("TargetGroupStickinessConfig", OFF)["Enabled"]:
            raise ClientError({"Error": {"Code": self._refuses}}, "ModifyListener")
        self.written.append(call)

    @property
    def stickiness(self) -> list[Any]:
        return [call["DefaultActions"][0]["ForwardConfig"].get("TargetGroupStickinessConfig") for call in self.written]


@pytest.mark.parametrize("before", [{"Enabled": True, "DurationSeconds": 60}, OFF, None])
def test_new_weights_end_stickiness_and_leave_the_rest_of_the_action_as_it_is(before):
    config = {"TargetGroups": GROUPS, "Later": "of AWS", **({"TargetGroupStickinessConfig": before} if before else {})}
    elbv2 = Elbv2(config)
    cloud = AlbRouter(elbv2)
    assert cloud.is_sticky("l") is bool(before and before["Enabled"])
    assert cloud.set_weights("l", {"a": 0, "b": 100})
    wanted = [{"TargetGroupArn": "a", "Weight": 0}, {"TargetGroupArn": "b", "Weight": 100}]
    forward = {"TargetGroups": wanted, "Later": "of AWS", "TargetGroupStickinessConfig": OFF}
    assert elbv2.written == [{"ListenerArn": "l", "DefaultActions": [{"Type": "forward", "ForwardConfig": forward}]}]


def test_a_network_load_balancers_action_is_told_nothing_of_stickiness():
    elbv2 = Elbv2({"TargetGroups": GROUPS}, protocol="TLS")
    assert AlbRouter(elbv2).set_weights("l", {"a": 0})
    assert elbv2.stickiness == [None]


@pytest.mark.parametrize("code", ["InvalidLoadBalancerAction", "InvalidConfigurationRequest"])
def test_where_aws_demands_stickiness_the_weights_go_through_and_the_caller_hears_of_it(code):
    elbv2 = Elbv2({"TargetGroups": GROUPS}, refuses=code)
    assert not AlbRouter(elbv2).set_weights("l", {"a": 0})
    assert elbv2.stickiness == [SHORT]


def test_any_other_refusal_of_new_weights_is_the_callers():
    elbv2 = Elbv2({"TargetGroups": GROUPS}, refuses="Throttling")
    with pytest.raises(ClientError, match="Throttling"):
        AlbRouter(elbv2).set_weights("l", {"a": 0})
    assert not elbv2.written


def test_weights_at_once_take_one_call_once_the_action_is_known():
    elbv2 = Elbv2({"TargetGroups": GROUPS, "TargetGroupStickinessConfig": {"Enabled": True}})
    cloud = AlbRouter(elbv2)
    cloud.set_weights("l", {"a": 50}, at_once=True)
    cloud.set_weights("l", {"a": 0}, at_once=True)
    assert elbv2.reads == 1
    assert elbv2.stickiness == [OFF] * 2
