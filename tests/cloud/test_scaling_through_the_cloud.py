"""Alarms and policies through AWS's API in a real daemon whose minutes last a second."""

import itertools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cloud_account import Account
from scaling_account import MINUTE, bare_group, desired, fast_account, publish_all, publish_for, seeds_rule, state, watch

from benchmarks.waiting import wait_for


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with fast_account(Path(tmp_path_factory.mktemp("scaling"))) as account:
        yield account


def step_policy(account: Account, group: str, name: str, steps: list[dict[str, Any]], warmup: int | None = 0) -> str:
    answer = account.api("autoscaling").put_scaling_policy(
        AutoScalingGroupName=group,
        PolicyName=name,
        PolicyType="StepScaling",
        AdjustmentType="ChangeInCapacity",
        StepAdjustments=steps,
        **({} if warmup is None else {"EstimatedInstanceWarmup": warmup}),
    )
    assert answer["Alarms"] == []
    return str(answer["PolicyARN"])


def alarm(account: Account, name: str, group: str, action: str, **changes: Any) -> None:
    settings = {
        "Namespace": "Turnout",
        "MetricName": "PendingRequests",
        "Statistic": "Sum",
        "Dimensions": [{"Name": "AutoScalingGroupName", "Value": group}],
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 50,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": [action],
        **changes,
    }
    account.api("cloudwatch").put_metric_alarm(AlarmName=name, **settings)


def an_alarm_begins_without_data_changes_state_and_keeps_a_history(account: Account) -> None:
    watcher = account.api("cloudwatch")
    alarm(account, "plain", "nobody", "arn:aws:sns:us-east-1:123456789012:topic", TreatMissingData="missing")
    assert state(account, "plain") == "INSUFFICIENT_DATA"
    publish_for(account, 1, "nobody", PendingRequests=51)
    wait_for("alarm", lambda: state(account, "plain") == "ALARM")
    alarm(account, "plain", "nobody", "arn:aws:sns:us-east-1:123456789012:topic", Threshold=60)
    assert state(account, "plain") == "ALARM", "an update leaves the state"
    wait_for("other state", lambda: state(account, "plain") in ("OK", "INSUFFICIENT_DATA"))
    history = watcher.describe_alarm_history(AlarmName="plain", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    assert history[-1]["HistorySummary"] == "Alarm updated from INSUFFICIENT_DATA to ALARM"
    assert "[51.0]" in history[-1]["HistoryData"]


def a_step_policy_acts_once_while_its_instances_warm_up(account: Account) -> None:
    bare_group(account, "steps", 1, 1, 6)
    action = step_policy(account, "steps", "out", [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 2}], warmup=240)
    alarm(account, "steps-busy", "steps", action)
    publish_for(account, 7, "steps", PendingRequests=0)
    publish_for(account, 4, "steps", PendingRequests=80)
    assert desired(account, "steps") == 3, "one answer to four minutes: the two warm up"
    publish_for(account, 4, "steps", PendingRequests=80)
    assert watch(account, "steps", 2 * MINUTE)[-1] == 5, "the next when they are warm"
    (policy,) = account.api("autoscaling").describe_policies(AutoScalingGroupName="steps")["ScalingPolicies"]
    assert [item["AlarmName"] for item in policy["Alarms"]] == ["steps-busy"]


def a_groups_default_warmup_holds_where_the_policy_has_none(account: Account) -> None:
    scaling = account.api("autoscaling")

    def warmup() -> int | None:
        (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["warm"])["AutoScalingGroups"]
        return group.get("DefaultInstanceWarmup")

    bare_group(account, "warm", 1, 1, 3)
    assert warmup() is None
    scaling.update_auto_scaling_group(AutoScalingGroupName="warm", DefaultInstanceWarmup=0)
    assert warmup() == 0
    action = step_policy(account, "warm", "out", [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}], warmup=None)
    alarm(account, "warm-busy", "warm", action)
    publish_for(account, 4, "warm", PendingRequests=80)
    wait_for("three: the default cooldown of 300 s would still hold", lambda: desired(account, "warm") == 3, 5)
    scaling.update_auto_scaling_group(AutoScalingGroupName="warm", DefaultInstanceWarmup=-1)
    assert warmup() is None


