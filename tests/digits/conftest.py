"""Servers for the digits tests: the real one as a process, and one that misbehaves as it is told."""

import asyncio
import os
import re
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from turnout.cloud.ports import Ports

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
PORTS = Ports()


@dataclass
class Server:
    process: subprocess.Popen[str]
    url: str

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "not so within 20 s"
            time.sleep(0.01)

    def alive(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()
        try:
            return httpx.get(self.url + "/health", verify=False).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start the model server with flags and environment; it is ended with the test."""
    with starting() as start:
        yield start


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One without flags, for tests that leave it as it is."""
    with starting() as start:
        yield start()


@contextmanager
def starting() -> Iterator[Callable[..., Server]]:
    started: list[subprocess.Popen[str]] = []

    def start(*flags: str, **environment: str) -> Server:
        port = PORTS.take()
        process = subprocess.Popen(
            [sys.executable, "-m", "examples.digits.server", *flags],
            cwd=DIGITS.parents[1],
            env={**os.environ, "HOST": "127.0.0.1", "PORT": str(port), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        server = Server(process, f"http://127.0.0.1:{port}")
        server.wait_for(server.alive)
        return server

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


ANSWER = b'{"digit": 1, "release": "sha256:ab", "version": "1.0.0"}'
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER


@dataclass
class Misbehaving:
    """Behaves towards the n-th request (from 0) as `behaviour(n)` says: ok, reset, close, truncate, error, fail (an
    error that names its release), garble, noise, stall (never answers) or pause (answers when `resume` is set)."""

    behaviour: Callable[[int], str] = lambda n: "ok"
    requests: int = 0
    connections: int = 0
    honours_close: bool = True
    after_close: int = 0
    did: Counter[str] = field(default_factory=Counter)
    resume: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            closing = False
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.after_close += closing
                closing = b"Connection: close" in head
                if not await self._one(head, reader, writer) or (closing and self.honours_close):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length is not None
        await reader.readexactly(int(length[1]))
        what = self.behaviour(self.requests)
        self.requests += 1
        self.did[what] += 1
        if what == "stall":
            await reader.read()  # until the client gives up
            return False
        if what == "pause":
            await self.resume.wait()
        if what == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
        answers = {
            "close": b"",
            "truncate": WHOLE[:-10],
            "error": b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops",
            "fail": WHOLE.replace(b"200 OK", b"500 Oops"),
            "garble": b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\noops",
            "noise": b"no http at all\r\n\r\n",
        }
        writer.write(answers.get(what, WHOLE))
        await writer.drain()
        return what in ("ok", "pause", "error", "fail", "garble")


@pytest.fixture
async def misbehaving() -> AsyncIterator[Misbehaving]:
    """A server that does not retry, cache or repair anything, and counts what reaches it."""
    server = Misbehaving()
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    yield server
    server.resume.set()
    listener.close()
