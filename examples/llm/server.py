"""The language model's server: an OpenAI-compatible API in front of llama.cpp, one process an instance.

    GET  /health                     200 while the process lives
    GET  /ready?release=<digest>     200 when the model is loaded, the digest fits (if given) and it is not draining
    POST /v1/chat/completions        {"messages": [...], "stream": true, "max_tokens": 64}; as OpenAI's, of text only
    GET  /metrics                    Prometheus

A request with the header `x-turnout-mirrored` (a mirror copied it, or this is the copy) is told by a line of JSON on stdout.
A stream's headers go out with the first token, so that whatever fails before has a status of its own: 400 (the request), 429
(the queue is full), 500 (prompt template or model), 503 (draining). Every answer names the release (`x-turnout-version`,
`x-turnout-release`) and repeats the request's `x-request-id`. A client that leaves frees its place with the next token.
The prompt's template is `prompts/<prompt_version of the release>.jinja`. How it drains: drain.py.
"""

import argparse
import asyncio
import json
import os
import sys
import time
import uuid
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field, ValidationError
from starlette.types import Receive, Scope, Send

from examples.llm.drain import DrainingServer, Lifecycle
from examples.llm.engine import KV_CACHES, Busy, Engine, EngineError, Options
from examples.llm.metrics import Metrics
from examples.llm.mirrored import Mirrored

KEEP_ALIVE_SECONDS = 75  # longer than the balancer's idle time, else it sends into a connection that is being closed
CUT_SECONDS = 1
PROMPTS = Path(__file__).parent / "prompts"


class Message(BaseModel):
    """One message of the conversation."""

    role: Literal["system", "user", "assistant"]
    content: str = Field(max_length=20_000)


class StreamOptions(BaseModel):
    """What a stream holds beside its tokens."""

    include_usage: bool = False


class Ask(BaseModel):
    """Body of POST /v1/chat/completions; fields of OpenAI's that are not here are ignored."""

    messages: list[Message] = Field(min_length=1, max_length=100)
    stream: bool = False
    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    seed: int | None = None
    stream_options: StreamOptions = StreamOptions()


@dataclass(frozen=True)
class Identity:
    """The release that this process serves."""

    digest: str
    version: str
    prompt: str

    @classmethod
    def from_environment(cls) -> "Identity":
        """From TURNOUT_RELEASE (path of the release as JSON) and TURNOUT_RELEASE_DIGEST; `dev` and prompt 2 without them."""
        path = os.environ.get("TURNOUT_RELEASE")
        manifest: dict[str, Any] = json.loads(Path(path).read_text()) if path else {}
        digest = os.environ.get("TURNOUT_RELEASE_DIGEST") or manifest.get("digest", "dev")
        name, model = manifest.get("name", "dev"), manifest.get("model", {}).get("name", "")
        return cls(digest, name.removeprefix(f"{model}-"), manifest.get("prompt_version") or "2")


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen, and how many at most."""

    temperature: float = 0.0
    max_tokens: int = 256

    def request(self, ask: Ask) -> dict[str, Any]:
        """What llama.cpp is asked: the release's sampling where the request does not say."""
        return {
            "messages": [message.model_dump() for message in ask.messages],
            "max_tokens": min(ask.max_tokens or self.max_tokens, self.max_tokens),
            "temperature": self.temperature if ask.temperature is None else ask.temperature,
            "seed": ask.seed if ask.seed is not None else 1,
            "stream_options": {"include_usage": ask.stream_options.include_usage or not ask.stream},
        }


