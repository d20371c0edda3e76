"""AWS's API as moto answers it, on loopback in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from moto.server import ThreadedMotoServer


@contextmanager
def moto_server() -> Iterator[str]:
    """Its address, while it serves."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def empty(endpoint: str) -> None:
    """Makes the account at `endpoint` a new one. No certificates are read, which takes longer than the call."""
    httpx.post(f"{endpoint}/moto-api/reset", timeout=60, verify=False).raise_for_status()
