"""The local cluster under traffic: real pods of a real scheduler, a server behind each, a real Envoy in front."""

import http.client
import json
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from local_cluster_world import DEPLOYMENT, DIGESTS, Traffic, World

from benchmarks.waiting import wait_for
from turnout.cluster import watching

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def world(local_world: World) -> Iterator[World]:
    found = local_world.within("shop")
    for environment in ("blue", "green"):
        found.apply(found.deployment(environment, 2), found.service(environment))
    found.apply(found.route(blue=100, green=0))
    for environment in ("blue", "green"):
        found.await_ready(environment, 2)
    yield found
    found.end()


def condition(world: World, kind: str, generation: int | None = None) -> tuple[str, str, str] | None:
    """Status, reason and message of a condition of the users' route, once it speaks of what stands there now."""
    route: Any = world.client.get(watching.HTTP_ROUTE.main, "tiny", namespace=world.namespace)
    for parent in (route.get("status") or {}).get("parents") or ():
        for one in parent["conditions"]:
            if one["type"] == kind and one["observedGeneration"] == (generation or route["metadata"]["generation"]):
                return one["status"], one["reason"], one["message"]
    return None


def set_weights(world: World, **weights: int) -> None:
    """As the switch does it: the weights, then the status that says that they are in force."""
    world.apply(world.route(**weights))
    assert wait_for("a status", lambda: condition(world, "Accepted")) == ("True", "Accepted", "")


def test_nothing_is_lost_over_weights_and_none_comes_after_the_status(world: World) -> None:
    with Traffic(world.url()).flowing() as traffic:
        traffic.passed()
        for weights in ({"blue": 50, "green": 50}, {"blue": 0, "green": 100}, {"blue": 100, "green": 0}):
            set_weights(world, **weights)
            traffic.passed(10)
            seen = len(traffic.digests)
            traffic.passed(60)
            carrying = {DIGESTS[name] for name, weight in weights.items() if weight}
            assert set(traffic.digests[seen + 3 :]) == carrying
    assert traffic.lost() == {}


def test_nothing_is_lost_when_pods_are_replaced(world: World) -> None:
    before = world.await_ready("blue", 2)
    with Traffic(world.url()).flowing() as traffic:
        traffic.passed()
        for name in before:
            world.delete_pod(name)
            wait_for("pod gone", lambda gone=name: gone not in [pod["metadata"]["name"] for pod in world.pods("blue")])
            world.await_ready("blue", 2)
        traffic.passed()
    assert traffic.lost() == {}
    assert not set(before) & set(world.ready("blue"))


def test_a_pod_that_ends_finishes_what_it_has_and_gets_nothing_new(world: World) -> None:
    (leaving, staying) = world.await_ready("blue", 2)
    held: list[int] = []

    def hold() -> None:
        connection = http.client.HTTPConnection(urlsplit(world.url()).netloc, timeout=30)
        connection.request("GET", "/", headers={"x-hold": "1.5"})
        answer = connection.getresponse()
        answer.read()
        held.append(answer.status)

    users = [threading.Thread(target=hold) for _ in range(6)]
    for user in users:
        user.start()
    with Traffic(world.url()).flowing() as traffic:
        traffic.passed(10)
        world.delete_pod(leaving)
        terminating = wait_for("a terminating endpoint", lambda: _endpoint(world, leaving, "terminating"))
        assert terminating["conditions"] == {"ready": False, "serving": True, "terminating": True}
        for user in users:
            user.join()
        world.await_ready("blue", 2)
    assert held == [200] * 6
    assert traffic.lost() == {}
    assert staying in world.ready("blue")


def _endpoint(world: World, pod: str, condition: str) -> dict[str, Any] | None:
    for one in world.client.list(watching.ENDPOINT_SLICE.main, namespace=world.namespace):
        for endpoint in one.get("endpoints") or ():
            if (endpoint.get("targetRef") or {}).get("name") == pod and endpoint["conditions"].get(condition):
                return dict(endpoint)
    return None


