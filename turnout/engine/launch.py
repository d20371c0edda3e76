"""Runs a Pulumi program in a process of its own: `python -m turnout.engine.launch`, its order as a JSON line on stdin.

Does what `pulumi-language-python-exec` does, which Pulumi's wheel lacks. The line comes by stdin so that no secret stands in
arguments or environment; stdin stays open, and when it closes the engine is gone and the program ends too.

Exit codes: 0 well; 1 failed; 2 the program refused its configuration; 3 the switch refused; 130 interrupted.
"""

import asyncio
import gc
import json
import os
import re
import runpy
import signal
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pulumi
from pulumi import runtime
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2_grpc

from turnout.engine import lazy_packages

_FRAMES = 8
_LINES = 20
"""Of an error's text: all of it fits on a screen."""
_UNSUPPORTED = re.compile(r"The Pulumi CLI does not support (?:the )?(.+?)\. Please update the Pulumi CLI")
"""What the SDK says where an engine lacks a feature."""
SWITCH_PREFIX = "switch: "
_GARBAGE = 200_000
"""Objects made before some are looked at for garbage: a program lives for seconds, and keeps nearly all that it makes."""
_OPTIONS = [("grpc.max_receive_message_length", -1)]


def main() -> int:
    """Reads the order, runs the program, returns the exit code. Gives way to what serves on this machine."""
    os.nice(10)
    lazy_packages.install()
    line = sys.stdin.readline()
    if not line:  # the engine ended before it had an order
        return 1
    order = json.loads(line)
    threading.Thread(target=_end_with_the_engine, daemon=True).start()
    path = Path(order["program"])
    os.chdir(order["root"])
    sys.path.insert(0, str(path if path.is_dir() else path.parent))
    sys.argv = [str(path)]
    runtime.set_all_config(order["config"], order["secret_keys"])
    runtime.configure(
        runtime.Settings(
            project=order["project"],
            stack=order["stack"],
            monitor=_Monitor(order["monitor"]),
            engine=_Engine(order["engine"]),
            parallel=order["parallel"],
            dry_run=order["dry_run"],
            organization=order["organization"],
            root_directory=order["root"],
        )
    )
    return asyncio_run(path, order["parallel"])


class _Monitor(resource_pb2_grpc.ResourceMonitorStub):
    """The engine's monitor. Waiting registrations share one thread that reads the connection: with gRPC's blocking calls each
    has a poll of its own, and every answer wakes them all."""

    def __init__(self, address: str) -> None:
        super().__init__(grpc.insecure_channel(address, options=_OPTIONS))
        register = self.RegisterResource
        self.RegisterResource = lambda request: register.future(request).result()


class _Engine(engine_pb2_grpc.EngineStub):
    """The engine's log, without debug messages: the SDK writes some ten a resource and waits for each to be answered, and the
    local engine shows none."""

    def __init__(self, address: str) -> None:
        super().__init__(grpc.insecure_channel(address, options=_OPTIONS))
        send = self.Log
        self.Log = lambda request: None if request.severity == engine_pb2.DEBUG else send(request)


def asyncio_run(path: Path, parallel: int) -> int:
    """Runs the program at `path` in the configured stack; SIGTERM cancels it and lets its tasks clean up."""
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(max_workers=parallel * 4))
    loop.set_exception_handler(lambda _loop, context: None)  # tasks' errors reach us by `run_in_stack`
    task = loop.create_task(runtime.run_in_stack(lambda: _run(path)))
    with suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the engine decides
    try:
        loop.run_until_complete(task)
    except BaseException as error:
        code = _told(error, path)
        _cancel_rest(loop)
        return code
    return 0


async def _run(path: Path) -> None:
    """Runs the program, and lets its registrations begin before the SDK waits for their end. It waits for those that have begun
    one by one, for others in rounds that look at every output each: time by the square of the number of resources. No garbage
    is looked for meanwhile: what a program imports and declares stays."""
    gc.disable()
    runpy.run_path(str(path), run_name="__main__")
    gc.freeze()
    gc.set_threshold(_GARBAGE)
    gc.enable()
    await asyncio.sleep(0)


def _told(error: BaseException, path: Path) -> int:
    """Says what happened in a few lines; returns the exit code."""
    if isinstance(error, SystemExit):
        if isinstance(error.code, str):
            print(f"error: the program ended: {error.code}", file=sys.stderr)
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, asyncio.CancelledError):
        return 130
    if isinstance(error, grpc.RpcError):
        if error.code() != grpc.StatusCode.UNAVAILABLE:
            print(f"error: the engine refused: {error.details()}", file=sys.stderr)
        return 1
    text = str(error)
    if text.startswith(SWITCH_PREFIX):
        print(text, file=sys.stderr)
        return 3
    if "Resource monitor has terminated" in text:
        return 1
    place = _place(error, path)
    name = "" if isinstance(error, pulumi.RunError) else f"{type(error).__name__}: "
    if unsupported := _UNSUPPORTED.search(text):
        name, text = "", f"{unsupported[1]}: not supported by the local engine (not Pulumi)"
    lines = text.splitlines() or [""]
    text = "\n".join([*lines[:_LINES], *([f"… {len(lines) - _LINES} lines more"] if len(lines) > _LINES else [])])
    print(f"error: the program failed{place}: {name}{text}", file=sys.stderr)
    for line in _frames(error, path):
        print(line, file=sys.stderr)
    return 1


def _own(error: BaseException, path: Path) -> list[traceback.FrameSummary]:
    """The program's own code on the stack, the newest last."""
    folder = path if path.is_dir() else path.parent
    return [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(folder)]


def _frames(error: BaseException, path: Path) -> list[str]:
    """The way to the place of the error through the program, a line a frame; none where the place says it all."""
    frames = _own(error, path)
    shown = [f"  {os.path.relpath(f.filename)}:{f.lineno} in {f.name}: {f.line}" for f in frames[-_FRAMES:]]
    left_out = [f"  … {len(frames) - _FRAMES} more"] if len(frames) > _FRAMES else []
    return left_out + shown if len(frames) > 1 else []


def _place(error: BaseException, path: Path) -> str:
    """The last line of the program's own code, else of any code, that was on the stack."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" at {os.path.relpath(error.filename)}:{error.lineno}"
    frames, own = traceback.extract_tb(error.__traceback__), _own(error, path)
    if not (own or frames):
        return ""
    frame = (own or frames)[-1]
    return f" at {os.path.relpath(frame.filename)}:{frame.lineno}"


def _cancel_rest(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            loop.run_until_complete(task)
    loop.close()


def _end_with_the_engine() -> None:
    while _read_some(sys.stdin):
        pass
    os._exit(1)


def _read_some(stream: Any) -> bool:
    with suppress(OSError, ValueError):
        return bool(stream.readline())
    return False


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads of the SDK's executor must not hold up the end
