"""The users against a server that breaks its streams: each is counted with its kind, nothing is asked twice."""

import asyncio
import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from examples.llm.load.asks import Ask, asks, essays, questions
from examples.llm.load.generator import Users, across
from examples.llm.load.stream import Stream
from tests.llm.conftest import ROOT, Breaking

PARIS = Ask("What is the capital of France?", ("Paris",), 10, False)
ROME = Ask("What is the capital of Italy?", ("Rome",), 10, False)
ESSAY = Ask("Tell me a story.", (), 10, True)


async def load(server: Breaking, *plan: Ask, users: int = 1, timeout: float = 5.0) -> dict[str, Any]:
    run = Users(server.url, iter(plan), users, timeout=timeout)
    await run.run()
    return run.result()


@pytest.mark.parametrize(
    ("what", "kind", "cut"),
    [
        ("close", "closed", 0),
        ("noise", "malformed", 0),
        ("refuse", "http_500", 0),
        ("stall", "timeout", 0),
        ("halfway", "truncated", 1),
        ("reset", "reset", 1),
        ("silent", "truncated", 1),
        ("unfinished", "truncated", 1),
        ("garble", "garbled", 1),
        ("error", "error", 0),
    ],
)
async def test_each_break_is_a_loss_of_its_kind_and_only_a_begun_answer_is_cut(
    breaking: Breaking, what: str, kind: str, cut: int
) -> None:
    breaking.behaviour = lambda n: what if n == 1 else "whole"
    result = await load(breaking, *[PARIS] * 4, timeout=0.3 if what == "stall" else 5.0)
    assert result["requests_sent"] == breaking.requests == 4
    assert result["lost_by_kind"] == {kind: 1}
    assert (result["streams"]["whole"], result["streams"]["cut"]) == (3, cut)


async def test_a_cut_answer_is_no_releases_fault_and_an_error_is(breaking: Breaking) -> None:
    breaking.behaviour = lambda n: {0: "halfway", 1: "error", 2: "refuse"}.get(n, "whole")
    result = await load(breaking, *[PARIS] * 4)
    assert {name: row["lost"] for name, row in result["releases"].items()} == {"unknown": 1, "1.0.0": 1, "3": 1}
    assert result["digests"]["1.0.0"] == ["sha256:ab"]


async def test_nobody_listening_is_a_loss_by_request() -> None:
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    run = Users(f"http://127.0.0.1:{port}", iter([PARIS] * 3), 1)
    await run.run()
    assert run.result()["lost_by_kind"] == {"connect": 3}


async def test_no_more_streams_run_at_a_time_than_there_are_users(breaking: Breaking) -> None:
    await load(breaking, *[PARIS] * 12, users=3)
    assert (breaking.requests, breaking.most) == (12, 3)


async def test_answers_are_judged_by_their_words_and_essays_are_not(breaking: Breaking) -> None:
    result = await load(breaking, PARIS, ROME, ESSAY, ESSAY)
    assert result["releases"]["1.0.0"]["accuracy"] == 0.5
    assert (result["phases"]["load"]["fast"]["answers"], result["phases"]["load"]["slow"]["answers"]) == (2, 2)
    assert result["streams"]["tokens"] == 8


async def test_first_token_and_later_ones_are_timed_apart(breaking: Breaking) -> None:
    breaking.behaviour = lambda n: "pause"
    run = Users(breaking.url, iter([PARIS]), 1)
    running = asyncio.create_task(run.run())
    while not run._in_flight or not breaking.at_once:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    breaking.resume.set()
    await running
    streams = run.result()["streams"]
    assert streams["ttft"]["p50_ms"] < 250
    assert run.result()["phases"]["load"]["fast"]["p50_ms"] >= 300


def test_times_are_of_tokens() -> None:
    stream = Stream(began=10.0, first=10.5, last=11.5, tokens=11)
    assert (stream.ttft, stream.tpot) == (0.5, pytest.approx(0.1))
    assert Stream(began=10.0, first=10.5, last=10.5, tokens=1).tpot is None


def test_a_stream_is_across_a_flip_when_another_release_began_to_answer_while_it_ran() -> None:
    def stream(began: float, ended: float, version: str, lost: str | None = None) -> Stream:
        return Stream(began, status=200, version=version, ended=ended, lost=lost)

    alone = [stream(0, 2, "1"), stream(1, 3, "1")]
    assert across(alone) == {"streams": 0, "cut": 0}
    assert across([*alone, stream(2.5, 4, "2")]) == {"streams": 1, "cut": 0}
    assert across([*alone, stream(1.5, 1.6, "2"), stream(4, 5, "2")]) == {"streams": 2, "cut": 0}
    assert across([stream(0, 2, "1", "truncated"), stream(1, 3, "2")]) == {"streams": 1, "cut": 1}


async def test_a_stop_lets_streams_end_and_a_second_one_does_not_wait(breaking: Breaking) -> None:
    breaking.behaviour = lambda n: "pause" if n else "whole"
    run = Users(breaking.url, itertools.repeat(PARIS), 1)
    running = asyncio.create_task(run.run())
    while breaking.requests < 2:
        await asyncio.sleep(0.01)
    run.stop("first")
    await asyncio.sleep(0.1)
    assert not running.done()
    run.stop("second")
    await running
    assert run.result()["lost_by_kind"] == {"abandoned": 1}
    assert (run.result()["stopped_by"], breaking.requests) == ("first", 2)


def test_a_seed_fixes_what_is_asked_and_how_much_of_it_is_long() -> None:
    def take(seed: int) -> list[Ask]:
        return list(itertools.islice(asks(seed, 0.25, 99), 2000))

    assert take(1) == take(1) != take(2)
    assert sum(ask.long for ask in take(1)) / 2000 == pytest.approx(0.25, abs=0.03)
    assert {ask.max_tokens for ask in take(1) if ask.long} == {99}
    assert len(questions()) == 30
    assert all(question.words for question in questions())
    assert all(essay.right("anything") is None for essay in essays(1))


async def start(*args: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "examples.llm.load", *args)
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)


async def test_the_command_streams_progress_takes_phases_and_writes_results_when_stopped(
    breaking: Breaking, tmp_path: Path
) -> None:
    breaking.behaviour = lambda n: "halfway" if n < 3 else "whole"
    out = tmp_path / "load.json"
    process = await start("--url", breaking.url, "--pause", "0.01", "--out", str(out), "--progress", "--interval", "0.1")
    assert process.stdin is not None

    async def progress(until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            line: dict[str, Any] = json.loads(await process.stdout.readline())  # type: ignore[union-attr]
            if until(line):
                return line

    await progress(lambda line: line["sent"] > 10)
    process.stdin.write(b"phase after\n")
    line = await progress(lambda line: line["phase"] == "after" and line["ttft_p50_ms"] is not None)
    assert (line["cut"], line["lost_by_kind"]) == (3, {"truncated": 3})
    assert line["shares"]["1.0.0"] > 0.5
    process.stdin.close()
    _, errors = await asyncio.gather(process.stdout.read(), process.stderr.read())  # type: ignore[union-attr]
    assert (await process.wait(), errors) == (0, b"")
    result = json.loads(out.read_text())
    assert (result["stopped_by"], result["requests_sent"]) == ("stdin closed", breaking.requests)
    assert set(result["phases"]) == {"load", "after"}
    assert result["phases"]["load"]["streams"]["cut"] == 3


async def test_only_loopback_is_asked() -> None:
    process = await start("--url", "http://example.com")
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"loopback" in errors
