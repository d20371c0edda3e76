"""For tests: local clouds forked from one process that has imported what a daemon needs, which is most of a start. All that a
cloud is made of is its own all the same; `test_hygiene` starts clouds as people do."""

import functools
import importlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import psutil

from turnout.cloud import client
from turnout.cloud.client import CloudHandle

SERVICES = ("ec2", "elbv2", "autoscaling", "cloudwatch", "iam", "ssm", "logs", "scheduler", "dynamodb", "s3", "sts")
"""Of AWS's API, those that tests of the cloud ask for."""
STARTS_WITHIN = 60.0


def start(home: Path, *, attached: bool, images: Sequence[Path], speed: float, root: Path) -> CloudHandle:
    """As `turnout.cloud.client.start` does it, sooner. It ends with this process, so it is attached."""
    assert attached
    home = home.resolve()
    (home / "cloud").mkdir(parents=True, exist_ok=True)
    words = ["--home", str(home), "--speed", str(speed), "--root", str(root.resolve()), "--attached"]
    words += [word for folder in images for word in ("--images", str(folder.resolve()))]
    ends, _KEPT[home] = os.pipe()
    with (home / "cloud" / "daemon.log").open("wb") as log:
        control = _parent()
        socket.send_fds(control, [json.dumps(words).encode()], [ends, log.fileno()])
    os.close(ends)
    pid = int(control.recv(64))
    deadline = time.monotonic() + STARTS_WITHIN
    while (found := client.find(home)) is None or found.pid != pid:
        assert psutil.pid_exists(pid), (home / "cloud" / "daemon.log").read_text()[-2000:]
        assert time.monotonic() < deadline, f"the cloud in {home} did not start"
        time.sleep(0.01)
    return found


_KEPT: dict[Path, int] = {}
"""The pipes whose other end is a cloud's standard input: it ends with them."""


@functools.cache
def _parent() -> socket.socket:
    """The process that clouds are forked from; it ends with this one."""
    ours, theirs = socket.socketpair()
    with theirs:
        subprocess.Popen([sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    return ours


def _serve(control: socket.socket) -> None:
    importlib.import_module("turnout.cloud.daemon")
    for service in SERVICES:
        importlib.import_module(f"moto.{service}.urls")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        words, given, _, _ = socket.recv_fds(control, 65536, 2)
        if not words:
            return
        pid = os.fork()
        if pid == 0:
            control.close()
            _become_a_cloud(json.loads(words), *given)
        for each in given:
            os.close(each)
        control.sendall(str(pid).encode())


def _become_a_cloud(words: list[str], ends: int, log: int) -> NoReturn:
    from moto.moto_api._internal import mock_random

    from turnout.cloud.__main__ import main

    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for source, place in ((ends, 0), (log, 1), (log, 2)):
        os.dup2(source, place)
    os.close(ends)
    os.close(log)
    random.seed()
    mock_random.seed()
    sys.argv = ["turnout.cloud", *words]
    code = 1
    try:
        code = main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
