"""The switch in a line, and what of a plan interrupts the service."""

import pytest

from tests.preview.plans import GROUP, LISTENER, TARGETS, forwarding, listener, planned, step
from turnout.preview.traffic import told

FLIP = listener({"blue": 100, "green": 0}, {"blue": 0, "green": 100})
STILL = listener({"blue": 100, "green": 0}, {"blue": 100, "green": 0})


def test_the_switch_says_who_had_traffic_who_gets_it_and_how_the_standby_is_kept() -> None:
    before, after = {"weights": {"blue": 100, "green": 0}}, {"weights": {"blue": 0, "green": 100}}
    assert told(before, after, {}) == "traffic: blue 100 → green 100; standby blue kept full for 24 h"
    kept = {"standby": {"keep": "warm", "retain_for": "90m"}}
    assert told(before, after, kept) == "traffic: blue 100 → green 100; standby blue kept warm for 1.5 h"
    assert told(before, before, {}) == "traffic: blue 100, unchanged"
    assert told(None, before, {}) == "traffic: blue 100 (a new stack)"
    assert told({}, {}, {}) == ""


def test_a_share_leaves_no_standby() -> None:
    before, after = {"weights": {"blue": 100, "green": 0}}, {"weights": {"blue": 90, "green": 10}}
    assert told(before, after, {}) == "traffic: blue 100 → blue 90, green 10"


def pool(op: str, targets: str) -> dict[str, object]:
    inputs = {"targetGroupArns": [f"${{{targets}.arn}}"], "minSize": 1}
    new = {**inputs, "minSize": 2} if op != "delete" else None
    return step(op, f"{targets}-group", GROUP, old=inputs, new=new, keys=("minSize",) if op == "replace" else ())


@pytest.mark.parametrize("moving", [FLIP, STILL])
@pytest.mark.parametrize("op", ["replace", "delete"])
def test_an_active_pool_that_goes_interrupts(moving: dict[str, object], op: str) -> None:
    """Also in the update that moves its traffic away: streams and the way back are lost."""
    plan = planned(moving, pool(op, "blue"))
    why = "would be replaced, because of minSize" if op == "replace" else "would be deleted"
    assert [(each.resource, each.said) for each in plan.interruptions] == [("blue-group", f"an active pool {why}")]


@pytest.mark.parametrize("step_", [pool("replace", "green"), pool("delete", "green"), pool("update", "blue")])
def test_a_standby_may_be_replaced_and_an_active_pool_changed(step_: dict[str, object]) -> None:
    plan = planned(STILL, step_)
    assert plan.interruptions == ()


def test_target_groups_and_listeners_with_requests_interrupt() -> None:
    gone = step("replace", "blue", TARGETS, old={"port": 80}, new={"port": 81}, keys=("port",))
    idle = step("delete", "green", TARGETS, old={"port": 80})
    live = step("delete", "live", LISTENER, old=forwarding({"blue": 100, "green": 0}))
    plan = planned(live, gone, idle)
    assert {each.resource for each in plan.interruptions} == {"blue", "live"}


def test_a_listener_of_one_target_group_counts() -> None:
    single = {"defaultActions": [{"type": "forward", "targetGroupArn": "${blue.arn}"}]}
    plan = planned(step("same", "live", LISTENER, old=single, new=single), pool("delete", "blue"))
    assert [each.resource for each in plan.interruptions] == ["blue-group"]
