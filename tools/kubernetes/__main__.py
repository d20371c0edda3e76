"""Usage: python -m tools.kubernetes [PART]. Builds the control plane of tests and the local cluster, unless the cache has it,
or an optional part of its own.

Exit 1 with the reason when it cannot be built here.
"""

import argparse
import sys
import time

from tools.kubernetes.build import BuildError, ensure, ensure_part
from turnout.cluster.versions import OPTIONAL_PARTS


def main() -> int:
    """Builds, and prints where the programs are."""
    parts = {part.folder: part for part in OPTIONAL_PARTS}
    parser = argparse.ArgumentParser(prog="python -m tools.kubernetes", description=__doc__)
    parser.add_argument("part", nargs="?", choices=parts, help="an optional part; without it the control plane")
    wanted, start = parser.parse_args().part, time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - start:5.0f} s  {text}", flush=True)

    try:
        folder = ensure(say).programs.parent if wanted is None else ensure_part(parts[wanted], say)
    except BuildError as error:
        print(f"kubernetes: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("kubernetes: interrupted; the next run goes on from what Go has compiled", file=sys.stderr)
        return 130
    print(f"{wanted or 'the control plane'} is in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
