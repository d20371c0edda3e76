"""Runs a policy pack in a process of its own: `python -P launch_pack.py ENGINE .` in the pack's folder.

Does what Pulumi's `pulumi-analyzer-policy-python` does, and ends when the engine is gone: a pack never ends by itself. stdin is
a pipe that only the engine holds open.
"""

import os
import runpy
import threading


def main() -> None:
    """Serves the pack until stdin closes. Gives way to what serves on this machine."""
    os.nice(10)
    threading.Thread(target=_end_with_the_engine, daemon=True).start()
    runpy.run_module("pulumi.policy", run_name="__main__", alter_sys=True)


def _end_with_the_engine() -> None:
    while os.read(0, 1):  # not by sys.stdin, whose lock would be in the way of an orderly end
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
