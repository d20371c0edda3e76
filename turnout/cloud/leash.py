"""Starts a command that ends with its parent: `python leash.py <parent pid> <command…>`.

On Linux the kernel kills the command when the parent's thread that started it is gone (PR_SET_PDEATHSIG survives the
exec). Elsewhere it only executes the command, and the next start of the cloud cleans up by its registry.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Executes `argv[1:]`; exits at once when the parent `argv[0]` has already ended."""
    parent, command = int(argv[0]), argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(f"the parent {parent} has ended")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
