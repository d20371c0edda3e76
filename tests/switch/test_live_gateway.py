"""An HTTPRoute as the switch's router, against an API that a test scripts."""

import pytest
from fake_cluster import FakeCluster, accepting, answer
from turnout_components import route_rules
from turnout_components.cluster_api import Changed, ClusterError
from turnout_components.live import Target
from turnout_components.live_gateway import SERVICE_LABEL, GatewayRouter

ROUTE, BLUE, GREEN = "HTTPRoute/shop/svc", "Service/shop/svc-blue", "Service/shop/svc-green"
MAIN = {
    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
    "timeouts": {"request": "60s"},
    "sessionPersistence": {"sessionName": "s"},
    "backendRefs": [{"name": "svc-blue", "port": 8000}, {"name": "svc-green", "port": 8000, "weight": 0}],
}


class Time:
    now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def api():
    found = FakeCluster("shop")
    found.after = accepting
    found.put("HTTPRoute", "shop", "svc", spec={"parentRefs": [{"name": "gw"}], "rules": [MAIN]})
    return found


@pytest.fixture
def router(api):
    time = Time()
    return GatewayRouter(api, sleep=time.sleep, clock=lambda: time.now)


def rules(api):
    return api.get("HTTPRoute", "shop", "svc")["spec"]["rules"]


def test_weights_are_read_by_service_and_one_is_the_default(router):
    assert router.weights(ROUTE) == {BLUE: 1, GREEN: 0}
    assert router.weights("HTTPRoute/shop/other") is None
    assert router.listener_of([GREEN, BLUE]) == ROUTE
    assert router.listener_of([GREEN]) is None


def test_new_weights_leave_the_rule_as_it_is_but_for_its_sessions(api, router):
    assert router.is_sticky(ROUTE)
    assert router.set_weights(ROUTE, {BLUE: 0, GREEN: 100})
    (rule,) = rules(api)
    assert rule["backendRefs"] == [
        {"name": "svc-blue", "port": 8000, "weight": 0},
        {"name": "svc-green", "port": 8000, "weight": 100},
    ]
    assert rule["timeouts"] == {"request": "60s"}
    assert not router.is_sticky(ROUTE)


def test_sessions_by_the_gateways_defaults_are_sessions(api, router):
    api.objects["HTTPRoute", "shop", "svc"]["spec"]["rules"][0] = {**MAIN, "sessionPersistence": {}}
    assert router.is_sticky(ROUTE)


def test_weights_are_in_force_only_when_the_controller_has_taken_this_generation(api, router):
    api.after = lambda route: None
    assert not router.set_weights(ROUTE, {BLUE: 0, GREEN: 100})
    assert "has not looked at generation 2 yet" in router.unfollowed
    api.after = lambda route: answer(route, "False", "ResolvedRefs", "BackendNotFound")
    assert not router.set_weights(ROUTE, {BLUE: 50, GREEN: 50})
    assert "ResolvedRefs is False: BackendNotFound" in router.unfollowed
    assert router.weights(ROUTE) == {BLUE: 50, GREEN: 50}


def test_who_has_written_nothing_is_told_at_once_or_waits_for_the_controller(api):
    """As after an update, in which the engine writes the route."""

    def later(_: float) -> None:
        answer(api.objects["HTTPRoute", "shop", "svc"], "True")

    api.after = lambda route: None
    router = GatewayRouter(api, sleep=later)
    api.patch("HTTPRoute", "shop", "svc", {"spec": {"rules": [{**MAIN, "name": "main"}]}})
    assert "has not looked at generation" in router.refusal(ROUTE)
    assert router.refusal(ROUTE, wait=True) is None


def test_what_somebody_else_writes_in_between_is_kept(api, router):
    router.weights(ROUTE)

    def meanwhile():
        GatewayRouter(api).put_variants(ROUTE, {"b": GREEN})

    api.before = meanwhile
    assert router.set_weights(ROUTE, {BLUE: 10, GREEN: 90}, at_once=True)
    assert router.variants(ROUTE) == {"b": GREEN}
    assert router.weights(ROUTE) == {BLUE: 10, GREEN: 90}


def test_a_write_that_never_gets_through_is_told(api, router):
    api.patch = lambda *_, **__: (_ for _ in ()).throw(Changed("always"))
    with pytest.raises(Changed):
        router.set_weights(ROUTE, {BLUE: 0, GREEN: 100})


def test_weights_at_once_take_one_write_and_no_read_before_it(api, router):
    router.weights(ROUTE)
    reads = []
    get = api.get
    api.get = lambda *place: reads.append(len(api.writes)) or get(*place)
    router.set_weights(ROUTE, {BLUE: 0, GREEN: 100}, at_once=True)
    assert reads[0] == 1


@pytest.mark.parametrize("weight", [-1, 1_000_001])
def test_a_weight_that_gateway_api_does_not_take_is_not_sent(api, router, weight):
    with pytest.raises(ValueError, match="1000000"):
        router.set_weights(ROUTE, {BLUE: weight, GREEN: 0})
    assert api.writes == []


def test_a_gone_route_is_nothing_to_write_to(router):
    with pytest.raises(LookupError, match="gone"):
        router.set_weights("HTTPRoute/shop/other", {BLUE: 1})


