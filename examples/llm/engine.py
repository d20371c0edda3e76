"""llama.cpp in this process (xllamacpp), behind a bounded queue.

One thread computes: with two, llama.cpp spins on a machine whose cores others use too. Streams that run at the same time
share its batches.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xllamacpp

KV_CACHES = {"f16": xllamacpp.ggml_type.GGML_TYPE_F16, "q8_0": xllamacpp.ggml_type.GGML_TYPE_Q8_0}
"""How the attention's keys and values are kept: 16-bit floats, or quantised to 8 bits in half the memory."""


@dataclass(frozen=True)
class Options:
    """What a release says about serving. `context`: tokens a stream, prompt included. `queue`: requests that may wait."""

    parallel: int = 2
    queue: int = 16
    context: int = 1024
    kv_cache: str = "f16"


class Busy(Exception):
    """The queue is full."""


class EngineError(Exception):
    """llama.cpp gave no answer. `status` is an HTTP status: 400 where the request is to blame."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Engine:
    """A loaded model. `running` and `waiting` count requests; use it from one event loop."""

    def __init__(self, model: Path, template: str, options: Options) -> None:
        self._server = xllamacpp.Server(_params(model, template, options))
        self._threads = ThreadPoolExecutor(options.parallel, thread_name_prefix="stream")
        self._slots = asyncio.Semaphore(options.parallel)
        self._queue = options.queue
        self.running = self.waiting = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """A place among the streams that run; waits for one.

        Raises `Busy` where too many wait already."""
        if self._slots.locked() and self.waiting >= self._queue:
            raise Busy(f"{self.waiting} requests wait already; try again later")
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._slots.release()

    async def chunks(self, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The answer's chunks as the OpenAI API has them. Whoever stops reading ends the stream; close it (`aclosing`).

        Raises `EngineError`."""
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[dict[str, Any] | EngineError | None] = asyncio.Queue()
        left = threading.Event()

        def tell(item: dict[str, Any] | EngineError | None) -> bool:
            loop.call_soon_threadsafe(heard.put_nowait, item)
            return left.is_set()

        def run() -> None:
            try:
                self._server.handle_chat_completions({**request, "stream": True}, tell)
            except Exception as error:  # what xllamacpp raises for a template that fails is a ValueError among others
                tell(EngineError(500, str(error)))
            tell(None)

        work = loop.run_in_executor(self._threads, run)
        try:
            while (item := await heard.get()) is not None:
                if isinstance(item, EngineError):
                    raise item
                if "error" in item:
                    raise EngineError(int(item["error"].get("code", 500)), str(item["error"].get("message", item["error"])))
                yield item
        finally:
            left.set()
            await asyncio.wait([work])


def _params(model: Path, template: str, options: Options) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.chat_template = template
    params.n_ctx = options.context * options.parallel
    params.n_parallel = options.parallel
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = params.n_threads_http = 1
    params.cache_type_k = params.cache_type_v = KV_CACHES[options.kv_cache]
    params.n_gpu_layers = 0
    params.cache_ram_mib = 0
    params.verbosity = -1
    params.warmup = params.ui = params.fit_params = False
    return params
