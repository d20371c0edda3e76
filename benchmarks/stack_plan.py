"""One process of `benchmarks.stack_preview`: plans a stack, prints what it took, and imports no more than a preview needs."""

import gc
import json
import pickle
import resource
import sys
from pathlib import Path

from turnout.engine.state import Snapshot
from turnout.preview.rehearsal import planned, side_of
from turnout.preview.revisions import Revision
from turnout.preview.stand_ins import StandIns

ROOT = Path(__file__).parents[1]


def plan(stack: str, kept: Path) -> dict[str, float]:
    """Plans the stack against what `kept` holds, or, where that is not there yet, onto nothing and keeps what it would make."""
    side = side_of(Revision("the working tree", None, ROOT, ROOT), stack, ROOT)
    if side is None:
        raise SystemExit(f"no stack {stack}")
    first = not kept.exists()
    state = Snapshot() if first else pickle.loads(kept.read_bytes())
    told = planned(side, state, StandIns(str(side.values.get("region"))) if first else None, [])
    if first:
        kept.write_bytes(pickle.dumps(state))
    return {"resources": len(told.steps), "changed": sum(step["op"] != "same" for step in told.steps)}


def used() -> dict[str, float]:
    """Processor's seconds of this process and of the programs that it waited for."""
    own, programs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"engine": own.ru_utime + own.ru_stime, "program": programs.ru_utime + programs.ru_stime}


if __name__ == "__main__":
    figures = plan(sys.argv[1], Path(sys.argv[2]))
    sys.stdout.write(json.dumps({**figures, **used()}) + "\n")
    gc.freeze()  # as `turnout` ends
