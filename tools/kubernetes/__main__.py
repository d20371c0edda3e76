"""Usage: python -m tools.kubernetes. Builds the control plane of tests and the local cluster, unless the cache has it.

Exit 1 with the reason when it cannot be built here.
"""

import sys
import time

from tools.kubernetes.build import BuildError, ensure


def main() -> int:
    """Builds, and prints where the programs are."""
    start = time.monotonic()
    try:
        place = ensure(lambda text: print(f"{time.monotonic() - start:5.0f} s  {text}", flush=True))
    except BuildError as error:
        print(f"kubernetes: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("kubernetes: interrupted; the next run goes on from what Go has compiled", file=sys.stderr)
        return 130
    print(f"the control plane is in {place.programs.parent}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
