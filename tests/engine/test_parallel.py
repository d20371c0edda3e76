"""`--parallel N`: never more than N operations on the cloud at once, and N where there are enough to do."""

from threading import Event, Lock
from typing import Any

import pytest
from memory import Thing

MANY = "\n".join(f'Thing("t{number}", opts=on())' for number in range(6))


class Gauge:
    """Counts who is inside; whoever comes in stays until `wanted` are in, or for a moment where they never are."""

    def __init__(self, wanted: int) -> None:
        self.most = 0
        self._wanted = wanted
        self._inside = 0
        self._lock = Lock()
        self._full = Event()

    def around(self, call: Any) -> Any:
        def measured(*args: Any) -> Any:
            with self._lock:
                self._inside += 1
                self.most = max(self.most, self._inside)
                if self._inside >= self._wanted:
                    self._full.set()
            self._full.wait(0.3)
            try:
                return call(*args)
            finally:
                with self._lock:
                    self._inside -= 1

        return measured


@pytest.mark.parametrize("bound", [1, 3])
@pytest.mark.parametrize("call", ["create", "read", "delete"])
def test_no_more_than_n_calls_are_under_way(bound: int, call: str, bench, monkeypatch) -> None:
    if call != "create":
        assert bench.up(MANY).exit_code == 0
    gauge = Gauge(bound + 1)
    monkeypatch.setattr(Thing, call, gauge.around(getattr(Thing, call)))
    body = MANY if call == "create" else ""

    assert bench.up(body, parallel=bound).exit_code == 0

    assert gauge.most == bound
