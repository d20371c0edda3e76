"""An `up` whose engine is killed at one of its calls: what to do comes as JSON on stdin.

Exits with 0 when the update has ended before that call came."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from benchmarks.service import Service
from tests.prepared_program import FORKED, programs
from turnout.cloud.client import CloudHandle


def main() -> int:
    order = json.load(sys.stdin)
    service = Service(Path(order["home"]), CloudHandle(order["endpoint"], 0, Path(order["home"])), order["config"])
    service.program, service.secrets = Path(order["program"]), order["secrets"]
    lock, calls = threading.Lock(), 0

    def tell(moment: str, _operation: str, _token: str) -> None:
        nonlocal calls
        with lock:
            calls += moment == order["moment"]
            if calls == order["call"]:
                os.kill(os.getpid(), signal.SIGKILL)

    with programs(FORKED):
        result = service.up(tell=tell)
    print(service.said(), file=sys.stderr)
    return result.exit_code
