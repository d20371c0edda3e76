"""The local cloud's child processes: started on a leash, kept in a registry, and cleaned up by the next start.

The registry (`processes.json`) holds pid and start time of every child, so that a later run ends only processes that
are provably this home's: a pid alone may have been given to another program in the meantime.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

_LEASH = Path(__file__).with_name("leash.py")
_SAME_START = 0.05
"""Seconds by which two readings of one process's start time may differ."""


class Registry:
    """The children of one home's cloud, on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[int, float] = _load(path)

    def add(self, pid: int) -> None:
        """Enters a child that was just started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._entries[pid] = psutil.Process(pid).create_time()
            self._save()

    def remove(self, pid: int) -> None:
        """Forgets a child that has ended."""
        if self._entries.pop(pid, None) is not None:
            self._save()

    def clean(self) -> list[int]:
        """Kills what an earlier cloud of this home left behind, and returns the pids."""
        left = [pid for pid, started in self._entries.items() if is_process(pid, started)]
        for pid in left:
            kill_group(pid)
        _, alive = psutil.wait_procs([p for p in map(_process, left) if p is not None], timeout=5)
        self._entries = {p.pid: p.create_time() for p in alive}
        self._save()
        return left

    def _save(self) -> None:
        write_atomically(self._path, json.dumps(self._entries))


def spawn(command: Sequence[str], registry: Registry, log: Path, cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts `command` in a session of its own, its output in `log`.

    Call it on the daemon's main thread: the leash is tied to the thread that starts the child."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(env),
            start_new_session=True,
        )
    registry.add(process.pid)
    return process


def end(processes: Iterable[subprocess.Popen[bytes]], grace: float) -> None:
    """SIGTERM to all, SIGKILL to their groups after `grace` seconds; returns when all have ended."""
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + grace
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            kill_group(process.pid)
            process.wait()


def kill_group(pid: int) -> None:
    """SIGKILL to the session that the child `pid` leads."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def is_process(pid: int, started: float) -> bool:
    """Whether `pid` is still the process that started at `started` (seconds since the epoch), and no zombie."""
    process = _process(pid)
    try:
        return (
            process is not None
            and abs(process.create_time() - started) <= _SAME_START
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False


def write_atomically(path: Path, text: str) -> None:
    """Replaces `path` in one step, so that a reader sees the old content or the new."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    os.replace(temporary, path)


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _load(path: Path) -> dict[int, float]:
    try:
        return {int(pid): float(started) for pid, started in json.loads(path.read_text()).items()}
    except (OSError, ValueError):
        return {}
