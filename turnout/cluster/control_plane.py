"""A real Kubernetes control plane on loopback: etcd, API server, controllers, scheduler, and kwok for nodes and pods.

No kubelet and no kube-proxy run: a pod becomes ready because kwok says so, and a Service's address leads nowhere.
"""

import datetime
import os
import signal
import ssl
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from types import MappingProxyType

from turnout.cloud import processes
from turnout.cloud.ports import Ports
from turnout.cloud.processes import Registry
from turnout.cluster.arguments import Addresses, commands
from turnout.cluster.binaries import Binaries
from turnout.cluster.certificates import Authority, write_signing_key
from turnout.cluster.kubeconfig import kubeconfig

READY_WITHIN = 90.0
"""Seconds; 5 are usual on an idle machine, but others may be using it."""
_GRACE = 10.0
_TAIL = 15
_USERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "admin": ("turnout-admin", ("system:masters",)),
    "kube-controller-manager": ("system:kube-controller-manager", ()),
    "kube-scheduler": ("system:kube-scheduler", ()),
    "kwok": ("turnout-kwok", ("system:masters",)),
}
"""User and groups of each certificate that speaks to the API server ("PKI certificates and requirements", Kubernetes)."""


class ControlPlaneError(RuntimeError):
    """A part did not come up or has ended; the message says which, and ends with its log's last lines."""


@dataclass(frozen=True)
class Fallen:
    """A part that ended by itself or was killed."""

    part: str
    status: int
    log: Path

    def __str__(self) -> str:
        end = f"was killed by {signal.Signals(-self.status).name}" if self.status < 0 else f"ended with status {self.status}"
        return f"{self.part} {end}; its log is {self.log}"


class ControlPlane:
    """One control plane in `folder`, which keeps its objects from one start to the next.

    Its processes end with the thread that called `start`: call it on one that lives as long as the cluster shall."""

    def __init__(
        self,
        folder: Path,
        binaries: Binaries,
        stages: Path | None = None,
        options: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        """`stages`: kwok's configuration, where pods and nodes shall become ready by other rules than kwok's own. `options`:
        more arguments of a part."""
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        """Of an administrator; its user may do everything."""
        self._binaries = binaries
        self._stages = stages
        self._options = options
        self._ports = Ports()
        self._addresses: Addresses | None = None
        self._processes: dict[str, Popen[bytes]] = {}
        self._registry: Registry | None = None
        self._trust: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        """Of the API server. Raises `RuntimeError` before `start`."""
        if self._addresses is None:
            raise RuntimeError("the control plane was not started")
        return f"https://127.0.0.1:{self._addresses.apiserver}"

    @property
    def pids(self) -> Mapping[str, int]:
        """The pid of each part."""
        return {name: process.pid for name, process in self._processes.items()}

    def start(self, within: float = READY_WITHIN) -> None:
        """Starts all parts and returns when they are ready to take pods. What an earlier control plane of this folder left
        running is ended first.

        Raises `ControlPlaneError` when a part does not come up `within` these seconds; nothing is left running then."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._registry = Registry(self.folder / "processes.json")
        self._registry.clean()
        self._addresses = addresses = Addresses(*(self._ports.take() for _ in range(6)))
        pki = self._certificates()
        self._trust = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._trust.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        for user in _USERS:
            file = self.kubeconfig if user == "admin" else self.folder / f"{user}.kubeconfig"
            processes.write_atomically(file, kubeconfig(self.url, pki, user))
        deadline = time.monotonic() + within
        try:
            for part, arguments in commands(self.folder, pki, addresses, self._stages).items():
                self._spawn(part, [*arguments, *self._options.get(part, ())])
                if part == "kube-apiserver":
                    self._await(part, f"{self.url}/readyz", deadline)
            for part, url in self._signs(addresses):
                self._await(part, url, deadline)
        except BaseException:
            self.stop(grace=1.0)  # an API server that never was ready takes SIGTERM for later
            raise

    def fallen(self) -> list[Fallen]:
        """The parts that have ended though nobody stopped them."""
        ended = {part: process.poll() for part, process in self._processes.items()}
        return [Fallen(part, status, self._log(part)) for part, status in ended.items() if status is not None]

    def stop(self, grace: float = _GRACE) -> None:
        """Ends all parts, the API server before etcd, and kills one that takes more than `grace` seconds. What was stored stays
        in the folder."""
        for part in reversed(list(self._processes)):
            process = self._processes.pop(part)
            processes.end([process], grace)
            if self._registry is not None:
                self._registry.remove(process.pid)

    def _spawn(self, part: str, arguments: list[str]) -> None:
        assert self._registry is not None
        log = self._log(part)
        log.parent.mkdir(exist_ok=True)
        command = [str(self._binaries.path(part)), *arguments]
        environ = {"HOME": str(self.folder), "PATH": os.environ.get("PATH", "")}
        self._processes[part] = processes.spawn(command, self._registry, log, self.folder, environ)

    def _signs(self, addresses: Addresses) -> list[tuple[str, str]]:
        """Each part with a URL that answers when it works; without the last no pod is taken."""
        return [
            ("kube-controller-manager", f"https://127.0.0.1:{addresses.controllers}/healthz"),
            ("kube-scheduler", f"https://127.0.0.1:{addresses.scheduler}/readyz"),
            ("kwok", f"http://127.0.0.1:{addresses.kwok}/healthz"),
            ("kube-controller-manager", f"{self.url}/api/v1/namespaces/default/serviceaccounts/default"),
        ]

    def _await(self, part: str, url: str, deadline: float) -> None:
        while not self._answers(url):
            fallen = self.fallen()
            if fallen:
                raise ControlPlaneError(f"{fallen[0]}\n{self._tail(fallen[0].part)}")
            if time.monotonic() > deadline:
                raise ControlPlaneError(f"{part} is not ready in time; its log is {self._log(part)}\n{self._tail(part)}")
            time.sleep(0.1)

    def _answers(self, url: str) -> bool:
        """Whether the URL says 200 to the administrator."""
        try:
            with urllib.request.urlopen(url, timeout=5, context=self._trust) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _certificates(self) -> Path:
        """All certificates, made at the first start; a marker that is written last tells that they are whole."""
        pki = self.folder / "pki"
        if not (pki / "whole").exists():
            authority = Authority(pki, datetime.datetime.now(datetime.UTC))
            for name in ("etcd", "kube-apiserver"):
                authority.issue(name, name, addresses=("127.0.0.1", "10.96.0.1"))
            for name, (user, groups) in _USERS.items():
                authority.issue(name, user, groups)
            authority.issue("front-proxy", "front-proxy-client")
            write_signing_key(pki / "service-accounts.key")
            (pki / "whole").touch()
        return pki

    def _log(self, part: str) -> Path:
        return self.folder / "logs" / f"{part}.log"

    def _tail(self, part: str) -> str:
        lines = self._log(part).read_text(errors="replace").splitlines()
        return "\n".join(line[:200] for line in lines[-_TAIL:])
