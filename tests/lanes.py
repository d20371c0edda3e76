"""Which tests begin first where they run beside each other (`make test`), which stay together, and who gives way to whom."""

from pathlib import PurePath

from xdist.scheduler import LoadFileScheduling

LANES = {"e2e": 0, "cloud": 2, "kubernetes": 8}
"""Folders that one worker has all of, for what their tests share and for the processor, and how nice it is meanwhile: what
measures a service under load comes before what waits."""
LONGEST_FIRST = (*LANES, "rollout", "engine", "node", "cli", "package", "pipeline", "access", "engine_state", "preview")
"""Folders that take minutes: begun last, one of them would go on alone."""
LAST = "providers"
"""Its tests extend moto for their whole process, as the local cloud does; they are many and short."""


def place(folder: str) -> int:
    """Smaller is sooner."""
    if folder in LONGEST_FIRST:
        return LONGEST_FIRST.index(folder)
    return len(LONGEST_FIRST) + (folder == LAST)


def scope(file: str) -> str:
    """What one worker has all of: a lane, or a file."""
    path = PurePath(file)
    return str(path.parent if path.parent.name in LANES else path)


class Scheduling(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return scope(super()._split_scope(nodeid))
