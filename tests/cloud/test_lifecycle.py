"""An instance's way through its group, as a table and by chance."""

import itertools
import random

import pytest

from turnout.cloud import lifecycle
from turnout.cloud.boot import Boot
from turnout.cloud.lifecycle import ABANDON, CONTINUE, END, LAUNCHING, POOL, REUSE, SERVICE, TERMINATING, Hook, Step

LAUNCH, LEAVE = Hook("launch", LAUNCHING, 60, ABANDON), Hook("leave", TERMINATING, 60, CONTINUE)
STATES = {
    "Pending", "Pending:Wait", "Pending:Proceed", "InService", "Terminating", "Terminating:Wait", "Terminating:Proceed",
    "Terminated", "Warmed:Pending", "Warmed:Pending:Wait", "Warmed:Pending:Proceed", "Warmed:Terminating",
    "Warmed:Terminating:Wait", "Warmed:Terminating:Proceed", "Warmed:Terminated", "Warmed:Stopped", "Warmed:Running",
    "Warmed:Hibernated",
}  # fmt: skip
"""LifecycleState's values (API Reference, "AutoScalingInstanceDetails") that this kit uses."""


def arrive(step: Step, *hooks: Hook, now: float = 0.0) -> Step:
    tokens = itertools.count()
    return lifecycle.arrive(step, hooks, now, lambda: f"t{next(tokens)}")


@pytest.mark.parametrize(
    ("goal", "hooks", "pool", "way"),
    [
        (SERVICE, (), "Stopped", ["Pending", "Pending:Proceed", "InService"]),
        (SERVICE, (LAUNCH, LEAVE), "Stopped", ["Pending", "Pending:Wait", "Pending:Proceed", "InService"]),
        (POOL, (LAUNCH,), "Stopped", ["Warmed:Pending", "Warmed:Pending:Wait", "Warmed:Pending:Proceed", "Warmed:Stopped"]),
        (POOL, (), "Running", ["Warmed:Pending", "Warmed:Pending:Proceed", "Warmed:Running"]),
        (POOL, (), "Hibernated", ["Warmed:Pending", "Warmed:Pending:Proceed", "Warmed:Hibernated"]),
    ],
)
def test_a_launch_goes_the_way_of_its_goal(goal: str, hooks: tuple[Hook, ...], pool: str, way: list[str]) -> None:
    step = lifecycle.launching(goal)
    seen = [step.state]
    step = arrive(step, *hooks)
    seen.append(step.state)
    if step.waiting:
        step = lifecycle.complete(step, "launch", CONTINUE)
        seen.append(step.state)
    seen.append(lifecycle.settle(step, pool).state)
    assert seen == way


@pytest.mark.parametrize(
    ("before", "goal", "end"),
    [
        (Step("InService", SERVICE), END, "Terminated"),
        (Step("InService", SERVICE), REUSE, "Warmed:Pending"),
        (Step("Warmed:Stopped", POOL), END, "Warmed:Terminated"),
    ],
)
def test_who_leaves_waits_for_the_terminate_hooks_and_ends_or_returns_to_the_pool(before: Step, goal: str, end: str) -> None:
    step = arrive(lifecycle.leaving(before, goal), LAUNCH, LEAVE)
    assert step.state.endswith("Terminating:Wait")
    assert [action.hook for action in step.actions] == [LEAVE]
    assert lifecycle.settle(step, "Stopped") == step, "not before its hooks are answered"
    assert lifecycle.settle(lifecycle.complete(step, "leave", CONTINUE), "Stopped").state == end
    assert lifecycle.settle(lifecycle.complete(step, "leave", ABANDON), "Stopped").state == end


def test_all_hooks_must_continue_and_one_abandon_ends_the_launch() -> None:
    both = arrive(lifecycle.launching(SERVICE), LAUNCH, Hook("second", LAUNCHING, 30, ABANDON))
    first = lifecycle.complete(both, "launch", CONTINUE)
    assert (first.state, [a.hook.name for a in first.actions]) == ("Pending:Wait", ["second"])
    assert lifecycle.complete(first, "second", CONTINUE).state == "Pending:Proceed"
    abandoned = lifecycle.complete(both, "second", ABANDON)
    assert (abandoned.state, abandoned.goal, abandoned.actions) == ("Terminating", END, ())
    warm = arrive(lifecycle.launching(POOL), LAUNCH)
    assert lifecycle.complete(warm, "launch", ABANDON).state == "Warmed:Terminating"


