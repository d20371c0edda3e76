"""Envoy's configuration as a pure function of what ELBv2 holds."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cloud_worlds import BLUE, GREEN, LISTENER, group
from hypothesis import given
from hypothesis import strategies as st

from turnout.cloud.envoy_config import RESPONSE_TIME, UnknownCluster, render, statuses
from turnout.cloud.envoy_routes import cluster_name, listener_name, route_configuration, unsupported, wildcard
from turnout.cloud.health import Target
from turnout.cloud.world import (
    Action,
    Balancer,
    FixedResponse,
    Forward,
    Listener,
    Redirect,
    Rule,
    Unsupported,
    World,
)

FOLDER = Path("xds")


def listener(*rules: Rule, protocol: str = "HTTP") -> Listener:
    return Listener(LISTENER, 80, protocol, rules)


def default(action: Action) -> Rule:
    return Rule("default", (), action)


def files(action: Action, idle: int = 60, health: dict[str, dict[str, Target]] | None = None) -> Any:
    balancer = Balancer("lb", "web", "us-east-1", idle, (listener(default(action)),))
    world = World((balancer,), (group(BLUE), group(GREEN, "least_outstanding_requests")))
    addresses = {f"i-{n}": ("127.0.0.1", 2000 + n) for n in range(4)}
    return render(world, health or {}, addresses, {LISTENER: 2080}, FOLDER)


def routes(item: Listener) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = route_configuration(item)["virtual_hosts"][0]["routes"]
    return found


@given(st.lists(st.integers(0, 999), min_size=2, max_size=2))
def test_weights_are_the_listeners_and_a_group_at_0_is_not_named(weights: list[int]) -> None:
    (route,) = routes(listener(default(Forward(tuple(zip((BLUE, GREEN), weights, strict=True))))))
    if not any(weights):
        assert route["direct_response"]["status"] == 503
        return
    clusters = {c["name"]: c["weight"] for c in route["route"]["weighted_clusters"]["clusters"]}
    assert clusters == {cluster_name(arn): w for arn, w in zip((BLUE, GREEN), weights, strict=True) if w}
    assert route["route"]["timeout"] == "0s"
    assert "retry_policy" not in route["route"]


def test_a_forward_to_a_group_that_is_gone_is_refused() -> None:
    with pytest.raises(UnknownCluster, match="gone"):
        files(Forward(((BLUE, 1), (BLUE.replace("blue", "gone"), 1))))


def test_rules_come_in_order_and_the_default_last() -> None:
    path = Rule("1", ({"Field": "path-pattern", "Values": ["/v1/*"]},), FixedResponse(404, "text/plain", "no"))
    first, last = routes(listener(path, default(Forward(((BLUE, 1),)))))
    assert first["match"]["safe_regex"]["regex"] == "/v1/.*"
    assert last["match"] == {"prefix": "/"}


def test_conditions_of_a_rule_hold_together() -> None:
    conditions = (
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Env", "Values": ["blue", "gr?en"]}},
        {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.example.com"]}},
        {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET", "POST"]}},
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "v", "Value": "1*"}, {"Value": "x"}]}},
    )
    (route,) = routes(listener(Rule("1", conditions, Forward(((BLUE, 1),)))))
    found = {h["name"]: h["string_match"]["safe_regex"]["regex"] for h in route["match"]["headers"]}
    assert re.fullmatch(found["x-env"], "GREEN")
    assert not re.fullmatch(found["x-env"], "grn")
    assert re.fullmatch(found[":authority"], "a.Example.com:8080")
    assert not re.fullmatch(found[":authority"], "example.com")
    assert re.fullmatch(found[":method"], "POST")
    for path, expected in (("/a?b=2&v=12", True), ("/a?k=x", True), ("/a?v=2", False), ("/a", False), ("/v=1", False)):
        assert bool(re.fullmatch(found[":path"], path)) is expected, path


@given(st.text("ab*?.[", max_size=8), st.text("ab.[", max_size=8))
def test_wildcards_mean_any_characters_and_exactly_one(pattern: str, text: str) -> None:
    def fits(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(fits(pattern[1:], text[i:]) for i in range(len(text) + 1))
        return bool(text) and pattern[0] in ("?", text[0]) and fits(pattern[1:], text[1:])

    assert bool(re.fullmatch(wildcard(pattern), text)) == fits(pattern, text)


def test_what_cannot_be_acted_out_is_named_and_never_matches() -> None:
    source = Rule("1", ({"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}},), Forward(((BLUE, 1),)))
    item = listener(source, default(Unsupported("authenticate-oidc")))
    (only,) = routes(item)
    assert only["direct_response"]["status"] == 501
    assert [fault.split(":")[0] for fault in unsupported(item)] == ["1", "default"]


def test_redirects_keep_what_they_do_not_name() -> None:
    config = {"Protocol": "HTTPS", "Port": "443", "Host": "#{host}", "Path": "/#{path}", "StatusCode": "HTTP_302"}
    (route,) = routes(listener(default(Redirect(config))))
    assert route["redirect"] == {"response_code": "FOUND", "scheme_redirect": "https", "port_redirect": 443}
    assert unsupported(listener(default(Redirect({**config, "Path": "/a/#{path}"}))))


def test_a_network_load_balancers_listener_is_named_and_not_served() -> None:
    forward = default(Forward(((BLUE, 100), (GREEN, 0))))
    tcp = replace(listener(forward, protocol="TCP"), arn=f"{LISTENER}tcp")
    world = World((Balancer("lb", "web", "us-east-1", 60, (listener(forward), tcp)),), (group(BLUE), group(GREEN)))
    made = render(world, {}, {}, {LISTENER: 2080}, FOLDER)
    assert list(made.listeners) == list(made.routes) == [listener_name(LISTENER)]
    assert unsupported(tcp) == [f"{tcp.arn}: TCP is not carried by the local cloud; its targets are checked, no more"]
    assert world.used() == {BLUE, GREEN}


def test_an_https_listener_says_so_to_the_target() -> None:
    config = route_configuration(listener(default(FixedResponse(200, "text/plain", "50% off")), protocol="HTTPS"))
    headers = {h["header"]["key"]: h["header"]["value"] for h in config["request_headers_to_add"]}
    assert (headers["x-forwarded-proto"], headers["x-forwarded-port"]) == ("https", "80")


def test_targets_get_requests_by_state_and_drain_beside_the_others() -> None:
    health = {"i-1": Target("healthy"), "i-2": Target("unhealthy"), "i-3": Target.draining(), "i-9": Target("healthy")}
    assert statuses(health) == {"i-1": "HEALTHY", "i-2": "UNHEALTHY", "i-3": "DRAINING", "i-9": "HEALTHY"}
    endpoints = files(Forward(((BLUE, 1),)), health={BLUE: health}).endpoints[cluster_name(BLUE)]["endpoints"]
    ports = {
        host["endpoint"]["address"]["socket_address"]["port_value"]: host["health_status"]
        for host in endpoints[0]["lb_endpoints"]
    }
    assert ports == {2001: "HEALTHY", 2002: "UNHEALTHY", 2003: "DRAINING"}, "i-9 has no address"


def test_envoy_decides_nothing_by_itself() -> None:
    for cluster in files(Forward(((BLUE, 1),))).clusters.values():
        assert "health_checks" not in cluster
        assert "outlier_detection" not in cluster
        assert cluster["common_lb_config"]["healthy_panic_threshold"] == {"value": 0}
        assert cluster["ignore_health_on_host_removal"] is True
        assert min(cluster["circuit_breakers"]["thresholds"][0].values()) > 10**6


def test_idle_timeout_algorithm_and_port_come_from_the_attributes() -> None:
    found = files(Forward(((BLUE, 1),)), idle=77)
    envoy = found.listeners[listener_name(LISTENER)]
    manager = envoy["filter_chains"][0]["filters"][0]["typed_config"]
    assert manager["stream_idle_timeout"] == "77s"
    assert envoy["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 2080}
    assert envoy["enable_reuse_port"] is False
    options = found.clusters[cluster_name(BLUE)]["typed_extension_protocol_options"]
    assert next(iter(options.values()))["common_http_protocol_options"]["idle_timeout"] == "77s"
    assert [found.clusters[cluster_name(arn)]["lb_policy"] for arn in (BLUE, GREEN)] == ["ROUND_ROBIN", "LEAST_REQUEST"]


def test_the_same_world_gives_the_same_files() -> None:
    action = Forward(((BLUE, 3), (GREEN, 1)))
    assert files(action) == files(replace(action))


def test_response_times_are_counted_by_cluster_in_microseconds_to_the_first_byte() -> None:
    envoy = files(Forward(((BLUE, 1),))).listeners[listener_name(LISTENER)]
    (log,) = envoy["filter_chains"][0]["filters"][0]["typed_config"]["access_log"]
    (histogram,) = log["typed_config"]["histograms"]
    assert histogram["value_format"] == "%COMMON_DURATION(US_TX_END:US_RX_BEG:us)%"
    assert f"{log['typed_config']['stat_prefix']}.{histogram['stat']['name']}" == RESPONSE_TIME
    assert [tag["value_format"] for tag in histogram["stat"]["tags"]] == ["%UPSTREAM_CLUSTER_RAW%"]
