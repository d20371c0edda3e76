"""How long the local engine takes: `python -m benchmarks.engine`.

A program of 100 to 3,000 resources (`benchmarks/engine_program.py`) on moto in a process of its own: its first `up`, then a
preview and an `up` that change nothing, refresh off, each in a new process and timed from its start to its end. Beside them in
the same run: a bare import of Pulumi's SDK and of pulumi_aws, and the same program under `pulumi.runtime.set_mocks`. Printed
too: whose processor time it was, peaks of memory, and how far growth is from a straight line.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.common import Row, parser, show
from turnout.engine.command import LocalEngineCommand

ROOT = Path(__file__).parents[1]
SIZES = (100, 300, 1000, 1500, 3000)
STEPS = {"import": "import", "mocks": "set_mocks", "first": "first up", "preview": "no-op preview", "noop": "no-op up"}
AIMS = {("preview", 100): 2.5, ("first", 1500): 25.0, ("preview", 1500): 8.0, ("noop", 1500): 8.0}
"""Seconds."""
MEMORY_AIM = 600.0
"""MB of the engine's process, at 1,500 resources."""
Figures = dict[str, float]
Found = dict[str, list[Figures]]
"""By step, the figures of each repetition."""


def run(words: Sequence[str], cpu_of: psutil.Process | None = None) -> Figures:
    """A process's figures: `wall` seconds, what it printed, and the seconds that `cpu_of` computed meanwhile."""
    before = cpu(cpu_of)
    began = time.monotonic()
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, cwd=ROOT, env=ENVIRONMENT)
    wall = time.monotonic() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    printed: Figures = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
    return {"wall": wall, **printed, "cloud_cpu": cpu(cpu_of) - before}


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}


def cpu(process: psutil.Process | None) -> float:
    """Processor seconds until now."""
    if process is None:
        return 0.0
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def cloud(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A new account: its endpoint and its process."""
    words = [sys.executable, "-m", "benchmarks.engine_run", "cloud", str(folder), "0"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=ENVIRONMENT) as served:
        assert served.stdin is not None
        assert served.stdout is not None
        try:
            yield served.stdout.readline().strip(), psutil.Process(served.pid)
        finally:
            served.stdin.close()


def stack(folder: Path, size: int, endpoint: str) -> None:
    """A project on disk with its stack."""
    program = ROOT / "benchmarks" / "engine_program.py"
    (folder / "Pulumi.yaml").write_text(f"name: bench\nruntime: python\nmain: {program}\n")
    (folder / "Pulumi.bench.yaml").write_text(f"config:\n  bench:size: {size}\n  bench:endpoint: {endpoint}\n")
    LocalEngineCommand(folder / "home", {}).run(["stack", "init", "bench"], str(folder), {})


def measure(size: int, noops: int) -> Found:
    """One new stack of this size: every step once, what changes nothing `noops` times."""
    found: Found = {"import": [run(["-c", "import pulumi, pulumi_aws"])]}
    with tempfile.TemporaryDirectory() as name, cloud(Path(name)) as (endpoint, process):
        stack(Path(name), size, endpoint)

        def step(what: str) -> Figures:
            return run(["-m", "benchmarks.engine_run", what, name, str(size)], process)

        found["mocks"] = [step("mocks")]
        found["first"] = [step("up")]
        found["preview"] = [step("preview") for _ in range(noops)]
        found["noop"] = [step("up") for _ in range(noops)]
    for figures in (*found["preview"], *found["noop"]):
        if figures["unchanged"] != size or figures["calls"]:
            raise SystemExit(f"{size} resources: something changed that should not have: {figures}")
    return found


def median(figures: Sequence[Figures], key: str) -> float:
    return statistics.median(one.get(key, 0.0) for one in figures)


def line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Start and slope of the straight line with the least relative errors."""
    weights = [1 / y**2 for _, y in points]
    total = sum(weights)
    mean_x = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
    mean_y = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
    over = sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, points, strict=True))
    slope = over / sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    return mean_y - slope * mean_x, slope


def growth(by_size: dict[int, Found], step: str, key: str) -> Row:
    """How far from a straight line the medians lie."""
    points = [(size, median(found[step], key)) for size, found in by_size.items()]
    start, slope = line(points)
    row: Row = {"of": f"{STEPS[step]}, {key}", "start, s": f"{start:.2f}", "ms each": f"{slope * 1000:.2f}"}
    row |= {f"{size:g}": f"{seconds / (start + slope * size):.2f}" for size, seconds in points}
    return row


def merge(runs: Sequence[Found]) -> Found:
    """The repetitions' figures together."""
    return {step: [figures for found in runs for figures in found[step]] for step in STEPS}


def table(size: int, found: Found) -> list[Row]:
    """What one size took, a row a step."""
    return [
        {
            "step": name,
            "wall, s": f"{median(found[step], 'wall'):.2f}",
            "aim": f"≤ {AIMS[step, size]:g}" if (step, size) in AIMS else None,
            "engine": f"{median(found[step], 'engine_cpu') - median(found[step], 'provider_cpu'):.2f}",
            "provider": f"{median(found[step], 'provider_cpu'):.2f}",
            "program": f"{median(found[step], 'program_cpu'):.2f}",
            "moto": f"{median(found[step], 'cloud_cpu'):.2f}",
            "MB": f"{median(found[step], 'engine_mb'):.0f}",
            "program's MB": f"{median(found[step], 'program_mb'):.0f}",
        }
        for step, name in STEPS.items()
    ]


def main() -> None:
    arguments = parser("engine", "Times and memory of the local engine by the number of resources.")
    arguments.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="numbers of resources")
    arguments.add_argument("--repeat", type=int, default=3, help="new stacks of each size, of which medians are printed")
    arguments.add_argument("--noops", type=int, default=3, help="runs without a change on each stack")
    args = arguments.parse_args()
    by_size = {size: merge([measure(size, args.noops) for _ in range(args.repeat)]) for size in sorted(args.sizes)}
    load = "the machine's load average: " + ", ".join(f"{value:.1f}" for value in os.getloadavg())
    note = "wall: from a process's start to its end; engine, provider, program, moto: seconds of processors"
    for size, found in by_size.items():
        show(f"{size} resources", table(size, found), note)
    keys = ("wall", "engine_cpu", "program_cpu")
    grown = [growth(by_size, step, key) for step in ("first", "preview", "noop") for key in keys]
    grown.append(growth(by_size, "first", "cloud_cpu"))
    note = f"measured over the straight line: aim 0.85 to 1.15; {load}"
    show("growth", grown, note, args.json, raw=by_size)
    late = [
        f"{STEPS[step]} of {size}: {median(by_size[size][step], 'wall'):.1f} s, aim {aim:g}"
        for (step, size), aim in AIMS.items()
        if size in by_size and median(by_size[size][step], "wall") > aim
    ]
    if late:
        raise SystemExit("above the aim: " + "; ".join(late))


if __name__ == "__main__":
    main()
