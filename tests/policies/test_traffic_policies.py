"""Policies on what carries traffic, each broken and satisfied."""

from typing import Any

import pytest

from tests.policies.judging import UNKNOWN, Given, judge, told

LISTENER = "aws:lb/listener:Listener"
RULE = "aws:lb/listenerRule:ListenerRule"


def forward(*weights: Any) -> list[dict[str, Any]]:
    groups = [{"arn": f"arn:{n}", "weight": weight} for n, weight in enumerate(weights)]
    return [{"type": "forward", "forward": {"targetGroups": groups}}]


@pytest.mark.parametrize("weights", [(100, 0), (5, 95), (100.0, 0.0), (1,), (50, 25, 25)])
def test_weights_that_are_percents_pass(weights: tuple[Any, ...]) -> None:
    assert judge("weights-sum-to-100", Given(LISTENER, {"defaultActions": forward(*weights)})).passed
    assert judge("weights-sum-to-100", Given(RULE, {"actions": forward(*weights)})).passed


@pytest.mark.parametrize("weights", [(100, 1), (50, 49), (0, 0), (120, -20), (0,)])
def test_weights_that_are_no_percents_are_told(weights: tuple[Any, ...]) -> None:
    for given in (
        Given(LISTENER, {"defaultActions": forward(*weights)}, "web"),
        Given(RULE, {"actions": forward(*weights)}, "web"),
    ):
        found = judge("weights-sum-to-100", given)
        assert found.violations
        urn, said = found.violations[-1]
        assert urn == given.urn
        assert "web (aws:lb/listener" in said
        assert "turnout:traffic.weights" in said


def test_a_fixed_answer_and_one_target_group_have_no_weights() -> None:
    actions = [{"type": "fixed-response"}, {"type": "forward", "targetGroupArn": UNKNOWN}]
    assert judge("weights-sum-to-100", Given(LISTENER, {"defaultActions": actions})).passed


def test_weights_that_are_not_known_yet_are_neither_right_nor_wrong() -> None:
    unknown = judge("weights-sum-to-100", Given(LISTENER, {"defaultActions": forward(UNKNOWN, 50)}, "web"))
    assert unknown.violations == []
    assert "web.defaultActions[0].forward.targetGroups.weight" in unknown.undecided[0]
    assert judge("weights-sum-to-100", Given(LISTENER, {"defaultActions": UNKNOWN})).undecided
    assert judge("weights-sum-to-100", Given(LISTENER, {"defaultActions": forward(UNKNOWN, 60, 60)})).violations


def switch(blue: str = "a-1@sha256:1", green: str = "a-2@sha256:2", **more: Any) -> Given:
    return Given(LISTENER, {"tags": {"turnout:blue": blue, "turnout:green": green}}, "web", **more)


def test_a_production_stack_has_a_standby() -> None:
    assert judge("standby-present", switch(), Given(LISTENER, {"tags": {"Name": "test"}}, "test")).passed
    said = judge("standby-present", switch(green="none")).said
    assert "turnout:environments.green.release" in said
    assert "one environment" in judge("standby-present", Given(LISTENER, {"tags": {"turnout:blue": "x"}})).said


def test_other_stacks_need_no_standby_and_config_says_which_are_production() -> None:
    assert judge("standby-present", switch(green="none", stack="dev")).passed
    assert judge("standby-present", switch(green="none", stack="live"), production=["li*"]).violations
    assert judge("standby-present", switch(green="none"), production=[]).passed


def test_a_release_that_is_not_known_yet_is_no_missing_standby() -> None:
    found = judge("standby-present", switch(green=UNKNOWN))
    assert (found.violations, len(found.undecided)) == ([], 1)
    assert judge("standby-present", Given(LISTENER, {"tags": UNKNOWN})).undecided


TARGETS = "aws:lb/targetGroup:TargetGroup"
BALANCER = "aws:lb/loadBalancer:LoadBalancer"


def balanced(delay: Any = 300, idle: Any = 60, kind: str = "application", stack: str = "prod") -> tuple[Given, ...]:
    """A load balancer whose test listener's rule leads to a target group, and another one that it has nothing to do with."""
    group = Given(TARGETS, {"deregistrationDelay": delay, "arn": UNKNOWN}, "blue", stack)
    web = Given(BALANCER, {"idleTimeout": idle, "loadBalancerType": kind, "arn": UNKNOWN}, "web", stack)
    other = Given(BALANCER, {"idleTimeout": 4000, "arn": "arn:other"}, "other", stack)
    listener = Given(LISTENER, {"arn": UNKNOWN}, "test", stack, needs={"loadBalancerArn": (web,)})
    rule = Given(RULE, {}, "test-blue", stack, needs={"listenerArn": (listener,), "actions": (group,)})
    return group, web, other, listener, rule


@pytest.mark.parametrize(("delay", "idle", "longest"), [(300, 60, 0), (60, 60, 0), (None, 120, 300), (900, 60, 900)])
def test_a_drain_that_lets_requests_end_passes(delay: int | None, idle: int, longest: int) -> None:
    assert judge("drain-covers-requests", *balanced(delay, idle), longest_request=longest).passed


