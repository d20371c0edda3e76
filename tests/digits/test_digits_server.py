"""The model server as a process: readiness, answers, faults on demand and the drain."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from turnout.analysis.shadow import read

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
IMAGE = {"image": [8] * 64}
DIGEST = "sha256:" + "a" * 64


def metric(url: str, name: str) -> float:
    line = next(line for line in httpx.get(url + "/metrics").text.splitlines() if line.startswith(name + " "))
    return float(line.split()[1])


def test_it_is_ready_for_its_own_release_and_for_no_other(serve: Callable) -> None:
    server = serve(TURNOUT_RELEASE_DIGEST=DIGEST)
    for query, status in (
        ({}, 200),
        ({"release": DIGEST}, 200),
        ({"release": "sha256:" + "b" * 64}, 503),
        ({"release": ""}, 503),
    ):
        answer = httpx.get(server.url + "/ready", params=query)
        assert (answer.status_code, answer.json()["release"]) == (status, DIGEST), query


def test_answers_name_digit_release_and_version(serve: Callable, tmp_path: Path) -> None:
    manifest = tmp_path / "release.json"
    manifest.write_text(json.dumps({"name": "digits-3.0.0-bad", "model": {"name": "digits"}, "digest": DIGEST}))
    server = serve(TURNOUT_RELEASE=str(manifest))
    with np.load(DIGITS / "heldout.npz") as data:
        images, labels = data["images"], data["labels"]
    with httpx.Client(base_url=server.url) as client:
        answers = [client.post("/v1/predict", json={"image": image.tolist()}).json() for image in images[:200]]
    assert {(answer["release"], answer["version"]) for answer in answers} == {(DIGEST, "3.0.0-bad")}
    assert sum(answer["digit"] == label for answer, label in zip(answers, labels, strict=False)) > 170
    assert metric(server.url, 'digits_requests_total{status="200"}') == 200


@pytest.mark.parametrize(
    "body",
    [
        '{"image": []}',
        '{"image": %s}' % ([1] * 65),
        '{"image": %s}' % ([17] * 64),
        '{"image": [%s NaN]}' % ("1," * 63),
        "no",
        "{}",
    ],
)
def test_a_bad_body_is_refused_with_the_reason(server: Any, body: str) -> None:
    answer = httpx.post(server.url + "/v1/predict", content=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["msg"]


def test_the_error_rate_is_the_flags_and_its_choice_the_seeds(serve: Callable) -> None:
    server = serve("--error-rate=0.3", "--seed=3")
    with httpx.Client(base_url=server.url) as client:
        failed = [client.post("/v1/predict", json=IMAGE).status_code == 500 for _ in range(100)]
    chance = random.Random(3)
    assert failed == [chance.random() < 0.3 for _ in range(100)]
    assert metric(server.url, 'digits_requests_total{status="500"}') == sum(failed)


def test_added_latency_is_in_every_answer(serve: Callable) -> None:
    answer = httpx.post(serve("--latency-ms=80").url + "/v1/predict", json=IMAGE)
    assert answer.elapsed.total_seconds() >= 0.08


def test_mirrored_requests_are_told_with_id_status_seconds_and_answer(serve: Callable) -> None:
    server = serve("--latency-ms", "30")
    copied = {"x-turnout-mirrored": "1", "x-request-id": "id-1", "host": "llm.example.com-shadow"}
    answer = httpx.post(server.url + "/v1/predict", json=IMAGE, headers=copied).json()
    httpx.post(server.url + "/v1/predict", json=IMAGE, headers={"x-request-id": "id-2"})
    httpx.post(server.url + "/v1/predict", json={}, headers={**copied, "x-request-id": "id-3"})
    server.process.terminate()
    line, refused = read(server.process.communicate(timeout=20)[0].splitlines())
    assert (line.id, line.copy, line.status, line.answer) == ("id-1", True, 200, answer)
    assert (refused.id, refused.status) == ("id-3", 422)
    assert 0.03 <= line.seconds < 5
    assert abs(line.at - time.time()) < 60


def test_sigterm_finishes_what_is_in_flight_and_exits_0(serve: Callable) -> None:
    server = serve("--drain-seconds=30")
    with ThreadPoolExecutor() as threads, httpx.Client(base_url=server.url) as kept:
        assert "connection" not in kept.get("/ready").headers
        slow = threads.submit(httpx.post, server.url + "/v1/predict", json=IMAGE, headers={"x-slow": "1"})
        server.wait_for(lambda: metric(server.url, "digits_requests_in_flight") == 1)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for(lambda: httpx.get(server.url + "/ready").status_code == 503)
        assert httpx.get(server.url + "/health").status_code == 200
        late = kept.post("/v1/predict", json=IMAGE)  # a balancer that has not noticed yet, on a connection it kept
        assert (late.status_code, late.headers["connection"]) == (200, "close")
        assert (slow.result().status_code, slow.result().headers["connection"]) == (200, "close")
    # no connection is left: it does not wait for the 30 s
    assert server.process.wait(timeout=15) == 0


def test_a_drain_ends_although_a_connection_stays_open(serve: Callable) -> None:
    server = serve("--drain-seconds=0.2")
    with httpx.Client(base_url=server.url) as kept:
        kept.get("/ready")
        server.process.terminate()
        assert server.process.wait(timeout=15) == 0


def test_a_request_that_outlasts_the_drain_is_still_answered(serve: Callable) -> None:
    server = serve("--drain-seconds=0")
    with ThreadPoolExecutor() as threads:
        slow = threads.submit(httpx.post, server.url + "/v1/predict", json=IMAGE, headers={"x-slow": "1"})
        server.wait_for(lambda: metric(server.url, "digits_requests_in_flight") == 1)
        server.process.terminate()
        assert slow.result().status_code == 200
    assert server.process.wait(timeout=15) == 0


def test_a_model_that_cannot_be_loaded_is_said_in_a_line(tmp_path: Path) -> None:
    model = tmp_path / "broken.onnx"
    model.write_bytes(b"no model")
    ended = subprocess.run(
        [sys.executable, "-m", "examples.digits.server"],
        cwd=DIGITS.parents[1],
        env={**os.environ, "TURNOUT_MODEL": str(model)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert str(model) in ended.stderr
    assert "Traceback" not in ended.stderr
