"""One measured run of `benchmarks.engine`, in a process of its own: `python -m benchmarks.engine_run WHAT FOLDER SIZE`.

WHAT is `preview` or `up` (by the local engine's command), `mocks` (the program under Pulumi's own mocks), or `cloud` (AWS's API
until its input ends; prints its endpoint). The others print their figures as a line of JSON.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")
PASSPHRASE = "for measurements only"


class Timed:
    """Adds up the calls of providers: how many, and the processor's seconds of their threads."""

    def __init__(self) -> None:
        self.calls = 0
        self.seconds = 0.0
        self._lock = Lock()

    def run(self, call: Callable[[], T]) -> T:
        began = time.thread_time()
        try:
            return call()
        finally:
            with self._lock:
                self.calls += 1
                self.seconds += time.thread_time() - began


class TimedType:
    """A resource type whose calls are timed."""

    def __init__(self, kind: Any, timed: Timed) -> None:
        self._kind, self._timed = kind, timed

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._kind, name)
        if name not in ("create", "find", "read", "update", "delete"):
            return found
        return lambda *arguments: self._timed.run(lambda: found(*arguments))


def command(operation: str, folder: Path) -> dict[str, Any]:
    """An operation of the engine on the stack in `folder`, refresh off: what `pulumi <operation>` does, in this process."""
    from turnout.engine.command import LocalEngineCommand
    from turnout.providers import registry

    timed = Timed()
    kinds: Any = {token: TimedType(kind, timed) for token, kind in registry().items()}
    engine = LocalEngineCommand(folder / "home", kinds)
    words = [operation, "--stack", "bench", "--refresh=false", "--yes"]
    environment = {"PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}
    result = engine.run([*words, *(["--skip-preview"] if operation == "up" else [])], str(folder), environment)
    summary = result.stdout[result.stdout.rindex("Resources:") :].split()
    program = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "unchanged": int(summary[summary.index("unchanged") - 1]),
        "calls": timed.calls,
        "provider_cpu": timed.seconds,
        "program_cpu": program.ru_utime + program.ru_stime,
        "program_mb": program.ru_maxrss / 1024,
    }


def mocks(size: int) -> dict[str, Any]:
    """The same program under `pulumi.runtime.set_mocks`: what it costs without an engine."""
    import pulumi
    from pulumi.runtime import stack as sdk

    from benchmarks.engine_program import declare

    class Mocks(pulumi.runtime.Mocks):
        def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
            return f"{args.name}-id", {"arn": f"arn:aws:x:::{args.name}", "arnSuffix": args.name, **args.inputs}

        def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
            raise NotImplementedError(args.token)

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    pulumi.runtime.set_mocks(Mocks(), "bench", "bench", preview=False)
    loop.run_until_complete(sdk.run_pulumi_func(lambda: declare(size, "http://127.0.0.1:1")))
    return {}


def cloud() -> None:
    """AWS's API as the local cloud serves it, without what follows a change there; ends with its input."""
    from turnout.cloud.control_plane import ControlPlane
    from turnout.cloud.moto_cloudwatch import extend_cloudwatch
    from turnout.cloud.moto_state import api_lock

    extend_cloudwatch()
    served = ControlPlane(api_lock, lambda: None, {})
    served.start()
    print(served.endpoint, flush=True)
    sys.stdin.read()


def main() -> None:
    what, folder, size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if what == "cloud":
        cloud()
        return
    began = time.monotonic()
    found = mocks(size) if what == "mocks" else command(what, folder)
    own = resource.getrusage(resource.RUSAGE_SELF)
    found |= {"inside": time.monotonic() - began, "engine_cpu": own.ru_utime + own.ru_stime, "engine_mb": own.ru_maxrss / 1024}
    print(json.dumps(found), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
