"""Target group stickiness of a forward action as Envoy's routes: who has a cookie goes to its group, whatever the weights."""

import re
from pathlib import Path
from typing import Any

import pytest
from cloud_worlds import BLUE, GREEN, LISTENER, group

from turnout.cloud.envoy_config import UnknownCluster, render
from turnout.cloud.envoy_routes import cluster_name, cookie_value, forwarded, route_configuration
from turnout.cloud.moto_state import _action
from turnout.cloud.world import Balancer, FixedResponse, Forward, Listener, Rule, World


def listener(*rules: Rule) -> Listener:
    return Listener(LISTENER, 80, "HTTP", rules)


def routes(item: Listener) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = route_configuration(item)["virtual_hosts"][0]["routes"]
    return found


def taken(found: list[dict[str, Any]], headers: dict[str, str]) -> dict[str, Any]:
    """The route of a request with these headers: the first of which all header matches hold."""
    return next(
        route
        for route in found
        if all(
            re.fullmatch(match["string_match"]["safe_regex"]["regex"], headers.get(match["name"], ""))
            for match in route["match"].get("headers", [])
        )
    )


def set_cookies(route: dict[str, Any]) -> list[str]:
    return [item["header"]["value"] for item in route.get("response_headers_to_add", [])]


@pytest.mark.parametrize(
    ("cookie", "arn"),
    [
        (f"AWSALBTG={cookie_value(GREEN)}", GREEN),
        (f"AWSALBTGCORS={cookie_value(GREEN)}", GREEN),
        (f"a=b; AWSALBTG={cookie_value(BLUE)}; c=d", BLUE),
        ("AWSALBTG=of-another-rule", None),
        (f"XAWSALBTG={cookie_value(GREEN)}", None),
        (f"AWSALBTG={cookie_value(GREEN)}0", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("green", [50, 0])
def test_a_cookie_leads_to_its_group_and_only_requests_without_one_follow_the_weights(
    cookie: str, arn: str | None, green: int
) -> None:
    found = routes(listener(Rule("default", (), Forward(((BLUE, 100 - green), (GREEN, green)), 60))))
    route = taken(found, {"cookie": cookie})["route"]
    if arn is None:
        weights = {cluster["name"]: cluster["weight"] for cluster in route["weighted_clusters"]["clusters"]}
        assert weights == {cluster_name(name): w for name, w in ((BLUE, 100 - green), (GREEN, green)) if w}
    else:
        assert (route["cluster"], route["timeout"]) == (cluster_name(arn), "0s")


def test_every_answer_carries_both_cookies_of_the_group_that_gave_it() -> None:
    *sticky, weighted = routes(listener(Rule("default", (), Forward(((BLUE, 1), (GREEN, 1)), 77))))
    clusters = {cluster["name"]: cluster for cluster in weighted["route"]["weighted_clusters"]["clusters"]}
    for arn, route in zip((BLUE, GREEN), sticky, strict=True):
        value = f"{cookie_value(arn)}; Max-Age=77; Path=/"
        wanted = [f"AWSALBTG={value}", f"AWSALBTGCORS={value}; SameSite=None; Secure"]
        assert set_cookies(route) == set_cookies(clusters[cluster_name(arn)]) == wanted
        actions = {item["append_action"] for item in route["response_headers_to_add"]}
        assert actions == {"APPEND_IF_EXISTS_OR_ADD"}, "a target's own cookies stay"
    assert cookie_value(BLUE) != cookie_value(GREEN)


def test_without_stickiness_no_cookie_is_given_or_looked_at() -> None:
    found = routes(listener(Rule("default", (), Forward(((BLUE, 1), (GREEN, 1))))))
    assert len(found) == 1
    assert not any(set_cookies(cluster) for cluster in found[0]["route"]["weighted_clusters"]["clusters"])


def test_a_cookie_counts_only_where_its_rule_matches() -> None:
    path = Rule("1", ({"Field": "path-pattern", "Values": ["/v1/*"]},), FixedResponse(404, "text/plain", "no"))
    header = {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "x-variant", "Values": ["b"]}}
    rule = Rule("2", (header,), Forward(((GREEN, 1),), 60))
    found = routes(listener(path, rule, Rule("default", (), Forward(((BLUE, 1),)))))
    assert [len(route["match"].get("headers", [])) for route in found] == [0, 2, 1, 0]
    mine = {"cookie": f"AWSALBTG={cookie_value(GREEN)}"}
    assert taken(found[1:], {**mine, "x-variant": "b"})["route"]["cluster"] == cluster_name(GREEN)
    assert "weighted_clusters" in taken(found[1:], mine)["route"]


def test_a_sticky_group_of_weight_0_is_routed_to_and_must_exist() -> None:
    gone = BLUE.replace("blue", "gone")
    assert forwarded(listener(Rule("default", (), Forward(((BLUE, 1), (GREEN, 0)), 60)))) == {BLUE, GREEN}
    balancer = Balancer("lb", "web", "us-east-1", 60, (listener(Rule("default", (), Forward(((BLUE, 1), (gone, 0)), 60))),))
    with pytest.raises(UnknownCluster, match="gone"):
        render(World((balancer,), (group(BLUE),)), {}, {}, {LISTENER: 2080}, Path("xds"))


@pytest.mark.parametrize(
    ("config", "sticky"),
    [
        ({"Enabled": True, "DurationSeconds": 60}, 60),
        ({"Enabled": "true", "DurationSeconds": "5"}, 5),
        ({"Enabled": False, "DurationSeconds": 60}, None),
        ({"Enabled": "false"}, None),
        (None, None),
    ],
)
def test_stickiness_is_read_from_the_action(config: dict[str, Any] | None, sticky: int | None) -> None:
    forward: dict[str, Any] = {"TargetGroups": [{"TargetGroupArn": BLUE, "Weight": 1}]}
    if config is not None:
        forward["TargetGroupStickinessConfig"] = config
    assert _action([{"Type": "forward", "ForwardConfig": forward}]) == Forward(((BLUE, 1),), sticky)
