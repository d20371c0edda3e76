"""What users see of flips and of a rollback: `python -m benchmarks.flip`.

A local cloud of its own, the local stack with two servers an environment, open-loop load (20 % new connections, 5 % of the
requests take a second, no retries), flips by `up`, as many by the gate and the API alone, and a rollback. Engine and
program run only on what serves leaves of the cores (SCHED_IDLE): beside a real load balancer they are on another machine.
What they cost here all the same is shown by updates that move nothing. Figures are of the local cloud; an ALB's own are not
known from here.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Row, parser, show
from benchmarks.service import LISTENER, ROOT, Service, service
from benchmarks.traffic import Load

SLOW, LOST = 1, 2
VERSIONS = {"blue": "1.0.0", "green": "2.0.0"}
CALM_SECONDS = 10.0


@dataclass(frozen=True)
class Flip:
    """One move; times in Unix seconds. `answered`: when the load balancer's API did."""

    left: str
    to: str
    began: float
    answered: float
    ended: float


def flip(target: Service, to: str) -> Flip:
    """Moves all traffic by an `up`."""
    left, began, answered = target.active, time.time(), 0.0

    def tell(moment: str, operation: str, token: str) -> None:
        nonlocal answered
        if (moment, operation, token) == ("after", "update", LISTENER):
            answered = time.time()

    result = target.up({"traffic": {"active": to}}, tell)
    if result.exit_code:
        raise SystemExit(f"a flip failed with exit code {result.exit_code}:\n{target.said()}")
    return Flip(left, to, began, answered, time.time())


def no_move(target: Service) -> tuple[float, float]:
    """What an `up` costs by itself: beside a real load balancer, engine and control plane are on other machines."""
    began = time.time()
    result = target.up()
    if result.changes.keys() != {"same"}:
        raise SystemExit(f"an update that was to change nothing did: {target.changed()}")
    return began, time.time()


def bare_flip(target: Service) -> float:
    """Moves all traffic by the gate and the load balancer's API alone, with a second around; when the API answered."""
    time.sleep(0.6)
    answered = asyncio.run(target.flip(target.standby))
    time.sleep(0.6)
    return answered


