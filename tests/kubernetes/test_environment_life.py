"""Environments on a real scheduler and real controllers, their pods made ready by kwok: side by side, spread, and kept up."""

import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from lightkube.resources.core_v1 import Node, PodStatus
from turnout_components.model_deployment import ModelDeployment
from turnout_components.service_namespace import ServiceNamespace

from tests.kubernetes.conftest import Cluster, emptied
from tests.kubernetes.rendered import Object, Strict, is_ready, objects, of_kind, until
from tests.kubernetes.test_environment_objects import FETCHED, FETCHER, IN_IMAGE, environment
from turnout.cluster.nodes import ZONES, node
from turnout.engine.provider import ProviderError

POOL = "turnout.dev/test-pool"
NEXT = {**IN_IMAGE, "name": "digits-2.0.0", "digest": "sha256:" + "ef" * 32}
SMALL = {"cpus": 0.5, "memory_gib": 2, "shm_gib": 1}


class Place:
    """A service with a namespace and GPU nodes of its own: one GPU each, two nodes a zone."""

    def __init__(self, cluster: Cluster, service: str) -> None:
        self.service, self.cluster, self.strict = service, cluster, Strict(cluster.kubeconfig)
        self.nodes = [f"{service}-{zone[-1]}{number}" for zone in ZONES for number in range(2)]

    def environment(self, name: str, **changes: Any) -> list[Object]:
        args: Any = {
            "service": self.service,
            "environment": name,
            "release": IN_IMAGE,
            "node_selector": {POOL: self.service},
            **SMALL,
            **changes,
        }
        return objects(lambda: ModelDeployment(f"{self.service}-{name}", args))

    def run(self, name: str, servers: int, **changes: Any) -> list[Object]:
        """Applies the environment, and waits for so many ready servers."""
        found = self.environment(name, minimum=servers, **changes)
        for one in found:
            self.strict.apply(one)
        until(lambda: len(self.ready(name)) == servers, f"{servers} ready servers of {name}")
        return found

    def pods(self, name: str) -> list[Object]:
        found = self.strict.list("v1", "Pod", self.service, f"turnout.dev/environment={name}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def ready(self, name: str) -> list[Object]:
        return [pod for pod in self.pods(name) if is_ready(pod)]

    def zones(self, name: str) -> Counter[str]:
        return Counter(pod["spec"]["nodeName"].removeprefix(f"{self.service}-")[0] for pod in self.ready(name))

    def endpoints(self, name: str) -> set[str]:
        """Addresses behind the environment's Service that take requests."""
        selector = f"kubernetes.io/service-name={self.service}-{name}"
        slices = self.strict.list("discovery.k8s.io/v1", "EndpointSlice", self.service, selector)
        ends = [end for one in slices for end in one.get("endpoints") or []]
        return {address for end in ends if end["conditions"]["ready"] for address in end["addresses"]}

    def cordon(self, name: str) -> None:
        self.cluster.client().patch(Node, name, {"spec": {"unschedulable": True}})

    def allowed(self) -> int | None:
        """Disruptions that green's budget allows now."""
        (budget,) = self.strict.list("policy/v1", "PodDisruptionBudget", self.service)
        status = budget.get("status") or {}
        return status.get("disruptionsAllowed") if status.get("observedGeneration") else None


@pytest.fixture
def place(cluster: Cluster) -> Iterator[Place]:
    made, client = Place(cluster, f"t{uuid.uuid4().hex[:8]}"), cluster.client()
    namespace = objects(lambda: ServiceNamespace(made.service, {"service": made.service}))
    for one in namespace:
        made.strict.apply(one)
    for index, name in enumerate(made.nodes):
        client.create(Node.from_dict(node(name, "g5.xlarge", ZONES[index // 2], {POOL: made.service})))
    until(lambda: all(takes_pods(client.get(Node, name)) for name in made.nodes), "nodes of every zone: pods spread over those")
    yield made
    emptied(client, made.service)
    for name in made.nodes:
        client.delete(Node, name)


def takes_pods(found: Node) -> bool:
    """It is ready, and the taint of one that is not has gone, which takes a moment more."""
    taints = (found.spec and found.spec.taints) or []
    return is_ready(found.to_dict()) and not any(taint.key.startswith("node.kubernetes.io/") for taint in taints)


def addresses(pods: list[Object]) -> set[str]:
    return {pod["status"]["podIP"] for pod in pods}


def test_blue_and_green_run_side_by_side_each_behind_its_own_service(place: Place) -> None:
    place.run("blue", 3)
    green = place.run("green", 3, release=NEXT)
    for name in ("blue", "green"):
        until(lambda name=name: place.endpoints(name) == addresses(place.ready(name)), f"endpoints of {name}")  # type: ignore[misc]
    assert len(place.endpoints("blue") | place.endpoints("green")) == 6
    assert len({pod["spec"]["nodeName"] for name in ("blue", "green") for pod in place.ready(name)}) == 6, "a GPU each"
    assert place.zones("blue") == {"a": 1, "b": 1, "c": 1}
    place.strict.delete(of_kind(green, "Deployment"))
    until(lambda: not place.endpoints("green"), "no endpoint of green")
    assert len(place.ready("blue")) == len(place.endpoints("blue")) == 3


def test_a_new_release_is_another_workload_behind_the_same_service(place: Place) -> None:
    first = of_kind(place.run("green", 2), "Deployment")
    place.strict.delete(first)
    until(lambda: not place.pods("green"), "the first release is gone")
    second = of_kind(place.run("green", 2, release=NEXT), "Deployment")
    assert first["metadata"]["name"] != second["metadata"]["name"]
    until(lambda: place.endpoints("green") == addresses(place.ready("green")), "endpoints of the second release")
    labels = {pod["metadata"]["labels"]["turnout.dev/release"] for pod in place.ready("green")}
    assert labels == {NEXT["digest"][7:23]}


def test_pods_wait_for_nodes_of_their_pool_whatever_else_is_free(place: Place) -> None:
    for name in place.nodes[1:]:
        place.cordon(name)
    for one in place.environment("green", minimum=2):
        place.strict.apply(one)
    until(lambda: len(place.ready("green")) == 1 and len(place.pods("green")) == 2, "one runs, one waits")
    (waiting,) = (pod for pod in place.pods("green") if not is_ready(pod))
    until(lambda: _unschedulable(place, waiting["metadata"]["name"]), "the scheduler's word")


def _unschedulable(place: Place, name: str) -> bool:
    (pod,) = (one for one in place.pods("green") if one["metadata"]["name"] == name)
    return any(one.get("reason") == "Unschedulable" for one in pod.get("status", {}).get("conditions", []))


def test_a_drain_takes_one_server_at_a_time_and_waits_for_its_replacement(place: Place) -> None:
    place.run("green", 3)
    until(lambda: place.allowed() == 1, "one disruption allowed")
    for name in place.nodes:
        place.cordon(name)
    first, second, _ = (pod["metadata"]["name"] for pod in place.ready("green"))
    place.strict.evict(place.service, first)
    with pytest.raises(ProviderError, match="disruption budget"):
        place.strict.evict(place.service, second)
    assert len(place.ready("green")) == 2
    for name in place.nodes:
        place.cluster.client().patch(Node, name, {"spec": {"unschedulable": False}})
    until(lambda: len(place.ready("green")) == 3 and place.allowed() == 1, "the replacement serves")
    place.strict.evict(place.service, second)


def test_a_drain_never_takes_the_only_server(place: Place) -> None:
    place.run("green", 1)
    until(lambda: place.allowed() == 0, "no disruption allowed")
    (only,) = place.ready("green")
    with pytest.raises(ProviderError, match="disruption budget"):
        place.strict.evict(place.service, only["metadata"]["name"])
    place.run("green", 2)
    until(lambda: place.allowed() == 1, "two servers, one may go")


def test_a_server_that_is_not_ready_keeps_no_node_from_being_drained(place: Place) -> None:
    place.run("green", 1)
    (only,) = place.ready("green")
    conditions = [{"type": "Ready", "status": "False", "reason": "Overloaded"}]
    name = only["metadata"]["name"]
    place.cluster.client(place.service).patch(PodStatus, name, {"status": {"conditions": conditions}})
    until(lambda: not place.ready("green") and place.allowed() == 0, "no server is ready, no disruption allowed")
    place.strict.evict(place.service, name)
    until(lambda: name not in {pod["metadata"]["name"] for pod in place.pods("green")}, "it is gone")


def test_a_fetched_model_is_ready_before_its_server(place: Place) -> None:
    place.run("green", 1, release=FETCHED, **FETCHER)
    (pod,) = place.ready("green")
    (fetched,) = pod["status"]["initContainerStatuses"]
    assert fetched["name"] == "model"
    assert fetched["state"]["terminated"]["reason"] == "Completed"


def test_a_changed_setting_rolls_without_a_server_less(place: Place) -> None:
    place.run("green", 3)
    for one in place.environment("green", minimum=3, memory_gib=3):
        place.strict.apply(one)
    fewest = 3

    def rolled() -> bool:
        nonlocal fewest
        ready = place.ready("green")
        fewest = min(fewest, len(ready))
        limits = [pod["spec"]["containers"][0]["resources"]["limits"]["memory"] for pod in ready]
        return limits == ["3Gi"] * 3

    until(rolled, "three servers with the new memory")
    assert fewest == 3


def test_a_scaler_that_takes_over_a_running_workload_finds_one_server_left(place: Place) -> None:
    """Which is why a preview refuses it for one that carries requests, and a release that is scaled from its start is not."""
    place.run("green", 3)
    kept = place.strict.apply(of_kind(place.environment("green", minimum=3, scaled=True), "Deployment"))
    assert kept["spec"]["replicas"] == 1


def test_the_sharded_variant_is_kept_as_it_was_declared(place: Place) -> None:
    found = environment(place.service, release=FETCHED, **FETCHER, nodes_per_replica=4, minimum=2)
    for one in found:
        place.strict.apply(one)
    (kept,) = place.strict.list("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", place.service)
    declared = of_kind(found, "LeaderWorkerSet")["spec"]
    assert kept["spec"]["replicas"] == 2
    leader, worker = (kept["spec"]["leaderWorkerTemplate"][key]["spec"] for key in ("leaderTemplate", "workerTemplate"))
    for key, spec in (("leaderTemplate", leader), ("workerTemplate", worker)):
        assert spec["containers"][0]["args"] == declared["leaderWorkerTemplate"][key]["spec"]["containers"][0]["args"]
        assert spec["affinity"] == declared["leaderWorkerTemplate"][key]["spec"]["affinity"]