@pytest.mark.parametrize(
    ("delay", "idle", "longest", "at_least"), [(30, 60, 0, 60), (300, 60, 900, 900), (None, 301, 0, 301), (0, 1, 0, 1)]
)
def test_a_drain_that_cuts_requests_off_is_told(delay: int | None, idle: int, longest: int, at_least: int) -> None:
    said = judge("drain-covers-requests", *balanced(delay, idle), longest_request=longest).said
    assert f"write turnout:health.drain {at_least} or more" in said
    assert said.startswith(f"blue ({TARGETS})")


def test_connections_of_a_network_load_balancer_and_rehearsals_have_no_idle_timeout_to_outlast() -> None:
    assert judge("drain-covers-requests", *balanced(30, 350, "network")).passed
    assert judge("drain-covers-requests", *balanced(5, 60, stack="local")).passed


def test_a_drain_or_idle_timeout_that_is_not_known_yet_is_undecided() -> None:
    assert "blue.deregistrationDelay" in judge("drain-covers-requests", *balanced(UNKNOWN)).undecided[0]
    hidden = judge("drain-covers-requests", *balanced(30, UNKNOWN))
    assert (hidden.violations, len(hidden.undecided)) == ([], 1)
    assert judge("drain-covers-requests", *balanced(30, UNKNOWN), longest_request=31).violations


def serving(keep_alive: str | None, drain: int = 30) -> Given:
    """A launch template of a release whose server keeps idle connections so long."""
    env = {} if keep_alive is None else {"VLLM_HTTP_TIMEOUT_KEEP_ALIVE": keep_alive}
    return Given("aws:ec2/launchTemplate:LaunchTemplate", {"userData": told(env=env, drain=drain), "id": UNKNOWN}, "nodes")


def pool(keep_alive: str | None, idle: Any = 60, drain: int = 30) -> tuple[Given, ...]:
    template, (group, *others) = serving(keep_alive, drain), balanced(3600, idle)
    needs = {"launchTemplate": (template,), "targetGroupArns": (group,)}
    return template, group, *others, Given("aws:autoscaling/group:Group", {}, "pool", needs=needs)


def test_servers_keep_connections_longer_than_the_load_balancer() -> None:
    assert judge("timeouts-fit", *pool("75")).passed
    assert judge("timeouts-fit", *pool(None)).passed
    said = judge("timeouts-fit", *pool("60")).said
    assert "nodes (aws:ec2/launchTemplate" in said
    assert "keep-alive" in said


def test_the_load_balancer_waits_for_the_slowest_answer() -> None:
    assert judge("timeouts-fit", *balanced(idle=120), slowest_answer=120).passed
    assert "turnout:ingress.idle_timeout 121" in judge("timeouts-fit", *balanced(idle=120), slowest_answer=121).said
    assert judge("timeouts-fit", *balanced(idle=UNKNOWN)).undecided


def test_a_server_that_is_stopped_may_finish_the_longest_request() -> None:
    assert judge("drain-covers-requests", *pool(None, drain=900), longest_request=900).passed
    said = judge("drain-covers-requests", *pool(None, drain=899), longest_request=900).said
    assert "userData drain = 899" in said


def test_user_data_that_is_not_known_yet_leaves_the_keep_alive_undecided() -> None:
    template, *others = pool("5")
    hidden = Given(template.type, {"userData": UNKNOWN}, template.name)
    linked = [
        other if other.name != "pool" else Given(other.type, {}, "pool", needs={**other.needs, "launchTemplate": (hidden,)})
        for other in others
    ]
    assert "nodes.userData" in judge("timeouts-fit", hidden, *linked).undecided[0]


@pytest.mark.parametrize("path", ["/ready", "/ready?release=sha256:1", "/health"])
def test_targets_that_are_checked_at_readiness_pass(path: str) -> None:
    assert judge("health-at-readiness", Given(TARGETS, {"protocol": "HTTP", "healthCheck": {"path": path}})).passed
    tcp = {"protocol": "TCP", "healthCheck": {"protocol": "HTTP", "path": path, "matcher": "200"}}
    assert judge("health-at-readiness", Given(TARGETS, tcp)).passed
    assert judge("health-at-readiness", Given(TARGETS, {"targetType": "lambda"})).passed


@pytest.mark.parametrize(
    ("props", "words"),
    [
        ({"healthCheck": {"path": "/"}}, "turnout:health.path"),
        ({"healthCheck": {"path": "/readyz"}}, "/readyz"),
        ({}, "turnout:health.path"),
        ({"protocol": "TCP", "healthCheck": {"path": "/ready"}}, "port is open"),
        ({"healthCheck": {"path": "/ready", "protocol": "TCP"}}, "port is open"),
        ({"healthCheck": {"path": "/ready", "matcher": "200-499"}}, "200-499"),
    ],
)
def test_targets_that_are_checked_otherwise_are_told(props: dict[str, Any], words: str) -> None:
    assert words in judge("health-at-readiness", Given(TARGETS, props)).said


def test_paths_of_readiness_are_a_parameter_and_unknown_ones_undecided() -> None:
    live = Given(TARGETS, {"healthCheck": {"path": "/live"}})
    assert judge("health-at-readiness", live, paths=["/live"]).passed
    for props in ({"healthCheck": UNKNOWN}, {"healthCheck": {"path": UNKNOWN}}):
        found = judge("health-at-readiness", Given(TARGETS, props))
        assert (found.violations, len(found.undecided)) == ([], 1)
