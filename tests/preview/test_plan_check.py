"""The switch in a line, and what of a plan interrupts the service."""

from typing import Any

import pytest

from tests.preview.plans import GROUP, LISTENER, TARGETS, forwarding, listener, planned, step
from turnout.preview.changes import UNKNOWN
from turnout.preview.traffic import live as live_weights
from turnout.preview.traffic import told

FLIP = listener({"blue": 100, "green": 0}, {"blue": 0, "green": 100})
STILL = listener({"blue": 100, "green": 0}, {"blue": 100, "green": 0})


def test_the_switch_says_who_had_traffic_who_gets_it_and_how_the_standby_is_kept() -> None:
    before, after = {"weights": {"blue": 100, "green": 0}}, {"weights": {"blue": 0, "green": 100}}
    assert told(before, after, {}) == "traffic: blue 100 → green 100; standby blue kept full for 24 h"
    kept = {"standby": {"keep": "warm", "retain_for": "90m"}}
    assert told(before, after, kept) == "traffic: blue 100 → green 100; standby blue kept warm for 1.5 h"
    for others in ("canary", {"standby": "cold"}, {"standby": {"keep": "lukewarm", "retain_for": []}}):
        assert told(before, after, others).endswith("standby blue kept full for 24 h")
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


BALANCER = "aws:lb/loadBalancer:LoadBalancer"
ATTACHMENT = "aws:autoscaling/attachment:Attachment"


def why(*steps: dict[str, Any]) -> dict[str, str]:
    return {each.resource: each.said for each in planned(*steps).interruptions}


def test_a_listener_that_leaves_its_port_or_sends_nobody_anything_interrupts() -> None:
    """AWS changes both in place ("ModifyListener", Elastic Load Balancing API): no replacement tells of it."""
    on_443 = {**forwarding({"blue": 100}), "port": 443, "protocol": "HTTPS"}
    moved = step("update", "live", LISTENER, old=on_443, new={**on_443, "port": 8443})
    assert why(moved) == {
        "live": "a listener that carries requests would go from port 443 to 8443: nothing answers where users ask"
    }
    nobody = step("update", "live", LISTENER, old=on_443, new={**on_443, **forwarding({"blue": 0})})
    assert why(nobody) == {"live": "a listener that carries requests would send them to nobody"}
    fixed = step("update", "live", LISTENER, old=on_443, new={**on_443, "defaultActions": [{"type": "fixed-response"}]})
    assert "nobody" in why(fixed)["live"]
    unknown = {**on_443, "defaultActions": UNKNOWN}
    other = {**on_443, "certificateArn": "arn:new"}
    for new in (unknown, other, {**on_443, **forwarding({"green": 100})}):
        assert why(step("update", "live", LISTENER, old=on_443, new=new)) == {}


def test_an_active_pool_that_loses_its_servers_or_its_target_group_interrupts() -> None:
    old = {"targetGroupArns": ["${blue.arn}"], "minSize": 1, "maxSize": 3}
    for new, said in (({"maxSize": 0, "minSize": 0}, "no instances"), ({"targetGroupArns": []}, "would leave blue")):
        assert said in why(STILL, step("update", "pool", GROUP, old=old, new={**old, **new}))["pool"]
    for new in ({"maxSize": 1}, {"targetGroupArns": [UNKNOWN]}, {"targetGroupArns": ["${blue.arn}", "${green.arn}"]}):
        assert why(STILL, step("update", "pool", GROUP, old=old, new={**old, **new})) == {}


def test_a_pool_that_is_attached_from_beside_is_active_too() -> None:
    held = {"lbTargetGroupArn": "${blue.arn}", "autoscalingGroupName": "${pool.name}"}
    pool_ = step("delete", "pool", GROUP, old={"minSize": 1})
    assert why(STILL, pool_, step("same", "a", ATTACHMENT, old=held, new=held)) == {"pool": "an active pool would be deleted"}
    assert list(why(STILL, step("delete", "a", ATTACHMENT, old=held))) == ["a"]
    idle = {**held, "lbTargetGroupArn": "${green.arn}"}
    assert why(STILL, pool_, step("delete", "a", ATTACHMENT, old=idle)) == {}


def test_a_listener_for_tests_makes_no_environment_active() -> None:
    """Of a network load balancer it forwards to one target group without weights."""
    live = {**forwarding({"blue": 100, "green": 0}), "tags": {"turnout:blue": "a", "turnout:green": "b"}}
    trial = {"defaultActions": [{"type": "forward", "targetGroupArn": "${green.arn}"}]}
    steps = [step("same", "live", LISTENER, old=live, new=live), step("delete", "trial", LISTENER, old=trial)]
    gone = [step("delete", name, TARGETS, old={"port": 80}) for name in ("blue", "green")]
    assert list(why(*steps, *gone)) == ["blue"]
    elsewhere = {"defaultActions": [{"type": "forward", "targetGroupArn": "${other.arn}"}]}
    assert list(why(*steps, step("delete", "beside", LISTENER, old=elsewhere))) == ["beside"]


def test_a_load_balancer_counts_where_its_listener_carries_requests() -> None:
    live = {**forwarding({"blue": 100}), "loadBalancerArn": "${web.arn}"}
    gone = [step("delete", name, kind, old={}) for name, kind in (("web", BALANCER), ("other", BALANCER))]
    assert list(why(step("same", "live", LISTENER, old=live, new=live), *gone)) == ["web"]
    assert list(why(STILL, *gone)) == ["other", "web"]  # whose it is the listener does not tell


def test_types_by_their_other_name_count() -> None:
    live = step("delete", "live", "aws:alb/listener:Listener", old=forwarding({"blue": 100}))
    assert list(why(live, step("delete", "blue", "aws:alb/targetGroup:TargetGroup", old={}))) == ["live", "blue"]


def test_weights_that_are_not_known_yet_end_no_preview() -> None:
    hidden = forwarding({"blue": 100})
    hidden["defaultActions"][0]["forward"]["targetGroups"][0]["weight"] = UNKNOWN
    held = step("update", "live", LISTENER, old=hidden, new=hidden)
    assert list(why(held, step("delete", "blue", TARGETS, old={}))) == ["blue"]
    assert live_weights(planned(held).after.resources, ["blue"], {"blue": 100}) == {"blue": 100}
