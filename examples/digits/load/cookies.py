"""A client that keeps cookies: what Set-Cookie gave is sent back until its Max-Age is over (RFC 6265).

Domain, path and Expires are not looked at: a generator speaks with one service, and the load balancer names a Max-Age. Requests
are plain HTTP, so cookies that are `Secure` are not kept.
"""

import math
import re
import time
from collections.abc import Callable
from http.cookies import SimpleCookie

_SECONDS = re.compile(r"-?[0-9]+")


class Jar:
    """One client's cookies. `clock` in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[str, tuple[str, float]] = {}

    def take(self, line: bytes) -> None:
        """Keeps what the value of a Set-Cookie header gives."""
        for name, cookie in SimpleCookie(line.decode("latin-1")).items():
            if cookie["secure"]:
                continue
            age = _SECONDS.fullmatch(cookie["max-age"])
            self._held[name] = (cookie.coded_value, self._clock() + int(age[0]) if age else math.inf)

    def header(self) -> bytes:
        """The request's header line, or nothing."""
        now = self._clock()
        self._held = {name: held for name, held in self._held.items() if held[1] > now}
        pairs = "; ".join(f"{name}={value}" for name, (value, _) in self._held.items())
        return f"Cookie: {pairs}\r\n".encode("latin-1") if pairs else b""
