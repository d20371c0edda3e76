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
from collections.abc import Callable, Iterator
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


@pytest.fixture(scope="module")
def plane(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path_factory.mktemp("plane"), binaries)
    made.start()
    yield made
    made.stop()


def pod(name: str, **spec: object) -> Pod:
    container = {"name": "server", "image": "registry.example/server@sha256:" + 64 * "0"}
    return Pod.from_dict({"metadata": {"name": name}, "spec": {"containers": [container], **spec}})


def test_it_ends_with_who_started_it_and_the_next_start_of_the_folder_has_what_was_stored(
    binaries: Binaries, tmp_path: Path
) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) == len(PROGRAMS)
        client = client_of(ControlPlane(tmp_path, binaries))
        client.create(Node.from_dict(node("cpu-0", "m5.2xlarge", "us-east-1a")))
        client.create(pod("first"))

        def is_ready() -> bool:
            status = client.get(Pod, "first").status
            return any(found.type == "Ready" and found.status == "True" for found in (status and status.conditions) or [])

        until(is_ready)
        owner.kill()
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids), within=20)
    second, third = ControlPlane(tmp_path, binaries), ControlPlane(tmp_path, binaries)
    second.start()
    try:
        assert client_of(second).get(Pod, "first").spec.nodeName == "cpu-0"  # type: ignore[union-attr]
        left = second.pids
        third.start()
        assert not set(left.values()) & set(third.pids.values())
        assert {fallen.part for fallen in second.fallen()} == set(PROGRAMS)
        assert third.fallen() == []
    finally:
        second.stop()
        third.stop()
    assert processes.Registry(tmp_path / "processes.json").clean() == []


def test_two_run_side_by_side_and_neither_trusts_the_other_or_falls_with_it(
    plane: ControlPlane, binaries: Binaries, tmp_path: Path
) -> None:
    other = ControlPlane(tmp_path / "other", binaries)
    other.start()
    try:
        assert other.url != plane.url
        client_of(other).create(ConfigMap(metadata=ObjectMeta(name="mine")))
        with pytest.raises(ApiError, match="not found"):
            client_of(plane).get(ConfigMap, "mine")
        mixed = json.loads(plane.kubeconfig.read_text())
        mixed["clusters"][0]["cluster"] = json.loads(other.kubeconfig.read_text())["clusters"][0]["cluster"]
        with pytest.raises(ApiError) as refused:
            Client(config=KubeConfig.from_dict(mixed).get()).get(Namespace, "default")
        assert refused.value.status.code == 401
        every_part_that_is_killed_is_named(other)
        assert plane.fallen() == []
    finally:
        other.stop()


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


def every_part_that_is_killed_is_named(plane: ControlPlane) -> None:
    for count, (part, pid) in enumerate(reversed(plane.pids.items()), 1):
        os.kill(pid, signal.SIGKILL)
        until(lambda count=count: len(plane.fallen()) >= count)
        found = {fallen.part: str(fallen) for fallen in plane.fallen()}
        assert found[part] == f"{part} was killed by SIGKILL; its log is {plane.folder / 'logs' / part}.log"
        assert len(found) == count


def test_a_part_that_does_not_come_up_is_told_with_its_logs_end(binaries: Binaries, tmp_path: Path) -> None:
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
