"""Servers for the language model's tests: the real one as a process, and one that breaks its streams as it is told."""

import asyncio
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from turnout_components import release

from examples.llm import releases
from turnout.cloud.ports import Ports

ROOT = Path(__file__).parents[2]
PORTS = Ports()
ESSAY = "Tell me the history of railways."


@dataclass
class Server:
    process: subprocess.Popen[str]
    url: str

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "not so within 60 s"
            time.sleep(0.01)

    def alive(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()
        try:
            return httpx.get(self.url + "/health", verify=False).status_code == 200
        except httpx.TransportError:
            return False

    def post(self, text: str, **options: Any) -> httpx.Response:
        headers = options.pop("headers", {})
        body = {"messages": [{"role": "user", "content": text}], **options}
        return httpx.post(self.url + "/v1/chat/completions", json=body, headers=headers, timeout=60, verify=False)

    def stream(self, text: str, max_tokens: int) -> Any:
        body = {"messages": [{"role": "user", "content": text}], "stream": True, "max_tokens": max_tokens}
        return httpx.stream("POST", self.url + "/v1/chat/completions", json=body, timeout=60, verify=False)

    def metric(self, name: str) -> float:
        found = re.search(
            rf"^{re.escape(name)} ([\d.e+-]+)$", httpx.get(self.url + "/metrics", verify=False).text, re.MULTILINE
        )
        assert found is not None, name
        return float(found[1])


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start the model server of a release with flags of its own; it is ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(name: str, *flags: str) -> Server:
        made = release.parse(releases.FOLDER / "releases" / f"{name}.yaml")
        manifest = tmp_path / f"{name}.json"
        manifest.write_text(json.dumps(made.for_storage()))
        port = PORTS.take()
        named = {"TURNOUT_RELEASE": str(manifest), "TURNOUT_MODEL": str(releases.model())}
        process = subprocess.Popen(
            [sys.executable, "-m", "examples.llm.server", *made.engine.flags, *flags],
            cwd=ROOT,
            env={**os.environ, "HOST": "127.0.0.1", "PORT": str(port), **named},
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


def event(text: str | None, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-turnout-version: %b\r\n"
    b"x-turnout-release: sha256:ab\r\ntransfer-encoding: chunked\r\n\r\n"
)


def part(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@dataclass
class Breaking:
    """Behaves towards the n-th request (from 0) as `behaviour(n)` says: whole, close, reset, halfway, silent (no [DONE]),
    unfinished (no finish_reason), error (within the stream), garble, noise, refuse (500), stall, pause (until `resume`)."""

    behaviour: Callable[[int], str] = lambda n: "whole"
    version: Callable[[int], str] = lambda n: "1.0.0"
    requests: int = 0
    most: int = 0
    at_once: int = 0
    did: Counter[str] = field(default_factory=Counter)
    resume: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    environments: set[str] = field(default_factory=set)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head.lower())
                assert length is not None
                if named := re.search(rb"x-turnout-environment: (\w+)", head):
                    self.environments.add(named[1].decode())
                await reader.readexactly(int(length[1]))
                self.at_once += 1
                self.most = max(self.most, self.at_once)
                try:
                    if not await self._one(reader, writer):
                        break
                finally:
                    self.at_once -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        number, what = self.requests, self.behaviour(self.requests)
        self.requests += 1
        self.did[what] += 1
        if what in ("close", "stall", "noise", "refuse"):
            if what == "stall":
                await reader.read()
            if what == "noise":
                writer.write(b"no http at all\r\n\r\n")
            if what == "refuse":
                writer.write(b"HTTP/1.1 500 Oops\r\nx-turnout-version: 3\r\ncontent-length: 4\r\n\r\noops")
            return what == "refuse"
        writer.write(HEAD % self.version(number).encode() + part(event("It is")) + part(event(" Paris")))
        await writer.drain()
        await asyncio.sleep(0.01)
        if what == "pause":
            await self.resume.wait()
        if what == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        if what in ("halfway", "reset"):
            return False
        ends = {
            "silent": event(None, "stop"),
            "unfinished": b"data: [DONE]\n\n",
            "error": b'data: {"error": {"message": "out of memory"}}\n\n',
            "garble": b"data: oops\n\n",
        }
        writer.write(part(ends.get(what, event(None, "stop") + b"data: [DONE]\n\n")) + b"0\r\n\r\n")
        await writer.drain()
        return True


@pytest.fixture
async def breaking() -> AsyncIterator[Breaking]:
    """A server that counts what reaches it and breaks what it is told to."""
    server = Breaking()
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    yield server
    server.resume.set()
    listener.close()
