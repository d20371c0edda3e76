"""Where the real scheduler puts an environment's pods on 200 GPU nodes: by taint, zone and GPUs, blue beside green."""

import math
from collections import Counter
from collections.abc import Iterator

import pytest
from lightkube import Client
from lightkube.codecs import from_dict
from lightkube.resources.core_v1 import Event, Node, Pod

from tests.kubernetes import fleets
from tests.kubernetes.conftest import Cluster
from turnout.cluster.nodes import MACHINES, ZONES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # test_small_fleet.py is quick
FLEET = "placement"
KINDS = {"g5.xlarge": 120, "g5.12xlarge": 60, "p4d.24xlarge": 20, "m5.2xlarge": 6}
Where = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def nodes(cluster: Cluster) -> Iterator[Where]:
    """Instance type and zone of each node."""
    client = cluster.client()
    with fleets.fleet(client, FLEET, KINDS):
        found = {}
        for node in client.list(Node, labels={fleets.FLEET: FLEET}):
            assert node.metadata
            held = node.metadata.labels or {}
            found[str(node.metadata.name)] = (
                held["node.kubernetes.io/instance-type"],
                held["topology.kubernetes.io/zone"],
            )
        assert sum(bool(MACHINES[kind].gpus) for kind, _ in found.values()) == 200
        yield found


@pytest.fixture(autouse=True)
def free(cluster: Cluster, nodes: Where) -> None:
    """The nodes have no pods: those of the last test's namespace are gone."""
    client = cluster.client()
    fleets.until(lambda: not fleets.nodes_of(client.list(Pod, namespace="*")).keys() & nodes.keys(), "free nodes", within=300)


def events(client: Client, namespace: str, pod: str) -> str:
    found = client.list(Event, namespace=namespace, fields={"involvedObject.name": pod})
    return "\n".join(event.message or "" for event in found)


def test_blue_and_green_stand_side_by_side_on_gpus_in_every_zone(cluster: Cluster, nodes: Where, namespace: str) -> None:
    client = cluster.client(namespace)
    fleets.create(client, fleets.environment(namespace, "blue", FLEET, minimum=90))
    fleets.create(client, fleets.environment(namespace, "green", FLEET, minimum=90, release=fleets.release("d")))
    taken = {name: fleets.until_ready(client, namespace, name, 90) for name in ("blue", "green")}
    both = {name: fleets.pods(client, namespace, name) for name in taken}
    used = fleets.nodes_of([*both["blue"], *both["green"]])
    assert used.total() == 180
    for node, count in used.items():
        assert count <= MACHINES[nodes[node][0]].gpus, (node, count)
    for name, found in both.items():
        zones = Counter(nodes[node][1] for node in fleets.nodes_of(found).elements())
        print(f"\n{name}: 90 servers ready in {taken[name]:.1f} s, by zone {dict(sorted(zones.items()))}")
        assert set(zones) == set(ZONES)
        assert max(zones.values()) - min(zones.values()) <= 3
    print(f"nodes used: {len(used)} of 200")


def test_a_server_with_eight_gpus_has_a_machine_to_itself_and_the_one_too_many_waits(
    cluster: Cluster, nodes: Where, namespace: str
) -> None:
    client = cluster.client(namespace)
    fleets.create(client, fleets.environment(namespace, "blue", FLEET, minimum=21, gpus=8))

    def placed() -> list[Pod]:
        return [pod for pod in fleets.pods(client, namespace, "blue") if pod.spec and pod.spec.nodeName]

    def waiting() -> list[str]:
        names = {pod.metadata.name for pod in placed() if pod.metadata}
        return [
            str(pod.metadata.name)
            for pod in fleets.pods(client, namespace, "blue")
            if pod.metadata and pod.metadata.name not in names
        ]

    fleets.until(lambda: len(placed()) == 20, "20 placed")
    used = fleets.nodes_of(placed())
    assert {nodes[node][0] for node in used} == {"p4d.24xlarge"}
    assert set(used.values()) == {1}
    (left,) = waiting()
    fleets.until(lambda: "Insufficient nvidia.com/gpu" in events(client, namespace, left), "the scheduler's reason")


def test_what_needs_no_gpu_stays_off_the_nodes_that_have_one(cluster: Cluster, nodes: Where, namespace: str) -> None:
    client = cluster.client(namespace)
    container = {"name": "tool", "image": f"registry.example/tool@{fleets.SHA}", "resources": {"requests": {"cpu": "2"}}}
    for number in range(25):
        spec = {"containers": [container], "nodeSelector": {fleets.FLEET: FLEET}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"tool-{number}"}, "spec": spec}
        client.create(from_dict(pod))
    most = KINDS["m5.2xlarge"] * MACHINES["m5.2xlarge"].cpus // 2
    assert most == 24
    fleets.until(lambda: fleets.nodes_of(client.list(Pod)).total() == most, f"{most} placed")
    assert {nodes[node][0] for node in fleets.nodes_of(client.list(Pod))} == {"m5.2xlarge"}
    (left,) = (str(pod.metadata.name) for pod in client.list(Pod) if pod.spec and not pod.spec.nodeName and pod.metadata)
    fleets.until(lambda: "untolerated taint" in events(client, namespace, left), "the scheduler's reason")


def test_no_node_is_given_more_than_it_has_when_everything_is_asked_for(cluster: Cluster, nodes: Where, namespace: str) -> None:
    """4 GPUs a server: 60 machines take one, 20 take two."""
    client = cluster.client(namespace)
    most = sum(math.floor(MACHINES[kind].gpus / 4) for kind, _ in nodes.values())
    assert most == 100
    fleets.create(client, fleets.environment(namespace, "blue", FLEET, minimum=most + 5, gpus=4))
    seconds = fleets.until(lambda: fleets.nodes_of(fleets.pods(client, namespace, "blue")).total() == most, f"{most} placed")
    used = fleets.nodes_of(fleets.pods(client, namespace, "blue"))
    assert all(count == MACHINES[nodes[node][0]].gpus // 4 for node, count in used.items())
    print(f"\n{most} servers with 4 GPUs placed in {seconds:.1f} s, 5 wait")
