"""Sends the health checks: one connection a check, closed after it, from one thread for all targets."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from turnout.cloud.health import Answer, Key
from turnout.cloud.world import Check

Address = tuple[str, int]


@dataclass(frozen=True)
class Probe:
    """What to check: a target's address by a target group's rules. `agent`: as whom; `tcp`: only whether it can
    be connected to."""

    address: Address
    check: Check
    agent: str = "ELB-HealthChecker/2.0"
    tcp: bool = False


class Book(Protocol):
    """Where answers are entered."""

    def record(self, key: Key, answer: Answer, check: Check) -> bool:
        """Enters a check's result; whether that changed what follows from it."""


async def ask(probe: Probe) -> Answer:
    """One health check over HTTP/1.1; one by TCP alone answers 200 for a connection."""
    try:
        async with asyncio.timeout(probe.check.timeout):
            return Answer(status=await _status(probe))
    except TimeoutError:
        return Answer(error="timeout")
    except (OSError, ValueError, asyncio.IncompleteReadError):
        return Answer(error="connection")


async def _status(probe: Probe) -> int:
    host, port = probe.address
    reader, writer = await asyncio.open_connection(host, port)
    if probe.tcp:
        writer.close()
        return 200
    try:
        writer.write(
            f"GET {probe.check.path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"User-Agent: {probe.agent}\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode()
        )
        await writer.drain()
        line = await reader.readline()
        await reader.read()
    finally:
        writer.close()
    version, status, *_ = line.decode("latin-1").split(" ", 2)
    if not version.startswith("HTTP/"):
        raise ValueError(f"not HTTP: {line!r}")
    return int(status)


class Prober:
    """Checks every target at its group's interval (divided by `speed`) and enters the answers in the book."""

    def __init__(self, book: Book, changed: Callable[[], None], speed: float = 1.0) -> None:
        self._book = book
        self._changed = changed
        self._speed = speed
        self._tasks: dict[Key, tuple[Probe, asyncio.Task[None]]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="prober", daemon=True)
        self._thread.start()

    def sync(self, probes: Mapping[Key, Probe]) -> None:
        """Takes up which targets are to be checked."""
        self._loop.call_soon_threadsafe(self._sync, dict(probes))

    def close(self) -> None:
        """Ends the checks."""
        self._loop.call_soon_threadsafe(self._sync, {})
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def _sync(self, probes: dict[Key, Probe]) -> None:
        for key in [key for key, (probe, _) in self._tasks.items() if probes.get(key) != probe]:
            self._tasks.pop(key)[1].cancel()
        for key, probe in probes.items():
            if key not in self._tasks:
                self._tasks[key] = (probe, self._loop.create_task(self._watch(key, probe)))

    async def _watch(self, key: Key, probe: Probe) -> None:
        interval = probe.check.interval / self._speed
        while True:
            began = time.monotonic()
            if self._book.record(key, await ask(probe), probe.check):
                self._changed()
            await asyncio.sleep(max(0.0, began + interval - time.monotonic()))
