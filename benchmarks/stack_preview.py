"""How long a preview of a whole stack takes that changes nothing: `python -m benchmarks.stack_preview --stack prod-eks`.

The stack's program is planned once onto nothing, then again and again against what that would have made: refresh off, no
account, no cluster, no policy pack. Each time a new process, timed from its start to its end; beside it in the same run a bare
import of Pulumi's SDK with the two providers' packages, which tells how much of the time is the machine's.
"""

import json
import pickle
import resource
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import Row, parser, show
from benchmarks.engine import ROOT, Figures, run

AIM = 2.5
"""Seconds from start to end."""
IMPORTS = "import pulumi, pulumi_aws, pulumi_kubernetes"
BARE, PREVIEW = "bare import", "no-op preview"


def plan(stack: str, kept: Path) -> Figures:
    """Plans the stack against what `kept` holds, or, where that is not there yet, onto nothing and keeps what it would make."""
    from turnout.engine.state import Snapshot
    from turnout.preview.rehearsal import planned, side_of
    from turnout.preview.revisions import Revision
    from turnout.preview.stand_ins import StandIns

    side = side_of(Revision("the working tree", None, ROOT, ROOT), stack, ROOT)
    if side is None:
        raise SystemExit(f"no stack {stack}")
    first = not kept.exists()
    state = Snapshot() if first else pickle.loads(kept.read_bytes())
    told = planned(side, state, StandIns(str(side.values.get("region"))) if first else None, [])
    if first:
        kept.write_bytes(pickle.dumps(state))
    return {"resources": len(told.steps), "changed": sum(step["op"] != "same" for step in told.steps)}


def used() -> Figures:
    """Processor's seconds of this process and of the programs that it waited for."""
    own, programs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"engine": own.ru_utime + own.ru_stime, "program": programs.ru_utime + programs.ru_stime}


def bare() -> Figures:
    code = f"{IMPORTS}, resource, json; print(json.dumps(dict(program=sum(resource.getrusage(0)[:2]))))"
    return run(["-c", code])


def measure(stack: str, times: int) -> dict[str, list[Figures]]:
    """Every step's figures; imports and previews take turns, so that both see the same machine."""
    found: dict[str, list[Figures]] = {BARE: [], PREVIEW: []}
    with TemporaryDirectory() as folder:
        words = ["-m", "benchmarks.stack_preview", "--stack", stack, "--run", str(Path(folder, "state"))]
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
    arguments.add_argument("--run", type=Path, metavar="STATE", help="one process's part: plan against this state")
    args = arguments.parse_args()
    if args.run:
        sys.stdout.write(json.dumps({**plan(args.stack, args.run), **used()}) + "\n")
        return
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
