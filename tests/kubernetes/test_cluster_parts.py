"""The control plane's life: it starts, is ready for pods, keeps its objects, tells what fell, and ends with its parent."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from lightkube import ApiError, Client, KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Namespace, Node, Pod

from turnout.cloud import processes
from turnout.cluster.binaries import Binaries
from turnout.cluster.control_plane import ControlPlane, ControlPlaneError
from turnout.cluster.nodes import node
from turnout.cluster.versions import PROGRAMS

OWNER = """
import sys, threading
from pathlib import Path
from turnout.cluster.binaries import find
from turnout.cluster.control_plane import ControlPlane
plane = ControlPlane(Path(sys.argv[1]), find())
plane.start()
print(*plane.pids.values(), flush=True)
threading.Event().wait()
"""


def client_of(plane: ControlPlane) -> Client:
    return Client(config=KubeConfig.from_file(plane.kubeconfig).get(), namespace="default")


def until(condition: Callable[[], object], within: float = 60) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the condition does not come true"
        time.sleep(0.05)


def pod(name: str, **spec: object) -> Pod:
    container = {"name": "server", "image": "registry.example/server@sha256:" + 64 * "0"}
    return Pod.from_dict({"metadata": {"name": name}, "spec": {"containers": [container], **spec}})


def test_two_run_side_by_side_and_the_next_start_of_a_folder_takes_over_and_ends_with_who_started_it(
    plane: ControlPlane, binaries: Binaries, tmp_path: Path
) -> None:
    other = ControlPlane(tmp_path / "other", binaries)
    other.start()
    try:
        neither_trusts_the_other(plane, other)
        client = client_of(other)
        client.create(Node.from_dict(node("cpu-0", "m5.2xlarge", "us-east-1a")))
        client.create(pod("first"))
        until(lambda: is_ready(client.get(Pod, "first")))
        every_part_that_is_killed_is_named(other, but="etcd")
        the_next_start_ends_what_is_left_and_has_what_was_stored(other)
    finally:
        other.stop()
    assert plane.fallen() == []
    assert processes.Registry(other.folder / "processes.json").clean() == []


def neither_trusts_the_other(plane: ControlPlane, other: ControlPlane) -> None:
    assert other.url != plane.url
    client_of(other).create(ConfigMap(metadata=ObjectMeta(name="mine")))
    with pytest.raises(ApiError, match="not found"):
        client_of(plane).get(ConfigMap, "mine")
    mixed = json.loads(plane.kubeconfig.read_text())
    mixed["clusters"][0]["cluster"] = json.loads(other.kubeconfig.read_text())["clusters"][0]["cluster"]
    with pytest.raises(ApiError) as refused:
        Client(config=KubeConfig.from_dict(mixed).get()).get(Namespace, "default")
    assert refused.value.status.code == 401


def every_part_that_is_killed_is_named(plane: ControlPlane, but: str) -> None:
    killed = [(part, pid) for part, pid in reversed(plane.pids.items()) if part != but]
    for count, (part, pid) in enumerate(killed, 1):
        os.kill(pid, signal.SIGKILL)
        until(lambda count=count: len(plane.fallen()) >= count)
        found = {fallen.part: str(fallen) for fallen in plane.fallen()}
        assert found[part] == f"{part} was killed by SIGKILL; its log is {plane.folder / 'logs' / part}.log"
        assert len(found) == count


def the_next_start_ends_what_is_left_and_has_what_was_stored(before: ControlPlane) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, str(before.folder)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) == len(PROGRAMS)
        assert {fallen.part for fallen in before.fallen()} == set(PROGRAMS)
        assert client_of(before).get(Pod, "first").spec.nodeName == "cpu-0"  # type: ignore[union-attr]
        owner.kill()
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids), within=20)


def is_ready(found: Pod) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in (found.status and found.status.conditions) or [])


def test_every_listener_is_on_loopback(plane: ControlPlane) -> None:
    listening = [
        connection.laddr.ip
        for pid in plane.pids.values()
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= len(PROGRAMS)
    assert set(listening) == {"127.0.0.1"}


def test_nobody_without_a_certificate_reads_anything(plane: ControlPlane) -> None:
    context = ssl.create_default_context(cafile=str(plane.folder / "pki/ca.crt"))
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{plane.url}/api/v1/namespaces", context=context, timeout=10)
    assert refused.value.code == 403
    private = [path for path in (plane.folder / "pki").glob("*.key")]
    assert len(private) >= 7
    assert all(path.stat().st_mode & 0o077 == 0 for path in [*private, plane.folder])


@pytest.mark.slow
def test_a_part_that_does_not_come_up_is_told_with_its_logs_end(binaries: Binaries, tmp_path: Path) -> None:
    """The last one, when all others run; by default the first: `test_a_program_that_cannot_run_is_told`."""
    stages = tmp_path / "stages.yaml"
    stages.write_text("kind: Stage\napiVersion: kwok.x-k8s.io/v1alpha1\nmetadata: [\n")
    plane = ControlPlane(tmp_path / "plane", binaries, stages)
    with pytest.raises(ControlPlaneError, match=r"(?s)^kwok ended with status 1; its log is .*kwok\.log\n.*yaml"):
        plane.start()
    assert plane.pids == {}


def test_a_program_that_cannot_run_is_told(binaries: Binaries, tmp_path: Path) -> None:
    broken = tmp_path / "programs"
    broken.mkdir()
    for program in PROGRAMS:
        (broken / program).symlink_to(binaries.path(program))
    (broken / "etcd").unlink()
    (broken / "etcd").write_text("#!/bin/sh\necho 'no memory' >&2; exit 3\n")
    (broken / "etcd").chmod(0o755)
    plane = ControlPlane(tmp_path / "plane", Binaries(broken, binaries.crds))
    with pytest.raises(ControlPlaneError, match=r"etcd ended with status 3; its log is .*\nno memory"):
        plane.start()
    assert plane.pids == {}
