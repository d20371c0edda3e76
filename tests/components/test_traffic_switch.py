import asyncio
from datetime import timedelta
from typing import Any

import pulumi
import pytest
from component_args import BALANCER, RELEASE_ID, target_group
from pulumi_aws import autoscaling
from recording import Recording, Unknown, record
from turnout_components.gate import Candidate
from turnout_components.gate_hooks import GateHooks, candidates, switch_config
from turnout_components.standby import Keep
from turnout_components.traffic_switch import TrafficSwitch


def switch_args(**changes: Any) -> Any:
    environments = {
        "blue": {
            "target_group_arn": target_group("blue"),
            "group_name": "g-blue",
            "release": RELEASE_ID,
            "minimum": 2,
            "maximum": 6,
        },
        "green": {"target_group_arn": target_group("green"), "group_name": None, "release": None, "minimum": 1, "maximum": 6},
    }
    return {
        "service": "svc",
        "region": "us-east-1",
        "load_balancer_arn": BALANCER,
        "environments": environments,
        "active": "blue",
        **changes,
    }


def switch(**changes: Any) -> Recording:
    def program():
        made = TrafficSwitch("svc", switch_args(**changes))
        return {"weights": made.weights, "active": made.active, "listener": made.listener_arn}

    return record(program)


def shares(made: Recording) -> dict[str, int]:
    (action,) = made.one(":Listener").inputs["defaultActions"]
    assert action["type"] == "forward"
    assert "stickiness" not in action["forward"]
    return {group["arn"]: group["weight"] for group in action["forward"]["targetGroups"]}


def test_all_goes_to_the_active_environment_and_the_other_stays_in_the_action():
    made = switch()
    assert shares(made) == {target_group("blue"): 100, target_group("green"): 0}
    assert made.outputs["weights"] == {"blue": 100, "green": 0}


def test_weights_are_put_in_force_as_they_are_given():
    assert shares(switch(weights={"blue": 90, "green": 10})) == {target_group("blue"): 90, target_group("green"): 10}


def test_tags_name_the_release_of_every_environment():
    tags = switch().one(":Listener").inputs["tags"]
    assert tags == {"turnout:blue": RELEASE_ID, "turnout:green": "none"}


def test_plain_http_only_without_a_certificate():
    assert switch(port=80).one(":Listener").inputs["protocol"] == "HTTP"
    secure = switch(certificate_arn="arn:aws:acm:us-east-1:123456789012:certificate/1").one(":Listener").inputs
    assert (secure["protocol"], secure["port"]) == ("HTTPS", 443)
    assert secure["sslPolicy"].startswith("ELBSecurityPolicy-TLS13")


def test_the_gate_is_bound_before_and_the_record_after_creation_and_update():
    hooks = switch().one(":Listener").request.hooks
    assert list(hooks.before_create) == list(hooks.before_update) == ["svc-gate"]
    assert list(hooks.after_create) == list(hooks.after_update) == ["svc-record"]
    assert not hooks.before_delete
    assert not hooks.after_delete


def test_the_listener_comes_after_the_pools():
    def program():
        group = autoscaling.Group("pool-group", name="g-blue", min_size=1, max_size=1)
        environments = switch_args()["environments"]
        environments["blue"]["group_name"] = group.name
        TrafficSwitch("svc", switch_args(environments=environments))

    assert "pool-group" in record(program).one(":Listener").dependencies


def test_an_assertion_on_an_unknown_value_fails():
    def program():
        group = autoscaling.Group("pool-group", min_size=1, max_size=1)
        environments = switch_args()["environments"]
        environments["blue"]["target_group_arn"] = group.arn
        TrafficSwitch("svc", switch_args(environments=environments))

    listener = record(program, preview=True).one(":Listener")
    with pytest.raises(Unknown):
        listener.inputs["defaultActions"]


class Gate:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    async def before(self, environments: Any, weights: Any) -> None:
        self.calls.append(("before", environments, dict(weights)))

    async def after(self, listener: str, environments: Any) -> None:
        self.calls.append(("after", listener, environments))


