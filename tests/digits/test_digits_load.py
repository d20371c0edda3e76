"""The load generator against a server that misbehaves: every loss is counted with its kind and nothing is asked twice."""

import asyncio
import itertools
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.digits.load.client import Pool
from examples.digits.load.generator import Generator
from examples.digits.load.schedule import Plan

ROOT = Path(__file__).parents[2]


def generator(port: int, plan: Plan, timeout: float = 5.0) -> Generator:
    """Asks for two images, of which the misbehaving server (it always says 1) gets the first right."""
    return Generator(Pool("127.0.0.1", port, timeout), plan, "localhost", "/v1/predict", [[0] * 64, [16] * 64], [1, 2])


async def load(port: int, plan: Plan, timeout: float = 5.0) -> dict[str, Any]:
    run = generator(port, plan, timeout)
    await run.run()
    return run.result()


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("reset", "reset"),
        ("close", "closed"),
        ("truncate", "truncated"),
        ("error", "http_500"),
        ("garble", "garbled"),
        ("noise", "malformed"),
        ("stall", "timeout"),
    ],
)
@pytest.mark.parametrize("new_connections", [0.0, 1.0])
async def test_each_fault_is_a_loss_of_its_kind_and_is_not_retried(
    misbehaving: Any, what: str, kind: str, new_connections: float
) -> None:
    misbehaving.behaviour = lambda n: what if n % 5 == 3 else "ok"
    plan = Plan(rate=200, seconds=0.5, new_connection_share=new_connections)
    result = await load(misbehaving.port, plan, timeout=0.3 if what == "stall" else 5.0)
    assert result["requests_sent"] == misbehaving.requests == 100
    assert result["lost_by_kind"] == {kind: 20} == {kind: misbehaving.did[what]}
    assert result["requests_lost"] == 20
    assert result["phases"]["load"]["fast"]["answers"] == 80


async def test_nobody_listening_is_a_loss_by_request() -> None:
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    result = await load(port, Plan(rate=100, seconds=0.2))
    assert (result["requests_sent"], result["lost_by_kind"]) == (20, {"connect": 20})


