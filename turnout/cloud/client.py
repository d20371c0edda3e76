"""Finds, starts and stops the local cloud of a home folder. Imports nothing of moto: the daemon is another process."""

import http.client
import json
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from turnout.cloud.processes import is_process

STATE_PATH = "/_turnout/state"
_START_TIMEOUT = 180.0
"""A cluster's control plane takes its time on a busy machine; what ends by itself is told at once."""
_STOP_TIMEOUT = 30.0


class CloudError(RuntimeError):
    """The local cloud could not be started, reached or stopped; the message says why and what to do."""


@dataclass(frozen=True)
class CloudHandle:
    """A running local cloud: AWS's API answers at `endpoint`. `platform` and `kubeconfig` are of the cluster that runs beside
    it, if any."""

    endpoint: str
    pid: int
    home: Path
    platform: str | None = None
    kubeconfig: Path | None = None
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False, compare=False)

    def state(self) -> dict[str, Any]:
        """What balances, serves and runs now (docs/local-cloud.md describes the document).

        Raises `CloudError` when the cloud does not answer."""
        address = urllib.parse.urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
        try:
            connection.request("GET", STATE_PATH)
            document: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise CloudError(f"the local cloud at {self.endpoint} does not answer: {error}") from None
        finally:
            connection.close()
        return document

    def stop(self) -> None:
        """Ends the cloud and everything that it started; returns when all is gone."""
        try:
            process = psutil.Process(self.pid)
            process.terminate()
        except psutil.NoSuchProcess:
            self._reap()
            return
        try:
            self._process.wait(_STOP_TIMEOUT) if self._process else process.wait(_STOP_TIMEOUT)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            process.kill()
        self._reap()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()


def find(home: Path) -> CloudHandle | None:
    """The cloud that runs in `home`, or None; what a killed one left in state.json does not count."""
    try:
        state = json.loads(_state_file(home).read_text())
    except (OSError, ValueError):
        return None
    if not is_process(state["pid"], state["started"]):
        return None
    kubeconfig = state.get("kubeconfig")
    return CloudHandle(state["endpoint"], state["pid"], home, state.get("platform"), Path(kubeconfig) if kubeconfig else None)


def start(
    home: Path,
    *,
    attached: bool,
    images: Sequence[Path],
    speed: float = 1.0,
    root: Path | None = None,
    program: Sequence[str] = ("turnout.cloud",),
) -> CloudHandle:
    """Starts a cloud in `home` and returns when it answers.

    `attached`: it ends when this process does. `speed` divides its own waits (docs/local-cloud.md). `images`: folders
    with `image.toml` files. `root`: the project root, in which model servers run (default: the current folder). `program`: the
    daemon's module and arguments of its own, where it runs more than the account (turnout/cluster).
    Raises `CloudError` when one already runs there or this one does not come up."""
    home = home.resolve()
    running = find(home)
    if running is not None:
        raise CloudError(f"a local cloud already runs in {home}: {running.endpoint}, pid {running.pid}; stop it first")
    folder = home / "cloud"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "daemon.log"
    command = [sys.executable, "-m", *program, "--home", str(home), "--speed", str(speed)]
    command += [part for image in images for part in ("--images", str(image.resolve()))]
    command += ["--root", str((root or Path.cwd()).resolve()), *(["--attached"] if attached else [])]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if attached else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return _when_ready(process, home, log)


def _when_ready(process: "subprocess.Popen[bytes]", home: Path, log: Path) -> CloudHandle:
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline:
        found = find(home)
        if found is not None and found.pid == process.pid:
            return replace(found, _process=process)
        if process.poll() is not None:
            break
        time.sleep(0.02)
    else:
        process.kill()
    process.wait()
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
    raise CloudError(f"the local cloud did not start; {log} ends with:\n{tail}")


def _state_file(home: Path) -> Path:
    return home / "cloud" / "state.json"
