"""The production route and the Gateway in front of it, against recording mocks."""

from typing import Any

import pytest
from component_args import RELEASE_ID
from recording import Recording, record
from turnout_components import route_specs, route_switch
from turnout_components.gate import Candidate
from turnout_components.gate_hooks import GateHooks, candidates, place_of
from turnout_components.gateway_ingress import GatewayIngress
from turnout_components.platforms import KUBERNETES, Place
from turnout_components.route_switch import RouteSwitch

BLUE, GREEN = "Service/shop/svc-blue", "Service/shop/svc-green"


def switch_args(**changes: Any) -> Any:
    blue = {"target_group": BLUE, "group": "Deployment/shop/w", "release": RELEASE_ID, "minimum": 2, "maximum": 6}
    green = {"target_group": GREEN, "group": None, "release": None, "minimum": 1, "maximum": 6}
    args = {"service": "svc", "namespace": "shop", "gateway": {"name": "gw", "namespace": "edge", "section": "https"}}
    return {**args, "environments": {"blue": blue, "green": green}, "active": "blue", **changes}


def switch(**changes: Any) -> Recording:
    def program():
        made = RouteSwitch("svc", switch_args(**changes))
        return {"listener": made.listener, "weights": made.weights}

    return record(program)


def test_the_route_carries_the_weights_of_both_and_names_the_users_listener():
    made = switch(weights={"blue": 90, "green": 10}, hostnames=["svc.example.com"], request_timeout=0)
    route = made.one(":HTTPRoute").inputs
    assert route["spec"] == {
        "parentRefs": [{"name": "gw", "namespace": "edge", "sectionName": "https"}],
        "hostnames": ["svc.example.com"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [
                    {"kind": "Service", "name": "svc-blue", "port": 80, "weight": 90},
                    {"kind": "Service", "name": "svc-green", "port": 80, "weight": 10},
                ],
                "timeouts": {"request": "0s"},
            }
        ],
    }
    assert (route["metadata"]["name"], route["metadata"]["namespace"]) == ("svc", "shop")
    assert made.outputs["listener"] == "HTTPRoute/shop/svc"


def test_a_new_release_of_the_standby_changes_the_route_and_a_foreign_write_is_taken_over():
    notes = switch().one(":HTTPRoute").inputs["metadata"]["annotations"]
    assert notes == {"pulumi.com/patchForce": "true", "turnout.dev/blue": RELEASE_ID, "turnout.dev/green": "none"}


def test_the_gate_stands_before_every_write_of_the_route():
    hooks = switch().one(":HTTPRoute").request.hooks
    assert list(hooks.before_create) == list(hooks.before_update) == ["svc-gate"]
    assert list(hooks.after_create) == list(hooks.after_update) == ["svc-record"]


def test_a_service_of_another_namespace_is_refused():
    known = {**switch_args(), "namespace": "elsewhere"}
    with pytest.raises(ValueError, match="not in the route's namespace"):
        route_specs.weighted(known, {"blue": 100, "green": 0})


def test_the_hooks_tell_the_gate_the_route_by_its_name_and_where_the_record_is(monkeypatch):
    bound: list[Any] = []

    class Hooks(GateHooks):
        def __init__(self, settings, make, listener):
            super().__init__(settings, make, listener)
            bound.extend([settings, listener])

    monkeypatch.setattr(route_switch, "GateHooks", Hooks)

    def program():
        RouteSwitch("svc", switch_args(context="prod", record_table="memory", step_down_image="k@sha256:1"))
        return {"settings": bound[0]}

    settings = record(program).outputs["settings"]
    environments = {"blue": Candidate(BLUE, "Deployment/shop/w", RELEASE_ID, 2, 6), "green": Candidate(GREEN, None, None, 1, 6)}
    assert candidates(settings) == environments
    assert (settings["service"], settings["weights"]) == ("svc", {"blue": 100, "green": 0})
    assert place_of(settings) == Place(KUBERNETES, "memory", "prod", step_down_image="k@sha256:1")
    assert bound[1]({"metadata": {"namespace": "shop", "name": "svc"}}) == "HTTPRoute/shop/svc"


def ingress(**args: Any) -> Recording:
    def program():
        services = {"blue": BLUE, "green": GREEN}
        made = GatewayIngress("in", {"service": "svc", "namespace": "shop", "services": services, **args})  # type: ignore[typeddict-item]
        return {"name": made.gateway_name, "namespace": made.gateway_namespace, "section": made.section}

    return record(program)


def test_a_gateway_of_its_own_ends_tls_and_takes_routes_of_its_namespace_only():
    made = ingress(gateway_class="envoy", certificate_secret="svc-tls", hostnames=["svc.example.com"])
    (listener,) = made.one(":Gateway").inputs["spec"]["listeners"]
    assert listener == {
        "name": "users",
        "port": 443,
        "protocol": "HTTPS",
        "hostname": "svc.example.com",
        "tls": {"mode": "Terminate", "certificateRefs": [{"kind": "Secret", "name": "svc-tls"}]},
        "allowedRoutes": {"namespaces": {"from": "Same"}},
    }
    assert made.outputs == {"name": "svc", "namespace": "shop", "section": "users"}
    assert made.all(":HTTPRoute") == []


def test_tests_reach_either_environment_by_header_at_another_listener():
    made = ingress(existing={"name": "gw", "section": "https"}, test={"name": "gw", "section": "tests"})
    assert made.all(":Gateway") == []
    spec = made.one(":HTTPRoute").inputs["spec"]
    assert spec["parentRefs"] == [{"name": "gw", "namespace": "shop", "sectionName": "tests"}]
    headers = [rule["matches"][0]["headers"][0] for rule in spec["rules"]]
    assert [header["value"] for header in headers] == ["blue", "green"]
    assert [rule["backendRefs"][0]["name"] for rule in spec["rules"]] == ["svc-blue", "svc-green"]
    assert made.outputs == {"name": "gw", "namespace": "shop", "section": "https"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"gateway_class": "envoy"}, "in the clear"),
        ({}, "say nothing"),
        ({"gateway_class": "envoy", "existing": {"name": "gw"}, "plain_http": True}, "both say"),
        ({"existing": {"name": "gw"}, "certificate_secret": "tls"}, "of a Gateway of its own"),
        ({"existing": {"name": "gw"}, "test": {"name": "gw"}}, "everybody could reach the standby"),
        ({"gateway_class": "envoy", "plain_http": True, "hostnames": ["a.example", "b.example"]}, "too many"),
    ],
)
def test_an_open_door_or_a_contradiction_is_refused(args, said):
    with pytest.raises(ValueError, match=said):
        ingress(**args)
