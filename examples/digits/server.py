"""The digits model's server: FastAPI in front of ONNX Runtime, one process an instance.

    GET  /health                     200 while the process lives
    GET  /ready?release=<digest>     200 when it serves this digest (if given) and is not draining
    POST /v1/predict {"image": [64 numbers 0..16]}  ->  {"digit": 7, "release": "sha256:…", "version": "1.0.0"}
    GET  /metrics                    Prometheus

A request with the header `x-turnout-mirrored` (a mirror copied it, or this is the copy) is told by a line of JSON on stdout.
The request header `x-slow: 1` holds an answer for a second (the load test's slow class).

On SIGTERM the server drains: /ready answers 503 at once so that a balancer looks elsewhere, while requests that still come
are answered with `Connection: close`. The listener closes after `--drain-seconds`, or earlier, when no connection has been
open for a second. What is then in flight finishes; the exit status is 0.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import numpy as np
import onnxruntime
import prometheus_client
import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEEP_ALIVE_SECONDS = 75  # longer than the balancer's idle time, else it sends into a connection that is being closed
FINISH_SECONDS = 30
QUIET_SECONDS = 1.0
SLOW_SECONDS = 1.0
MIRROR_HEADER = "x-turnout-mirrored"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Prediction(BaseModel):
    """Body of POST /v1/predict: 64 pixels, row by row."""

    image: list[Annotated[float, Field(ge=0, le=16)]] = Field(min_length=64, max_length=64)


@dataclass(frozen=True)
class Faults:
    """How a bad release behaves: share of requests that fail, time added to each, and the seed of the choice."""

    error_rate: float = 0.0
    latency_seconds: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Identity:
    """The release that this process serves."""

    digest: str
    version: str

    @classmethod
    def from_environment(cls) -> "Identity":
        """From TURNOUT_RELEASE (path of the release as JSON) and TURNOUT_RELEASE_DIGEST; `dev` without them."""
        path = os.environ.get("TURNOUT_RELEASE")
        manifest: dict[str, Any] = json.loads(Path(path).read_text()) if path else {}
        digest = os.environ.get("TURNOUT_RELEASE_DIGEST") or manifest.get("digest", "dev")
        name, model = manifest.get("name", "dev"), manifest.get("model", {}).get("name", "")
        return cls(digest, name.removeprefix(f"{model}-"))


class Classifier:
    """The model, on one thread: several servers share few cores, and threads that spin would take them all."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def digit(self, image: list[float]) -> int:
        (digits,) = self._session.run(None, {"image": np.array([image], np.float32)})
        return int(digits[0])


class Metrics:
    """What /metrics shows of /v1/predict; health checks and scrapes are not counted."""

    def __init__(self, identity: Identity) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        common: dict[str, Any] = {"registry": self.registry}
        self.requests = prometheus_client.Counter("digits_requests", "Predictions by HTTP status.", ["status"], **common)
        self.latency = prometheus_client.Histogram(
            "digits_request_duration_seconds", "From first to last byte of a prediction.", buckets=BUCKETS, **common
        )
        self.in_flight = prometheus_client.Gauge("digits_requests_in_flight", "Predictions being answered.", **common)
        release = prometheus_client.Info("digits_release", "The release being served.", **common)
        release.info({"digest": identity.digest, "version": identity.version})


class Lifecycle:
    """Whether the server is draining, and since when (monotonic seconds)."""

    def __init__(self) -> None:
        self.draining_since: float | None = None

    @property
    def draining(self) -> bool:
        return self.draining_since is not None


class Mirrored:
    """The line of a request that a mirror copied, or of the copy (docs/shadow.md): what is needed to compare two servers."""

    def __init__(self, headers: Headers) -> None:
        self._id, self._host = headers.get("x-request-id", ""), headers.get("host", "")
        self._answer = b""

    def add(self, part: bytes) -> None:
        self._answer += part

    def tell(self, status: int, seconds: float) -> None:
        try:
            answer = json.loads(self._answer)
        except ValueError:
            answer = self._answer.decode(errors="replace")
        line = {"turnout": "mirrored", "id": self._id, "host": self._host, "status": status, "seconds": round(seconds, 6)}
        print(json.dumps({**line, "at": time.time(), "answer": answer}), flush=True)


