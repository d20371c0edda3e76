"""A policy pack's process: how it is started, when it serves, what it says on its way, and how it is ended."""

import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO

from turnout.engine.policy_packs import PackError

PATIENCE = 30.0
"""Seconds in which a pack must serve, and answer each question."""
_KEPT = 40
"""Lines of stderr that are kept for a message."""
_LAUNCHER = Path(__file__).with_name("launch_pack.py")
_PLACE = re.compile(r'File "([^"]+)", line (\d+)')


class PackProcess:
    """Starts at once; `port` waits until it serves. What it says goes to `say` as lines."""

    def __init__(
        self, folder: Path, env: Mapping[str, str], engine: str, say: Callable[[str], None], patience: float = PATIENCE
    ) -> None:
        self._folder = folder
        self._say = say
        self._patience = patience
        self._closed = False
        self._errors: deque[str] = deque(maxlen=_KEPT)
        self._first: SimpleQueue[str] = SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_LAUNCHER), engine, "."],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**env, "PYTHONUNBUFFERED": "1"},
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            Thread(target=self._hear, args=(self._process.stdout,), daemon=True),
            Thread(target=self._hear_errors, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def port(self) -> int:
        """The port that it serves on, the first line of its stdout as Pulumi wants it.

        Raises `PackError` for a pack that ends, is silent, or says something else first."""
        try:
            said = self._first.get(timeout=self._patience).strip()
        except Empty:
            raise PackError(
                f"the policy pack in {self._folder} does not start: it has said no port for {self._patience:g} s"
            ) from None
        if said.isdecimal():
            return int(said)
        if not said:
            raise PackError(f"the policy pack in {self._folder} does not start: {self.last_words()}")
        raise PackError(
            f"the policy pack in {self._folder} does not start: the first line that it prints must be its port, not "
            f"{said[:60]!r}; let it print nothing before its PolicyPack(…)"
        )

    def last_words(self) -> str:
        """Why it has ended, in a line: the exception and its place in the pack, else its exit code."""
        code = self._ended()
        lines = [line for line in self._errors if line.strip()]
        if code is None or not lines:
            how = "it serves nobody" if code is None else f"it ended with exit code {code} and without a word"
            return f"{how}; a pack makes a PolicyPack(…)" if code == 0 else how
        own = [found for found in map(_PLACE.search, lines) if found and self._is_own(found[1])]
        place = f" ({Path(own[-1][1]).name}, line {own[-1][2]})" if own else ""
        return f"{lines[-1].strip()}{place}"

    def close(self) -> None:
        """Ends it and what it has started, which would hold its streams open; harmless twice."""
        if self._closed:
            return
        self._closed = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # its own session's, which it leads
        for reader in self._readers:
            reader.join(self._patience)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None and not any(reader.is_alive() for reader in self._readers):
                stream.close()

    def _ended(self) -> int | None:
        """Its exit code, None while it lives."""
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return None
        self._readers[1].join(5)
        return code

    def _is_own(self, file: str) -> bool:
        return (self._folder / file).resolve().is_relative_to(self._folder.resolve())

    def _hear(self, stream: IO[str]) -> None:
        self._first.put(stream.readline())
        for line in stream:
            self._say(line.rstrip("\n"))

    def _hear_errors(self, stream: IO[str]) -> None:
        for line in stream:
            self._errors.append(line.rstrip("\n"))
