"""Health checks against real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from cloud_worlds import CHECK, TG, world

from benchmarks.waiting import wait_for
from turnout.cloud.health import Answer, HealthBook
from turnout.cloud.ports import Ports
from turnout.cloud.prober import Probe, Prober, ask


@asynccontextmanager
async def server(answer: bytes | None) -> AsyncIterator[tuple[Probe, list[bytes]]]:
    """A server that answers every request so; None: not at all."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield Probe(("127.0.0.1", port), replace(CHECK, path="/ready?release=sha256:1", timeout=0.5)), requests


async def test_a_check_asks_for_the_path_and_reads_the_status() -> None:
    async with server(b"HTTP/1.1 204 No Content\r\n\r\n") as (probe, requests):
        assert await ask(probe) == Answer(status=204)
    assert requests[0].startswith(b"GET /ready?release=sha256:1 HTTP/1.1\r\n")
    assert b"ELB-HealthChecker/2.0" in requests[0]
    assert b"Connection: close" in requests[0]


async def test_a_server_that_does_not_answer_is_a_timeout() -> None:
    async with server(None) as (probe, _):
        assert await ask(probe) == Answer(error="timeout")


async def test_garbage_an_empty_answer_and_a_refused_connection_are_failures() -> None:
    for garbage in (b"SSH-2.0-x\r\n", b"", b"HTTP/1.1 abc\r\n\r\n"):
        async with server(garbage) as (probe, _):
            assert await ask(probe) == Answer(error="connection")
    assert await ask(Probe(("127.0.0.1", Ports().take()), CHECK)) == Answer(error="connection")


async def test_the_prober_keeps_checking_and_says_when_a_state_changes() -> None:
    book, changes = HealthBook(), []
    book.sync(world("i-1"))
    prober = Prober(book, lambda: changes.append(1), speed=500)
    try:
        async with server(b"HTTP/1.1 200 OK\r\n\r\n") as (probe, requests):
            prober.sync({(TG, "i-1"): probe})
            await asyncio.to_thread(wait_for, "five checks", lambda: len(requests) >= 5)
            assert book.of_group(TG)["i-1"].state == "healthy"
            assert len(changes) == 1
        await asyncio.to_thread(wait_for, "unhealthy", lambda: book.of_group(TG)["i-1"].state == "unhealthy")
        assert len(changes) == 2
    finally:
        prober.close()
