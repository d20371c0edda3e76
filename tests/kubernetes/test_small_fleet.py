"""The quick part of what 200 nodes show in test_gpu_placement.py and test_disruptions.py."""

from collections import Counter

from tests.kubernetes import fleets
from tests.kubernetes.conftest import Cluster
from turnout.cluster.nodes import ZONES

FLEET = "small"


def test_servers_stand_on_gpus_in_every_zone_and_a_drain_keeps_the_minimum(cluster: Cluster, namespace: str) -> None:
    client = cluster.client(namespace)
    with fleets.fleet(client, FLEET, {"g5.xlarge": 9, "m5.2xlarge": 3}) as names:
        fleets.create(client, fleets.environment(namespace, "blue", FLEET, load=1, minimum=6))
        fleets.until_ready(client, namespace, "blue", 6)
        used = fleets.nodes_of(fleets.pods(client, namespace, "blue"))
        assert set(used.values()) == {1}
        assert all("g5-xlarge" in name for name in used)
        assert Counter(ZONES[names.index(name) % 3] for name in used) == dict.fromkeys(ZONES, 2)
        servers = fleets.Servers(client, namespace, "blue")
        drained = sorted(used)[:3]
        refused = fleets.drain(client, namespace, drained)
        fleets.until_ready(client, namespace, "blue", 6)
        assert (servers.first, servers.end()) == (6, 5)
        assert refused > 0
        assert not set(fleets.nodes_of(fleets.pods(client, namespace, "blue"))) & set(drained)


def test_a_drain_waits_while_servers_are_missing(cluster: Cluster, namespace: str) -> None:
    """As after a lost zone: the budget counts what is ready, whatever took the others."""
    client = cluster.client(namespace)
    with fleets.fleet(client, FLEET, {"g5.xlarge": 6}) as names:
        fleets.create(client, fleets.environment(namespace, "blue", FLEET, minimum=6, disruptions=2))
        fleets.until_ready(client, namespace, "blue", 6)
        for name in names[:2]:
            fleets.taint(client, name, "node.kubernetes.io/out-of-service", "NoExecute")
        fleets.until(lambda: sum(map(fleets.is_ready, fleets.pods(client, namespace, "blue"))) == 4, "two lost")
        fleets.until_counted(client, namespace, "blue", 4)
        standing = [pod for pod in fleets.pods(client, namespace, "blue") if fleets.is_ready(pod)]
        assert [fleets.evict(client, pod) for pod in standing] == [False] * 4