def test_a_hook_that_is_not_answered_gives_its_default_and_heartbeats_put_it_off_up_to_the_longest_wait() -> None:
    step = arrive(lifecycle.launching(SERVICE), LAUNCH, now=100.0)
    assert lifecycle.expire(step, 159.9) == step
    assert lifecycle.expire(step, 160.0).state == "Terminating"
    beaten = lifecycle.beat(step, "launch", 150.0)
    assert lifecycle.expire(beaten, 209.9) == beaten
    assert lifecycle.expire(beaten, 210.0).state == "Terminating"
    assert lifecycle.beat(step, "another", 150.0) == step
    late = lifecycle.beat(step, "launch", 100.0 + 6000 - 1)
    assert late.actions[0].deadline == 100.0 + 6000, "a hundred timeouts"
    assert Hook("long", LAUNCHING, 7200, ABANDON).longest == 172800, "48 hours"
    leaving = arrive(lifecycle.leaving(Step("InService", SERVICE)), LEAVE)
    assert lifecycle.expire(leaving, 60.0).state == "Terminating:Proceed"


@pytest.mark.parametrize(
    ("state", "goal", "pool", "server"),
    [
        ("Pending", SERVICE, "Stopped", "run"),
        ("Pending:Wait", SERVICE, "Stopped", "run"),
        ("InService", SERVICE, "Stopped", "run"),
        ("Standby", SERVICE, "Stopped", "run"),
        ("Terminating", END, "Stopped", "keep"),
        ("Terminating:Wait", END, "Stopped", "stop"),
        ("Terminating:Proceed", REUSE, "Running", "stop"),
        ("Warmed:Pending", POOL, "Stopped", "run"),
        ("Warmed:Pending:Wait", POOL, "Stopped", "run"),
        ("Warmed:Pending:Proceed", POOL, "Stopped", "stop"),
        ("Warmed:Pending:Proceed", POOL, "Running", "run"),
        ("Warmed:Stopped", POOL, "Stopped", "stop"),
        ("Warmed:Running", POOL, "Running", "run"),
        ("Warmed:Terminating", END, "Running", "keep"),
    ],
)
def test_the_server_follows_the_state(state: str, goal: str, pool: str, server: str) -> None:
    assert lifecycle.server_of(Step(state, goal), pool) == server


def test_whatever_happens_states_are_aws_and_the_end_is_reached() -> None:
    for seed in range(300):
        chance = random.Random(seed)
        now, pool = 0.0, chance.choice(["Stopped", "Running", "Hibernated"])
        hooks = [hook for hook in (LAUNCH, LEAVE, Hook("second", LAUNCHING, 30, ABANDON)) if chance.random() < 0.7]
        step = lifecycle.launching(chance.choice([SERVICE, POOL]))
        for _ in range(200):
            assert step.state in STATES
            assert step.waiting == bool(step.actions), "it waits for hooks and for nothing else"
            assert step.resting == (step.state in {"Warmed:Stopped", "Warmed:Running", "Warmed:Hibernated"})
            now += chance.choice([0.0, 10.0, 40.0])
            if step.transition is None:
                if step.state.endswith("Terminated"):
                    break
                step = lifecycle.leaving(step, chance.choice([END, REUSE] if step.state == "InService" else [END]))
            elif step.waiting:
                action = chance.choice(step.actions)
                step = chance.choice(
                    [
                        lifecycle.expire(step, now),
                        lifecycle.beat(step, action.hook.name, now),
                        lifecycle.complete(step, action.hook.name, chance.choice([CONTINUE, ABANDON])),
                    ]
                )
            else:
                step = lifecycle.settle(arrive(step, *hooks, now=now), pool)
        assert step.state in ("Terminated", "Warmed:Terminated")


def test_a_cold_machine_passes_every_stage_and_a_stopped_one_only_what_is_left_of_it() -> None:
    boot = Boot.planned({"machine": 40, "image": 30, "model": 30, "resume": 10}, speed=10.0)
    assert boot.stage(5.0) is None
    assert not boot.machine_is_up(5.0)
    boot = boot.on(100.0)
    assert [boot.stage(100 + t) for t in (0, 3.9, 4, 6.9, 7, 9.9, 10)] == [
        "machine", "machine", "image", "image", "model", "model", None,
    ]  # fmt: skip
    assert [boot.machine_is_up(100 + t) for t in (0, 3.9, 4, 10)] == [False, False, True, True]
    warm = boot.off(120.0).on(200.0)
    assert [warm.stage(200 + t) for t in (0, 0.9, 1.0)] == ["resume", "resume", None]
    early = boot.off(105.0).on(200.0)
    assert [early.stage(200 + t) for t in (0.9, 1.0, 2.9, 3.0, 5.9, 6.0)] == [
        "resume", "image", "image", "model", "model", None,
    ]  # fmt: skip
    assert not early.machine_is_up(200.5)
    assert early.machine_is_up(201.0)
    assert boot.on(500.0) == boot, "it is on already"
    assert Boot.planned({}, 1.0).on(3.0).stage(3.0) is None