def test_a_killed_server_is_unready_and_started_again_with_back_off(world: World) -> None:
    name = world.await_ready("green", 2)[0]
    first = world.served()[name]["pid"]
    os.kill(first, signal.SIGKILL)
    wait_for("a restart", lambda: _restarts(world, name) == 1)
    world.await_ready("green", 2)
    os.kill(world.served()[name]["pid"], signal.SIGKILL)
    waiting = wait_for("back-off", lambda: _server(world, name)["state"].get("waiting"))
    assert waiting["reason"] == "CrashLoopBackOff"
    assert name not in world.ready("green")
    assert _server(world, name)["lastState"]["terminated"]["exitCode"] == 137
    wait_for("a second restart", lambda: _restarts(world, name) == 2)
    world.await_ready("green", 2)


def _server(world: World, name: str) -> dict[str, Any]:
    pod: Any = world.client.get(watching.POD.main, name, namespace=world.namespace)
    return dict(pod["status"]["containerStatuses"][0])


def _restarts(world: World, name: str) -> int:
    return int(_server(world, name)["restartCount"])


def test_a_sick_server_gets_nothing_until_it_is_well(world: World) -> None:
    name = world.await_ready("blue", 2)[0]
    address = urlsplit(world.served()[name]["url"]).netloc
    _get(address, "/sick")
    wait_for("unready pod", lambda: name not in world.ready("blue"))
    _get(address, "/well")
    world.await_ready("blue", 2)
    assert _restarts(world, name) == 0


def _get(address: str, path: str) -> int:
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request("GET", path)
    return connection.getresponse().status


def test_the_status_names_what_is_not_there_and_what_is_not_carried_out(world: World) -> None:
    world.apply(world.route(blue=100, nobody=0))
    assert wait_for("a status", lambda: condition(world, "ResolvedRefs")) == (
        "False",
        "BackendNotFound",
        "there is no Service shop/tiny-nobody",
    )
    odd = world.route(blue=100)
    odd["spec"]["rules"][0]["filters"] = [{"type": "CORS", "cors": {"allowOrigins": ["*"]}}]
    world.apply(odd)
    status = wait_for("a status", lambda: condition(world, "Accepted"))
    assert status[:2] == ("False", "UnsupportedValue")
    assert "CORS" in status[2]
    set_weights(world, blue=100, green=0)


def test_a_pod_that_cannot_be_served_says_why(world: World) -> None:
    odd = world.deployment("blue", 1, lifecycle={"preStop": {"exec": {"command": ["sleep", "5"]}}})
    odd["metadata"]["name"] = "odd"
    odd["spec"]["selector"]["matchLabels"]["turnout.dev/environment"] = "odd"
    odd["spec"]["template"]["metadata"]["labels"]["turnout.dev/environment"] = "odd"
    world.apply(odd)
    reason = wait_for("a reason", lambda: [_waiting(pod) for pod in world.pods("odd") if _waiting(pod)])
    assert reason[0]["reason"] == "CreateContainerConfigError"
    assert "preStop" in reason[0]["message"]
    world.client.delete(DEPLOYMENT.main, "odd", namespace=world.namespace)
    wait_for("no odd pods", lambda: not world.pods("odd"))


def _waiting(pod: dict[str, Any]) -> dict[str, Any]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or [{}]
    return dict((statuses[0].get("state") or {}).get("waiting") or {})


def test_a_prometheus_finds_servers_and_proxy(world: World) -> None:
    address = urlsplit(world.cloud.endpoint).netloc
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", "/_turnout/prometheus/targets")
    found = json.loads(connection.getresponse().read())
    own = [one for one in found if one["labels"].get("namespace") == world.namespace]
    servers = [one for one in own if one["labels"]["environment"] == "blue"]
    assert len(servers) == 2
    ips = {pod["status"]["podIP"] for pod in world.pods("blue")}
    assert {one["labels"]["instance"] for one in servers} == ips
    assert {one["labels"]["group"] for one in servers} == {"Deployment/shop/tiny-blue"}
    assert {one["labels"]["release"] for one in servers} == {DIGESTS["blue"]}
    (proxy,) = (one for one in found if one["labels"].get("job") == "gateway")
    connection.close()
    connection = http.client.HTTPConnection(proxy["targets"][0], timeout=10)
    connection.request("GET", proxy["labels"]["__metrics_path__"])
    assert b"envoy_cluster_upstream_rq" in connection.getresponse().read()