async def test_latency_counts_from_the_intended_time(misbehaving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator itself is late: its sends are held up, and the latency shows it in full."""
    run = generator(misbehaving.port, Plan(rate=100, seconds=1.0))
    until = run._until

    async def late(at: float) -> None:
        await until(0.5 if 0.2 <= at < 0.5 else at)

    monkeypatch.setattr(run, "_until", late)
    await run.run()
    rows = run.record.rows()
    held = (rows.at >= 0.2) & (rows.at < 0.5)
    assert held.sum() == 30
    assert (rows.latency[held] >= 0.5 - rows.at[held]).all()
    assert (rows.lag[held] >= 0.5 - rows.at[held]).all()
    assert run.result()["send_lag"]["max_ms"] >= 300


async def test_a_stall_shows_in_all_requests_scheduled_while_it_lasts_and_holds_none_up(misbehaving: Any) -> None:
    misbehaving.behaviour = lambda n: "pause"
    run = generator(misbehaving.port, Plan(rate=100, seconds=1.0))
    running = asyncio.create_task(run.run())
    while misbehaving.requests < 100:  # all are sent although not one is answered
        await asyncio.sleep(0.01)
    misbehaving.resume.set()
    await running
    rows = run.record.rows()
    assert misbehaving.connections == 100
    assert (rows.latency >= 0.99 - rows.at - 0.001).all()  # the last was sent at 0.99 s, the resume came after it


async def test_idle_connections_are_used_again_and_new_ones_close(misbehaving: Any) -> None:
    kept = await load(misbehaving.port, Plan(rate=100, seconds=0.5))
    assert kept["connections_opened"] == misbehaving.connections < 25
    result = await load(misbehaving.port, Plan(rate=100, seconds=0.5, new_connection_share=1.0))
    assert result["connections_opened"] == 50


async def test_a_connection_that_was_idle_for_long_takes_no_request_as_its_end_may_be_on_the_way(
    misbehaving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("examples.digits.load.client.KEPT_SECONDS", 0.0)
    result = await load(misbehaving.port, Plan(rate=10, seconds=0.5, new_connection_share=0.0))
    assert (result["connections_opened"], result["requests_lost"]) == (5, 0)


async def test_a_connection_of_its_own_takes_one_request_even_if_the_server_keeps_it_open(misbehaving: Any) -> None:
    misbehaving.honours_close = False
    result = await load(misbehaving.port, Plan(rate=200, seconds=0.5, new_connection_share=0.5))
    assert (result["requests_lost"], misbehaving.after_close) == (0, 0)


async def test_answers_are_checked_against_the_label_and_grouped_by_phase(misbehaving: Any) -> None:
    run = generator(misbehaving.port, Plan(rate=200, seconds=1.0))
    running = asyncio.create_task(run.run())
    while run.record.sent < 60:
        await asyncio.sleep(0.001)
    run.mark("flip")
    await running
    result = run.result()
    first, second = result["phases"]["load"], result["phases"]["flip"]
    assert first["sent"] + second["sent"] == 200
    assert first["sent"] >= 60
    right = np.mean(run.record.rows().outcome == 1)
    assert result["releases"]["1.0.0"]["accuracy"] == pytest.approx(right, abs=1e-4)
    assert 0.3 < right < 0.7
    assert second["releases"]["1.0.0"]["share"] == 1.0
    assert result["digests"] == {"1.0.0": ["sha256:ab"]}


def test_a_seed_fixes_the_schedule_and_the_shares() -> None:
    plan = Plan(rate=1000, seconds=20, slow_share=0.05, new_connection_share=0.2, poisson=True, seed=7)
    asks = list(plan.asks(10))
    assert asks == list(plan.asks(10))
    assert len(asks) == pytest.approx(20000, rel=0.03)
    assert sum(ask.slow for ask in asks) / len(asks) == pytest.approx(0.05, abs=0.01)
    assert sum(ask.new_connection for ask in asks) / len(asks) == pytest.approx(0.2, abs=0.02)
    assert all(a.at <= b.at for a, b in itertools.pairwise(asks))
    assert [ask.at for ask in Plan(rate=100, seconds=1).asks(3)] == [i / 100 for i in range(100)]


async def start(*args: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "examples.digits.load", *args)
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)


@pytest.mark.parametrize("how", ["stdin closed", "SIGTERM", "SIGINT"])
async def test_the_command_streams_progress_takes_phases_and_writes_results_when_stopped(
    misbehaving: Any, tmp_path: Path, how: str
) -> None:
    faults = ["reset", "truncate", "error", "close"]
    misbehaving.behaviour = lambda n: faults[n % 4] if n < 20 else "ok"
    out = tmp_path / "load.json"
    process = await start("--url", f"http://127.0.0.1:{misbehaving.port}", "--rate", "100", "--out", str(out), "--progress")
    assert process.stdin is not None
    assert process.stdout is not None

    async def progress(until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            line: dict[str, Any] = json.loads(await process.stdout.readline())  # type: ignore[union-attr]
            if until(line):
                return line

    await progress(lambda line: line["sent"] > 50)
    process.stdin.write(b"phase after\n")
    line = await progress(lambda line: line["phase"] == "after" and line["p50_ms"] is not None)
    assert line["lost"] == 20
    if how == "stdin closed":
        process.stdin.close()
    else:
        process.send_signal(signal.Signals[how])
    _, errors = await asyncio.gather(process.stdout.read(), process.stderr.read())  # type: ignore[union-attr]
    assert (await process.wait(), errors) == (0, b"")
    result = json.loads(out.read_text())
    assert result["stopped_by"] == how
    assert result["requests_sent"] == misbehaving.requests
    assert result["lost_by_kind"] == {"reset": 5, "truncated": 5, "http_500": 5, "closed": 5}
    assert set(result["phases"]) == {"load", "after"}


@pytest.mark.parametrize("url", ["http://10.0.0.1:80", "http://example.com", "https://127.0.0.1", "127.0.0.1:80", "http://"])
async def test_only_loopback_is_loaded(url: str) -> None:
    process = await start("--url", url, "--rate", "1")
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"loopback" in errors
