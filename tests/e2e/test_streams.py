"""A language model's streams and the switch: what runs when traffic moves, or when its server has to go, ends whole."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from benchmarks.service import Service
from benchmarks.waiting import wait_for
from examples.llm.load.asks import Ask
from examples.llm.load.generator import Users
from examples.llm.load.stream import Stream
from tests.e2e.prepared_service import prepared_service

LONG = Ask("Tell me the history of railways.", (), 250, True)
SHORT = Ask("What is the capital of France?", ("Paris",), 12, False)


@pytest.fixture(scope="module")
def smol(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The language model's stack with 1.0.0 in blue and 2.0.0 in green, a server each; a target drains for a second."""
    with prepared_service(tmp_path_factory.mktemp("home"), stack="llm", health={"drain": 5}) as made:
        assert made.up().exit_code == 0, made.said()
        for environment in ("blue", "green"):
            wait_for(f"health of {environment}", lambda: set(made.targets(environment)) == {"healthy"})  # noqa: B023
        yield made


@asynccontextmanager
async def streaming(url: str, count: int) -> AsyncIterator[list[Stream]]:
    """Long streams that run when the block begins and are read to their end when it does."""
    users = Users(url, itertools.repeat(LONG, count), count)
    running = asyncio.create_task(users.run())
    while not users._in_flight:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)  # so that all have their first token, or wait for it at the server
    yield users.streams
    assert not running.done(), "the streams were too short to show anything"
    await running


def phases(service: Service, environment: str) -> list[str]:
    return [one["phase"] for one in service.instances(environment)]


async def ask(url: str) -> Stream:
    users = Users(url, iter([SHORT]), 1)
    await users.run()
    return users.streams[0]


async def test_streams_that_run_across_a_flip_end_whole_where_they_began(smol: Service) -> None:
    before, after = smol.active, smol.standby
    versions = {"blue": "1.0.0", "green": "2.0.0"}
    async with streaming(smol.url, count=2) as streams:
        await smol.flip(after)
        assert smol.weights() == {before: 0, after: 100}
        new = await ask(smol.url)
        assert (new.lost, new.version) == (None, versions[after])
        assert streams == []
    assert [(s.lost, s.version, s.done) for s in streams] == [(None, versions[before], True)] * 2
    assert all(s.tokens > 100 for s in streams)


@pytest.mark.slow  # tests/llm/test_llm_server.py ends a server under a stream
async def test_a_stream_whose_server_is_taken_out_after_a_flip_ends_whole(smol: Service) -> None:
    """Scaled in while it streams: the target is deregistered and drains, then the server gets SIGTERM and drains itself."""
    before, after = smol.active, smol.standby
    group = smol.record().environments[before].group
    assert group is not None
    async with streaming(smol.url, count=2) as streams:
        await smol.flip(after)
        smol.api("autoscaling").update_auto_scaling_group(AutoScalingGroupName=group, MinSize=0, DesiredCapacity=0)
        await asyncio.to_thread(wait_for, "SIGTERM", lambda: phases(smol, before) == ["stopping"])
        assert streams == []
    assert [s.lost for s in streams] == [None, None]
    assert all(s.tokens > 100 for s in streams)
    await asyncio.to_thread(wait_for, "an end of the server", lambda: phases(smol, before) == [])
