"""A machine for a node's scripts: a root folder, shims for docker and systemctl, and the services that a node talks to."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from services import AutoScaling, Metadata
from turnout_components.user_data import LAUNCH_HOOK, TERMINATE_HOOK, render

from turnout.cloud.ports import Ports

SHIMS = Path(__file__).parent / "shims"
PROJECT = Path(__file__).parents[2]
BUCKET = "models"
GROUP = "svc-prod-green-cdcdcdcdcdcd"
DIGEST = "sha256:" + "cd" * 32
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/serving/digits@sha256:{'ab' * 32}"
LAUNCHED, ENDED = (LAUNCH_HOOK, "CONTINUE"), (TERMINATE_HOOK, "CONTINUE")
SERVER = [sys.executable, "-m", "examples.digits.server"]
MIRROR_IMAGE = f"envoyproxy/envoy@sha256:{'ef' * 32}"
PORTS = Ports()
SERVICES = ("turnout.service", "turnout-lifecycle.service", "turnout-metrics.service", "turnout-mirror.service")


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def wait_for(what: str, condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Asks again until it holds."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return value


@dataclass
class Machine:
    """One instance. `boot` runs its user data, as cloud-init does on the first boot."""

    folder: Path
    endpoint: str
    metadata: Metadata
    metadata_url: str
    scaling: AutoScaling
    scaling_url: str
    port: int = field(default_factory=PORTS.take)
    mirror_port: int = field(default_factory=PORTS.take)
    mirror_admin: int = field(default_factory=PORTS.take)
    extra: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("docker", "systemd", "nft"):
            (self.folder / name).mkdir()
        self.image(SERVER)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def run_folder(self) -> Path:
        return self.root / "run" / "turnout"

    @property
    def models(self) -> Path:
        return self.root / "var" / "lib" / "turnout" / "models"

    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TURNOUT_"))}
        return clean | {
            "PATH": f"{SHIMS}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "TURNOUT_ROOT": str(self.root),
            "TURNOUT_IMDS": self.metadata_url,
            "TURNOUT_POLL": "0.1",
            "TURNOUT_BEAT": "60",
            "FAKE_DOCKER": str(self.folder / "docker"),
            "FAKE_SYSTEMD": str(self.folder / "systemd"),
            "FAKE_NFT": str(self.folder / "nft"),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_AUTO_SCALING": self.scaling_url,
            **self.extra,
        }

    def api(self, service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, region_name="us-east-1", endpoint_url=self.endpoint, **keys)

    def image(self, entrypoint: list[str], command: tuple[str, ...] = (), name: str = IMAGE) -> None:
        """What the release's image runs, or another."""
        path = self.folder / "docker" / "images.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**known, name: {"Entrypoint": entrypoint, "Cmd": list(command)}}))

    def put(self, files: dict[str, bytes]) -> None:
        self.api("s3").create_bucket(Bucket=BUCKET)
        for key, content in files.items():
            self.api("s3").put_object(Bucket=BUCKET, Key=key, Body=content)

    def release(self, uri: str = "file:model", digest: str = sha256(b""), flags: tuple[str, ...] = ()) -> dict[str, Any]:
        return {
            "name": "digits-1.0.0",
            "digest": DIGEST,
            "model": {"name": "digits", "version": "1.0.0", "uri": uri, "sha256": digest},
            "image": IMAGE,
            "engine": {"name": "digits", "flags": list(flags), "env": {"HOST": "127.0.0.1"}},
        }

    def install(self, release: dict[str, Any], drain: int = 20, **options: Any) -> None:
        """Writes what user data writes, and starts nothing."""
        script = self._user_data(release, drain, options).rpartition("\n")[0].rpartition("\n")[0]
        subprocess.run(["bash", "-c", script], env=self.environment(), check=True)

    def boot(self, release: dict[str, Any], drain: int = 20, **options: Any) -> None:
        script = self._user_data(release, drain, options)
        subprocess.run(["bash"], input=script, text=True, env=self.environment(), check=True)

    def _user_data(self, release: dict[str, Any], drain: int, options: dict[str, Any]) -> str:
        given = {"hooks": {"launch": LAUNCH_HOOK, "terminate": TERMINATE_HOOK}, **options}
        return render("svc", "green", release, self.port, drain, region="us-east-1", group=GROUP, **given)

    def run(self, program: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """One of the node's programs, to its end."""
        path = self.root / "usr/local/bin" / f"turnout-{program}"
        env = self.environment() | extra
        return subprocess.run([path], env=env, capture_output=True, text=True, check=False, timeout=100)

    def systemctl(self, *args: str) -> None:
        subprocess.run([SHIMS / "systemctl", *args], env=self.environment(), check=True, timeout=60)

    def docker_calls(self, verb: str) -> list[list[str]]:
        try:
            lines = (self.folder / "docker" / "calls").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [call for call in map(json.loads, lines) if call[0] == verb]

    def container(self, name: str = "container") -> int | None:
        """The server's process, or that of another container."""
        try:
            return int((self.folder / "docker" / name).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def log(self, unit: str = "turnout-lifecycle.service") -> str:
        path = self.folder / "systemd" / f"{unit}.log"
        return path.read_text() if path.exists() else ""

    def wait_for_results(self, *results: tuple[str, str]) -> None:
        """Until exactly these lifecycle actions are completed."""
        try:
            wait_for(f"{results}", lambda: len(self.scaling.results()) >= len(results))
        except AssertionError:
            raise AssertionError("\n".join([str(self.scaling.results()), *(self.log(unit) for unit in SERVICES)])) from None
        assert self.scaling.results() == list(results)

    def files_with(self, text: bytes) -> list[Path]:
        """Files of the machine, its logs and Docker's records that hold the text."""
        return [path for path in self.folder.rglob("*") if path.is_file() and text in path.read_bytes()]

    def power_off(self) -> None:
        """Ends every process that the machine started."""
        for unit in SERVICES:
            path = self.folder / "systemd" / f"{unit}.pid"
            if path.exists():
                try:
                    os.killpg(int(path.read_text()), signal.SIGKILL)
                except ProcessLookupError:
                    continue
        for each in (self.folder / "docker").glob("container*"):
            if each.suffix != ".new" and (pid := self.container(each.name)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
