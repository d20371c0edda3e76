"""Probes of servers as a kubelet counts them.

Source: "Configure Liveness, Readiness and Startup Probes" (successThreshold, failureThreshold: consecutive results), Kubernetes
documentation.
"""

import threading
from dataclasses import dataclass

from turnout.cloud.health import Answer, Key, matches
from turnout.cloud.world import Check

AGENT = "kube-probe/1.36"


@dataclass(frozen=True)
class Verdict:
    """What a probe says. `good`: None until enough results in a row agree; `run`: how many of `last` came in a row."""

    good: bool | None = None
    last: bool = False
    run: int = 0


def after(verdict: Verdict, ok: bool, check: Check) -> Verdict:
    """The verdict after one more result."""
    run = verdict.run + 1 if verdict.run and verdict.last == ok else 1
    enough = run >= (check.healthy_threshold if ok else check.unhealthy_threshold)
    return Verdict(ok if enough else verdict.good, ok, run)


class ProbeBook:
    """Every probe's verdict, by the server's run and the probe's kind. Thread-safe."""

    def __init__(self) -> None:
        self._verdicts: dict[Key, Verdict] = {}
        self._lock = threading.Lock()

    def record(self, key: Key, answer: Answer, check: Check) -> bool:
        """Enters a result; whether the verdict changed by it."""
        ok = answer.status is not None and matches(check.matcher, answer.status)
        with self._lock:
            held = self._verdicts.get(key, Verdict())
            self._verdicts[key] = after(held, ok, check)
            return self._verdicts[key].good != held.good

    def good(self, run: str, kind: str) -> bool | None:
        """The verdict of one probe."""
        with self._lock:
            return self._verdicts.get((run, kind), Verdict()).good

    def forget(self, run: str) -> None:
        """The server's run is over."""
        with self._lock:
            self._verdicts = {key: verdict for key, verdict in self._verdicts.items() if key[0] != run}
