"""A real Prometheus (Debian's package) that finds a local cloud's nodes by itself."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.service import Service
from benchmarks.waiting import wait_for
from turnout.cloud.ports import Ports

PROGRAM = "prometheus"
SCRAPES = "250ms"
"""Between two scrapes of a rehearsal whose minute lasts a second."""
_CONFIG = """\
global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}
scrape_configs:
  - job_name: turnout
    http_sd_configs:
      - {{url: "{endpoint}/_turnout/prometheus/targets", refresh_interval: 1s}}
"""

REQUESTS, SECONDS = "digits_requests_total", "digits_request_duration_seconds_bucket"
ERRORS = {"total": f'{REQUESTS}{{group="$group"}}', "bad": f'{REQUESTS}{{group="$group",status=~"5.."}}'}
"""What the digits' servers count, of one side."""
GATES = [
    {"name": "errors", "kind": "errors", "objective": 0.99, "metric": ERRORS},
    {"name": "health", "kind": "health"},
    {"name": "latency", "kind": "latency", "margin": 2.6, "metric": {"histogram": f'{SECONDS}{{group="$group"}}'}},
]
"""The latency's margin is above the widest step between two bounds of the servers' histogram (2.5 times)."""


class Prometheus:
    """A server on a port of its own, with its data in `folder`; it can be killed and started again."""

    def __init__(self, folder: Path, config: str) -> None:
        self._ports = Ports()
        self._port = self._ports.take()
        self.url = f"http://127.0.0.1:{self._port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prometheus.yml").write_text(config)

    def start(self) -> None:
        """Starts it and waits until it answers. Raises `TimeoutError`."""
        command = [
            PROGRAM,
            f"--config.file={self._folder}/prometheus.yml",
            f"--web.listen-address=127.0.0.1:{self._port}",
            f"--storage.tsdb.path={self._folder}/data",
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for("Prometheus", self._is_ready, 30)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It takes connections and answers nothing (SIGSTOP) while the block runs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @property
    def source(self) -> dict[str, str]:
        """It as `rollout.metrics`. `delay`: two scrapes of a cloud whose minute lasts a second."""
        return {"source": "prometheus", "url": self.url, "period": "60s", "delay": "30s"}

    def targets(self) -> list[dict[str, str]]:
        """The labels of what it scrapes now."""
        found = httpx.get(f"{self.url}/api/v1/targets", params={"state": "active"}).raise_for_status().json()
        return [one["labels"] for one in found["data"]["activeTargets"]]

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready").status_code == 200
        except httpx.TransportError:
            return False


def is_installed() -> bool:
    """Whether there is a Prometheus on this machine."""
    return shutil.which(PROGRAM) is not None


@contextmanager
def prometheus(folder: Path, config: str) -> Iterator[Prometheus]:
    """One with this configuration, while the block runs."""
    server = Prometheus(folder, config)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def beside(target: Service, scrapes: str = SCRAPES) -> Iterator[Prometheus]:
    """One that scrapes a service's servers as often as that, while the block runs; it has found both environments'."""
    with prometheus(target.home / "prometheus", _CONFIG.format(endpoint=target.cloud.endpoint, interval=scrapes)) as server:
        wait_for("servers of both", lambda: {one.get("environment") for one in server.targets()} >= {"blue", "green"})
        yield server
