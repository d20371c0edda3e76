"""What the digits server and the load generator can do on this machine: `python -m benchmarks.load`.

One server process, asked directly by one generator process: 20 % new connections, 5 % of the requests take a second. The
CPU columns are shares of one core, so that one sees which of the two is the limit.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.common import Row, parser, show

ROOT = Path(__file__).parents[1]


@contextmanager
def server() -> Iterator[tuple[psutil.Process, str]]:
    """A digits server on a free port, and its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "HOST": "127.0.0.1", "PORT": str(port)}
    command = [sys.executable, "-m", "examples.digits.server", "--drain-seconds=0"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, process)
        yield psutil.Process(process.pid), url
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url + "/ready"):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the digits server did not become ready (exit status {process.poll()})") from None
            time.sleep(0.02)


def measure(process: psutil.Process, url: str, rate: int, seconds: float) -> Row:
    """One run at `rate` requests a second."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "load.json"
        before = _cpu(process)
        command = [sys.executable, "-m", "examples.digits.load", "--url", url, "--rate", str(rate), "--seconds", str(seconds)]
        generator = psutil.Popen([*command, "--out", str(out)], cwd=ROOT, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(generator.pid, 0)
        if os.waitstatus_to_exitcode(status) != 0:
            raise SystemExit(f"the load generator ended with status {os.waitstatus_to_exitcode(status)}")
        result = json.loads(out.read_text())
    phase = result["phases"]["load"]
    return {
        "rate wanted": rate,
        "sent": phase["rate"],
        "lost": result["requests_lost"],
        "p50 ms": phase["fast"]["p50_ms"],
        "p95 ms": phase["fast"]["p95_ms"],
        "p99 ms": phase["fast"]["p99_ms"],
        "slow p99 ms": phase["slow"]["p99_ms"],
        "send lag p99 ms": result["send_lag"]["p99_ms"],
        "server CPU %": round(100 * (_cpu(process) - before) / seconds),
        "generator CPU %": round(100 * (usage.ru_utime + usage.ru_stime) / seconds),
    }


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def main() -> None:
    arguments = parser("load", "The digits server and the load generator, without a balancer between them.")
    arguments.add_argument("--rates", type=int, nargs="+", default=[300, 1000, 2000], help="requests a second, a run each")
    arguments.add_argument("--seconds", type=float, default=10.0, help="length of a run")
    args = arguments.parse_args()
    with server() as (process, url):
        rows = [measure(process, url, rate, args.seconds) for rate in args.rates]
    note = "fast class from the intended send time; CPU as a share of one core (the generator's start-up included)"
    show("digits server, asked directly", rows, note, args.json, seconds=args.seconds)


if __name__ == "__main__":
    main()
