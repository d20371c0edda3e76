"""The traps of an auto scaling group: what waits, what clamps, what stays."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.providers.cases import CASES
from tests.providers.cases_autoscaling import HOOK, POLICY, hook, step_policy
from tests.providers.conftest import TYPES, World
from turnout.cloud.fleet import book_of
from turnout.engine.provider import Created, Properties, ProviderError
from turnout.providers.aws import autoscaling_capacity
from turnout.providers.aws.autoscaling_capacity import in_service, seconds
from turnout.providers.aws.autoscaling_policy import Policy
from turnout.providers.aws.clients import Cloud

TOKEN = "aws:autoscaling/group:Group"
KIND = TYPES[TOKEN]


def group(world: World, **change: Any) -> tuple[Created, Properties]:
    case = next(case for case in CASES if case.token == TOKEN)
    inputs = {**case.inputs(world), **change}
    return world.make(TOKEN, **inputs), inputs


def live(world: World, made: Created) -> Any:
    api = world.api("autoscaling")
    return api.describe_auto_scaling_groups(AutoScalingGroupNames=[made.id])["AutoScalingGroups"][0]


def update(world: World, made: Created, old: Properties, new: Properties) -> Properties:
    observed = KIND.read(world.config, made.id, old, made.outputs)
    assert observed is not None
    return KIND.update(world.config, made.id, old, new, observed.outputs)


def scale(world: World, made: Created, desired: int) -> None:
    world.api("autoscaling").set_desired_capacity(AutoScalingGroupName=made.id, DesiredCapacity=desired)


def test_a_desired_capacity_that_is_not_declared_is_left_as_scaling_made_it(world: World) -> None:
    made, inputs = group(world)
    scale(world, made, 3)
    outputs = update(world, made, inputs, {**inputs, "healthCheckGracePeriod": 60})
    assert outputs["desiredCapacity"] == live(world, made)["DesiredCapacity"] == 3


def test_a_scaled_group_shows_no_drift(world: World) -> None:
    made, inputs = group(world)
    scale(world, made, 3)
    observed = KIND.read(world.config, made.id, inputs, made.outputs)
    assert observed is not None
    assert observed.inputs == inputs
    assert observed.outputs["desiredCapacity"] == 3


def test_a_raised_minimum_raises_desired(world: World) -> None:
    made, inputs = group(world)
    assert update(world, made, inputs, {**inputs, "minSize": 2})["desiredCapacity"] == 2


def test_a_lower_maximum_clamps_desired(world: World) -> None:
    made, inputs = group(world)
    scale(world, made, 3)
    assert update(world, made, inputs, {**inputs, "maxSize": 2})["desiredCapacity"] == 2
    assert len(live(world, made)["Instances"]) == 2


def test_a_create_waits_for_the_minimum(world: World) -> None:
    made, _ = group(world, minSize=2, waitForCapacityTimeout="10s")
    assert in_service(live(world, made)) == 2


def test_a_create_that_never_gets_its_minimum_fails_and_leaves_no_group(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoscaling_capacity, "in_service", lambda _: 1)
    with pytest.raises(ProviderError, match="wants at least 2 healthy instance.*has 1"):
        group(world, name="never-enough", minSize=2, waitForCapacityTimeout="300ms")
    api = world.api("autoscaling")
    assert api.describe_auto_scaling_groups(AutoScalingGroupNames=["never-enough"])["AutoScalingGroups"] == []


@pytest.mark.parametrize(("ignored", "said"), [(None, "scaling activity .*: Failed: no capacity"), (True, "has 0 after 0.3 s")])
def test_a_failed_launch_ends_the_wait_unless_failures_are_ignored(
    ignored: bool | None, said: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_yet(found: dict[str, Any]) -> int:
        now = datetime.now(UTC)
        name = found["AutoScalingGroupName"]
        activity = book_of("us-east-1").begin(name, "arn", "Launching a new EC2 instance", "a test", now)
        activity.end(now, "Failed", "no capacity")
        return 0

    monkeypatch.setattr(autoscaling_capacity, "in_service", none_yet)
    with pytest.raises(ProviderError, match=said):
        group(world, waitForCapacityTimeout="300ms", **({"ignoreFailedScalingActivities": True} if ignored else {}))


def sicken(world: World, made: Created) -> None:
    """One healthy instance less than the group wants."""
    instance = live(world, made)["Instances"][0]["InstanceId"]
    world.api("autoscaling").set_instance_health(InstanceId=instance, HealthStatus="Unhealthy")


def test_an_update_of_the_minimum_waits_for_exactly_that_many(world: World) -> None:
    made, inputs = group(world, minSize=1, waitForCapacityTimeout="300ms")
    scale(world, made, 3)
    stale = dict(made.outputs)
    assert stale["desiredCapacity"] == 1
    with pytest.raises(ProviderError, match="wants exactly 2 healthy instance.*has 3"):
        KIND.update(world.config, made.id, inputs, {**inputs, "minSize": 2}, stale)


def test_a_stale_desired_count_makes_a_shrinking_update_wait_in_vain(world: World) -> None:
    made, inputs = group(world, minSize=2, waitForCapacityTimeout="300ms")
    with pytest.raises(ProviderError, match="wants exactly 2 healthy instance.*has 0"):
        update(world, made, inputs, {**inputs, "minSize": 0, "maxSize": 0})


def test_an_update_of_something_else_does_not_wait(world: World) -> None:
    made, inputs = group(world, waitForCapacityTimeout="300ms")
    sicken(world, made)
    outputs = update(world, made, inputs, {**inputs, "maxSize": 4, "healthCheckGracePeriod": 1})
    assert outputs["maxSize"] == 4


def test_a_timeout_of_zero_never_waits(world: World) -> None:
    made, inputs = group(world)
    sicken(world, made)
    assert update(world, made, inputs, {**inputs, "minSize": 2})["minSize"] == 2


@pytest.mark.parametrize("change", [{}, {"forceDelete": True}, {"protectFromScaleIn": True}])
def test_deleting_a_group_waits_until_its_instances_are_gone(change: Properties, world: World) -> None:
    made, inputs = group(world, minSize=2, **change)
    instances = [instance["InstanceId"] for instance in live(world, made)["Instances"]]
    assert len(instances) == 2
    KIND.delete(world.config, made.id, inputs, made.outputs, 20)
    reservations = world.api("ec2").describe_instances(InstanceIds=instances)["Reservations"]
    assert {item["State"]["Name"] for found in reservations for item in found["Instances"]} == {"terminated"}


def test_a_warm_pool_goes_before_its_group(world: World) -> None:
    made, inputs = group(world, forceDeleteWarmPool=True)
    world.api("autoscaling").put_warm_pool(AutoScalingGroupName=made.id, MinSize=1)
    KIND.delete(world.config, made.id, inputs, made.outputs, 20)
    assert KIND.read(world.config, made.id, inputs, made.outputs) is None


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("10m", 600), ("1h30m", 5400), ("1.5s", 1.5), ("300ms", 0.3)])
def test_durations_are_read_as_go_writes_them(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "10d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        seconds(text)


def test_a_policy_is_sent_only_what_goes_with_its_type(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 stands for nothing: terraform-provider-aws, `expandPutScalingPolicyInput`."""
    inputs = {**step_policy(world), "cooldown": 0, "scalingAdjustment": 0}
    assert TYPES[POLICY].check(inputs) == []
    sent: dict[str, Any] = {}

    def call(_: Cloud, service: str, operation: str, **members: Any) -> Any:
        sent.update({"service": service, "operation": operation, **members})

    monkeypatch.setattr(Cloud, "call", call)
    Policy().make(Cloud(world.config), inputs, {})
    monkeypatch.undo()
    assert (sent["operation"], sent["PolicyType"], sent["EstimatedInstanceWarmup"]) == ("put_scaling_policy", "StepScaling", 60)
    assert sent.keys().isdisjoint({"Cooldown", "ScalingAdjustment"})


def test_a_hook_of_another_group_is_put_to_it_and_stays_at_the_old_one(life: World) -> None:
    """resourceLifecycleHookPut: the name alone is ForceNew."""
    old = hook(life)
    made, wanted = life.make(HOOK, **old), {**old, "autoscalingGroupName": group(life)[0].id}
    outputs = TYPES[HOOK].update(life.config, made.id, old, wanted, made.outputs)
    assert outputs["autoscalingGroupName"] == wanted["autoscalingGroupName"]
    for inputs in (old, wanted):
        answer = life.api("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=inputs["autoscalingGroupName"])
        assert [found["LifecycleHookName"] for found in answer["LifecycleHooks"]] == [made.id]
