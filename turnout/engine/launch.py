"""Runs a Pulumi program in a process of its own: `python -m turnout.engine.launch`, its order as a JSON line on stdin.

Does what `pulumi-language-python-exec` does, which Pulumi's wheel lacks. The line comes by stdin so that no secret stands in
arguments or environment; stdin stays open, and when it closes the engine is gone and the program ends too.

Exit codes: 0 well; 1 failed; 2 the program refused its configuration; 3 the switch refused; 130 interrupted.
"""

import asyncio
import json
import os
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

SWITCH_PREFIX = "switch: "


def main() -> int:
    """Reads the order, runs the program, returns the exit code. Gives way to what serves on this machine."""
    os.nice(10)
    order = json.loads(sys.stdin.readline())
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
            monitor=order["monitor"],
            engine=order["engine"],
            parallel=order["parallel"],
            dry_run=order["dry_run"],
            organization=order["organization"],
            root_directory=order["root"],
        )
    )
    return asyncio_run(path, order["parallel"])


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
        return _told(error, path)
    finally:
        _cancel_rest(loop)
        sys.stdout.flush()
    return 0


def _run(path: Path) -> None:
    runpy.run_path(str(path), run_name="__main__")


def _told(error: BaseException, path: Path) -> int:
    """Says what happened in a few lines; returns the exit code."""
    if isinstance(error, SystemExit):
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
    print(f"error: the program failed{place}: {name}{text}", file=sys.stderr)
    return 1


def _place(error: BaseException, path: Path) -> str:
    """The last line of the program's own code, else of any code, that was on the stack."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).is_relative_to(path if path.is_dir() else path.parent)]
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
