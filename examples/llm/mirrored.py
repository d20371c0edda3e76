"""The log of requests that a mirror copied, and of the copies (docs/shadow.md): a line of JSON each, on stdout."""

import json
import time
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-turnout-mirrored"


class Mirrored:
    """ASGI layer that tells of requests with the header, and of no other. A stream and a whole answer that say the same are
    logged alike: `{"content", "finish_reason"}`; what was cut off has no finish reason."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if HEADER not in headers:
            await self._app(scope, receive, send)
            return
        began, status, body = time.perf_counter(), 500, bytearray()

        async def kept(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            body.extend(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, kept)
        finally:
            seconds = round(time.perf_counter() - began, 6)
            line: dict[str, Any] = {
                "turnout": "mirrored",
                "id": headers.get("x-request-id", ""),
                "host": headers.get("host", ""),
            }
            line |= {"status": status, "seconds": seconds, "at": time.time(), "answer": answer(bytes(body))}
            print(json.dumps(line), flush=True)


def answer(body: bytes) -> Any:
    """What was answered: text and finish reason of a completion; anything else (an error) as it is."""
    if not body.startswith(b"data: "):
        return _whole(body)
    content, finish = "", None
    for line in body.decode(errors="replace").splitlines():
        if not line.startswith("data: {"):
            continue
        event = json.loads(line.removeprefix("data: "))
        if "error" in event:
            return event
        for choice in event["choices"]:
            content += choice["delta"].get("content") or ""
            finish = choice["finish_reason"] or finish
    return {"content": content, "finish_reason": finish}


def _whole(body: bytes) -> Any:
    try:
        found = json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
    if not isinstance(found, dict) or "choices" not in found:
        return found
    (choice,) = found["choices"]
    return {"content": choice["message"]["content"], "finish_reason": choice["finish_reason"]}
