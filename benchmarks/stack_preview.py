"""How long a preview of a whole stack takes that changes nothing: `python -m benchmarks.stack_preview --stack prod-eks`.

The stack's program is planned once onto nothing, then again and again against what that would have made: refresh off, no
account, no cluster, no policy pack. Each time a new process, timed from its start to its end; beside it in the same run a bare
import of Pulumi's SDK with the two providers' packages, which tells how much of the time is the machine's.
"""

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import Row, parser, show
from benchmarks.engine import Figures, run

AIM = 2.5
"""Seconds from start to end."""
IMPORTS = "import pulumi, pulumi_aws, pulumi_kubernetes"
BARE, PREVIEW = "bare import", "no-op preview"


def bare() -> Figures:
    code = f"{IMPORTS}, resource, json; print(json.dumps(dict(program=sum(resource.getrusage(0)[:2]))))"
    return run(["-c", code])


def measure(stack: str, times: int) -> dict[str, list[Figures]]:
    """Every step's figures; imports and previews take turns, so that both see the same machine."""
    found: dict[str, list[Figures]] = {BARE: [], PREVIEW: []}
    with TemporaryDirectory() as folder:
        words = ["-m", "benchmarks.stack_plan", stack, str(Path(folder, "state"))]
        run(words)
        for _ in range(times):
            found[BARE].append(bare())
            found[PREVIEW].append(run(words))
    changed = [figures["changed"] for figures in found[PREVIEW]]
    if any(changed):
        raise SystemExit(f"{stack}: something changed that should not have: {changed}")
    return found


def main() -> None:
    arguments = parser("stack_preview", "Time of a preview of a stack that changes nothing.")
    arguments.add_argument("--stack", default="prod-eks", help="one of stacks/")
    arguments.add_argument("--repeat", type=int, default=5, help="processes, of which medians are printed")
    args = arguments.parse_args()
    began = time.monotonic()
    found = measure(args.stack, args.repeat)

    def median(step: str, key: str) -> float:
        return statistics.median(figures.get(key, 0.0) for figures in found[step])

    base = median(BARE, "program")
    rows: list[Row] = [
        {
            "step": step,
            "wall, s": f"{median(step, 'wall'):.2f}",
            "aim": f"≤ {AIM:g}" if step == PREVIEW else None,
            "engine": f"{median(step, 'engine'):.2f}",
            "program": f"{median(step, 'program'):.2f}",
            "times a bare import": f"{(median(step, 'engine') + median(step, 'program')) / base:.1f}",
        }
        for step in found
    ]
    note = f"engine, program: seconds of processors; {args.repeat} processes each in {time.monotonic() - began:.0f} s"
    show(f"{args.stack}: {median(PREVIEW, 'resources'):.0f} resources", rows, note, args.json, raw=found)
    if median(PREVIEW, "wall") > AIM:
        raise SystemExit(f"above the aim: {median(PREVIEW, 'wall'):.1f} s, aim {AIM:g}")


if __name__ == "__main__":
    main()
