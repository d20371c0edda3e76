"""HTTPRoutes through a real Envoy, from objects as the API server has them. Rules: "API specification", Gateway API."""

import http.client
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gateway_objects as objects
import pytest
from gateway_objects import backend, gateway, ip_of, listener, route, service, slice_of, snapshot

from turnout.cloud import processes
from turnout.cloud.envoy import Envoy
from turnout.cloud.ports import Ports
from turnout.cloud.processes import Registry
from turnout.cluster.gateway_envoy import entrances, render
from turnout.cluster.gateway_model import Snapshot, joined
from turnout.cluster.gateway_routes import unsupported

READY, UNREADY = {"ready": True}, {"ready": False}
LEAVING = {"ready": False, "serving": True, "terminating": True}


class Proxy:
    """An Envoy, and what snapshots make of it."""

    def __init__(self, folder: Path) -> None:
        self.envoy = Envoy(folder / "envoy", Registry(folder / "processes.json"))
        self.envoy.start()
        self._ports = Ports()
        self._held: dict[Any, int] = {}

    def serve(self, state: Snapshot) -> None:
        gateways, _ = joined(state, {("shop", r["metadata"]["name"]): p for r in state.routes if (p := unsupported(r))})
        for entrance in entrances(gateways):
            self._held.setdefault(entrance, self._ports.take())
        self.envoy.write(render(gateways, state, self._held, self.envoy.folder))
        for _ in range(2000):
            if all(self.envoy.acknowledged().values()):
                return
        pytest.fail("Envoy did not take it up")

    def get(self, path: str = "/", port: int = 80, **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self._held["shop", "web", port], timeout=10)
        try:
            connection.request("GET", path, headers=sent)
            answer = connection.getresponse()
            body = answer.read()
            plain = answer.status == 200 and body.startswith(b"{")
            return answer.status, json.loads(body) if plain else {}, {k.lower(): v for k, v in answer.getheaders()}
        finally:
            connection.close()

    def who(self, count: int = 40, **headers: str) -> Counter[object]:
        answers = [self.get(**headers) for _ in range(count)]
        return Counter(body.get("server", status) for status, body, _ in answers)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    found = Proxy(tmp_path_factory.mktemp("gateway"))
    yield found
    assert found.envoy.process is not None
    processes.end([found.envoy.process], 5)


@pytest.fixture
def blue() -> Iterator[Any]:
    with objects.server("blue") as found:
        yield found


@pytest.fixture
def green() -> Iterator[Any]:
    with objects.server("green") as found:
        yield found


def both(blue: Any, green: Any, *rules: dict[str, Any], **rest: Any) -> Snapshot:
    sides = [slice_of("blue", (ip_of("b"), READY)), slice_of("green", (ip_of("g"), READY))]
    held = [gateway(), route(*rules, **rest), service("blue"), service("green"), *sides]
    return snapshot(*held, b=blue.server_port, g=green.server_port)


def test_weights_decide_and_weight_0_gets_nothing(proxy: Proxy, blue: Any, green: Any) -> None:
    proxy.serve(both(blue, green, {"backendRefs": [backend("blue", 100), backend("green", 0)]}))
    assert proxy.who() == {"blue": 40}
    proxy.serve(both(blue, green, {"backendRefs": [backend("blue", 50), backend("green", 50)]}))
    assert set(proxy.who(100)) == {"blue", "green"}
    proxy.serve(both(blue, green, {"backendRefs": [backend("blue", 0), backend("green")]}))
    assert proxy.who() == {"green": 40}


def test_a_missing_backend_s_share_and_a_rule_of_no_weight_get_500(proxy: Proxy, blue: Any, green: Any) -> None:
    proxy.serve(both(blue, green, {"backendRefs": [backend("blue", 1), backend("nobody", 1)]}))
    seen = proxy.who(100)
    assert set(seen) == {"blue", 500}
    proxy.serve(both(blue, green, {"backendRefs": [backend("blue", 0)]}))
    assert proxy.who(5) == {500: 5}
    proxy.serve(both(blue, green, {"backendRefs": [backend("blue", namespace="elsewhere")]}))
    assert proxy.who(5) == {500: 5}


def test_a_service_elsewhere_needs_a_grant_there(proxy: Proxy, blue: Any) -> None:
    there = [service("blue", "models"), slice_of("blue", (ip_of("b"), READY), namespace="models")]
    held = [gateway(), route({"backendRefs": [backend("blue", namespace="models")]}), *there]
    proxy.serve(snapshot(*held, b=blue.server_port))
    assert proxy.who(3) == {500: 3}
    source = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "shop"}
    for name, seen in (("other", 500), ("blue", "blue")):
        spec = {"from": [source], "to": [{"group": "", "kind": "Service", "name": name}]}
        proxy.serve(snapshot(*held, objects.found("ReferenceGrant", "shop", spec, "models"), b=blue.server_port))
        assert proxy.who(3) == {seen: 3}


def test_endpoints_that_are_not_ready_or_leave_get_nothing_new(proxy: Proxy, blue: Any, green: Any) -> None:
    rule = {"backendRefs": [backend("blue")]}
    for conditions in (UNREADY, LEAVING, {"ready": True, "terminating": True}):
        sides = slice_of("blue", (ip_of("b"), conditions), (ip_of("g"), READY))
        proxy.serve(snapshot(gateway(), route(rule), service("blue"), sides, b=blue.server_port, g=green.server_port))
        assert proxy.who() == {"green": 40}, conditions
    sides = slice_of("blue", (ip_of("b"), UNREADY))
    proxy.serve(snapshot(gateway(), route(rule), service("blue"), sides, b=blue.server_port))
    assert proxy.who(5) == {503: 5}


