"""HTTP/1.1 connections of the generator. Nothing is ever retried, and a request never waits for another's answer.

A request takes a keep-alive connection that has been idle for less than `KEPT_SECONDS`, or opens one when there is none (it
stays in the pool afterwards), or, when the schedule says so, opens one that closes after the answer. Whatever ends a request
without a whole answer is a loss with its kind: `connect`, `reset`, `closed` (before any byte of the answer), `truncated`
(within it), `malformed`, `timeout`.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import httptools

Done = Callable[["Exchange"], None]
KEPT_SECONDS = 20.0
"""Far below a load balancer's idle timeout, at whose end a request and the connection's end would cross each other."""


@dataclass(slots=True)
class Exchange:
    """One request and what became of it: a `status` and `body`, or a `lost` kind. `tag` is the caller's; `cookies`: the
    answer's Set-Cookie headers."""

    payload: bytes
    keep: bool
    tag: Any
    deadline: float
    done: Done
    status: int = 0
    body: bytes = b""
    lost: str | None = None
    finished: bool = False
    connection: "Connection | None" = None
    cookies: list[bytes] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """One TCP connection with at most one request on it."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._exchange: Exchange | None = None
        self._parser: Any = None
        self._parts: list[bytes] = []
        self._answering = False
        self._whole = self._keep = False
        self.transport: asyncio.Transport | None = None
        self.idle_since = 0.0

    def send(self, exchange: Exchange) -> None:
        assert self.transport is not None
        self._exchange, exchange.connection = exchange, self
        self._parser, self._parts = httptools.HttpResponseParser(self), []
        self._answering = self._whole = False
        self.transport.write(exchange.payload)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:  # nothing was asked: not a server to keep a connection to
            self._drop()
            return
        self._answering = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail("malformed")
            self._drop()
            return
        if self._whole:
            self._complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"set-cookie" and self._exchange is not None:
            self._exchange.cookies.append(value)

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self._whole, self._keep = True, self._parser.should_keep_alive()

    def _complete(self) -> None:
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        exchange.status, exchange.body = self._parser.get_status_code(), b"".join(self._parts)
        if exchange.keep and self._keep:
            self._pool.keep(self)
        else:
            self._drop()
        self._pool.finish(exchange)

    def connection_lost(self, error: Exception | None) -> None:
        self._pool.forget(self)
        self._fail("truncated" if self._answering else "reset" if isinstance(error, ConnectionResetError) else "closed")

    def give_up(self, kind: str) -> None:
        """End the request on this connection as lost."""
        self._fail(kind)
        self._drop()

    def _fail(self, kind: str) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.lost = kind
            self._pool.finish(exchange)

    def _drop(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class Pool:
    """The generator's connections to one address. `timeout`: seconds after which an answer counts as lost."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self._host, self._port, self._timeout = host, port, timeout
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Exchange] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self.idle: list[Connection] = []
        self.opened = 0
        self.in_flight = 0

    def send(self, payload: bytes, keep: bool, tag: Any, done: Done) -> None:
        """Send now; `done` is called exactly once, when the answer is whole or lost."""
        exchange = Exchange(payload, keep, tag, self._loop.time() + self._timeout, done)
        self.in_flight += 1
        self._waiting.append(exchange)
        while keep and self.idle:
            connection = self.idle.pop()
            assert connection.transport is not None
            if self._loop.time() - connection.idle_since >= KEPT_SECONDS:
                connection.transport.close()
            elif not connection.transport.is_closing():
                connection.send(exchange)
                return
        task = self._loop.create_task(self._open(exchange))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, exchange: Exchange) -> None:
        self.opened += 1
        try:
            _, connection = await self._loop.create_connection(lambda: Connection(self), self._host, self._port)
        except OSError:
            exchange.lost = exchange.lost or "connect"
            self.finish(exchange)
            return
        if exchange.finished:  # timed out while connecting
            connection.give_up("timeout")
        else:
            connection.send(exchange)

    def finish(self, exchange: Exchange) -> None:
        if not exchange.finished:
            exchange.finished = True
            self.in_flight -= 1
            exchange.done(exchange)

    def keep(self, connection: Connection) -> None:
        """A connection is free for another request."""
        connection.idle_since = self._loop.time()
        self.idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """A connection has closed: no request shall be sent on it."""
        if connection in self.idle:
            self.idle.remove(connection)

    def expire(self, now: float | None = None) -> None:
        """Count requests whose answer is overdue as lost; `now` in the loop's seconds."""
        now = self._loop.time() if now is None else now
        while self._waiting and (self._waiting[0].finished or self._waiting[0].deadline <= now):
            exchange = self._waiting.popleft()
            if exchange.finished:
                continue
            if exchange.connection is not None:
                exchange.connection.give_up("timeout")
            else:
                exchange.lost = "timeout"
                self.finish(exchange)

    def abandon(self) -> None:
        """Wait for nothing more: what is in flight counts as lost."""
        self.expire(math.inf)

    def close(self) -> None:
        """Close idle connections."""
        for connection in self.idle:
            if connection.transport is not None:
                connection.transport.close()
        self.idle.clear()
