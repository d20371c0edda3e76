"""A process that may take so much time and memory and no more, and gets nothing of the caller's environment.

The limits protect the machine from a release that is broken. They are no wall against one that is hostile: run what you do not
trust where there is nothing to take (in `.github/workflows/model.yml` that job has no rights).
"""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from uuid import uuid4

import psutil

from turnout.cloud import leash
from turnout.cloud.processes import kill_group

_LOOK = 0.02
"""Seconds between two looks at the memory."""
_CHILDREN = 0.2
"""Seconds between two looks for children: that walks through all processes."""
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "VIRTUAL_ENV")
"""All that a server needs to start; nothing that somebody would mind to lose (tokens, keys, names of accounts)."""
_TOLD = 400
"""Bytes of output that are told."""
_KEPT = 2**20
"""Bytes of output at which it is begun anew."""
_STRAYS = 2.0
"""Seconds for what has left its parents to be gone after its kill."""
_MARK = "TURNOUT_VALIDATION"
"""The variable by which a process is known that has left its parents."""


class LimitedProcess:
    """A command in a session of its own, watched while the block runs and ended with it, children included, also those
    that have made themselves daemons. It ends also when its parent is killed."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: Path, folder: Path, memory: int) -> None:
        self._command, self._cwd, self._memory = command, cwd, memory
        self._env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"HOME": str(folder), **env}
        self._mark = self._env[_MARK] = uuid4().hex
        self._output = folder / "output"
        self._ended = threading.Event()
        self.peak = 0
        """Most resident bytes of it and its children at one look."""
        self.exceeded = False
        """Whether it was killed for its memory."""

    def __enter__(self) -> "LimitedProcess":
        self._output.unlink(missing_ok=True)
        with self._output.open("ab") as output:  # appended to, so that what is cut off stays off
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(leash.__file__), str(os.getpid()), *self._command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._cwd,
                env=self._env,
                start_new_session=True,
            )
        with suppress(OSError):
            resource.prlimit(self._process.pid, resource.RLIMIT_CORE, (0, 0))
        self._watch = threading.Thread(target=self._watched, name="memory", daemon=True)
        self._watch.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._watch.join()
        self._kill(self._family())
        self._process.wait()
        strays = _marked(self._mark)
        self._kill(strays)
        psutil.wait_procs(strays, timeout=_STRAYS)

    def wait(self, seconds: float) -> int | None:
        """Its exit status; None where it still runs after so many seconds."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    @property
    def code(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    @property
    def fate(self) -> str:
        """What became of it; "" while it runs."""
        code = self.code
        if self.exceeded:
            return f"took more than {mib(self._memory)} of memory and was ended"
        if code is None:
            return ""
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return f"{how}{': ' if self.said else ', without a word'}{self.said}"

    @property
    def said(self) -> str:
        """The last lines of its output, on one."""
        text = self._last().decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return shown(" / ".join(lines[-3:]))

    def _last(self) -> bytes:
        with suppress(OSError), self._output.open("rb") as output:
            output.seek(max(0, output.seek(0, os.SEEK_END) - _TOLD))
            return output.read(_TOLD)
        return b""

    def _watched(self) -> None:
        family, looked = self._family(), time.monotonic()
        while not self._ended.wait(_LOOK):
            if time.monotonic() - looked > _CHILDREN:
                family, looked = self._family(), time.monotonic()
                self._cut_output()
            used = sum(map(_resident, family))
            self.peak = max(self.peak, used)
            if used > self._memory:
                self.exceeded = True
                self._kill(family)
                return

    def _cut_output(self) -> None:
        """What a server prints without end fills no disk: only the end of it is ever told."""
        with suppress(OSError):
            if self._output.stat().st_size > _KEPT:
                os.truncate(self._output, 0)

    def _family(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            process = psutil.Process(self._process.pid)
            return [process, *process.children(recursive=True)]
        return []

    def _kill(self, family: Sequence[psutil.Process]) -> None:
        if self._process.returncode is None:
            kill_group(self._process.pid)
        for each in family:
            with suppress(psutil.Error):  # psutil compares the start time: never another process of the same number
                each.kill()


def mib(size: float) -> str:
    """A size for people."""
    return f"{size / 2**20:,.0f} MiB"


def shown(text: str) -> str:
    """What a server said, without what a terminal would act upon."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # ended meanwhile, or another user's
            if process.environ().get(_MARK) == mark:
                found.append(process)
    return found


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
