"""The load generator's feedback: its scores get to CloudWatch, and neither a slow nor a dead endpoint holds the load up."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from turnout_components.clients import aws_client

from examples.digits.load.client import Pool
from examples.digits.load.generator import Generator
from examples.digits.load.schedule import Plan
from examples.loading import feedback as feedback_module
from examples.loading.feedback import Feedback
from tests.moto_server import moto_server

ROOT = Path(__file__).parents[2]
DIGEST = "sha256:ab"
"""What the misbehaving server answers."""


@pytest.fixture
def cloudwatch() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """Accepts connections and never answers."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    listener.close()


def measured(url: str, service: str) -> tuple[float, float]:
    """How many scores the metric holds, and their sum."""
    found = aws_client("cloudwatch", "us-east-1", url).get_metric_statistics(
        Namespace="Turnout",
        MetricName="Quality",
        Dimensions=[{"Name": "Service", "Value": service}, {"Name": "Release", "Value": DIGEST}],
        StartTime=time.time() - 120,
        EndTime=time.time() + 60,
        Period=60,
        Statistics=["SampleCount", "Sum"],
    )["Datapoints"]
    return sum(point["SampleCount"] for point in found), sum(point["Sum"] for point in found)


async def load(*arguments: str) -> dict[str, Any]:
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "examples.digits.load", *arguments)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=pipe)
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    result: dict[str, Any] = json.loads(output)
    return result


async def test_the_commands_scores_are_in_cloudwatch_and_a_lost_answer_has_none(misbehaving: Any, cloudwatch: str) -> None:
    misbehaving.behaviour = lambda n: ["ok", "ok", "ok", "fail"][n % 4]
    url = f"http://127.0.0.1:{misbehaving.port}"
    result = await load(
        *("--url", url, "--rate", "100", "--seconds", "2.4", "--slow-share", "0"),
        *("--feedback", cloudwatch, "--feedback-service", "numbers"),
    )
    assert result["requests_lost"] == 60
    assert result["feedback"] == {"published": 180, "failed": 0, "error": None}
    count, right = await asyncio.to_thread(measured, cloudwatch, "numbers")
    assert count == 180
    assert right / count == pytest.approx(result["phases"]["load"]["accuracy"], abs=1e-4)
    assert 0 < right < 180


async def test_without_the_option_nothing_is_published(misbehaving: Any) -> None:
    result = await load("--url", f"http://127.0.0.1:{misbehaving.port}", "--rate", "50", "--seconds", "0.2")
    assert "feedback" not in result


async def test_feedback_goes_to_loopback_only(misbehaving: Any) -> None:
    with pytest.raises(AssertionError, match="loopback"):
        await load(
            "--url", f"http://127.0.0.1:{misbehaving.port}", "--rate", "1", "--feedback", "http://monitoring.example.com"
        )


async def test_a_silent_endpoint_holds_no_request_up(misbehaving: Any, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback_module, "INTERVAL", 0.05)
    monkeypatch.setattr(feedback_module, "_END_TIMEOUT", 0.5)
    feedback = await Feedback.start(urlsplit(silent), "digits", "us-east-1")
    pool = Pool("127.0.0.1", misbehaving.port, 5.0)
    run = Generator(pool, Plan(200, 1.5), "localhost", "/v1/predict", [[0] * 64, [16] * 64], [1, 2], feedback.note)
    await run.run()
    assert misbehaving.requests == 300
    assert run.result()["requests_lost"] == 0
    assert run.result()["phases"]["load"]["seconds"] < 3
    ended = await feedback.close()
    assert ended["published"] is None
    assert "did not end" in ended["error"]


async def test_a_dead_endpoint_costs_the_scores_and_is_told(misbehaving: Any) -> None:
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    url = f"http://127.0.0.1:{misbehaving.port}"
    result = await load("--url", url, "--rate", "100", "--seconds", "0.5", "--feedback", f"http://127.0.0.1:{port}")
    assert result["requests_lost"] == 0
    assert (result["feedback"]["published"], result["feedback"]["failed"]) == (0, 50)
    assert "EndpointConnectionError" in result["feedback"]["error"]


async def test_scores_wait_with_their_second_while_the_publisher_is_busy_and_are_bounded(
    cloudwatch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback_module, "INTERVAL", 0.01)
    monkeypatch.setattr(feedback_module, "_WAITING_AT_MOST", -1)  # nothing is ever taken in
    monkeypatch.setattr(feedback_module, "_KEPT_AT_MOST", 30)
    now = time.time() - 50
    moments = iter([now + n for n in range(40) for _ in range(2)])
    feedback = await Feedback.start(urlsplit(cloudwatch), "waiting", "us-east-1")
    monkeypatch.setattr(feedback, "_clock", lambda: next(moments))
    for _ in range(80):
        feedback.note(DIGEST, 1.0)
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert await feedback.close() == {"published": 60, "failed": 20, "error": None}
    assert await asyncio.to_thread(measured, cloudwatch, "waiting") == (60, 60)
