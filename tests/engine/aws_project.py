"""A project of real AWS types against moto in a process of its own, which a test may kill."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from turnout.cloud.ports import Ports
from turnout.providers.aws.clients import ENDPOINT_KEYS

PRELUDE = f"""
import os
import pulumi
import pulumi_aws as aws

provider = aws.Provider("aws", region="us-east-1", access_key="test", secret_key="test", skip_credentials_validation=True,
    skip_metadata_api_check=True, skip_region_validation=True, skip_requesting_account_id=True,
    endpoints=[dict.fromkeys({sorted(ENDPOINT_KEYS)!r}, os.environ["TURNOUT_LOCAL_ENDPOINT"])])
on = lambda **more: pulumi.ResourceOptions(provider=provider, **more)
LogGroup = aws.cloudwatch.LogGroup
"""


class Moto:
    """moto's server on a port of its own; the account is lost when it dies. A context manager."""

    def __init__(self) -> None:
        self.port = Ports().take()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Starts it, or starts it again with an empty account."""
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=quiet, stderr=quiet, env={**os.environ, "PYTHONWARNINGS": "ignore"})
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, "moto did not start"
            assert time.monotonic() < deadline, "moto does not answer"
            time.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Holds it still: calls hang until `go_on`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.endpoint}/moto-api/data.json", timeout=5).close()
        except (urllib.error.URLError, OSError):
            return False
        return True


def write_project(folder: Path, body: str, settings: str = "") -> None:
    """Pulumi.yaml and the program, `body` behind the prelude."""
    (folder / "Pulumi.yaml").write_text(f"name: shop\nruntime: python\nmain: program\nstackConfigDir: stacks\n{settings}")
    (folder / "program").mkdir(exist_ok=True)
    (folder / "stacks").mkdir(exist_ok=True)
    (folder / "program" / "__main__.py").write_text(PRELUDE + body)
