"""Free loopback ports that stay with their owner."""

import random
import socket
import threading

_RANGE = range(20_000, 32_000)
"""Below the range from which Linux takes the ports of outgoing connections: none of them can slip in between."""


class Ports:
    """Hands out loopback ports that nobody listens on."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._lock = threading.Lock()

    def take(self) -> int:
        """A port that is free now and is not handed out again before `give_back`."""
        with self._lock:
            while True:
                port = random.choice(_RANGE)
                if port not in self._taken and is_free(port):
                    self._taken.add(port)
                    return port

    def give_back(self, port: int) -> None:
        """The owner is gone."""
        with self._lock:
            self._taken.discard(port)


def is_free(port: int) -> bool:
    """Whether nobody is bound to the loopback port. This bind also fails beside a stale SO_REUSEPORT listener."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