def test_headers_paths_methods_and_queries_match_in_the_specification_s_order(proxy: Proxy, blue: Any, green: Any) -> None:
    to_green = {"backendRefs": [backend("green")]}
    rules = [
        {"backendRefs": [backend("blue")]},
        {
            "matches": [{"headers": [{"name": "x-variant", "value": "b"}]}, {"path": {"type": "Exact", "value": "/one"}}],
            **to_green,
        },
        {"matches": [{"path": {"value": "/two"}, "method": "GET"}, {"queryParams": [{"name": "v", "value": "2"}]}], **to_green},
    ]
    proxy.serve(both(blue, green, *rules))
    seen = {
        path: proxy.get(path)[1]["server"] for path in ("/", "/one", "/one/more", "/two/more", "/twofold", "/?v=2", "/?v=3")
    }
    assert [path for path, name in seen.items() if name == "green"] == ["/one", "/two/more", "/?v=2"]
    assert proxy.get(x_variant="b")[1]["server"] == "green"
    assert proxy.get(x_variant="bb")[1]["server"] == "blue"


def test_a_route_that_is_older_wins_and_one_hostname_is_not_another(proxy: Proxy, blue: Any, green: Any) -> None:
    young = route({"backendRefs": [backend("blue")]}, name="a", metadata={"creationTimestamp": "2026-01-02T00:00:00Z"})
    twin = route({"backendRefs": [backend("blue")]}, name="zz")
    old = route({"backendRefs": [backend("green")]}, name="z")
    named = route({"backendRefs": [backend("blue")]}, name="named", hostnames=["blue.example.com"])
    base = both(blue, green)
    proxy.serve(Snapshot(**{**vars(base), "routes": [young, twin, old, named]}))
    assert proxy.who(5) == {"green": 5}
    assert proxy.get(Host="blue.example.com:80")[1]["server"] == "blue"


def test_copies_go_to_the_mirror_and_its_answers_nowhere(proxy: Proxy, blue: Any, green: Any) -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": backend("green")}}
    proxy.serve(both(blue, green, {"backendRefs": [backend("blue")], "filters": [mirror]}))
    assert proxy.who(20) == {"blue": 20}
    proxy.who(1)
    for _ in range(500):
        if len(green.asked) >= 21:
            break
        proxy.envoy.acknowledged()
    assert len(green.asked) == 21
    mirror["requestMirror"]["percent"] = 0
    proxy.serve(both(blue, green, {"backendRefs": [backend("blue")], "filters": [mirror]}))
    proxy.who(20)
    assert len(green.asked) == 21


def test_headers_are_changed_and_paths_rewritten(proxy: Proxy, blue: Any, green: Any) -> None:
    sets = {"set": [{"name": "x-a", "value": "1"}], "remove": ["x-b"]}
    filters = [
        {"type": "RequestHeaderModifier", "requestHeaderModifier": sets},
        {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": "x-c", "value": "3"}]}},
        {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}},
    ]
    rule = {"matches": [{"path": {"value": "/v1"}}], "filters": filters, "backendRefs": [backend("blue")]}
    proxy.serve(both(blue, green, rule))
    status, body, headers = proxy.get("/v1/predict?x=1", x_a="0", x_b="2")
    assert (status, body["path"], headers["x-c"]) == (200, "/predict?x=1", "3")
    assert (body["headers"]["x-a"], "x-b" in body["headers"]) == ("1", False)
    redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "hostname": "a.example", "statusCode": 301}}
    proxy.serve(both(blue, green, {"filters": [redirect]}))
    status, _, headers = proxy.get("/x?y=1")
    assert (status, headers["location"]) == (301, "https://a.example/x?y=1")


def test_a_test_listener_has_routes_of_its_own(proxy: Proxy, blue: Any, green: Any) -> None:
    """As the kit's production route and its route for tests stand side by side."""
    users = route({"backendRefs": [backend("blue")]}, parentRefs=[{"name": "web", "sectionName": "http"}])
    match = {"headers": [{"name": "x-turnout-environment", "value": "green"}]}
    tests = route(
        {"matches": [match], "backendRefs": [backend("green")]},
        name="digits-test",
        parentRefs=[{"name": "web", "sectionName": "test"}],
    )
    base = both(blue, green)
    listeners = gateway(listener(), listener("test", 8081))
    proxy.serve(Snapshot(**{**vars(base), "gateways": [listeners], "routes": [users, tests]}))
    assert proxy.get(x_turnout_environment="green")[1]["server"] == "blue"
    assert proxy.get(port=8081, x_turnout_environment="green")[1]["server"] == "green"
    assert proxy.get(port=8081)[0] == 404


def test_a_route_with_what_is_not_carried_out_is_not_in_force(proxy: Proxy, blue: Any, green: Any) -> None:
    rule = {"backendRefs": [backend("blue")], "filters": [{"type": "ExtensionRef", "extensionRef": {"name": "x"}}]}
    proxy.serve(both(blue, green, rule))
    assert proxy.who(3) == {404: 3}
