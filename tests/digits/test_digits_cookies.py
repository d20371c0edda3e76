"""Clients of the load generator that keep cookies, as those of a load balancer with stickiness do."""

import asyncio
import re
from collections import Counter

import numpy as np
import pytest
from conftest import WHOLE

from examples.digits.load.client import Pool
from examples.digits.load.cookies import Jar
from examples.digits.load.generator import Generator
from examples.digits.load.schedule import Plan


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_cookie_is_sent_back_until_its_time_is_over_and_renewed_by_the_next() -> None:
    clock = Clock()
    jar = Jar(clock)
    assert jar.header() == b""
    jar.take(b"AWSALBTG=a1; Max-Age=10; Path=/")
    jar.take(b"AWSALBTGCORS=a1; Max-Age=10; Path=/; SameSite=None; Secure")
    jar.take(b"session=s; Path=/")
    assert jar.header() == b"Cookie: AWSALBTG=a1; session=s\r\n"
    clock.now = 9.0
    jar.take(b"AWSALBTG=b2; Max-Age=10; Path=/")
    clock.now = 18.9
    assert jar.header() == b"Cookie: AWSALBTG=b2; session=s\r\n"
    clock.now = 19.0
    assert jar.header() == b"Cookie: session=s\r\n"


def test_a_cookie_of_no_time_is_gone_and_what_is_no_cookie_changes_nothing() -> None:
    jar = Jar(Clock())
    jar.take(b"a=1; Max-Age=soon")
    jar.take(b"\xff\xfe; ;;")
    assert jar.header() == b"Cookie: a=1\r\n"
    jar.take(b"a=2; Max-Age=0")
    assert jar.header() == b""


def test_clients_are_drawn_by_the_seed_and_change_nothing_else_of_the_schedule() -> None:
    plain = list(Plan(rate=1000, seconds=10, slow_share=0.1, seed=3).asks(10))
    sticky = list(Plan(rate=1000, seconds=10, slow_share=0.1, seed=3, sticky_share=0.3, sticky_clients=4).asks(10))
    assert [ask[:4] for ask in sticky] == [ask[:4] for ask in plain]
    assert {ask.client for ask in plain} == {-1}
    found = Counter(ask.client for ask in sticky)
    assert set(found) == {-1, 0, 1, 2, 3}
    assert 1 - found[-1] / len(sticky) == pytest.approx(0.3, abs=0.02)


async def test_each_client_sends_back_what_it_was_given_and_the_others_send_none() -> None:
    """The server names clients by their first cookie: one without any gets the next number."""
    seen: Counter[str] = Counter()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length, cookie = re.search(rb"Content-Length: (\d+)", head), re.search(rb"Cookie: AWSALBTG=(\d+)\r\n", head)
                assert length is not None
                await reader.readexactly(int(length[1]))
                seen[cookie[1].decode() if cookie else "none"] += 1
                given = cookie[1] if cookie else b"%d" % seen["none"]
                status, _, rest = WHOLE.partition(b"\r\n")
                writer.write(status + b"\r\nSet-Cookie: AWSALBTG=%b; Max-Age=60\r\n" % given + rest)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        plan = Plan(rate=100, seconds=2, sticky_share=0.5, sticky_clients=3)
        run = Generator(Pool("127.0.0.1", port, 5.0), plan, "localhost", "/", [[0] * 64], [1])
        await run.run()
    clients = Counter(run.clients)
    assert set(clients) == {-1, 0, 1, 2}
    assert run.result()["requests_lost"] == 0
    assert 3 <= seen["none"] - clients[-1] <= 10, "only those that were asked before the first answer was there"
    assert 3 <= len(seen) - 1 <= 10
    assert len(run.record.rows().at) == len(np.array(run.clients))
