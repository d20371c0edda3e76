"""Open-loop load on a service as a child process, and what became of every request."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]


class Load:
    """A running load generator. `result` and `rows` are there when the block has ended."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.result: dict[str, Any] = {}
        """The generator's result document (examples/digits/README.md)."""
        self.rows: dict[str, np.ndarray] = {}
        """A value a request in each column, by the columns' names."""

    def await_requests(self, count: int) -> None:
        """Waits until so many requests were sent. To be called at once: progress that nobody reads is left out."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if json.loads(line)["sent"] >= count:
                return
        raise RuntimeError(f"the load generator ended with status {self._process.wait()}")

    def at(self, unix: float) -> float:
        """Seconds from the load's start, the time of its rows."""
        return unix - float(self.result["started_at"])

    def sent_at(self, version: str, sticky: bool = False) -> np.ndarray:
        """When the requests were really sent that this version answered; `sticky`: only those of clients that keep cookies."""
        names = list(self.rows["versions"])
        chosen = self.rows["release"] == (names.index(version) if version in names else -1)
        if sticky:
            chosen &= self.rows["client"] >= 0
        return np.sort(self.rows["at"][chosen] + self.rows["lag"][chosen])

    @property
    def lost(self) -> dict[str, int]:
        """Lost requests by kind."""
        return dict(self.result["lost_by_kind"])


@contextmanager
def load(
    url: str,
    rate: float,
    out: Path,
    slow_share: float = 0.05,
    new_connection_share: float = 0.2,
    feedback: str | None = None,
    sticky_share: float = 0.0,
) -> Iterator[Load]:
    """Sends `rate` requests a second to `url` while the block runs, then waits for what is in flight. `feedback`: where scores
    of the answers are published; `sticky_share`: the share of requests from clients that keep cookies."""
    table = out.with_suffix(".npz")
    options = {"--url": url, "--rate": rate, "--slow-share": slow_share, "--new-connection-share": new_connection_share}
    options |= {"--feedback": feedback} if feedback else {}
    options |= {"--sticky-share": sticky_share} if sticky_share else {}
    command = [sys.executable, "-m", "examples.digits.load", *(str(part) for option in options.items() for part in option)]
    process = subprocess.Popen(
        [*command, "--progress", "--out", str(out), "--rows", str(table)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    running = Load(process)
    try:
        running.await_requests(int(rate / 2))
        yield running
    finally:
        assert process.stdin is not None
        process.stdin.close()
        status = process.wait(60)
        assert process.stdout is not None
        process.stdout.close()
    if status:
        raise RuntimeError(f"the load generator ended with status {status}")
    running.result = json.loads(out.read_text())
    with np.load(table) as columns:
        running.rows = {name: columns[name] for name in columns.files}
