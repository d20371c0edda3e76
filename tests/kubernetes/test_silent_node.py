"""A node that falls silent: its kubelet's heartbeat stops, and nobody drained it or took it away.

A kwok of its own plays that one node's kubelet; stopped, it sends no heartbeat and ends no pod. Times are Kubernetes' own
("Nodes", Kubernetes: heartbeats, node-monitor-grace-period; "Taints and Tolerations": taint based evictions).
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from lightkube import Client
from lightkube.resources.core_v1 import Node, Pod

from tests.kubernetes import fleets
from tests.kubernetes.conftest import Cluster
from turnout.cluster.arguments import LEASE_SECONDS
from turnout.cluster.binaries import Binaries
from turnout.cluster.nodes import MANAGED, ZONES, node

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FLEET, SILENT = "silence", "silence-silent"
SERVERS, AWAY = 6, 1
TOLERATED = 60
"""Seconds for which a server stays on a node that cannot be reached; 300 where a pod says nothing."""
UNREACHABLE = "node.kubernetes.io/unreachable"
WITHIN = 180.0
"""Seconds: a node is Unknown after 50 without a heartbeat, and this machine may be busy."""


@contextmanager
def kubelet(cluster: Cluster, programs: Binaries, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """What plays the silent node's kubelet."""
    words = [
        str(programs.path("kwok")),
        f"--kubeconfig={cluster.kubeconfig}",
        f"--manage-nodes-with-annotation-selector={MANAGED}={SILENT}",
        f"--node-lease-duration-seconds={LEASE_SECONDS}",
        "--cidr=10.245.0.1/16",
        "--node-ip=127.0.0.1",
        f"--config={Path(__file__).with_name('stages.yaml')}",
    ]
    with (folder / "kwok.log").open("wb") as log, subprocess.Popen(words, stdout=log, stderr=log, cwd=folder) as process:
        try:
            yield process
        finally:
            process.kill()


def machine(name: str, zone: str, kubelet: str = "fake") -> Node:
    """One with a GPU."""
    made = node(name, "g5.xlarge", zone, {fleets.FLEET: FLEET})
    made["metadata"]["annotations"][MANAGED] = kubelet
    return Node.from_dict(made)


def readiness(client: Client, name: str) -> str | None:
    """The node's condition Ready."""
    status = client.get(Node, name).status
    return next((one.status for one in (status and status.conditions) or [] if one.type == "Ready"), None)


def silenced_at(client: Client) -> datetime:
    """When the taint was set that evicts."""
    spec = client.get(Node, SILENT).spec
    (found,) = [one for one in (spec and spec.taints) or [] if (one.key, one.effect) == (UNREACHABLE, "NoExecute")]
    assert found.timeAdded
    return found.timeAdded


def on_silent(client: Client, namespace: str) -> list[Pod]:
    return [pod for pod in client.list(Pod, namespace=namespace) if pod.spec and pod.spec.nodeName == SILENT]


@pytest.fixture
def active(cluster: Cluster, binaries: Binaries, namespace: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server of the active environment on each of six nodes, and what keeps one of these alive."""
    client = cluster.client(namespace)
    with kubelet(cluster, binaries, tmp_path) as process, fleets.fleet(client, FLEET, {"g5.xlarge": SERVERS - 1}):
        client.create(machine(SILENT, ZONES[(SERVERS - 1) % len(ZONES)], SILENT))
        objects = fleets.environment(namespace, "blue", FLEET, 1, minimum=SERVERS, disruptions=AWAY)
        for made in objects:
            if made["kind"] == "Deployment":
                held = {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATED}
                made["spec"]["template"]["spec"].setdefault("tolerations", []).append(held)
        fleets.create(client, objects)
        fleets.until_ready(client, namespace, "blue", SERVERS)
        yield process


def test_a_silent_nodes_server_leaves_traffic_and_comes_back_elsewhere(
    cluster: Cluster, active: subprocess.Popen[bytes], namespace: str
) -> None:
    client = cluster.client(namespace)
    (lost,) = on_silent(client, namespace)
    assert lost.metadata
    servers = fleets.Servers(client, namespace, "blue")
    os.kill(active.pid, signal.SIGSTOP)
    taken = fleets.until(lambda: readiness(client, SILENT) == "Unknown", "the node is Unknown", WITHIN)

    fleets.until_counted(client, namespace, "blue", SERVERS - AWAY)
    other = next(pod for pod in fleets.pods(client, namespace, "blue") if fleets.is_ready(pod))
    assert not fleets.evict(client, other), "the budget lets nobody take a second one"
    client.create(machine(f"{FLEET}-spare", ZONES[(SERVERS - 1) % len(ZONES)]))

    again = fleets.until(lambda: on_silent(client, namespace)[0].metadata.deletionTimestamp, "the eviction", WITHIN)  # type: ignore[union-attr]
    began = silenced_at(client)
    (leaving,) = on_silent(client, namespace)
    assert leaving.metadata
    assert leaving.metadata.deletionTimestamp
    told = leaving.metadata.deletionTimestamp.timestamp() - (leaving.metadata.deletionGracePeriodSeconds or 0)
    assert told - began.timestamp() >= TOLERATED - 1, "timestamps are whole seconds"
    whole = fleets.until_ready(client, namespace, "blue", SERVERS)
    assert f"{FLEET}-spare" in fleets.nodes_of(fleets.pods(client, namespace, "blue"))
    assert leaving.metadata.name == lost.metadata.name
    fewest = servers.end()
    print(
        f"\nsilent node: Unknown after {taken:.0f} s, evicted {again:.0f} s later, whole {whole:.0f} s later, fewest {fewest}"
    )
    assert fewest == SERVERS - AWAY

    os.kill(active.pid, signal.SIGCONT)
    fleets.until(lambda: readiness(client, SILENT) == "True", "the node is back", WITHIN)
    fleets.until(lambda: not on_silent(client, namespace), "its pod ends at last", WITHIN)
    assert len(fleets.pods(client, namespace, "blue")) == SERVERS
