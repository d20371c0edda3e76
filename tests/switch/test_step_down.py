"""Step-downs in force, against moto's Auto Scaling and EventBridge Scheduler."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from fakes import LISTENER
from moto import mock_aws
from test_resolve import BLUE, GREEN, ONE, TWO
from turnout_components.live import utc_now
from turnout_components.resolve import SwitchRefused
from turnout_components.standby import RETAIN_END, STEP_DOWN, Keep, StandbyPolicy
from turnout_components.step_down import DELETE_WARM_POOL, GroupStepDowns, step_down_policy
from turnout_components.switch_record import EnvironmentState, Retained, SwitchRecord

ROLE = "arn:aws:iam::123456789012:role/step-down"
FLIPPED = utc_now().replace(microsecond=0) + timedelta(days=1)
"""Ahead of whenever these tests run: AWS, and the local cloud where it is loaded beside, refuse a time that is over."""
BAKE = timedelta(minutes=10)


class Account:
    """Two groups, `g-blue` with a warm pool."""

    def __init__(self) -> None:
        self.autoscaling, self.scheduler = (self.client(name) for name in ("autoscaling", "scheduler"))
        ec2 = self.client("ec2")
        ec2.create_launch_template(
            LaunchTemplateName="node", LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "g5.xlarge"}
        )
        for name in ("g-blue", "g-green"):
            self.autoscaling.create_auto_scaling_group(
                AutoScalingGroupName=name,
                MinSize=3,
                MaxSize=6,
                LaunchTemplate={"LaunchTemplateName": "node"},
                AvailabilityZones=["us-east-1a"],
            )
        self.autoscaling.put_warm_pool(AutoScalingGroupName="g-blue", MinSize=1)
        self.now = FLIPPED

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name="us-east-1")

    def step_downs(self, role: str | None = ROLE) -> GroupStepDowns:
        return GroupStepDowns(self.client, role, lambda: self.now)

    def actions(self, group: str) -> dict[str, tuple[datetime, tuple[int | None, ...]]]:
        found = self.autoscaling.describe_scheduled_actions(AutoScalingGroupName=group)["ScheduledUpdateGroupActions"]
        keys = ("MinSize", "MaxSize", "DesiredCapacity")
        return {a["ScheduledActionName"]: (a["StartTime"].astimezone(UTC), tuple(a.get(k) for k in keys)) for a in found}

    def schedules(self) -> list[dict[str, Any]]:
        names = [item["Name"] for item in self.scheduler.list_schedules()["Schedules"]]
        found = [self.scheduler.get_schedule(Name=name) for name in names]
        return [{key: value for key, value in schedule.items() if key != "ResponseMetadata"} for schedule in found]

    def sizes(self, group: str) -> tuple[int, int, int]:
        found = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"][0]
        return found["MinSize"], found["MaxSize"], found["DesiredCapacity"]

    def has_warm_pool(self) -> bool:
        return bool(self.autoscaling.describe_warm_pool(AutoScalingGroupName="g-blue").get("WarmPoolConfiguration"))


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield Account()


@pytest.fixture
def record() -> SwitchRecord:
    """Green is active since a flip; blue, with three instances then, is kept."""
    states = {
        "blue": EnvironmentState(target_group="b", group="g-blue", release=ONE),
        "green": EnvironmentState(target_group="g", group="g-green", release=TWO),
    }
    kept = Retained(environment="blue", release=ONE, minimum=3, maximum=6)
    return SwitchRecord(key="s/dev", listener=LISTENER, traffic=GREEN, flipped_at=FLIPPED, retained=kept, environments=states)


def test_a_warm_standby_has_both_steps_and_the_end_of_its_warm_pool_planned(account, record):
    account.step_downs().tend(record, StandbyPolicy(Keep.WARM, warm_minimum=2, bake=BAKE))
    assert account.actions("g-blue") == {
        STEP_DOWN: (FLIPPED + BAKE, (2, None, 2)),
        RETAIN_END: (FLIPPED + timedelta(days=1), (0, 0, 0)),
    }
    (schedule,) = account.schedules()
    assert schedule["ScheduleExpression"] == f"at({FLIPPED + timedelta(days=1):%Y-%m-%dT%H:%M:%S})"
    assert (schedule["Target"]["Arn"], schedule["Target"]["RoleArn"]) == (DELETE_WARM_POOL, ROLE)
    assert json.loads(schedule["Target"]["Input"]) == {"AutoScalingGroupName": "g-blue", "ForceDelete": True}
    assert schedule["ActionAfterCompletion"] == "DELETE"
    assert account.actions("g-green") == {}


def test_a_warm_standby_is_never_larger_than_it_was(account, record):
    small = record.changed(retained=record.retained.model_copy(update={"minimum": 1}))
    account.step_downs().tend(small, StandbyPolicy(Keep.WARM, warm_minimum=2))
    assert account.actions("g-blue")[STEP_DOWN][1] == (1, None, 1)


def test_tending_twice_does_nothing_more(account, record):
    policy = StandbyPolicy(Keep.WARM)
    assert len(account.step_downs().tend(record, policy)) == 2
    before = (account.actions("g-blue"), account.schedules())
    assert account.step_downs().tend(record, policy) == []
    assert (account.actions("g-blue"), account.schedules()) == before


def test_another_policy_changes_the_plan(account, record):
    account.step_downs().tend(record, StandbyPolicy(Keep.WARM))
    account.step_downs().tend(record, StandbyPolicy(Keep.COLD, bake=BAKE))
    assert account.actions("g-blue") == {STEP_DOWN: (FLIPPED + BAKE, (0, 0, 0))}
    assert account.schedules()[0]["ScheduleExpression"] == f"at({FLIPPED + BAKE:%Y-%m-%dT%H:%M:%S})"


@pytest.mark.parametrize("change", ["flip back", "rollback", "weights"])
def test_who_carries_traffic_or_is_not_kept_steps_down_no_more(account, record, change):
    account.step_downs().tend(record, StandbyPolicy(Keep.COLD))
    changes = {
        "flip back": {"traffic": BLUE},
        "rollback": {"retained": None},
        "weights": {"traffic": GREEN.model_copy(update={"weights": {"blue": 10, "green": 90}})},
    }
    account.step_downs().tend(record.changed(**changes[change]), StandbyPolicy(Keep.COLD))
    assert account.actions("g-blue") == {}
    assert account.schedules() == []
    assert account.has_warm_pool()


def test_while_a_rollout_is_under_way_nothing_steps_down(account, record):
    account.step_downs().tend(record, StandbyPolicy(keep=Keep.WARM, bake=BAKE))
    assert account.actions("g-blue")
    account.step_downs().tend(record.changed(rollout="m-2"), StandbyPolicy(keep=Keep.WARM, bake=BAKE))
    assert account.actions("g-blue") == {}
    assert account.schedules() == []


def test_what_was_missed_is_done_at_once(account, record):
    account.now = FLIPPED + timedelta(days=2)
    said = account.step_downs().tend(record, StandbyPolicy(Keep.FULL))
    assert account.sizes("g-blue") == (0, 0, 0)
    assert not account.has_warm_pool()
    assert any("g-blue became cold" in line for line in said)
    assert account.step_downs().tend(record, StandbyPolicy(Keep.FULL)) == []


def test_a_missed_warm_step_keeps_the_warm_pool_and_plans_its_end(account, record):
    account.now = FLIPPED + timedelta(hours=1)
    account.step_downs().tend(record, StandbyPolicy(Keep.WARM))
    assert account.sizes("g-blue") == (1, 6, 1)
    assert account.has_warm_pool()
    assert list(account.actions("g-blue")) == [RETAIN_END]


def test_a_full_standby_keeps_its_size_until_the_end_of_its_retention(account, record):
    account.now = FLIPPED + timedelta(hours=23)
    account.step_downs().tend(record, StandbyPolicy(Keep.FULL))
    assert account.sizes("g-blue") == (3, 6, 3)


@pytest.mark.parametrize(("keep", "after"), [(Keep.FULL, timedelta(hours=23)), (Keep.COLD, timedelta(minutes=1))])
def test_until_its_first_step_a_standby_cannot_be_scaled_below_its_size_at_the_flip(account, record, keep, after):
    account.autoscaling.update_auto_scaling_group(AutoScalingGroupName="g-blue", MinSize=1, MaxSize=2, DesiredCapacity=2)
    account.now = FLIPPED + after
    account.step_downs().tend(record, StandbyPolicy(keep))
    assert account.sizes("g-blue") == (3, 3, 3)


def test_without_what_is_due_only_the_future_is_arranged(account, record):
    account.now = FLIPPED + timedelta(hours=1)
    account.step_downs().tend(record, StandbyPolicy(Keep.WARM), due=False)
    assert account.sizes("g-blue") == (3, 6, 3)
    assert list(account.actions("g-blue")) == [RETAIN_END]


def test_another_ones_scheduled_actions_are_left_alone(account, record):
    nightly = {"AutoScalingGroupName": "g-blue", "ScheduledActionName": "nightly", "MinSize": 2}
    account.autoscaling.put_scheduled_update_group_action(**nightly, StartTime=FLIPPED + timedelta(days=3))
    account.step_downs().tend(record, StandbyPolicy(Keep.COLD))
    account.step_downs().clear("g-blue")
    assert list(account.actions("g-blue")) == ["nightly"]


def test_the_role_is_the_records_where_none_is_given(account, record):
    account.step_downs(None).tend(record.changed(step_down_role=ROLE), StandbyPolicy(Keep.COLD))
    assert account.schedules()[0]["Target"]["RoleArn"] == ROLE


def test_without_any_role_a_warm_pool_cannot_be_ended_and_that_is_said(account, record):
    with pytest.raises(SwitchRefused, match="no role is known that may delete the warm pool of g-blue"):
        account.step_downs(None).tend(record, StandbyPolicy(Keep.COLD))


def test_a_group_without_warm_pool_needs_no_schedule(account, record):
    account.autoscaling.delete_warm_pool(AutoScalingGroupName="g-blue", ForceDelete=True)
    account.step_downs(None).tend(record, StandbyPolicy(Keep.COLD))
    assert account.schedules() == []


def test_a_step_down_that_cannot_be_taken_back_stops_the_move(account, record, monkeypatch):
    downs = account.step_downs()
    downs.tend(record, StandbyPolicy(Keep.COLD))
    monkeypatch.setattr(downs, "_drop", lambda group, name: "")
    with pytest.raises(SwitchRefused, match="step-downs of g-blue cannot be taken back: turnout-step-down"):
        downs.clear("g-blue")


def test_a_group_that_is_gone_has_nothing_to_take_back(account):
    account.step_downs().clear("g-nobody")


@pytest.mark.parametrize(("region", "partition"), [("eu-west-1", "aws"), ("cn-north-1", "aws-cn")])
def test_the_role_may_delete_the_warm_pools_of_its_own_stack_only(region, partition):
    (statement,) = step_down_policy("assistant", "prod", region)["Statement"]
    assert statement["Action"] == ["autoscaling:DeleteWarmPool"]
    own = f"arn:{partition}:autoscaling:{region}:*:autoScalingGroup:*:autoScalingGroupName/assistant-prod-*"
    assert statement["Resource"] == [own]


def test_a_step_is_planned_for_a_whole_second_that_is_not_before_it(account, record):
    later = record.changed(flipped_at=FLIPPED + timedelta(milliseconds=400))
    account.now = FLIPPED + BAKE + timedelta(milliseconds=200)
    account.step_downs().tend(later, StandbyPolicy(Keep.WARM, bake=BAKE))
    assert account.actions("g-blue")[STEP_DOWN][0] == FLIPPED + BAKE + timedelta(seconds=1)
    assert account.sizes("g-blue")[0] == 3


class Late:
    """An API that refuses scheduled actions, so late that the time is then `at`."""

    def __init__(self, account: Account, at: datetime) -> None:
        self._account, self._at = account, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._account.autoscaling, name)

    def put_scheduled_update_group_action(self, **_: Any) -> None:
        self._account.now = self._at
        raise OSError("Given start time is in the past")


def test_a_time_that_comes_while_it_is_planned_is_past_and_done_at_once(account, record):
    late = Late(account, FLIPPED + BAKE)
    downs = GroupStepDowns(lambda name: late if name == "autoscaling" else account.client(name), ROLE, lambda: account.now)
    lines = downs.tend(record, StandbyPolicy(Keep.COLD, bake=BAKE))
    assert lines[0] == f"g-blue became cold, which was due at {FLIPPED + BAKE:%Y-%m-%d %H:%M:%S} UTC"
    assert account.sizes("g-blue") == (0, 0, 0)


def test_a_plan_that_is_refused_before_its_time_is_an_error(account, record):
    late = Late(account, FLIPPED + BAKE - timedelta(seconds=1))
    downs = GroupStepDowns(lambda name: late if name == "autoscaling" else account.client(name), ROLE, lambda: account.now)
    with pytest.raises(OSError, match="in the past"):
        downs.tend(record, StandbyPolicy(Keep.COLD, bake=BAKE))
    assert account.sizes("g-blue")[0] == 3