def test_policies_of_one_name_belong_to_their_groups(account: Account) -> None:
    scaling = account.api("autoscaling")
    arns = set()
    for name in ("first", "second"):
        bare_group(account, name, 1, 1, 3)
        arns.add(step_policy(account, name, "out", [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]))
    assert len(arns) == 2
    scaling.delete_policy(AutoScalingGroupName="first", PolicyName="out")
    assert scaling.describe_policies(AutoScalingGroupName="first")["ScalingPolicies"] == []
    (left,) = scaling.describe_policies(AutoScalingGroupName="second")["ScalingPolicies"]
    assert left["PolicyARN"] in arns
    again = step_policy(account, "second", "out", [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 2}])
    assert again == left["PolicyARN"], "an update keeps the ARN"
    scaling.delete_auto_scaling_group(AutoScalingGroupName="second", ForceDelete=True)
    assert scaling.describe_policies(PolicyNames=["out"], AutoScalingGroupName="second")["ScalingPolicies"] == []


def tracking(group: str, target: float, name: str = "GPUUtilization", **changes: Any) -> dict[str, Any]:
    by = [{"Name": "AutoScalingGroupName", "Value": group}]
    metric = {"Namespace": "Turnout", "MetricName": name, "Statistic": "Average", "Dimensions": by}
    return {
        "AutoScalingGroupName": group,
        "PolicyName": name,
        "PolicyType": "TargetTrackingScaling",
        "EstimatedInstanceWarmup": 0,
        "TargetTrackingConfiguration": {"CustomizedMetricSpecification": metric, "TargetValue": target, **changes},
    }


def track(account: Account, group: str, target: float, name: str = "GPUUtilization", **changes: Any) -> list[str]:
    answer = account.api("autoscaling").put_scaling_policy(**tracking(group, target, name, **changes))
    return [item["AlarmName"] for item in answer["Alarms"]]


def test_target_tracking_makes_its_two_alarms_and_takes_them_away(account: Account) -> None:
    bare_group(account, "alarms", 1, 1, 3)
    high, low = track(account, "alarms", 50)
    watcher = account.api("cloudwatch")
    found = {item["AlarmName"]: item for item in watcher.describe_alarms(AlarmNames=[high, low])["MetricAlarms"]}
    assert high.startswith("TargetTracking-alarms-AlarmHigh-")
    assert low.startswith("TargetTracking-alarms-AlarmLow-")
    assert [found[high][key] for key in ("ComparisonOperator", "Threshold", "EvaluationPeriods", "Period")] == [
        "GreaterThanThreshold",
        50,
        3,
        60,
    ]
    assert [found[low][key] for key in ("ComparisonOperator", "Threshold", "EvaluationPeriods", "Period")] == [
        "LessThanThreshold",
        45,
        15,
        60,
    ]
    assert track(account, "alarms", 50, DisableScaleIn=True) == [high]
    assert watcher.describe_alarms(AlarmNames=[low])["MetricAlarms"] == []
    account.api("autoscaling").delete_policy(AutoScalingGroupName="alarms", PolicyName="GPUUtilization")
    assert watcher.describe_alarms(AlarmNamePrefix="TargetTracking-alarms-")["MetricAlarms"] == []


