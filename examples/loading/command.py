"""The command line of a load generator: only loopback, JSON lines out, phases in.

Progress goes to stdout as JSON lines. When stdin is a pipe, a line `phase NAME` starts a phase, and its end stops the run, as
SIGINT and SIGTERM do: what is in flight is waited for and the results are written. A second signal does not wait.
"""

import argparse
import asyncio
import ipaddress
import json
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit


class Generator(Protocol):
    """What the command line asks of a generator."""

    def mark(self, name: str) -> None: ...
    def stop(self, reason: str) -> None: ...
    async def run(self) -> None: ...
    def progress(self) -> dict[str, Any]: ...


def loopback(url: str) -> SplitResult:
    """The parts of an http URL on this machine; this tool must never load another's."""
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    try:
        local = ipaddress.ip_address(host).is_loopback
        port = parts.port or 80
    except ValueError:
        local, port = False, 0
    if parts.scheme != "http" or not local:
        raise argparse.ArgumentTypeError(f"{url!r}: only http URLs on a loopback address, such as http://127.0.0.1:8080")
    return parts._replace(netloc=f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def number(low: float, high: float) -> Callable[[str], float]:
    """An argument's type: a number within these bounds."""

    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text}: must be from {low:g} to {high:g}")
        return value

    return parse


def output_arguments(parser: argparse.ArgumentParser) -> None:
    """Where results and progress go."""
    parser.add_argument("--out", type=Path, help="file for the results (default: stdout, at the end)")
    parser.add_argument("--progress", action="store_true", help="a JSON line on stdout every --interval seconds")
    parser.add_argument("--interval", type=number(0.05, 60), default=0.25, help="seconds between progress lines")


def write_result(result: dict[str, object], out: Path | None) -> None:
    """Writes the results to the file, or to stdout where there is none."""
    text = json.dumps(result, indent=1)
    if out is None:
        os.set_blocking(sys.stdout.fileno(), True)
        print(text)
    else:
        out.write_text(text + "\n")


class Progress:
    """Writes lines to stdout and never waits for a slow reader: what does not fit into the pipe is left out."""

    def __init__(self) -> None:
        self._out = sys.stdout.fileno()
        if stat.S_ISFIFO(os.fstat(self._out).st_mode):
            os.set_blocking(self._out, False)

    async def show(self, generator: Generator, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            try:
                os.write(self._out, json.dumps(generator.progress()).encode() + b"\n")
            except BlockingIOError:
                continue
            except BrokenPipeError:
                return


async def listen(generator: Generator) -> None:
    """Phase marks from stdin, and a stop at its end."""
    if not (stat.S_ISFIFO(mode := os.fstat(0).st_mode) or stat.S_ISSOCK(mode)):
        return
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        word, _, name = line.decode().strip().partition(" ")
        if word == "phase" and name:
            generator.mark(name)
        else:
            print(f"load: {line.decode().strip()!r} is not understood; write: phase NAME", file=sys.stderr)
    generator.stop("stdin closed")


async def driven(generator: Generator, interval: float | None) -> None:
    """Runs the generator under signals and stdin; progress every `interval` seconds, or none."""
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, generator.stop, each.name)
    beside = [asyncio.create_task(listen(generator))]
    if interval is not None:
        beside.append(asyncio.create_task(Progress().show(generator, interval)))
    await generator.run()
    for task in beside:
        task.cancel()
