"""How Ctrl-C ends a command: with its message and exit code 130, always.

CPython marks the process when `KeyboardInterrupt` itself passes through `exec` of a string, as it does where an import
makes dataclasses or named tuples (`run_eval_code_obj` in pythonrun.c). At the end it then dies of SIGINT in place of exiting
with the code that it was given. It looks for that very class: a subclass passes.
"""

import signal
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Somebody wants the command to end."""


def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 -- a signal handler's arguments
    """A signal handler. Raises `Interrupted`."""
    raise Interrupted


def install() -> None:
    """Makes Ctrl-C raise `Interrupted` where it would raise `KeyboardInterrupt`."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
