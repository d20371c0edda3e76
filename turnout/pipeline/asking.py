"""Requests to a server that may do anything: each ends within its time, and no answer is larger than what is kept of it."""

import asyncio
from types import TracebackType
from typing import Any, Self

import httpx

MOST = 16 * 2**20
"""Bytes of the largest answer that is read."""


class NoAnswer(Exception):
    """A request without a whole answer; the message says why: a few words that are the same for the same fault."""


class Asker:
    """A client of one server, on one connection; a context manager.

    The time is the whole request's: a library's timeouts begin anew with every byte ("Timeouts", HTTPX's documentation), so
    that a server which sends one now and then is never done."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner().__enter__()
        headers = {"Accept-Encoding": "identity"}
        self._client = httpx.AsyncClient(base_url=self._url, trust_env=False, timeout=None, headers=headers)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._runner.run(self._client.aclose())
        finally:
            self._runner.__exit__(kind, error, trace)

    def ask(self, method: str, path: str, seconds: float, **more: Any) -> tuple[int, bytes]:
        """Status and body of the answer. `more` is httpx's: `json`, `params`.

        Raises `NoAnswer`."""
        return self._runner.run(self._ask(method, path, seconds, more))

    async def _ask(self, method: str, path: str, seconds: float, more: dict[str, Any]) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(seconds), self._client.stream(method, path, **more) as answer:
                body = bytearray()
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > MOST:
                        raise NoAnswer(f"an answer of more than {MOST // 2**20} MiB")
                return answer.status_code, bytes(body)
        except TimeoutError:
            raise NoAnswer(f"no answer within {seconds:g} s") from None
        except httpx.ConnectError:
            raise NoAnswer("nothing listens") from None
        except httpx.RequestError as error:
            raise NoAnswer(type(error).__name__) from None