def test_variants_go_past_the_weights_and_leave_nothing_behind(api, router):
    router.put_variants(ROUTE, {"control": BLUE, "treatment": GREEN, "other": GREEN})
    assert router.variants(ROUTE) == {"control": BLUE, "treatment": GREEN, "other": GREEN}
    sent = rules(api)[1]
    assert [match["headers"][0]["value"] for match in sent["matches"]] == ["treatment", "other"]
    assert all(match["path"] == {"type": "PathPrefix", "value": "/"} for match in sent["matches"])
    assert sent["timeouts"] == {"request": "60s"}
    assert router.weights(ROUTE) == {BLUE: 1, GREEN: 0}
    assert router.clear_variants(ROUTE, GREEN)
    assert rules(api) == [MAIN]
    assert not router.clear_variants(ROUTE, GREEN)


def test_an_experiment_that_has_no_room_is_refused(api, router):
    for place in range(15):
        api.objects["HTTPRoute", "shop", "svc"]["spec"]["rules"].append({"matches": [{"path": {"value": f"/{place}"}}]})
    with pytest.raises(LookupError, match="16 rules"):
        router.put_variants(ROUTE, {"a": GREEN})


AUDIT = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "audit", "port": 80}}}
TEAM = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-team", "value": "a"}], "remove": ["x"]}}


@pytest.mark.parametrize("foreign", [[], [AUDIT], [TEAM], [TEAM, AUDIT]])
def test_a_mirror_comes_and_goes_and_leaves_what_others_have_made(api, router, foreign):
    api.objects["HTTPRoute", "shop", "svc"]["spec"]["rules"][0] = {**MAIN, **({"filters": foreign} if foreign else {})}
    before = rules(api)
    router.put_mirror(ROUTE, GREEN, 30)
    assert router.mirrored(ROUTE) == {GREEN: 30}
    router.put_mirror(ROUTE, GREEN, 50)
    assert router.mirrored(ROUTE) == {GREEN: 50}
    filters = rules(api)[0]["filters"]
    ours = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "svc-green", "port": 8000}, "percent": 50}}
    assert [each for each in filters if each["type"] == "RequestMirror"] == [each for each in foreign if each is AUDIT] + [ours]
    (headers,) = [each["requestHeaderModifier"] for each in filters if each["type"] == "RequestHeaderModifier"]
    assert headers["set"][-1] == {"name": "x-turnout-mirrored", "value": "1"}
    assert router.weights(ROUTE) == {BLUE: 1, GREEN: 0}
    router.put_mirror(ROUTE, None, 0)
    assert rules(api) == before
    assert router.mirrored(ROUTE) == {}


def test_copies_that_a_gateway_does_not_take_are_told(api, router):
    api.after = lambda route: answer(route, "False", "ResolvedRefs", "BackendNotFound")
    with pytest.raises(ClusterError, match="copies for Service/shop/svc-green are not in force"):
        router.put_mirror(ROUTE, GREEN, 30)
    router.put_mirror(ROUTE, None, 0)


@pytest.mark.parametrize(
    ("part", "percent"), [({}, 100), ({"percent": 5}, 5), ({"fraction": {"numerator": 1, "denominator": 8}}, 12.5)]
)
def test_how_much_somebody_elses_filter_copies_is_read(api, router, part, percent):
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "svc-green", "port": 8000}, **part}}
    api.objects["HTTPRoute", "shop", "svc"]["spec"]["rules"][0] = {**MAIN, "filters": [mirror]}
    assert router.mirrored(ROUTE) == {GREEN: percent}


def test_a_route_that_not_every_gateway_has_looked_at_is_not_in_force(api):
    route = api.get("HTTPRoute", "shop", "svc")
    assert route_rules.refusal(route) is None
    route["spec"]["parentRefs"].append({"name": "second"})
    assert route_rules.refusal(route) == "1 of its 2 Gateways have said anything of it"


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        ({"ready": True, "serving": True, "terminating": False}, "healthy"),
        ({}, "healthy"),
        ({"ready": False, "serving": True, "terminating": True}, "draining"),
        ({"ready": False, "serving": False, "terminating": True}, "draining"),
        ({"ready": True, "serving": False}, "unhealthy"),
        ({"ready": False}, "unhealthy"),
    ],
)
def test_an_endpoints_conditions_are_a_targets_state(api, router, conditions, state):
    end = {"addresses": ["10.0.0.1"], "conditions": conditions, "targetRef": {"name": "p"}}
    api.put("EndpointSlice", "shop", "a", metadata={"labels": {SERVICE_LABEL: "svc-blue"}}, endpoints=[end])
    api.put("EndpointSlice", "shop", "b", metadata={"labels": {SERVICE_LABEL: "svc-green"}}, endpoints=[end])
    (target,) = router.targets(BLUE)
    assert (target.id, target.state) == ("10.0.0.1", state)


@pytest.mark.parametrize(("started", "state"), [(False, "initial"), (True, "unhealthy")])
def test_who_has_not_passed_its_startup_probe_is_no_patient_yet(api, router, started, state):
    end = {"addresses": ["10.0.0.1"], "conditions": {"ready": False}, "targetRef": {"name": "p"}}
    api.put("EndpointSlice", "shop", "a", metadata={"labels": {SERVICE_LABEL: "svc-blue"}}, endpoints=[end])
    api.put("Service", "shop", "svc-blue", spec={"selector": {"e": "blue"}})
    status = {"containerStatuses": [{"started": started, "restartCount": 0}]}
    api.put("Pod", "shop", "p", metadata={"labels": {"e": "blue"}}, status=status)
    reason = "Target.InitialHealthChecking" if not started else "not ready"
    assert router.targets(BLUE) == [Target("10.0.0.1", state, reason)]