RESOLVED: dict[str, Any] = {
    "environments": switch_args()["environments"],
    "weights": {"blue": 0, "green": 100},
    "recreate": False,
    "standby": {"keep": "warm", "retain_for": 3600.0, "bake": 60.0, "warm_minimum": 2.0, "discard": None},
    "configured_active": "green",
    "configured_weights": {"blue": 0.0, "green": 100.0},
}
CANDIDATES = {
    "blue": Candidate(target_group("blue"), "g-blue", RELEASE_ID, 2, 6),
    "green": Candidate(target_group("green"), None, None, 1, 6),
}


def hook_args(**outputs: Any) -> pulumi.ResourceHookArgs:
    return pulumi.ResourceHookArgs(urn="u", id="", name="svc-listener", type="t", new_outputs=outputs or None)


def test_hooks_hand_the_resolved_arguments_to_one_gate():
    gate, made = Gate(), []

    async def run() -> None:
        hooks = GateHooks(pulumi.Output.from_input(RESOLVED), lambda settings: made.append(settings) or gate)  # type: ignore[arg-type, func-returns-value]
        await hooks.before(hook_args())
        await hooks.after(hook_args(arn="arn:listener"))

    asyncio.run(run())
    assert len(made) == 1
    assert gate.calls == [("before", CANDIDATES, {"blue": 0, "green": 100}), ("after", "arn:listener", CANDIDATES)]


def test_a_gate_that_refuses_stops_the_update():
    class Refusing(Gate):
        async def before(self, *_: Any) -> None:
            raise RuntimeError("not ready")

    async def run() -> None:
        await GateHooks(pulumi.Output.from_input(RESOLVED), lambda _: Refusing()).before(hook_args())  # type: ignore[arg-type, return-value]

    with pytest.raises(RuntimeError, match="not ready"):
        asyncio.run(run())


def test_the_record_is_not_touched_without_a_gate():
    async def run() -> None:
        await GateHooks(pulumi.Output.from_input(RESOLVED), lambda _: Gate()).after(hook_args(arn="a"))  # type: ignore[arg-type, return-value]

    with pytest.raises(RuntimeError, match="before-hook"):
        asyncio.run(run())


def test_the_gate_judges_what_config_wishes():
    config = switch_config(RESOLVED)
    assert (config.traffic.active, config.traffic.weights) == ("green", {"blue": 0, "green": 100})
    assert config.standby.keep is Keep.WARM
    assert (config.standby.retain_for, config.standby.bake) == (timedelta(hours=1), timedelta(minutes=1))
    assert config.environments["blue"].release == RELEASE_ID
    assert [switch_config({**RESOLVED, "recreate": accepted}).recreate for accepted in (False, True)] == [False, True]
    assert candidates(RESOLVED) == CANDIDATES


def test_a_bare_standby_has_the_documented_defaults():
    standby = switch_config({**RESOLVED, "standby": {}}).standby
    assert (standby.keep, standby.retain_for, standby.bake) == (Keep.FULL, timedelta(hours=24), timedelta(minutes=10))


@pytest.mark.parametrize(
    ("changes", "protocol"),
    [
        ({}, "HTTP"),
        ({"certificate_arn": "arn:c"}, "HTTPS"),
        ({"protocol": "TCP"}, "TCP"),
        ({"protocol": "TCP", "certificate_arn": "arn:c"}, "TLS"),
    ],
)
def test_the_listener_speaks_what_its_load_balancer_does(changes, protocol):
    made = switch(**changes)
    assert made.one(":Listener").inputs["protocol"] == protocol
    assert shares(made) == {target_group("blue"): 100, target_group("green"): 0}


def test_a_tcp_connection_may_be_silent_for_longer():
    assert "tcpIdleTimeoutSeconds" not in switch().one(":Listener").inputs
    assert switch(protocol="TCP", tcp_idle_timeout=900).one(":Listener").inputs["tcpIdleTimeoutSeconds"] == 900


def test_tls_offers_http_2_where_it_is_told_to():
    made = switch(protocol="TCP", certificate_arn="arn:c", alpn_policy="HTTP2Only").one(":Listener")
    assert made.inputs["alpnPolicy"] == "HTTP2Only"
