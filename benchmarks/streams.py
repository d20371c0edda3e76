"""Streams that run across flips: `python -m benchmarks.streams`.

A local cloud of its own, the language model's stack with one server an environment, two users with a long stream each, and
flips by `up`. A stream was alive across a flip when it began before the load balancer's API answered and ended after it.
Figures are of the local cloud and of a model on shared cores; an ALB's own are not known from here.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.common import Row, parser, show
from benchmarks.service import LISTENER, ROOT, Service, service
from benchmarks.waiting import wait_for

STACK = "llm"
VERSIONS = {"blue": "1.0.0", "green": "2.0.0"}


class Streams:
    """Users of the language model. `rows` and `result` are there when the block has ended."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.result: dict[str, Any] = {}
        self.rows: list[dict[str, Any]] = []

    def await_streams(self, count: int) -> None:
        """Waits until so many have begun."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if json.loads(line)["sent"] >= count:
                return
        raise RuntimeError(f"the users ended with status {self._process.wait()}")


@contextmanager
def users(url: str, folder: Path, count: int, tokens: int) -> Iterator[Streams]:
    """`count` users with long streams while the block runs; then what is in flight is read to its end."""
    out, rows = folder / "streams.json", folder / "rows.json"
    options = {"--url": url, "--users": count, "--long-share": 1, "--long-tokens": tokens, "--out": out, "--rows": rows}
    command = [sys.executable, "-m", "examples.llm.load", "--progress", *(str(p) for option in options.items() for p in option)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    running = Streams(process)
    try:
        running.await_streams(1)
        yield running
    finally:
        process.communicate(timeout=120)
    if process.returncode:
        raise RuntimeError(f"the users ended with status {process.returncode}")
    running.result, running.rows = json.loads(out.read_text()), json.loads(rows.read_text())


def running(target: Service) -> int:
    """Streams in flight on the active environment, as its servers count them."""
    texts = [httpx.get(f"{one['url']}/metrics").text for one in target.instances(target.active)]
    return sum(int(float(found)) for text in texts for found in re.findall(r"^turnout_requests_running ([\d.]+)$", text, re.M))


def flip(target: Service) -> tuple[str, float, float]:
    """Moves all traffic by an `up`: the environment that was left, when the load balancer's API answered, seconds in all."""
    left, began, answered = target.active, time.time(), 0.0

    def tell(moment: str, operation: str, token: str) -> None:
        nonlocal answered
        if (moment, operation, token) == ("after", "update", LISTENER):
            answered = time.time()

    result = target.up({"traffic": {"active": target.standby}}, tell)
    if result.exit_code:
        raise SystemExit(f"a flip failed with exit code {result.exit_code}:\n{target.said()}")
    return left, answered, time.time() - began


def crossing(rows: list[dict[str, Any]], left: str, answered: float) -> Row:
    """What became of the streams that were alive at a flip, and the first stream of the side that took over."""
    alive = [row for row in rows if row["version"] == VERSIONS[left] and row["began"] < answered < row["ended"]]
    new = [row for row in rows if row["version"] not in (None, VERSIONS[left]) and row["began"] >= answered and row["first"]]
    first = min(new, key=lambda row: float(row["began"]), default=None)
    return {
        "streams alive": len(alive),
        "cut": sum(row["cut"] for row in alive),
        "longest after it, s": round(max((row["ended"] - answered for row in alive), default=0.0), 1),
        "next TTFT, ms": None if first is None else round((first["first"] - first["began"]) * 1000),
    }


def measure(target: Service, folder: Path, flips: int, count: int, tokens: int) -> tuple[list[Row], dict[str, Any]]:
    """Flips a deployed service while users stream; a row a flip, and the users' own result."""
    for environment in VERSIONS:
        wait_for(f"health of {environment}", lambda: set(target.targets(environment)) == {"healthy"})  # noqa: B023
    moves = []
    with users(target.url, folder, count, tokens) as streams:
        for _ in range(flips):
            wait_for("stream on the active side", lambda: running(target) > 0)
            moves.append(flip(target))
        wait_for("stream on the active side", lambda: running(target) > 0)
    rows = [
        {"flip": number, "from": left, "by up, s": round(seconds, 1), **crossing(streams.rows, left, answered)}
        for number, (left, answered, seconds) in enumerate(moves, 1)
    ]
    return rows, streams.result


def main() -> None:
    arguments = parser("streams", "Flips under long streams: how many were alive across each, and how many of them were cut.")
    arguments.add_argument("--flips", type=int, default=10)
    arguments.add_argument("--users", type=int, default=2, help="streams at a time")
    arguments.add_argument("--tokens", type=int, default=250, help="tokens of a stream at most")
    args = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name, service(Path(name), stack=STACK) as target:
        if target.up().exit_code:
            raise SystemExit(target.said())
        rows, result = measure(target, Path(name), args.flips, args.users, args.tokens)
    streams = result["streams"]
    alive, cut = (int(np.sum([row[key] for row in rows])) for key in ("streams alive", "cut"))
    figures: list[Row] = [
        {"what": f"streams in {len(rows)} flips", "found": streams["whole"] + streams["cut"], "aim": ""},
        {"what": "  cut, or lost before they began", "found": result["requests_lost"], "aim": "0"},
        {"what": "  alive across a flip", "found": alive, "aim": f"≥ {len(rows)}"},
        {"what": "  of them cut", "found": cut, "aim": "0"},
        {"what": "TTFT, ms: p50, p95", "found": _pair(streams["ttft"]), "aim": ""},
        {"what": "TPOT, ms: p50, p95", "found": _pair(streams["tpot"]), "aim": ""},
    ]
    show("streams across flips", rows)
    show("all streams", figures, "the machine's load average: " + ", ".join(f"{value:.1f}" for value in os.getloadavg()))
    if args.json is not None:
        args.json.write_text(json.dumps({"flips": rows, "summary": figures, "result": result}, indent=1) + "\n")
    if result["requests_lost"]:
        raise SystemExit(f"streams were lost: {result['lost_by_kind']}")


def _pair(times: dict[str, float | None]) -> str:
    return f"{times['p50_ms']}, {times['p95_ms']}"


if __name__ == "__main__":
    main()
