"""Nodes go, and the active environment keeps the minimum of its budget: drain, upgrade, Spot reclaim; a zone that is lost."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from lightkube import Client
from lightkube.resources.core_v1 import Node

from tests.kubernetes import fleets
from tests.kubernetes.conftest import Cluster
from turnout.cluster.nodes import ZONES, node

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # test_small_fleet.py is quick
FLEET = "disruptions"
SERVERS, AWAY = 45, 5
LOAD = 3.0
"""Seconds until a new server is ready."""


@pytest.fixture(scope="module")
def nodes(cluster: Cluster) -> Iterator[list[str]]:
    """200 nodes with a GPU each. What a test takes of them does not come back: there are enough for all."""
    with fleets.fleet(cluster.client(), FLEET, {"g5.xlarge": 200}) as made:
        yield made


@pytest.fixture
def client(cluster: Cluster, nodes: list[str], namespace: str) -> Client:
    """Of the active environment's namespace, when its servers are ready; the standby is beside it."""
    assert nodes
    client = cluster.client(namespace)
    blue = fleets.environment(namespace, "blue", FLEET, LOAD, minimum=SERVERS, disruptions=AWAY)
    green = fleets.environment(namespace, "green", FLEET, LOAD, minimum=15, release=fleets.release("d"))
    fleets.create(client, [*blue, *green])
    fleets.until_ready(client, namespace, "blue", SERVERS)
    fleets.until_ready(client, namespace, "green", 15)
    return client


def used(client: Client, namespace: str) -> list[str]:
    """The nodes of the active's servers."""
    return sorted(fleets.nodes_of(fleets.pods(client, namespace, "blue")))


def zones(client: Client, namespace: str) -> Counter[str]:
    held = {str(one.metadata.name): (one.metadata.labels or {}) for one in client.list(Node) if one.metadata}
    return Counter(held[name]["topology.kubernetes.io/zone"] for name in used(client, namespace))


def test_a_drain_of_many_nodes_at_once_takes_no_more_than_the_budget(client: Client, namespace: str) -> None:
    servers = fleets.Servers(client, namespace, "blue")
    drained = used(client, namespace)[:15]
    start = time.monotonic()
    refused = fleets.drain(client, namespace, drained)
    seconds = time.monotonic() - start
    fleets.until_ready(client, namespace, "blue", SERVERS)
    fewest = servers.end()
    print(f"\ndrain of 15 nodes: {seconds:.1f} s, {refused} evictions refused, fewest ready {fewest} of {SERVERS}")
    assert servers.first == SERVERS
    assert SERVERS - AWAY <= fewest < SERVERS
    assert refused > 0
    assert not set(used(client, namespace)) & set(drained)


def test_spot_nodes_that_are_taken_back_leave_the_budgeted_minimum(client: Client, namespace: str) -> None:
    """Two minutes of notice ("Spot Instance interruption notices", Amazon EC2): a handler taints and drains the node
    ("AWS Node Termination Handler"), then the machine and its Node are gone."""
    servers = fleets.Servers(client, namespace, "blue")
    taken = used(client, namespace)[::5]
    start = time.monotonic()
    for name in taken:
        fleets.taint(client, name, "aws-node-termination-handler/spot-itn", "NoSchedule")
    refused = fleets.drain(client, namespace, taken)
    notice = time.monotonic() - start
    for name in taken:
        fleets.gone(client, name)
    fleets.until_ready(client, namespace, "blue", SERVERS)
    fewest = servers.end()
    print(f"\nSpot reclaim of {len(taken)} nodes: empty after {notice:.1f} s, {refused} refused, fewest ready {fewest}")
    assert notice < 120
    assert SERVERS - AWAY <= fewest < SERVERS


def test_a_node_groups_upgrade_keeps_the_budgeted_minimum(client: Client, namespace: str) -> None:
    """New nodes first, then the old ones are drained and ended, some at a time ("Understand each phase of node updates",
    Amazon EKS)."""
    servers = fleets.Servers(client, namespace, "blue")
    old = used(client, namespace)
    refused, start = 0, time.monotonic()
    for first in range(0, len(old), 15):
        for number in range(first, first + len(old[first : first + 15])):
            new = node(f"{FLEET}-new-{number:03}", "g5.xlarge", ZONES[number % 3], {fleets.FLEET: FLEET})
            client.create(Node.from_dict(new))
        refused += fleets.drain(client, namespace, old[first : first + 15])
        for name in old[first : first + 15]:
            fleets.gone(client, name)
    fleets.until_ready(client, namespace, "blue", SERVERS)
    fewest = servers.end()
    seconds = time.monotonic() - start
    print(f"\nupgrade of {len(old)} nodes by 15: {seconds:.1f} s, {refused} refused, fewest ready {fewest} of {SERVERS}")
    assert SERVERS - AWAY <= fewest < SERVERS
    assert not set(used(client, namespace)) & set(old)


def test_a_lost_zone_takes_a_third_and_no_drain_may_take_more_until_it_is_made_up(client: Client, namespace: str) -> None:
    """No budget holds a power cut back: what remains is what stands in other zones. The taint is what an operator or a
    handler sets on dead nodes ("Node Shutdowns", Kubernetes: out-of-service)."""
    before = zones(client, namespace)
    lost = before.most_common(1)[0][0]
    servers = fleets.Servers(client, namespace, "blue")
    there = {fleets.FLEET: FLEET, "topology.kubernetes.io/zone": lost}
    dead = [str(one.metadata.name) for one in client.list(Node, labels=there) if one.metadata]
    start = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: fleets.taint(client, name, "node.kubernetes.io/out-of-service", "NoExecute"), dead))
    fleets.until(lambda: servers.fewest < SERVERS - AWAY, "the loss")
    fleets.until_ready(client, namespace, "blue", SERVERS)
    fewest = servers.end()
    print(f"\nzone lost with {before[lost]} of {SERVERS}: whole after {time.monotonic() - start:.1f} s, fewest {fewest}")
    assert fewest >= SERVERS - before[lost]
    assert before[lost] <= -(-SERVERS // 3) + 2
    assert lost not in zones(client, namespace)