class Observed:
    """ASGI layer: counts predictions, tells the mirrored ones, and while draining asks every client to leave."""

    def __init__(self, app: ASGIApp, metrics: Metrics, lifecycle: Lifecycle) -> None:
        self._app, self._metrics, self._lifecycle = app, metrics, lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, headers = 500, Headers(scope=scope)
        mirrored = Mirrored(headers) if MIRROR_HEADER in headers else None

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.body" and mirrored is not None:
                mirrored.add(message.get("body", b""))
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._lifecycle.draining:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        if scope["path"] != "/v1/predict":
            await self._app(scope, receive, observed_send)
            return
        begin = time.perf_counter()
        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, observed_send)
        finally:
            seconds = time.perf_counter() - begin
            self._metrics.in_flight.dec()
            self._metrics.latency.observe(seconds)
            self._metrics.requests.labels(status).inc()
            if mirrored is not None:
                mirrored.tell(status, seconds)


def build(classifier: Classifier, identity: Identity, faults: Faults, lifecycle: Lifecycle) -> ASGIApp:
    """The application."""
    app = FastAPI(title="digits", version=identity.version)
    metrics = Metrics(identity)
    chance = random.Random(faults.seed)
    release = {"release": identity.digest, "version": identity.version}
    answers = [json.dumps({"digit": digit, **release}).encode() for digit in range(10)]

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "alive", **release}

    @app.get("/ready")
    async def ready(response: Response, release: str | None = None) -> dict[str, Any]:
        state = "ready"
        if lifecycle.draining:
            state = "draining"
        elif release is not None and release != identity.digest:
            state = "another release"
        response.status_code = 200 if state == "ready" else 503
        return {"status": state, "release": identity.digest, "version": identity.version}

    @app.get("/metrics")
    async def show_metrics() -> Response:
        return Response(prometheus_client.generate_latest(metrics.registry), media_type=prometheus_client.CONTENT_TYPE_LATEST)

    body_schema = {"required": True, "content": {"application/json": {"schema": Prediction.model_json_schema()}}}

    @app.post("/v1/predict", openapi_extra={"requestBody": body_schema})
    async def predict(request: Request) -> Response:
        # the body is validated here and not by a parameter: parse and checks in one pass of compiled code
        try:
            prediction = Prediction.model_validate_json(await request.body())
        except ValidationError as error:
            return _json(
                422, {"detail": error.errors(include_url=False, include_context=False, include_input=False), **release}
            )
        wait = faults.latency_seconds + (SLOW_SECONDS if request.headers.get("x-slow") == "1" else 0.0)
        if wait:
            await asyncio.sleep(wait)
        if faults.error_rate and chance.random() < faults.error_rate:
            return _json(500, {"detail": "the model failed", **release})
        return Response(answers[classifier.digit(prediction.image)], media_type="application/json")

    return Observed(app, metrics, lifecycle)


def _json(status: int, content: dict[str, Any]) -> Response:
    return Response(json.dumps(content), status, media_type="application/json")


class DrainingServer(uvicorn.Server):
    """uvicorn's server, with a drain between SIGTERM and the closing of the listener. A second signal skips the drain."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, drain_seconds: float) -> None:
        super().__init__(config)
        self._lifecycle, self._drain_seconds = lifecycle, drain_seconds
        self._last_busy = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 -- uvicorn's signature
        if sig == signal.SIGTERM and not self._lifecycle.draining:
            self._lifecycle.draining_since = self._last_busy = time.monotonic()
        else:
            # not through super(): it would raise the signal again at the end, and the exit status would not be 0
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._drained()

    def _drained(self) -> bool:
        since, now = self._lifecycle.draining_since, time.monotonic()
        if since is None:
            return False
        if self.server_state.connections:
            self._last_busy = now
        return now - since >= self._drain_seconds or now - self._last_busy >= QUIET_SECONDS


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.digits.server", description="Serve a digits model.")
    parser.add_argument("--error-rate", type=float, default=0.0, help="share of predictions that answer 500, 0 to 1")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="milliseconds added to every prediction")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice which predictions fail")
    parser.add_argument("--drain-seconds", type=float, default=5.0, help="how long to go on answering after SIGTERM")
    parsed = parser.parse_args()
    if not 0 <= parsed.error_rate <= 1:
        parser.error(f"--error-rate {parsed.error_rate}: must be between 0 and 1")
    return parsed


def main() -> int:
    args = arguments()
    model = Path(os.environ.get("TURNOUT_MODEL") or Path(__file__).parent / "models" / "1.0.0.onnx")
    lifecycle = Lifecycle()
    try:
        classifier, identity = Classifier(model), Identity.from_environment()
    except Exception as error:  # onnxruntime's own exceptions share no base class
        print(f"cannot load model {model} or its release (TURNOUT_MODEL, TURNOUT_RELEASE): {error}", file=sys.stderr)
        return 1
    app = build(classifier, identity, Faults(args.error_rate, args.latency_ms / 1000, args.seed), lifecycle)
    config = uvicorn.Config(
        app,
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "8000")),
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=FINISH_SECONDS,
    )
    server = DrainingServer(config, lifecycle, args.drain_seconds)
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
