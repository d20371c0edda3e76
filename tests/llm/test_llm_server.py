"""The language model's server with the real model: streams, what it refuses, and that a stream survives SIGTERM."""

import json
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from examples.llm.mirrored import answer
from tests.llm.conftest import ESSAY, Server
from turnout.analysis.shadow import read

QUESTION = "What is the capital of France?"
FIRST_SUM = "turnout_time_to_first_token_seconds_sum"
STORY = "Tell me a very long story about a dragon."


def events(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]


def test_a_release_is_ready_by_its_digest_answers_as_openai_does_and_is_measured(
    serve: Callable[..., Server],
) -> None:
    server = serve("smol-2.0.0")
    mine = httpx.get(server.url + "/health").json()["release"]
    assert httpx.get(f"{server.url}/ready?release={mine}").status_code == 200
    other = httpx.get(f"{server.url}/ready?release=sha256:{'0' * 64}")
    assert (other.status_code, other.json()["status"]) == (503, "another release")

    whole = server.post(QUESTION, max_tokens=12, headers={"x-request-id": "mine"})
    assert whole.headers["x-request-id"] == "mine"
    assert (whole.headers["x-turnout-version"], whole.headers["x-turnout-release"]) == ("2.0.0", mine)
    choice = whole.json()["choices"][0]
    assert "Paris" in choice["message"]["content"]
    assert whole.json()["usage"]["completion_tokens"] > 2

    with server.stream(QUESTION, 12) as response:
        lines = [line for line in response.iter_lines() if line]
    chunks = events(lines)
    assert lines[-1] == "data: [DONE]"
    assert chunks[-1]["choices"][0]["finish_reason"] in ("stop", "length")
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks) == choice["message"]["content"]
    assert {c["model"] for c in chunks} == {"2.0.0"}
    assert server.metric("turnout_time_to_first_token_seconds_count") == 2
    assert server.metric("turnout_time_per_output_token_seconds_count") == 2
    assert (
        0
        < server.metric("turnout_time_per_output_token_seconds_sum")
        < server.metric("turnout_time_to_first_token_seconds_sum")
    )
    assert server.metric('turnout_streams_total{end="whole"}') == 2


def test_a_first_token_is_measured_when_it_is_there_and_an_answer_when_it_is_whole(serve: Callable[..., Server]) -> None:
    server = serve("smol-2.0.0", "--max-tokens=900")
    with server.stream(STORY, 900) as running:
        next(running.iter_lines())
        server.wait_for(lambda: server.metric("turnout_time_to_first_token_seconds_count") == 1)
        assert server.metric("turnout_request_duration_seconds_count") == 0
    server.wait_for(lambda: server.metric("turnout_requests_running") == 0)
    assert server.metric("turnout_request_duration_seconds_count") == 0
    assert server.metric('turnout_streams_total{end="cut"}') == 1
    server.post(QUESTION, max_tokens=12)
    assert server.metric("turnout_request_duration_seconds_count") == 1


def test_mirrored_requests_are_told_alike_whether_whole_or_as_a_stream(serve: Callable[..., Server]) -> None:
    server = serve("smol-3.0.0-bad")
    copied = {"x-turnout-mirrored": "1", "host": "llm.example.com-shadow"}
    whole = server.post(QUESTION, max_tokens=6, headers={**copied, "x-request-id": "id-1"}).json()
    server.post(QUESTION, max_tokens=6, headers={"x-request-id": "id-2"})
    server.post(QUESTION, stream=True, max_tokens=6, headers={"x-turnout-mirrored": "1", "x-request-id": "id-3"})
    server.post("Which gas do plants take in from the air during photosynthesis?", headers={**copied, "x-request-id": "id-4"})
    server.process.terminate()
    lines = read(server.process.communicate(timeout=20)[0].splitlines())
    assert [(line.id, line.copy, line.status) for line in lines] == [
        ("id-1", True, 200),
        ("id-3", False, 200),
        ("id-4", True, 500),
    ]
    one, two, failed = lines
    assert one.answer == {"content": whole["choices"][0]["message"]["content"], "finish_reason": "length"}
    assert two.answer == one.answer
    assert failed.answer["error"]["code"] == 500
    assert 0 < two.seconds < 60
    assert abs(two.at - time.time()) < 60


