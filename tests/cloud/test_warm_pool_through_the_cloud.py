"""Warm pools of a real cloud: what they hold, what a scale-out takes from them, and how much sooner it serves."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud_account import HOOKS, NODE, SPEED, Account

from benchmarks.waiting import wait_for

BOOT = {"machine": 20.0, "image": 30.0, "model": 20.0, "resume": 6.0}
RESUME, COLD = 6 / SPEED, 70 / SPEED


def pool(account: Account, group: str = "blue") -> dict[str, str]:
    found = account.api("autoscaling").describe_warm_pool(AutoScalingGroupName=group)["Instances"]
    return {instance["InstanceId"]: instance["LifecycleState"] for instance in found}


def machine(account: Account, name: str) -> str:
    found = account.api("ec2").describe_instances(InstanceIds=[name])["Reservations"][0]["Instances"][0]
    return str(found["State"]["Name"])


def seconds(account: Account, start: str) -> float:
    """How long the newest activity of this description took."""
    found = account.api("autoscaling").describe_scaling_activities(AutoScalingGroupName="blue")["Activities"]
    (activity, *_) = [a for a in found if a["Description"].startswith(start + ": ") and "EndTime" in a]
    return float((activity["EndTime"] - activity["StartTime"]).total_seconds())


def await_pool(account: Account, *states: str) -> dict[str, str]:
    wait_for(f"pool of {states}", lambda: sorted(pool(account).values()) == sorted(states))
    return pool(account)


def scale(account: Account, desired: int) -> None:
    account.api("autoscaling").set_desired_capacity(AutoScalingGroupName="blue", DesiredCapacity=desired)
    wait_for(f"{desired} in service", lambda: list(account.lifecycle("blue").values()) == ["InService"] * desired)


def test_a_stopped_pool_is_filled_serves_sooner_than_a_cold_launch_and_is_refilled(account: Account) -> None:
    account.listen(blue=1)
    account.launch("blue", 1, {**NODE, "boot": BOOT}, MaxSize=3, LifecycleHookSpecificationList=HOOKS)
    wait_for("one in service", lambda: list(account.lifecycle("blue").values()) == ["InService"])
    scaling = account.api("autoscaling")
    scaling.put_warm_pool(AutoScalingGroupName="blue", MinSize=1, PoolState="Stopped")
    warm = await_pool(account, "Warmed:Stopped", "Warmed:Stopped")
    assert {machine(account, name) for name in warm} == {"stopped"}
    assert {account.instance(name)["phase"] for name in warm} == {"warm-stopped"}
    assert all(account.instance(name)["pid"] is None for name in warm)
    (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["blue"])["AutoScalingGroups"]
    assert (group["WarmPoolSize"], group["WarmPoolConfiguration"]["PoolState"]) == (2, "Stopped")
    assert not warm.keys() & {instance["InstanceId"] for instance in group["Instances"]}
    scale(account, 2)
    taken = warm.keys() & account.lifecycle("blue").keys()
    assert len(taken) == 1
    assert {machine(account, name) for name in taken} == {"running"}
    account.await_states("blue", "healthy", "healthy")
    await_pool(account, "Warmed:Stopped")
    scale(account, 3)
    await_pool(account, "Warmed:Stopped")
    cold, into = (
        seconds(account, "Launching a new EC2 instance"),
        seconds(account, "Launching a new EC2 instance into warm pool"),
    )
    resumed = seconds(account, "Launching a new EC2 instance from warm pool")
    print(
        f"seconds to in service at speed {SPEED:.0f}: cold {cold:.2f}, from a stopped warm pool {resumed:.2f}; "
        f"into the pool {into:.2f}"
    )
    assert RESUME <= resumed < COLD <= cold
    assert into >= COLD


def test_a_running_pool_serves_at_once_and_takes_instances_back_on_scale_in(account: Account) -> None:
    account.listen(blue=1)
    account.launch("blue", 1, {**NODE, "boot": BOOT}, MaxSize=2, LifecycleHookSpecificationList=HOOKS)
    reuse = {"ReuseOnScaleIn": True}
    account.api("autoscaling").put_warm_pool(AutoScalingGroupName="blue", PoolState="Running", InstanceReusePolicy=reuse)
    (warm,) = await_pool(account, "Warmed:Running")
    wait_for("first in service", lambda: list(account.lifecycle("blue").values()) == ["InService"])
    assert account.instance(warm)["phase"] == "warm-running"
    assert machine(account, warm) == "running"
    assert warm not in account.states("blue"), "a warm instance is no target"
    before = account.instance(warm)["pid"]
    scale(account, 2)
    assert warm in account.lifecycle("blue")
    assert account.instance(warm)["pid"] == before
    took = seconds(account, "Launching a new EC2 instance from warm pool")
    print(f"seconds to in service from a running warm pool: {took:.2f}")
    assert took < COLD
    assert pool(account) == {}
    account.await_states("blue", "healthy", "healthy")
    ids = set(account.lifecycle("blue"))
    scale(account, 1)
    (back,) = await_pool(account, "Warmed:Running")
    assert back in ids
    assert machine(account, back) == "running"
    assert back not in account.states("blue")


def test_an_instance_on_its_way_back_into_a_pool_that_is_deleted_ends(account: Account) -> None:
    account.launch("blue", 2, NODE, LifecycleHookSpecificationList=HOOKS)
    scaling = account.api("autoscaling")
    scaling.put_warm_pool(AutoScalingGroupName="blue", MaxGroupPreparedCapacity=2, InstanceReusePolicy={"ReuseOnScaleIn": True})
    wait_for("two in service", lambda: list(account.lifecycle("blue").values()) == ["InService"] * 2)
    went = list(account.lifecycle("blue"))
    scaling.update_auto_scaling_group(AutoScalingGroupName="blue", MinSize=0, DesiredCapacity=0)
    scaling.delete_warm_pool(AutoScalingGroupName="blue", ForceDelete=True)
    wait_for("no instance", lambda: {machine(account, name) for name in went} == {"terminated"})
    assert pool(account) == {}


def test_a_pool_is_deleted_with_and_without_force_and_its_size_follows_the_group(account: Account) -> None:
    account.launch("blue", 1, MaxSize=4)
    scaling = account.api("autoscaling")
    scaling.put_warm_pool(AutoScalingGroupName="blue", MaxGroupPreparedCapacity=3, PoolState="Running")
    await_pool(account, "Warmed:Running", "Warmed:Running")
    scaling.update_auto_scaling_group(AutoScalingGroupName="blue", MinSize=0, MaxSize=4, DesiredCapacity=0)
    await_pool(account, *["Warmed:Running"] * 3)
    scaling.put_warm_pool(AutoScalingGroupName="blue", MaxGroupPreparedCapacity=1)
    (left,) = await_pool(account, "Warmed:Running")
    with pytest.raises(ClientError, match="ResourceInUse"):
        scaling.delete_auto_scaling_group(AutoScalingGroupName="blue")
    scaling.delete_warm_pool(AutoScalingGroupName="blue", ForceDelete=True)
    assert pool(account) == {}
    assert machine(account, left) == "terminated"
    wait_for("no process", lambda: not account.cloud.state()["instances"])
    scaling.put_warm_pool(AutoScalingGroupName="blue", MinSize=1, MaxGroupPreparedCapacity=1)
    await_pool(account, "Warmed:Stopped")
    scaling.delete_warm_pool(AutoScalingGroupName="blue")
    wait_for("end of the pool", lambda: "WarmPoolConfiguration" not in scaling.describe_warm_pool(AutoScalingGroupName="blue"))
    with pytest.raises(ClientError, match="No warm pool"):
        scaling.delete_warm_pool(AutoScalingGroupName="blue")
    scaling.delete_auto_scaling_group(AutoScalingGroupName="blue")


def test_what_aws_refuses_of_a_warm_pool_is_refused(account: Account) -> None:
    refused: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"PoolState": "Hibernated"}, {}, "does not support hibernation"),
        ({"PoolState": "Asleep"}, {}, "PoolState must be one of"),
        ({"MinSize": 3, "MaxGroupPreparedCapacity": 2}, {}, "above its MaxGroupPreparedCapacity"),
        ({}, {"InstanceMarketOptions": {"MarketType": "spot"}}, "requests Spot Instances"),
    ]
    scaling = account.api("autoscaling")
    for number, (given, template, message) in enumerate(refused):
        name = f"group-{number}"
        data = {"ImageId": "ami-1", "InstanceType": "p5.48xlarge", **template}
        account.api("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=1,
            LaunchTemplate={"LaunchTemplateName": name, "Version": "$Latest"},
            VPCZoneIdentifier=account.subnets[0],
        )
        with pytest.raises(ClientError, match=message):
            scaling.put_warm_pool(AutoScalingGroupName=name, **given)
