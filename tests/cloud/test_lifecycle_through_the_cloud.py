"""Hooks, boot stages and activities of a real cloud: the daemon plays the node by the API's own code."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud_account import HOOKS, NODE, SPEED, Account, get
from turnout_components.user_data import LAUNCH_HOOK

from benchmarks.waiting import wait_for

OTHER_HOOK = {**HOOKS[0], "LifecycleHookName": "mine"}


def activities(account: Account, group: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = account.api("autoscaling").describe_scaling_activities(AutoScalingGroupName=group)[
        "Activities"
    ]
    return found


@contextmanager
def watching(account: Account, group: str) -> Iterator[dict[str, list[str]]]:
    """The lifecycle states that each instance goes through, in order, as the API shows them."""
    seen: dict[str, list[str]] = {}
    over = threading.Event()
    api = account.api("autoscaling")

    def watch() -> None:
        while not over.wait(0.01):
            for found in api.describe_auto_scaling_instances()["AutoScalingInstances"]:
                states = seen.setdefault(found["InstanceId"], [])
                if found["AutoScalingGroupName"] == group and states[-1:] != [found["LifecycleState"]]:
                    states.append(found["LifecycleState"])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_a_launch_hook_holds_an_instance_until_its_own_server_is_ready(account: Account) -> None:
    account.listen(blue=1)
    with watching(account, "blue") as seen:
        boot = {"machine": 18.0, "image": 3.0, "model": 2.0}
        account.launch("blue", 1, {**NODE, "boot": boot}, LifecycleHookSpecificationList=HOOKS)
        (name,) = account.lifecycle("blue")
        assert account.states("blue") == {}, "only instances in service are registered"
        stages = wait_for("booting", lambda: account.instance(name)["phase"] == "booting" and account.instance(name)["stage"])
        account.await_states("blue", "healthy")
    assert stages == "machine"
    assert seen[name] == ["Pending", "Pending:Wait", "InService"]
    (activity,) = activities(account, "blue")
    assert activity["Description"] == f"Launching a new EC2 instance: {name}"
    assert activity["StatusCode"] == "Successful"
    took = (activity["EndTime"] - activity["StartTime"]).total_seconds()
    assert took >= 23 / SPEED, "23 seconds of boot"
    assert "changing the desired capacity from 0 to 1" in activity["Cause"]


def test_scale_in_drains_the_balancer_then_the_server_then_completes_the_terminate_hook(account: Account) -> None:
    listener = account.listen(blue=1)
    account.launch("blue", 2, NODE, LifecycleHookSpecificationList=HOOKS)
    account.await_states("blue", "healthy", "healthy")
    url = account.url(listener)
    with ThreadPoolExecutor() as pool, watching(account, "blue") as seen:
        wait_for("answer", lambda: get(url)[0] == 200)
        slow = [pool.submit(get, url, "/slow", {"x-hold": "0.8"}) for _ in range(4)]
        account.api("autoscaling").update_auto_scaling_group(AutoScalingGroupName="blue", MinSize=1, DesiredCapacity=1)
        (gone,) = [name for name, state in account.lifecycle("blue").items() if state == "Terminating"]
        ec2 = account.api("ec2").describe_instances(InstanceIds=[gone])["Reservations"][0]["Instances"][0]
        assert ec2["State"]["Name"] == "running", "the machine runs while the balancer drains it"
        assert {future.result()[0] for future in slow} == {200}
        wait_for("end", lambda: gone not in account.lifecycle("blue"))
    states = [state for state in seen[gone] if state != "Terminating:Proceed"]
    assert states[-2:] == ["Terminating", "Terminating:Wait"]
    ec2 = account.api("ec2").describe_instances(InstanceIds=[gone])["Reservations"][0]["Instances"][0]
    assert ec2["State"]["Name"] == "terminated"
    last = activities(account, "blue")[0]
    assert (last["Description"], last["StatusCode"]) == (f"Terminating EC2 instance: {gone}", "Successful")
    assert f"instance {gone} was selected for termination" in last["Cause"]


def test_hooks_of_others_wait_for_the_api_and_abandon_launches_another(account: Account) -> None:
    account.listen(blue=1)
    account.launch("blue", 1, NODE, LifecycleHookSpecificationList=[HOOKS[0], OTHER_HOOK])
    scaling = account.api("autoscaling")
    (name,) = account.lifecycle("blue")
    wait_for("server", lambda: account.instance(name)["phase"] == "running")
    scaling.record_lifecycle_action_heartbeat(AutoScalingGroupName="blue", LifecycleHookName="mine", InstanceId=name)
    answer = {"AutoScalingGroupName": "blue", "LifecycleHookName": "mine", "InstanceId": name}

    def own_is_complete() -> bool:
        try:
            scaling.record_lifecycle_action_heartbeat(**{**answer, "LifecycleHookName": LAUNCH_HOOK})
        except ClientError:
            return True
        return False

    wait_for("the node's own hook", own_is_complete)
    assert account.lifecycle("blue") == {name: "Pending:Wait"}, "the other hook still holds it"
    scaling.complete_lifecycle_action(**answer, LifecycleActionResult="ABANDON")
    second = wait_for("another", lambda: [i for i, state in account.lifecycle("blue").items() if state == "Pending:Wait"])[0]
    assert second != name
    assert activities(account, "blue")[-1]["StatusCode"] == "Cancelled"
    with pytest.raises(ClientError, match="No active Lifecycle Action found"):
        scaling.complete_lifecycle_action(**answer, LifecycleActionResult="CONTINUE")
    scaling.complete_lifecycle_action(**{**answer, "InstanceId": second}, LifecycleActionResult="CONTINUE")
    account.await_states("blue", "healthy")
    wait_for("end of the first", lambda: account.lifecycle("blue") == {second: "InService"})


def test_a_node_whose_release_does_not_fit_abandons_its_launch_and_the_group_tries_again_later(account: Account) -> None:
    account.listen(blue=1)
    account.image = "local/tiny@sha256:" + "0" * 64
    account.launch("blue", 1, NODE, LifecycleHookSpecificationList=HOOKS)

    def launches() -> list[dict[str, Any]]:
        return [a for a in activities(account, "blue") if "Launching" in a["Description"]]

    wait_for("second launch", lambda: len(launches()) >= 2)
    assert account.states("blue") == {}, "nothing of it is ever registered"
    second, first = launches()[-2:]
    assert first["StatusCode"] == "Cancelled"
    assert "was abandoned" in first["StatusMessage"]
    assert (second["StartTime"] - first["EndTime"]).total_seconds() > 4 / SPEED, "five seconds, told to a second or so"


def test_hooks_are_put_described_and_deleted_and_refused_as_aws_does(account: Account) -> None:
    account.launch("blue", 0)
    scaling = account.api("autoscaling")
    scaling.put_lifecycle_hook(AutoScalingGroupName="blue", **OTHER_HOOK, NotificationMetadata="m")
    scaling.put_lifecycle_hook(AutoScalingGroupName="blue", LifecycleHookName="mine", HeartbeatTimeout=45)
    (hook,) = scaling.describe_lifecycle_hooks(AutoScalingGroupName="blue")["LifecycleHooks"]
    assert (hook["HeartbeatTimeout"], hook["DefaultResult"], hook["GlobalTimeout"]) == (45, "ABANDON", 4500)
    assert hook["NotificationMetadata"] == "m"
    assert "RoleARN" not in hook
    for wrong, message in (
        ({"HeartbeatTimeout": 10}, "from 30 to 7200"),
        ({"LifecycleTransition": "later"}, "LifecycleTransition"),
        ({"DefaultResult": "RETRY"}, "DefaultResult"),
    ):
        with pytest.raises(ClientError, match=message):
            scaling.put_lifecycle_hook(AutoScalingGroupName="blue", **{**OTHER_HOOK, "LifecycleHookName": "x", **wrong})
    with pytest.raises(ClientError, match="name not found"):
        scaling.put_lifecycle_hook(AutoScalingGroupName="none", **OTHER_HOOK)
    scaling.delete_lifecycle_hook(AutoScalingGroupName="blue", LifecycleHookName="mine")
    assert scaling.describe_lifecycle_hooks(AutoScalingGroupName="blue")["LifecycleHooks"] == []


def test_protected_instances_stay_on_scale_in(account: Account) -> None:
    account.listen(blue=1)
    account.launch("blue", 3)
    account.await_states("blue", "healthy", "healthy", "healthy")
    scaling = account.api("autoscaling")
    kept = sorted(account.lifecycle("blue"))[:2]
    scaling.set_instance_protection(AutoScalingGroupName="blue", InstanceIds=kept, ProtectedFromScaleIn=True)
    scaling.update_auto_scaling_group(AutoScalingGroupName="blue", MinSize=0, DesiredCapacity=0)
    wait_for("only the protected", lambda: account.lifecycle("blue") == dict.fromkeys(kept, "InService"))
    with pytest.raises(ClientError, match="not part of"):
        scaling.set_instance_protection(AutoScalingGroupName="blue", InstanceIds=["i-0"], ProtectedFromScaleIn=True)
    scaling.set_instance_protection(AutoScalingGroupName="blue", InstanceIds=kept, ProtectedFromScaleIn=False)
    scaling.set_desired_capacity(AutoScalingGroupName="blue", DesiredCapacity=0)
    wait_for("none", lambda: account.lifecycle("blue") == {})


def test_instances_spread_over_the_zones_and_a_policy_says_what_they_are(account: Account) -> None:
    account.launch(
        "blue",
        5,
        MixedInstancesPolicy={
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateName": "blue", "Version": "$Latest"},
                "Overrides": [{"InstanceType": "g6.xlarge"}, {"InstanceType": "g5.xlarge"}],
            },
            "InstancesDistribution": {"OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 50},
        },
        LaunchTemplate=None,
    )
    (group,) = account.api("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["blue"])["AutoScalingGroups"]
    zones = [instance["AvailabilityZone"] for instance in group["Instances"]]
    assert sorted((zones.count("us-east-1a"), zones.count("us-east-1b"))) == [2, 3]
    assert {instance["InstanceType"] for instance in group["Instances"]} == {"g6.xlarge"}
    machines = [i for r in account.api("ec2").describe_instances()["Reservations"] for i in r["Instances"]]
    assert sorted(machine.get("InstanceLifecycle", "on-demand") for machine in machines) == ["on-demand"] * 3 + ["spot"] * 2
    account.api("autoscaling").update_auto_scaling_group(AutoScalingGroupName="blue", MinSize=7, MaxSize=7)
    assert sorted(account.lifecycle("blue").values()) == ["InService"] * 7
    machines = [i for r in account.api("ec2").describe_instances()["Reservations"] for i in r["Instances"]]
    assert {i["InstanceType"] for i in machines} == {"g6.xlarge"}, "an update that names no template keeps the policy"
    wait_for("state", lambda: {i["lifecycle"] for i in account.cloud.state()["instances"]} == {"InService"})
