"""A standby steps down and goes while nobody is there, and traffic comes back to it from each level; the test prints how fast.

Times are short ones of real clocks: what is scheduled is not divided by the local cloud's speed, a boot is."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from turnout_components.rollback import rollback
from turnout_components.standby import RETAIN_END, STEP_DOWN
from turnout_components.step_down import GroupStepDowns
from turnout_components.switch_record import Operator

from benchmarks.service import Service, service
from benchmarks.waiting import wait_for

pytestmark = pytest.mark.slow

RATE = 100
BAKE, RETAIN = 3, 14
SIZE = 2
POOL = {
    "minimum": SIZE,
    "maximum": 4,
    "warm_pool": {"state": "stopped", "minimum": 1, "maximum_prepared": 3},
    "boot": {"machine": 10, "image": 10, "model": 10, "resume": 5},
}
LATE = 5.0
"""Seconds by which the local cloud may be later than a schedule says, on a busy machine."""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """1.0.0 in blue and 2.0.0 in green, two instances each and one in each warm pool."""
    standby = {"bake": f"{BAKE}s", "retain_for": "1h", "warm_minimum": 1}
    traffic = {"gate_timeout": "60s", "standby": standby}
    with service(tmp_path_factory.mktemp("home"), pool=POOL, health={"drain": 1}, traffic=traffic) as made:
        assert made.up().exit_code == 0, made.said()
        yield made


def group(stack: Service, environment: str) -> dict[str, Any]:
    name = stack.record().environments[environment].group
    return dict(stack.api("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0])


def sizes(stack: Service, environment: str) -> tuple[int, int, int]:
    """Minimum, desired, instances in service."""
    found = group(stack, environment)
    serving = [item for item in found["Instances"] if item["LifecycleState"] == "InService"]
    return found["MinSize"], found["DesiredCapacity"], len(serving)


def pooled(stack: Service, environment: str) -> bool:
    return bool(group(stack, environment).get("WarmPoolConfiguration"))


def resting(stack: Service, environment: str) -> int:
    """Instances that are ready in the warm pool."""
    name = group(stack, environment)["AutoScalingGroupName"]
    found = stack.api("autoscaling").describe_warm_pool(AutoScalingGroupName=name)["Instances"]
    return sum(item["LifecycleState"] == "Warmed:Stopped" for item in found)


def actions(stack: Service, environment: str) -> dict[str, datetime]:
    name = group(stack, environment)["AutoScalingGroupName"]
    found = stack.api("autoscaling").describe_scheduled_actions(AutoScalingGroupName=name)["ScheduledUpdateGroupActions"]
    return {item["ScheduledActionName"]: item["StartTime"] for item in found}


def schedules(stack: Service) -> list[str]:
    return [item["Name"] for item in stack.api("scheduler").list_schedules()["Schedules"]]


def leave(stack: Service, keep: str, retain: str = "1h") -> str:
    """Flips away from the active environment, which is kept so; its name."""
    left = stack.active
    result = stack.up({"traffic": {"active": stack.standby, "standby": {"keep": keep, "retain_for": retain}}})
    assert result.exit_code == 0, stack.said()
    return left


def since_flip(stack: Service) -> float:
    flipped = stack.record().flipped_at
    assert flipped is not None
    return time.time() - flipped.timestamp()


def when(stack: Service, what: str, condition: Callable[[], bool]) -> float:
    """Seconds after the flip at which the condition held."""
    wait_for(what, condition)
    return since_flip(stack)


def gone(stack: Service, environment: str) -> bool:
    found = group(stack, environment)
    bounds = (found["MinSize"], found["MaxSize"], found["DesiredCapacity"])
    return bounds == (0, 0, 0) and not found["Instances"] and not pooled(stack, environment)


def test_a_warm_standby_shrinks_after_the_bake_and_goes_after_its_retention_with_nobody_present(deployed: Service) -> None:
    left = leave(deployed, "warm", f"{RETAIN}s")
    assert sizes(deployed, left) == (SIZE, SIZE, SIZE), "nothing has happened to it yet"
    assert actions(deployed, left).keys() == {STEP_DOWN, RETAIN_END}
    (schedule,) = schedules(deployed)
    down = when(deployed, "the warm level", lambda: sizes(deployed, left) == (1, 1, 1))
    assert pooled(deployed, left)
    over = when(deployed, "the end of retention", lambda: gone(deployed, left))
    print(f"warm, nobody present: {down:.1f} s after the flip 1 in service (bake {BAKE} s), {over:.1f} s none ({RETAIN} s)")
    assert BAKE <= down <= BAKE + LATE
    assert RETAIN <= over <= RETAIN + LATE
    assert schedule not in schedules(deployed)
    assert actions(deployed, left) == {}
    assert deployed.targets(deployed.active) == ["healthy"] * SIZE, "who carries traffic is as large as before"
    assert pooled(deployed, deployed.active)


def test_a_cold_standby_goes_after_the_bake_with_nobody_present(deployed: Service) -> None:
    left = leave(deployed, "cold")
    assert sizes(deployed, left) == (SIZE, SIZE, SIZE)
    assert len(schedules(deployed)) == 1
    over = when(deployed, "the cold level", lambda: gone(deployed, left))
    print(f"cold, nobody present: {over:.1f} s after the flip none, no warm pool (bake {BAKE} s)")
    assert BAKE <= over <= BAKE + LATE
    assert schedules(deployed) == []
    assert deployed.up().exit_code == 0, deployed.said()
    assert [step for step in deployed.changed() if step[0] != "refresh"] == [], "it finds what it would have declared"
    assert gone(deployed, left)


LEVELS: dict[str, Callable[[Service, str], bool]] = {
    "full": lambda stack, left: sizes(stack, left) == (SIZE, SIZE, SIZE) and since_flip(stack) > BAKE,
    "warm": lambda stack, left: sizes(stack, left) == (1, 1, 1) and resting(stack, left) >= 1,
    "cold": gone,
}


def by_up(stack: Service, to: str) -> list[str]:
    """Back by an update; what it said."""
    assert stack.up({"traffic": {"active": to}}).exit_code == 0, stack.said()
    return stack.said().splitlines()


def by_rollback(stack: Service, to: str) -> list[str]:
    """Back without Pulumi; what it said. The mark of the release that was left is taken off, for the next test."""
    lines: list[str] = []
    done = rollback(
        stack.records, stack.live, operator=Operator.current(), step_downs=GroupStepDowns(stack.api), notify=lines.append
    )
    assert done.after.active == to
    stack.records.update(lambda record: record.accepted(str(done.unstable), record.history[-1].at, "test"))
    return lines


@pytest.mark.parametrize("way", [by_up, by_rollback])
@pytest.mark.parametrize("level", LEVELS)
def test_traffic_comes_back_from_each_level_and_no_request_is_lost(
    deployed: Service, level: str, way: Callable[[Service, str], list[str]]
) -> None:
    left = leave(deployed, level)
    wait_for(f"the level {level}", lambda: LEVELS[level](deployed, left))
    version = {"blue": "1.0.0", "green": "2.0.0"}[deployed.active]
    with deployed.load(RATE) as load:
        began = time.time()
        said = way(deployed, left)
        took = time.time() - began
    last = load.sent_at(version)[-1] - load.at(began)
    estimate = [line.strip() for line in said if " is ready " in line]
    print(f"back from {level} {way.__name__}: command {took:.1f} s, 100 % after {last:.1f} s; said: {estimate or 'at once'}")
    assert load.lost == {}
    assert deployed.weights()[left] == 100
    assert sizes(deployed, left)[2] >= SIZE
    assert actions(deployed, left) == {}, "who carries traffic does not step down"
    if level == "full":
        assert estimate == []
    else:
        (line,) = estimate
        assert f"{left} " in line
        assert "from the warm pool" in line if level == "warm" else "from nothing" in line
    assert deployed.up({"traffic": {"active": left}}).exit_code == 0, deployed.said()
