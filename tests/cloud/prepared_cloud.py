"""For tests: local clouds whose start is prepared (tests/prepared.py). `test_hygiene` starts clouds as people do."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests import prepared
from turnout.cloud import client
from turnout.cloud.client import CloudHandle

SERVICES = ("ec2", "elbv2", "autoscaling", "cloudwatch", "iam", "ssm", "logs", "scheduler", "dynamodb", "s3", "sts")
"""Of AWS's API, those that tests of the cloud ask for."""
STARTS_WITHIN = 60.0


def parent() -> prepared.Parent:
    return prepared.parent("turnout.cloud.daemon", *(f"moto.{service}.urls" for service in SERVICES))


def start(home: Path, *, attached: bool, images: Sequence[Path], speed: float, root: Path) -> CloudHandle:
    """As `turnout.cloud.client.start` does it, sooner. It ends with this process, so it is attached."""
    assert attached
    home = home.resolve()
    (home / "cloud").mkdir(parents=True, exist_ok=True)
    words = ["--home", str(home), "--speed", str(speed), "--root", str(root.resolve()), "--attached"]
    words += [word for folder in images for word in ("--images", str(folder.resolve()))]
    ends, _KEPT[home] = os.pipe()
    with (home / "cloud" / "daemon.log").open("wb") as log:
        cloud = parent().fork("turnout.cloud.__main__", words, (ends, log.fileno(), log.fileno()), os.environ, Path.cwd())
    os.close(ends)
    deadline = time.monotonic() + STARTS_WITHIN
    while (found := client.find(home)) is None or found.pid != cloud.pid:
        assert psutil.pid_exists(cloud.pid), (home / "cloud" / "daemon.log").read_text()[-2000:]
        assert time.monotonic() < deadline, f"the cloud in {home} did not start"
        time.sleep(0.01)
    return found


_KEPT: dict[Path, int] = {}
"""The pipes whose other end is a cloud's standard input: it ends with them."""