def roll_back(target: Service) -> Flip:
    """Takes the last flip back by the command."""
    left, to, began = target.active, target.standby, time.time()
    environment = {**os.environ, "TURNOUT_HOME": str(target.home), "TURNOUT_LOCAL_ENDPOINT": target.cloud.endpoint}
    command = [sys.executable, "-m", "turnout", "rollback", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    ended = time.time()
    if done.returncode:
        raise SystemExit(f"turnout rollback ended with exit code {done.returncode}: {done.stderr}")
    target.edit({"traffic": {"active": to}})
    return Flip(left, to, began, began, ended)


def _step_back() -> None:
    """Lets this thread and all that it starts run only where nothing that serves wants the core (Linux)."""
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def in_force(load: Load, move: Flip) -> float:
    """Milliseconds from the API's answer until the last request went to the environment that was left."""
    sent = load.sent_at(VERSIONS[move.left])
    during = sent[(sent >= load.at(move.began)) & (sent < load.at(move.ended))]
    return float(during[-1] - load.at(move.answered)) * 1000 if len(during) else float("nan")


def windows(load: Load, spans: list[tuple[float, float]], kind: int) -> np.ndarray:
    """Latencies in milliseconds of the class's whole answers to requests sent within these times."""
    at, rows = load.rows["at"], load.rows
    within = np.zeros(len(at), bool)
    for begin, end in spans:
        within |= (at >= load.at(begin)) & (at < load.at(end))
    values: np.ndarray = rows["latency"][within & (rows["kind"] == kind) & (rows["outcome"] != LOST)] * 1000
    return values


def latency_rows(load: Load, spans: dict[str, list[tuple[float, float]]], kind: int) -> list[Row]:
    """p50, p95, p99 by window, p99's ratio to the first and what it is allowed to be."""
    rows: list[Row] = []
    before = None
    for name, times in spans.items():
        values = windows(load, times, kind)
        p50, p95, p99 = (round(float(value), 2) for value in np.percentile(values, [50, 95, 99]))
        before = before or p99
        row = {"requests": f"{'slow' if kind else 'fast'}, {name}", "answers": len(values), "p50 ms": p50, "p95 ms": p95}
        rows.append(row | {"p99 ms": p99, "ratio": round(p99 / before, 2), "allowed": round(allowed(before), 2)})
    return rows


def allowed(before: float) -> float:
    """What the fast class's p99 may be during a flip."""
    return max(1.5 * before, before + 25)


def calm(seconds: float) -> tuple[float, float]:
    """A window without any move."""
    began = time.time()
    time.sleep(seconds)
    return began, time.time()


def measure(target: Service, flips: int, rate: float) -> dict[str, Any]:
    """All runs on a deployed service."""
    no_op = [target.up().seconds for _ in range(3)]
    with target.load(rate) as baseline:
        alone = calm(CALM_SECONDS)
    with target.load(rate) as load, ThreadPoolExecutor(1, initializer=_step_back) as engine:
        before = calm(CALM_SECONDS)
        idle = [engine.submit(no_move, target).result() for _ in range(max(flips // 4, 2))]
        moves = [engine.submit(flip, target, target.standby).result() for _ in range(flips)]
        after = calm(CALM_SECONDS)
        bare = [bare_flip(target) for _ in range(flips)]
        back = roll_back(target)
        calm(2.0)
    during = [(move.began, move.ended) for move in moves]
    near = [(move.answered - 0.5, move.answered + 0.5) for move in moves]
    spans = {
        "before": [before],
        "up without a move": idle,
        "flips by up": during,
        "flips by up ±0.5 s": near,
        "after": [after],
        "flips alone ±0.5 s": [(answered - 0.5, answered + 0.5) for answered in bare],
    }
    return {
        "latency": [
            *latency_rows(baseline, {"no flip at all": [alone]}, 0),
            *latency_rows(load, spans, 0),
            *latency_rows(load, spans, SLOW),
        ],
        "sent": load.result["requests_sent"],
        "lost": load.lost,
        "baseline_lost": baseline.lost,
        "flips": len(moves),
        "flip_seconds": [round(move.ended - move.began, 2) for move in moves],
        "in_force_ms": [round(in_force(load, move), 1) for move in moves],
        "rollback_ms": round(in_force(load, back), 1),
        "rollback_command_seconds": round(back.ended - back.began, 2),
        "no_op_seconds": [round(seconds, 2) for seconds in no_op],
    }


def main() -> None:
    arguments = parser("flip", "Flips and a rollback under load: losses, latencies, times.")
    arguments.add_argument("--flips", type=int, default=20)
    arguments.add_argument("--rate", type=float, default=1000.0, help="requests a second")
    args = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, service(Path(folder), speed=5.0) as target:
        first = target.up()
        if first.exit_code:
            raise SystemExit(target.said())
        found = measure(target, args.flips, args.rate)
    figures = summary(found, args.rate)
    show(
        "flips under load",
        found["latency"],
        "from the intended send time; ratio: p99 to before; allowed: max(1.5 x, + 25 ms) of before",
    )
    show("moves", figures, "the machine's load average: " + ", ".join(f"{value:.1f}" for value in os.getloadavg()))
    if args.json is not None:
        args.json.write_text(json.dumps({**found, "summary": figures, "rate": args.rate}, indent=1) + "\n")


def summary(found: dict[str, Any], rate: float) -> list[Row]:
    """The figures that are not latencies, each with its aim."""
    forced = np.array(found["in_force_ms"])
    lost = ", ".join(f"{count} {kind}" for kind, count in Counter(found["lost"]).items()) or "0"
    median, p95, most = np.nanpercentile(forced, [50, 95, 100]) if len(forced) else (np.nan,) * 3
    return [
        {
            "what": f"requests sent at {rate:.0f}/s in {found['flips']} + {found['flips']} flips and a rollback",
            "found": found["sent"],
            "aim": "",
        },
        {"what": "requests lost", "found": lost, "aim": "0"},
        {"what": "API's answer to the last request elsewhere, ms: median", "found": f"{median:.1f}", "aim": "≤ 50"},
        {"what": "  p95", "found": f"{p95:.1f}", "aim": "≤ 50"},
        {"what": "  most", "found": f"{most:.1f}", "aim": "≤ 50"},
        {"what": "flip by `up`, s: median", "found": f"{np.median(found['flip_seconds']):.2f}", "aim": ""},
        {"what": "`turnout rollback` to 0 %, s", "found": f"{found['rollback_ms'] / 1000:.2f}", "aim": "≤ 1"},
        {"what": "`turnout rollback`, whole command, s", "found": f"{found['rollback_command_seconds']:.2f}", "aim": ""},
        {"what": "no-op `up` with refresh, s: median", "found": f"{np.median(found['no_op_seconds']):.2f}", "aim": "≤ 4"},
    ]


if __name__ == "__main__":
    main()
