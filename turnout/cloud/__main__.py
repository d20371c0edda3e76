"""`python -m turnout.cloud`: the daemon that `turnout.cloud.client.start` runs."""

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from turnout.cloud.parts import MakePart


def main() -> int:
    """The account alone."""
    return serve(parser("python -m turnout.cloud").parse_args())


def parser(program: str) -> argparse.ArgumentParser:
    """What every daemon is told."""
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--images", type=Path, action="append", default=[])
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--attached", action="store_true")
    return parser


def serve(options: argparse.Namespace, make_part: "MakePart | None" = None) -> int:
    """Runs one cloud until SIGTERM, SIGINT or, attached, the end of standard input. `make_part`: of what runs beside the
    account."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("werkzeug", "httpx2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")

    from turnout.cloud.daemon import AlreadyRunning, Cloud
    from turnout.cloud.envoy import EnvoyError
    from turnout.cloud.parts import PartError

    try:
        cloud = Cloud(options.home, options.root, options.images, options.speed, make_part)
        _end_on_signals(cloud.end)
        if options.attached:
            threading.Thread(target=_end_with_parent, args=(cloud.end,), daemon=True).start()
        cloud.run()
    except (AlreadyRunning, EnvoyError, PartError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _end_on_signals(end: Callable[[], None]) -> None:
    """A thread calls `end`: a signal handler itself may interrupt the main thread while it holds the locks that `end` takes."""
    told, tell = socket.socketpair()
    tell.setblocking(False)
    signal.set_wakeup_fd(tell.fileno())
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: None)

    def wait() -> None:
        with tell:
            told.recv(1)
            end()

    threading.Thread(target=wait, name="signals", daemon=True).start()


def _end_with_parent(end: Callable[[], None]) -> None:
    while os.read(0, 1024):
        pass
    end()


if __name__ == "__main__":
    sys.exit(main())