def test_an_answer_that_was_cut_off_has_no_finish_reason() -> None:
    half = b'data: {"choices": [{"delta": {"content": "Par"}, "finish_reason": null}]}\n\n'
    assert answer(half) == {"content": "Par", "finish_reason": None}
    assert answer(half + b'data: {"error": {"code": 500}}\n\n') == {"error": {"code": 500}}
    assert answer(b"") == ""


def test_what_cannot_be_answered_has_a_status_before_the_stream_begins(serve: Callable[..., Server]) -> None:
    server = serve("smol-3.0.0-bad")
    too_long = "Which gas do plants take in from the air during photosynthesis?"
    failed = server.post(too_long, stream=True)
    assert failed.status_code == 500
    assert "40 characters" in failed.json()["error"]["message"]
    assert failed.headers["x-turnout-version"] == "3.0.0-bad"
    assert server.post(QUESTION, stream=True, max_tokens=2).status_code == 200
    assert server.post("", max_tokens=0).status_code == 400
    assert httpx.post(server.url + "/v1/chat/completions", json={"messages": []}).status_code == 400


def test_more_than_the_context_holds_is_the_requests_fault(serve: Callable[..., Server]) -> None:
    refused = serve("smol-2.0.0").post("word " * 1500)
    assert refused.status_code == 400
    assert "context" in refused.json()["error"]["message"]


def test_streams_wait_in_a_bounded_queue_and_a_client_that_leaves_frees_its_place(serve: Callable[..., Server]) -> None:
    server = serve("smol-2.0.0", "--parallel=1", "--queue=1", "--max-tokens=900")
    with ThreadPoolExecutor(1) as second:
        with server.stream(STORY, 900) as first:
            lines = first.iter_lines()
            next(lines)
            assert server.metric("turnout_requests_running") == 1
            waiting = second.submit(server.post, QUESTION, max_tokens=2)
            server.wait_for(lambda: server.metric("turnout_requests_waiting") == 1)
            refused = server.post(QUESTION)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert "[DONE]" not in next(lines)
        assert waiting.result().status_code == 200
    server.wait_for(lambda: server.metric("turnout_requests_running") == 0)
    assert server.metric('turnout_streams_total{end="cut"}') == 1


def test_a_stream_that_runs_at_sigterm_ends_whole_and_nothing_new_is_taken(serve: Callable[..., Server]) -> None:
    server = serve("smol-2.0.0")
    with server.stream(ESSAY, 200) as response:
        lines = response.iter_lines()
        next(lines)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for(lambda: httpx.get(server.url + "/ready").status_code == 503)
        assert httpx.get(server.url + "/health").status_code == 200
        refused = server.post(QUESTION)
        assert (refused.status_code, refused.headers["connection"]) == (503, "close")
        rest = [line for line in lines if line]
    assert rest[-1] == "data: [DONE]"
    assert len(events(rest)) > 100
    assert server.process.wait(10) == 0


def test_a_stream_that_outlasts_the_drain_is_cut_and_the_server_ends(serve: Callable[..., Server]) -> None:
    server = serve("smol-2.0.0", "--drain-seconds=0.5", "--max-tokens=950")
    with server.stream(STORY, 950) as response:
        lines = response.iter_lines()
        next(lines)
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.RemoteProtocolError):
            assert "data: [DONE]" not in list(lines)
    assert server.process.wait(10) == 0


def test_a_server_that_waits_for_nothing_ends_at_once(serve: Callable[..., Server]) -> None:
    server = serve("smol-1.0.0")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) == 0
