"""Scheduled actions and one-time schedules happen with nobody present."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud_account import Account

from benchmarks.waiting import wait_for


def soon(seconds: float = 2.0) -> datetime:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0)


def sizes(account: Account, group: str) -> tuple[int, int, int]:
    (found,) = account.api("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    return found["MinSize"], found["MaxSize"], found["DesiredCapacity"]


def actions(account: Account, **which: Any) -> dict[str, dict[str, Any]]:
    found = account.api("autoscaling").describe_scheduled_actions(**which)["ScheduledUpdateGroupActions"]
    return {f"{action['AutoScalingGroupName']} {action['ScheduledActionName']}": action for action in found}


def test_a_standby_steps_down_and_its_warm_pool_goes_by_themselves(account: Account) -> None:
    account.launch("blue", 2)
    account.launch("green", 1)
    scaling = account.api("autoscaling")
    scaling.put_warm_pool(AutoScalingGroupName="blue", MinSize=1, MaxGroupPreparedCapacity=1)
    when = soon(3)
    for group in ("blue", "green"):
        scaling.put_scheduled_update_group_action(
            AutoScalingGroupName=group, ScheduledActionName="step-down", StartTime=when, MinSize=0, MaxSize=1, DesiredCapacity=0
        )
    scaling.put_scheduled_update_group_action(
        AutoScalingGroupName="blue", ScheduledActionName="mornings", Recurrence="0 8 * * *", TimeZone="Europe/Berlin", MinSize=1
    )
    account.api("scheduler").create_schedule(
        Name="blue-warm-pool",
        ScheduleExpression=f"at({when:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={
            "Arn": "arn:aws:scheduler:::aws-sdk:autoscaling:deleteWarmPool",
            "RoleArn": "arn:aws:iam::123456789012:role/scheduler",
            "Input": json.dumps({"AutoScalingGroupName": "blue", "ForceDelete": True}),
        },
    )
    held = actions(account, AutoScalingGroupName="blue")
    assert held["blue step-down"]["StartTime"] == when
    assert held["blue mornings"]["StartTime"] > datetime.now(UTC), "the next time"
    scaling.delete_scheduled_action(AutoScalingGroupName="green", ScheduledActionName="step-down")
    wait_for("step-down", lambda: sizes(account, "blue") == (0, 1, 0))
    assert datetime.now(UTC) >= when
    wait_for("no instance", lambda: account.lifecycle("blue") == {})
    wait_for("no pool", lambda: "WarmPoolConfiguration" not in scaling.describe_warm_pool(AutoScalingGroupName="blue"))
    wait_for("no schedule", lambda: account.api("scheduler").list_schedules()["Schedules"] == [])
    assert actions(account).keys() == {"blue mornings"}, "what happened once is gone"
    assert sizes(account, "green") == (1, 5, 1), "its action was taken back"
    (cause, *_) = [
        a["Cause"]
        for a in scaling.describe_scaling_activities(AutoScalingGroupName="blue")["Activities"]
        if a["Description"].startswith("Terminating EC2 instance: ")
    ]
    assert "a scheduled action update of AutoScalingGroup constraints to min: 0, max: 1, desired: 0" in cause


def test_an_action_of_the_past_and_what_never_comes_are_refused(account: Account) -> None:
    account.launch("blue", 0)
    scaling = account.api("autoscaling")
    for given, message in (
        ({"StartTime": soon(-60), "MinSize": 0}, "start time is in the past"),
        ({"StartTime": soon(60), "EndTime": soon(30), "MinSize": 0}, "end time"),
        ({"StartTime": soon(60)}, "At least one of MinSize"),
        ({"Recurrence": "0 8 * *", "MinSize": 0}, "has 4 fields"),
        ({"Recurrence": "0 0 30 2 *", "MinSize": 0}, "none of its months"),
        ({"Recurrence": "0 8 * * *", "TimeZone": "Nowhere/Town", "MinSize": 0}, "no time zone"),
        ({"MinSize": 0}, "start time or a recurrence"),
        ({"AutoScalingGroupName": "none", "StartTime": soon(60), "MinSize": 0}, "name not found"),
    ):
        with pytest.raises(ClientError, match=message):
            scaling.put_scheduled_update_group_action(
                **{"AutoScalingGroupName": "blue", "ScheduledActionName": "wrong", **given}
            )
    assert actions(account) == {}
    scaling.put_scheduled_update_group_action(
        AutoScalingGroupName="blue", ScheduledActionName="later", StartTime=soon(600), MaxSize=3
    )
    scaling.put_scheduled_update_group_action(AutoScalingGroupName="blue", ScheduledActionName="later", StartTime=soon(900))
    assert actions(account)["blue later"]["MaxSize"] == 3, "what an update leaves out stays"
