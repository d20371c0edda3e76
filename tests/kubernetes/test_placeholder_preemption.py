"""Placeholders on a real scheduler: they hold a node's GPUs, and leave them to a model's pods at once."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from lightkube.resources.core_v1 import Node
from turnout_components.capacity_placeholder import CapacityPlaceholder

from tests.kubernetes import fleets
from tests.kubernetes.conftest import Cluster
from tests.kubernetes.rendered import Object, Strict, is_ready, objects, of_kind, until
from turnout.cluster.nodes import node as node_of

IMAGE = "registry.example/pause@sha256:" + "ab" * 32


@pytest.fixture
def fleet(cluster: Cluster) -> Iterator[str]:
    """Two nodes of four GPUs, for one test."""
    name = f"room-{uuid.uuid4().hex[:6]}"
    with fleets.fleet(cluster.client(), name, {"g5.12xlarge": 2}):
        yield name


@pytest.fixture
def room(cluster: Cluster, namespace: str, fleet: str) -> Iterator[list[Object]]:
    """A placeholder of four GPUs for each of the two nodes."""
    strict = Strict(cluster.kubeconfig)
    args: Any = {"namespace": namespace, "name": f"room-{fleet}", "replicas": 2, "image": IMAGE, "gpus": 4}
    made = objects(lambda: CapacityPlaceholder("room", {**args, "node_selector": {fleets.FLEET: fleet}}))
    for one in sorted(made, key=lambda one: one["kind"] != "PriorityClass"):
        strict.apply(one)
    yield made
    strict.delete(of_kind(made, "PriorityClass"))


def placeholders(strict: Strict, namespace: str) -> list[Object]:
    return [
        pod
        for pod in strict.list("v1", "Pod", namespace, "turnout.dev/placeholder=true")
        if pod.get("status", {}).get("phase") not in ("Failed", "Succeeded") and "deletionTimestamp" not in pod["metadata"]
    ]


def running(pods: list[Object]) -> list[Object]:
    return [pod for pod in pods if pod["spec"].get("nodeName") and is_ready(pod)]


@pytest.mark.usefixtures("room")
def test_a_models_pods_take_the_place_of_placeholders_which_wait_for_the_next_node(
    cluster: Cluster, namespace: str, fleet: str
) -> None:
    strict, client = Strict(cluster.kubeconfig), cluster.client(namespace)
    until(lambda: len(running(placeholders(strict, namespace))) == 2, "both nodes held")
    held = {pod["spec"]["nodeName"] for pod in placeholders(strict, namespace)}
    assert len(held) == 2

    fleets.create(client, fleets.environment(namespace, "blue", fleet, minimum=1, gpus=4))
    fleets.until_ready(client, namespace, "blue", 1)
    (node,) = fleets.nodes_of(fleets.pods(client, namespace, "blue"))
    assert node in held, "no other node could have taken it"
    until(lambda: len(placeholders(strict, namespace)) == 2, "its placeholder wanted again")
    waiting = [pod for pod in placeholders(strict, namespace) if not pod["spec"].get("nodeName")]
    assert len(waiting) == 1, "it waits, and so asks the node autoscaler for a node"
    (left,) = running(placeholders(strict, namespace))
    assert left["spec"]["nodeName"] != node

    client.create(Node.from_dict(node_of(f"{fleet}-next", "g5.12xlarge", "us-east-1a", {fleets.FLEET: fleet})))
    until(lambda: len(running(placeholders(strict, namespace))) == 2, "the next node held")


@pytest.mark.usefixtures("room")
def test_placeholders_take_nobodys_place(cluster: Cluster, namespace: str, fleet: str) -> None:
    strict, client = Strict(cluster.kubeconfig), cluster.client(namespace)
    until(lambda: len(running(placeholders(strict, namespace))) == 2, "both nodes held")
    fleets.create(client, fleets.environment(namespace, "blue", fleet, minimum=2, gpus=4))
    fleets.until_ready(client, namespace, "blue", 2)
    served = {pod.metadata.uid for pod in fleets.pods(client, namespace, "blue") if pod.metadata}
    until(lambda: len(placeholders(strict, namespace)) == 2, "the placeholders wanted again")

    def refused() -> bool:
        conditions = [one for pod in placeholders(strict, namespace) for one in pod["status"].get("conditions", [])]
        return sum(one["type"] == "PodScheduled" and one.get("reason") == "Unschedulable" for one in conditions) == 2

    until(refused, "the scheduler refused both")
    assert {pod.metadata.uid for pod in fleets.pods(client, namespace, "blue") if pod.metadata} == served
