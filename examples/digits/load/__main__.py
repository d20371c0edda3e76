"""Command line of the generator.

Progress goes to stdout as JSON lines (`--progress`). When stdin is a pipe, a line `phase NAME` starts a phase, and its end
stops the run, as SIGINT and SIGTERM do: what is in flight is waited for and the results are written. A second signal does
not wait.
"""

import argparse
import asyncio
import gc
import ipaddress
import json
import os
import resource
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import numpy as np
import uvloop

from examples.digits.load.client import Pool
from examples.digits.load.generator import Generator
from examples.digits.load.schedule import Plan, heldout

HELDOUT = Path(__file__).parent.parent / "heldout.npz"


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


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text}: must be from {low:g} to {high:g}")
        return value

    return parse


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.digits.load", description="Open-loop load for the digits service: fixed schedule, no retries."
    )
    parser.add_argument("--url", type=loopback, required=True, help="the service, on a loopback address")
    parser.add_argument("--rate", type=_number(0.1, 20000), required=True, help="requests a second")
    parser.add_argument("--seconds", type=_number(0.01, 86400), help="length of the schedule (default: until stopped)")
    parser.add_argument("--slow-share", type=_number(0, 1), default=0.05, help="share of requests that take a second")
    parser.add_argument("--new-connection-share", type=_number(0, 1), default=0.2, help="share on a connection of their own")
    parser.add_argument("--poisson", action="store_true", help="exponential gaps instead of equal ones")
    parser.add_argument("--seed", type=int, default=1, help="seed of the schedule")
    parser.add_argument("--timeout", type=_number(0.1, 600), default=10.0, help="seconds after which an answer is lost")
    parser.add_argument("--out", type=Path, help="file for the results (default: stdout, at the end)")
    parser.add_argument("--rows", type=Path, help="file (.npz) for the columns of all requests")
    parser.add_argument("--progress", action="store_true", help="a JSON line on stdout every --interval seconds")
    parser.add_argument("--interval", type=_number(0.05, 60), default=0.25, help="seconds between progress lines")
    return parser.parse_args()


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


async def run(args: argparse.Namespace) -> dict[str, object]:
    images, labels = heldout(HELDOUT)
    plan = Plan(args.rate, args.seconds, args.slow_share, args.new_connection_share, args.poisson, args.seed)
    pool = Pool(args.url.hostname, args.url.port, args.timeout)
    path = (args.url.path.rstrip("/") or "") + "/v1/predict"
    generator = Generator(pool, plan, args.url.netloc, path, images, labels)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, generator.stop, number.name)
    beside = [asyncio.create_task(listen(generator))]
    if args.progress:
        beside.append(asyncio.create_task(Progress().show(generator, args.interval)))
    gc.freeze()
    await generator.run()
    for task in beside:
        task.cancel()
    if args.rows is not None:
        np.savez(args.rows, **generator.record.rows()._asdict(), versions=np.array(generator.record.releases.names))
    return {"url": f"http://{args.url.netloc}", **generator.result()}


def main() -> int:
    args = arguments()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        text = json.dumps(runner.run(run(args)), indent=1)
    if args.out is None:
        os.set_blocking(sys.stdout.fileno(), True)
        print(text)
    else:
        args.out.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
