"""Rules of variants at a listener: the order of the calls, and what is left when one of them fails."""

from types import SimpleNamespace
from typing import Any

import pytest
from fakes import BLUE_TG, GREEN_TG, LISTENER, ClientError
from turnout_components.live_alb import AlbRouter

BOTH = {"control": BLUE_TG, "candidate": GREEN_TG}


class Rules:
    """The load balancer's rules; `calls` tells the order. The call of that number fails."""

    def __init__(self) -> None:
        self.rules: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.fails = -1
        self.exceptions = SimpleNamespace(RuleNotFoundException=KeyError)

    def _called(self, what: str) -> None:
        self.calls.append(what)
        if len(self.calls) - 1 == self.fails:
            raise ClientError("Throttling")

    def get_paginator(self, name: str) -> Any:
        def pages(ListenerArn: str) -> list[dict[str, Any]]:
            self._called(name)
            assert ListenerArn == LISTENER
            return [{"Rules": [dict(rule) for rule in self.rules.values()]}]

        return SimpleNamespace(paginate=pages)

    def create_rule(self, *, Priority: int, Conditions: Any, Actions: Any, **_: Any) -> None:
        to = Actions[0]["TargetGroupArn"]
        self._called(f"create {to}")
        arn = f"rule-{Priority}"
        self.rules[arn] = {"RuleArn": arn, "Priority": str(Priority), "Conditions": Conditions, "Actions": Actions}

    def delete_rule(self, *, RuleArn: str) -> None:
        self._called(f"delete {self.rules[RuleArn]['Actions'][0]['TargetGroupArn']}")
        del self.rules[RuleArn]


@pytest.fixture
def elbv2() -> Rules:
    return Rules()


def test_the_first_call_of_a_return_takes_the_candidates_rule_out(elbv2: Rules) -> None:
    cloud = AlbRouter(elbv2)
    cloud.put_variants(LISTENER, BOTH)
    assert cloud.variants(LISTENER) == BOTH
    elbv2.calls.clear()
    assert cloud.clear_variants(LISTENER, GREEN_TG, at_once=True)
    assert elbv2.calls == [f"delete {GREEN_TG}", f"delete {BLUE_TG}", "describe_rules"]
    assert cloud.variants(LISTENER) == {}


def test_rules_that_were_made_since_they_were_read_go_too(elbv2: Rules) -> None:
    cloud = AlbRouter(elbv2)
    cloud.variants(LISTENER)
    AlbRouter(elbv2).put_variants(LISTENER, BOTH)
    elbv2.calls.clear()
    assert cloud.clear_variants(LISTENER, GREEN_TG, at_once=True)
    assert elbv2.calls == ["describe_rules", f"delete {GREEN_TG}", f"delete {BLUE_TG}"]


def test_rules_that_somebody_else_has_deleted_are_gone_for_us_too(elbv2: Rules) -> None:
    cloud = AlbRouter(elbv2)
    cloud.put_variants(LISTENER, BOTH)
    cloud.variants(LISTENER)
    AlbRouter(elbv2).clear_variants(LISTENER, GREEN_TG)
    assert cloud.clear_variants(LISTENER, GREEN_TG, at_once=True)
    assert elbv2.rules == {}


@pytest.mark.parametrize("fails", range(3))
def test_whatever_fails_is_done_by_the_next_attempt(elbv2: Rules, fails: int) -> None:
    cloud = AlbRouter(elbv2)
    elbv2.fails = fails
    with pytest.raises(ClientError):
        cloud.put_variants(LISTENER, BOTH)
    cloud.put_variants(LISTENER, BOTH)
    assert cloud.variants(LISTENER) == BOTH
    elbv2.fails = len(elbv2.calls) + fails
    with pytest.raises(ClientError):
        cloud.clear_variants(LISTENER, GREEN_TG, at_once=True)
    cloud.clear_variants(LISTENER, GREEN_TG, at_once=True)
    assert cloud.variants(LISTENER) == {}


def test_one_rule_holds_three_variants_at_most(elbv2: Rules) -> None:
    cloud = AlbRouter(elbv2)
    many = {"control": BLUE_TG, **dict.fromkeys(("a", "b", "c", "d"), GREEN_TG)}
    cloud.put_variants(LISTENER, many)
    held = [rule["Conditions"][0]["HttpHeaderConfig"]["Values"] for rule in elbv2.rules.values()]
    assert held == [["control"], ["a", "b", "c"], ["d"]]
    assert cloud.variants(LISTENER) == many


def test_a_rule_that_matches_by_pattern_carries_users_too(elbv2: Rules) -> None:
    """AWS compares a header with `Values` or with `RegexValues`; a rule has one of them."""
    config = {"HttpHeaderName": "X-Variant", "RegexValues": ["^cand.*$"]}
    actions = [{"Type": "forward", "TargetGroupArn": GREEN_TG}]
    elbv2.rules["theirs"] = {
        "RuleArn": "theirs",
        "Priority": "7",
        "Conditions": [{"Field": "http-header", "HttpHeaderConfig": config}],
        "Actions": actions,
    }
    cloud = AlbRouter(elbv2)
    assert cloud.variants(LISTENER) == {"^cand.*$": GREEN_TG}
    assert cloud.clear_variants(LISTENER, GREEN_TG)
    assert elbv2.rules == {}


def test_a_network_load_balancer_has_no_rules_to_be_asked_for(elbv2: Rules) -> None:
    listener = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/net/svc/0123456789abcdef/0123456789abcdef"
    cloud = AlbRouter(elbv2)
    assert cloud.variants(listener) == {}
    assert not cloud.clear_variants(listener, GREEN_TG)
    assert elbv2.calls == []
