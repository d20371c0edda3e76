"""One streamed answer, read to its end. Nothing is retried.

An answer is whole when a `finish_reason` and `[DONE]` came and the HTTP message ended as it said it would. Whatever else
happens is a loss with its kind: `connect`, `reset`, `closed` (before any byte of the answer), `truncated` (within it, or no
[DONE]), `malformed`, `garbled`, `timeout` (no byte for so long), `error` (the server's own words within the stream),
`http_<status>`.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

import httpx

from examples.llm.load.asks import Ask

_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (httpx.ConnectError, "connect"),
    (httpx.TimeoutException, "timeout"),
    (httpx.ReadError, "reset"),
    (httpx.WriteError, "reset"),
    (httpx.RemoteProtocolError, "closed"),
)


@dataclass
class Stream:
    """What became of one request; times on `time.perf_counter`. Release and version as the answer's headers name them."""

    began: float
    status: int = 0
    version: str | None = None
    release: str | None = None
    first: float | None = None
    last: float | None = None
    tokens: int = 0
    text: str = ""
    finish: str | None = None
    done: bool = False
    ended: float = 0.0
    lost: str | None = None

    @property
    def cut(self) -> bool:
        """Whether an answer began and did not end whole, by no fault that the server itself told."""
        return self.status == 200 and self.lost not in (None, "error")

    @property
    def ttft(self) -> float | None:
        """Seconds from the request to the first token."""
        return None if self.first is None else self.first - self.began

    @property
    def tpot(self) -> float | None:
        """Mean seconds of a token after the first."""
        if self.first is None or self.last is None or self.tokens < 2:
            return None
        return (self.last - self.first) / (self.tokens - 1)


async def ask(client: httpx.AsyncClient, url: str, question: Ask) -> Stream:
    """Asks and reads the answer to its end, whatever that is."""
    stream = Stream(time.perf_counter())
    body = {
        "messages": [{"role": "user", "content": question.text}],
        "max_tokens": question.max_tokens,
        "stream": True,
    }
    try:
        async with client.stream("POST", url, json=body) as response:
            stream.status = response.status_code
            stream.version = response.headers.get("x-turnout-version")
            stream.release = response.headers.get("x-turnout-release")
            if response.status_code != 200:
                await response.aread()
                stream.lost = f"http_{response.status_code}"
            else:
                async for line in response.aiter_lines():
                    _hear(stream, line)
    except httpx.HTTPError as error:
        stream.lost = _kind(error, stream)
    except (ValueError, KeyError, TypeError, IndexError):
        stream.lost = "garbled"
    stream.ended = time.perf_counter()
    if stream.lost is None and not (stream.done and stream.finish):
        stream.lost = "truncated"
    return stream


def _hear(stream: Stream, line: str) -> None:
    if not line.startswith("data: "):
        return
    data = line.removeprefix("data: ")
    if data == "[DONE]":
        stream.done = True
        return
    chunk: dict[str, Any] = json.loads(data)
    if "error" in chunk:
        stream.lost = "error"
        return
    for choice in chunk["choices"]:
        stream.finish = choice["finish_reason"] or stream.finish
        if text := choice["delta"].get("content"):
            stream.last = time.perf_counter()
            stream.first = stream.first or stream.last
            stream.tokens += 1
            stream.text += text


def _kind(error: httpx.HTTPError, stream: Stream) -> str:
    if stream.status and isinstance(error, httpx.RemoteProtocolError):
        return "truncated"
    if isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error):
        return "malformed"
    return next((name for kind, name in _KINDS if isinstance(error, kind)), "malformed")
