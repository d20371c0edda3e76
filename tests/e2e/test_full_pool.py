"""A pool with all that an auto scaling group can be given goes through its life on the local engine and a real local cloud."""

from collections.abc import Iterator
from typing import Any

import pytest
from account import inventory

from benchmarks.service import Service
from benchmarks.waiting import wait_for
from tests.e2e.prepared_service import prepared_service

POOL = {
    "instance_type": None,
    "instance_types": ["p5.48xlarge", "p4d.24xlarge"],
    "efa": True,
    "zone": "us-east-1a",
    "minimum": 1,
    "maximum": 3,
    "warm_pool": {"state": "stopped", "minimum": 1, "maximum_prepared": 2, "reuse": True},
}
SCALING = {
    "target_tracking": {"gpu_utilization": 60, "queue_length": 4, "requests_per_target": 600},
    "schedules": [{"name": "morning", "cron": "0 8 * * MON-FRI", "time_zone": "Europe/Berlin", "minimum": 1, "maximum": 3}],
    "predictive": {"mode": "forecast_only", "cpu_utilization": 60},
    "warmup": 60,
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home, traffic = tmp_path_factory.mktemp("home"), {"gate_timeout": "30s"}
    with prepared_service(home, speed=20.0, pool=POOL, scaling=SCALING, traffic=traffic) as made:
        yield made


def steps(stack: Service) -> list[tuple[str, str, list[str]]]:
    """What the last deployment did, without what it only looked at."""
    return [step for step in stack.changed() if step[0] != "refresh"]


def group(stack: Service, environment: str) -> dict[str, Any]:
    name = stack.record().environments[environment].group
    return dict(stack.api("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0])


def policies(stack: Service, environment: str) -> dict[str, dict[str, Any]]:
    name = group(stack, environment)["AutoScalingGroupName"]
    found = stack.api("autoscaling").describe_policies(AutoScalingGroupName=name)["ScalingPolicies"]
    return {item["PolicyName"]: item for item in found}


def test_a_pool_with_everything_is_made_kept_changed_and_ended(stack: Service) -> None:
    before = inventory(stack)
    assert stack.up().exit_code == 0, stack.said()
    _as_declared(stack)

    again = stack.up()
    assert (again.exit_code, list(again.changes)) == (0, ["same"]), stack.changed()

    tracked = {**SCALING["target_tracking"], "gpu_utilization": 70}  # type: ignore[dict-item]
    assert stack.up({"scaling": {"target_tracking": tracked}}).exit_code == 0, stack.said()
    changed = steps(stack)
    assert {(operation, tuple(inputs)) for operation, _, inputs in changed} == {("update", ("targetTrackingConfiguration",))}
    assert sorted(name for _, name, _ in changed) == ["digits-blue-scaling-gpu", "digits-green-scaling-gpu"]
    for environment in ("blue", "green"):
        targets = [
            item["TargetTrackingConfiguration"]["TargetValue"]
            for item in policies(stack, environment).values()
            if item["PolicyType"] == "TargetTrackingScaling"
        ]
        assert sorted(targets) == [4, 70, 600]

    assert stack.destroy().exit_code == 0, stack.said()
    assert inventory(stack) == before
    wait_for("no instance", lambda: stack.cloud.state()["instances"] == [])


def _as_declared(stack: Service) -> None:
    """The cloud holds what config says."""
    active, standby = group(stack, "blue"), group(stack, "green")
    template = active["MixedInstancesPolicy"]["LaunchTemplate"]
    assert [item["InstanceType"] for item in template["Overrides"]] == ["p5.48xlarge", "p4d.24xlarge"]
    assert active["AvailabilityZones"] == ["us-east-1a"]
    pool = active["WarmPoolConfiguration"]
    assert (pool["PoolState"], pool["MinSize"], pool["MaxGroupPreparedCapacity"]) == ("Stopped", 1, 2)
    assert pool["InstanceReusePolicy"] == {"ReuseOnScaleIn": True}
    near = {item["GroupName"]: item["Strategy"] for item in stack.api("ec2").describe_placement_groups()["PlacementGroups"]}
    assert near == {active["PlacementGroup"]: "cluster", standby["PlacementGroup"]: "cluster"}
    name = active["AutoScalingGroupName"]
    hooks = stack.api("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=name)["LifecycleHooks"]
    assert {hook["LifecycleHookName"] for hook in hooks} == {"turnout-launch", "turnout-terminate"}
    kinds = sorted(item["PolicyType"] for item in policies(stack, "blue").values())
    assert kinds == ["PredictiveScaling", *["TargetTrackingScaling"] * 3]
    api = stack.api("autoscaling")
    (action,) = api.describe_scheduled_actions(AutoScalingGroupName=name)["ScheduledUpdateGroupActions"]
    assert (action["Recurrence"], action["TimeZone"], action["MinSize"]) == ("0 8 * * MON-FRI", "Europe/Berlin", 1)
    assert "DesiredCapacity" not in action
    kinds = sorted(item["PolicyType"] for item in policies(stack, "green").values())
    assert kinds == ["TargetTrackingScaling"] * 3, "a standby has neither forecast nor schedule"
    wait_for("a warm instance", lambda: _resting(stack, name) == 1)


def _resting(stack: Service, name: str) -> int:
    found = stack.api("autoscaling").describe_warm_pool(AutoScalingGroupName=name)["Instances"]
    return sum(item["LifecycleState"] == "Warmed:Stopped" for item in found)