class Answer(Response):
    """An answer from the engine, whole or as a stream; it ends when the client goes."""

    def __init__(self, engine: Engine, metrics: Metrics, request: dict[str, Any], stream: bool, names: dict[str, str]) -> None:
        super().__init__()
        self._engine, self._metrics, self._request, self._stream, self._names = engine, metrics, request, stream, names
        self._began = time.perf_counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        work = asyncio.create_task(self._answer(scope, receive, send))
        gone = asyncio.create_task(_gone(receive))
        await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        work.cancel()
        await asyncio.wait([work])
        if not work.cancelled():
            work.result()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._engine.slot():
                await (self._send_stream(send) if self._stream else self._send_whole(scope, receive, send))
            return
        except Busy as error:
            failure = _error(429, str(error), self._names | {"Retry-After": "1"})
        except EngineError as error:
            failure = _error(error.status, str(error), self._names)
        self._metrics.answered(failure.status_code)
        await failure(scope, receive, send)

    async def _send_stream(self, send: Send) -> None:
        """Raises `EngineError` before the first byte; a stream that fails later ends with an error and no [DONE]."""
        tokens: list[float] = []
        whole = started = False
        try:
            async with aclosing(self._engine.chunks(self._request)) as chunks:
                async for chunk in chunks:
                    if not started:
                        started = True
                        headers = [(k.lower().encode(), v.encode()) for k, v in (self._names | _EVENTS).items()]
                        await send({"type": "http.response.start", "status": 200, "headers": headers})
                        self._metrics.answered(200)
                    self._note(chunk, tokens)
                    await send(_part(json.dumps(self._named(chunk))))
                whole = True
                await send(_part("[DONE]"))
        except EngineError as error:
            if not started:
                raise
            await send(_part(json.dumps({"error": {"message": str(error), "code": error.status}})))
        finally:
            if started:
                self._metrics.ended(whole, self._began, tokens)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises `EngineError`."""
        tokens: list[float] = []
        text, finish, last = "", None, dict[str, Any]()
        async with aclosing(self._engine.chunks(self._request)) as chunks:
            async for chunk in chunks:
                self._note(chunk, tokens)
                for choice in chunk["choices"]:
                    text += choice["delta"].get("content") or ""
                    finish = choice["finish_reason"] or finish
                last = chunk
        self._metrics.ended(True, self._began, tokens)
        self._metrics.answered(200)
        message = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        answer = self._named({**last, "object": "chat.completion", "choices": [message]})
        await Response(json.dumps(answer), 200, self._names, "application/json")(scope, receive, send)

    def _note(self, chunk: dict[str, Any], tokens: list[float]) -> None:
        if any(choice["delta"].get("content") for choice in chunk["choices"]):
            tokens.append(time.perf_counter())
            self._metrics.token(self._began, tokens)

    def _named(self, chunk: dict[str, Any]) -> dict[str, Any]:
        """With the release where llama.cpp writes the model's path."""
        version, digest = self._names["x-turnout-version"], self._names["x-turnout-release"]
        return {**chunk, "model": version, "system_fingerprint": digest}


_EVENTS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}


def _part(data: str) -> dict[str, Any]:
    return {"type": "http.response.body", "body": f"data: {data}\n\n".encode(), "more_body": True}


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _error(status: int, message: str, headers: dict[str, str]) -> Response:
    body = {"error": {"message": message, "code": status}}
    return Response(json.dumps(body), status, headers, "application/json")


def build(engine: Engine, identity: Identity, sampling: Sampling, lifecycle: Lifecycle) -> FastAPI:
    """The application."""
    app = FastAPI(title="smol", version=identity.version)
    metrics = Metrics(identity.digest, identity.version, lambda: engine.running, lambda: engine.waiting)
    release = {"release": identity.digest, "version": identity.version}

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
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.post("/v1/chat/completions", openapi_extra={"requestBody": {"required": True}})
    async def complete(request: Request) -> Response:
        names = {
            "x-request-id": request.headers.get("x-request-id") or uuid.uuid4().hex,
            "x-turnout-release": identity.digest,
            "x-turnout-version": identity.version,
        }
        if lifecycle.draining:
            refused = _error(503, "this server is being stopped", names | {"Connection": "close"})
        else:
            try:
                ask = Ask.model_validate_json(await request.body())
                return Answer(engine, metrics, sampling.request(ask), ask.stream, names)
            except ValidationError as error:
                refused = _error(400, "; ".join(f"{e['loc']}: {e['msg']}" for e in error.errors()), names)
        metrics.answered(refused.status_code)
        return refused

    return app


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.llm.server", description="Serve a language model.")
    parser.add_argument("--parallel", type=int, default=2, help="streams at a time")
    parser.add_argument("--queue", type=int, default=16, help="requests that may wait; more are answered with 429")
    parser.add_argument("--context", type=int, default=1024, help="tokens of a conversation, its answer included")
    parser.add_argument("--kv-cache", choices=KV_CACHES, default="f16", help="f16, or quantised: q8_0")
    parser.add_argument("--temperature", type=float, default=0.0, help="where the request does not say")
    parser.add_argument("--max-tokens", type=int, default=256, help="tokens of an answer at most")
    parser.add_argument("--drain-seconds", type=float, default=25.0, help="how long streams may run on after SIGTERM")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    lifecycle, model = Lifecycle(), os.environ.get("TURNOUT_MODEL", "")
    try:
        identity = Identity.from_environment()
        template = (PROMPTS / f"{identity.prompt}.jinja").read_text()
        engine = Engine(Path(model), template, Options(args.parallel, args.queue, args.context, args.kv_cache))
    except Exception as error:  # xllamacpp's own exceptions share no base class
        print(f"cannot load model {model!r} or its release (TURNOUT_MODEL, TURNOUT_RELEASE): {error}", file=sys.stderr)
        return 1
    config = uvicorn.Config(
        Mirrored(build(engine, identity, Sampling(args.temperature, args.max_tokens), lifecycle)),
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "8000")),
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=CUT_SECONDS,
    )
    server = DrainingServer(config, lifecycle, lambda: bool(engine.running or engine.waiting), args.drain_seconds)
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