def target_tracking_grows_in_proportion_and_comes_back_one_by_one(account: Account) -> None:
    for name, size in (("tracked", 1), ("silent", 3), ("split", 3), ("disabled", 1)):
        bare_group(account, name, 1, size, 8)
        track(account, name, 50)
    _, silent_low = track(account, "silent", 50)
    track(account, "split", 5, "PendingRequests")
    account.api("autoscaling").put_scaling_policy(**tracking("disabled", 50), Enabled=False)
    split = {"GPUUtilization": 20.0, "PendingRequests": 5.0}
    silent = {"GPUUtilization": 20.0}
    busy = {"tracked": {"GPUUtilization": 100.0}, "disabled": {"GPUUtilization": 100.0}}
    publish_all(account, 5, {**busy, "silent": silent, "split": split})
    publish_all(account, 5, {"tracked": {"GPUUtilization": 10.0}, "silent": silent, "split": split})
    grown = desired(account, "tracked")
    assert grown in (2, 4, 8), "doubled once for each minute above the target"
    minutes, sizes, kept = 5, [grown], 0
    while minutes < 60 and (minutes < 27 or desired(account, "tracked") > 1):
        if minutes == 11:
            kept, split = desired(account, "split"), {**split, "PendingRequests": 0.0}
        publish_all(account, 1, {"tracked": {"GPUUtilization": 10.0}, "split": split})
        minutes, sizes = minutes + 1, [*sizes, desired(account, "tracked")]
    assert kept == 3, "sixteen minutes, but the queue is at its target: in only when all are low"
    wait_for("less when all are low", lambda: desired(account, "split") < 3, 5)
    assert all(before - after <= 2 for before, after in itertools.pairwise(sizes)), sizes
    assert sizes[-1] == 1
    back = 5 + sizes.index(1)
    assert back >= 15
    print(f"target 50 %: 1 -> {grown} in 5 minutes at 100 %, back at 1 after {back} minutes at 10 %: {sizes}")
    assert desired(account, "silent") == 3, "ten idle minutes and silence are no fifteen idle minutes"
    assert state(account, silent_low) in ("INSUFFICIENT_DATA", "ALARM"), "an alarm may be, the policy does not follow it"
    assert desired(account, "disabled") == 1


def a_group_with_suspended_alarms_stays(account: Account) -> None:
    bare_group(account, "deaf", 1, 1, 5)
    account.api("autoscaling").suspend_processes(AutoScalingGroupName="deaf", ScalingProcesses=["AlarmNotification"])
    action = step_policy(account, "deaf", "out", [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 2}])
    alarm(account, "deaf-busy", "deaf", action)
    publish_for(account, 3, "deaf", PendingRequests=80)
    assert state(account, "deaf-busy") == "ALARM"
    assert desired(account, "deaf") == 1


NOT_IDLE = {
    "nothing": {},
    "no-gpu": {"PendingRequests": 0.0},
    "no-queue": {"GPUUtilization": 1.0},
    "gpu-at-its-limit": {"PendingRequests": 0.0, "GPUUtilization": 30.0},
    "one-waits": {"PendingRequests": 1.0, "GPUUtilization": 1.0},
}


def the_seeds_rule_takes_away_only_what_is_idle_by_both_metrics_and_not_held(account: Account) -> None:
    idle = {"PendingRequests": 0.0, "GPUUtilization": 1.0}
    for name in ("idle", *NOT_IDLE):
        bare_group(account, name, 1, 3, 5)
        seeds_rule(account, name, warmup=0)
    bare_group(account, "standby", 3, 3, 5)
    seeds_rule(account, "standby", warmup=0)
    publish_all(account, 4, dict.fromkeys(("idle", "standby", *NOT_IDLE), idle))
    publish_all(account, 8, {"idle": idle, "standby": idle, **NOT_IDLE})
    assert watch(account, "standby", 2 * MINUTE) == [3], "its minimum is its floor"
    assert desired(account, "idle") == 1
    assert {name: desired(account, name) for name in NOT_IDLE} == dict.fromkeys(NOT_IDLE, 3), "four idle minutes are not five"


STORIES = (
    target_tracking_grows_in_proportion_and_comes_back_one_by_one,
    a_step_policy_acts_once_while_its_instances_warm_up,
    the_seeds_rule_takes_away_only_what_is_idle_by_both_metrics_and_not_held,
    an_alarm_begins_without_data_changes_state_and_keeps_a_history,
    a_groups_default_warmup_holds_where_the_policy_has_none,
    a_group_with_suspended_alarms_stays,
)
"""What waits for minutes to pass, each with groups and alarms of its own; the longest first."""


@pytest.fixture(scope="module")
def told(account: Account) -> Iterator[dict[str, Future[None]]]:
    """All the stories, at once."""
    for service in ("ec2", "autoscaling", "cloudwatch"):
        account.api(service)
    with ThreadPoolExecutor(len(STORIES)) as pool:
        yield {story.__name__: pool.submit(story, account) for story in STORIES}


@pytest.mark.parametrize("story", [story.__name__ for story in STORIES])
def test_minute_by_minute(told: dict[str, Future[None]], story: str) -> None:
    told[story].result()
