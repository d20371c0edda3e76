"""The demo's home: a project of its own, so that nobody's stack file, cloud or checkpoint is touched.

`<home>/demo` holds a copy of Pulumi.yaml whose `main` is the real program, and a copy of the stack's file; the local cloud
and the engine keep their state beside them. It is made anew by every run, and what a killed run left is ended first.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import psutil
import yaml

from turnout.cloud import client
from turnout.cloud.processes import Registry, end
from turnout.stacks import PROJECT_FILE, Stack

_LEASH = Path(client.__file__).with_name("leash.py")
_END_GRACE = 3.0


class DemoRunning(Exception):
    """Another demo of this project is running."""


class DemoHome:
    """One run's folder, lock and child processes.

    Raises `DemoRunning`. Use it from the main thread: children end with the thread that started them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.project = folder / "project"
        self.log = folder / "children.log"
        self._lock = _hold(folder.with_name(f"{folder.name}.lock"))
        self._registry = Registry(folder / "children.json")
        self._children: list[subprocess.Popen[bytes]] = []
        self._others = set(psutil.Process().children())
        """Children of whoever made the home: they are not ended with it."""
        self.cleaned = self._clean()

    def write_project(self, stack: Stack, change: Callable[[dict[str, Any]], None]) -> None:
        """Copies project file and stack; `change` edits the copied stack's config, its keys without the namespace."""
        settings = yaml.safe_load((stack.root / PROJECT_FILE).read_text())
        settings["main"] = str((stack.root / settings.get("main", ".")).resolve())
        settings["stackConfigDir"] = "stacks"
        content = yaml.safe_load(stack.file.read_text())
        prefix = f"{stack.project}:"
        config = {key.removeprefix(prefix): value for key, value in content["config"].items()}
        config["releases"] = str(stack.releases.resolve())
        change(config)
        content["config"] = {key if ":" in key else prefix + key: value for key, value in config.items()}
        (self.project / "stacks").mkdir(parents=True)
        (self.project / PROJECT_FILE).write_text(yaml.safe_dump(settings, sort_keys=False))
        (self.project / "stacks" / stack.file.name).write_text(yaml.safe_dump(content, sort_keys=False))

    def spawn(self, command: Sequence[str], cwd: Path, leashed: bool) -> subprocess.Popen[bytes]:
        """Starts a child with pipes to it and from it, its errors in `children.log`.

        `leashed`: it ends with this process, whatever ends this process."""
        leash = [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid())] if leashed else []
        with self.log.open("ab") as errors:
            child = subprocess.Popen(
                [*leash, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=cwd,
                env={**os.environ, "TURNOUT_HOME": str(self.folder)},
                start_new_session=True,
            )
        self._registry.add(child.pid)
        self._children.append(child)
        return child

    def close(self, keep: bool) -> None:
        """Ends every child process and gives the lock back; removes the folder unless its logs are to be kept."""
        end(self._children, _END_GRACE)
        self._end_descendants()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
            Path(self._lock.name).unlink(missing_ok=True)
        self._lock.close()

    def _end_descendants(self) -> None:
        """Ends what an interrupt hit while it was being started, when nobody holds a handle of it yet."""
        left = []
        for child in set(psutil.Process().children()) - self._others:
            with contextlib.suppress(psutil.NoSuchProcess):
                left += [child, *child.children(recursive=True)]
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(left, timeout=_END_GRACE)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=_END_GRACE)

    def _clean(self) -> int:
        """Ends what an earlier run left, empties the folder, and returns how many processes were ended."""
        left = len(self._registry.clean())
        cloud = client.find(self.folder)
        if cloud is not None:
            cloud.stop()
            left += 1
        servers = self.folder / "cloud" / "processes.json"
        if servers.exists():
            _wait_for_end(servers.with_name("lock"))
            left += len(Registry(servers).clean())
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return left


def _wait_for_end(lock: Path) -> None:
    """Returns when no cloud holds its lock: one whose demo was killed is still ending what it started."""
    if lock.exists():
        with lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)


def _hold(path: Path) -> IO[str]:
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise DemoRunning(f"another demo of this project is running ({path} is locked); wait for it, or end it") from None
    return file
