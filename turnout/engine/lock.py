"""Who may change a stack: one process of one host.

Two files. `lock` is held with flock: the kernel frees it when its holder dies. `lock.holder` says who that is; it is made with
O_EXCL, which also holds where hosts share a store and not flock (open(2): atomic on NFS from version 3). What a dead process of
this host left is taken over. Whether a process of another host lives nobody here can know: its name stays until that process,
or `cancel`, takes it away.
"""

import getpass
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

_PATIENCE = 50  # times 20 ms


class StackLocked(Exception):
    """Another update of the stack runs, or died on another host."""

    def __init__(self, holder: dict[str, Any]) -> None:
        self.holder = holder
        elsewhere = holder and holder.get("host") != socket.gethostname()
        way_out = "; if it died there, `cancel` (`turnout stack cancel`) frees the stack" if elsewhere else ""
        super().__init__(
            f"the stack is currently locked by {holder.get('user', '?')}@{holder.get('host', '?')} "
            f"(pid {holder.get('pid', '?')}) since {holder.get('since', '?')}: wait until that update has ended{way_out}"
        )


@contextmanager
def held(path: Path, now: datetime) -> Iterator[None]:
    """Holds the lock at `path`; raises `StackLocked` while somebody else does, and `OSError` where it cannot be written."""
    handle = _acquire_patiently(path)
    try:
        _sign(_name(path), now)
        yield
    finally:
        _name(path).unlink(missing_ok=True)
        os.close(handle)


def holder(path: Path) -> dict[str, Any] | None:
    """Who holds the lock now."""
    if not path.parent.exists():
        return None
    try:
        os.close(_acquire_patiently(path))
    except StackLocked as locked:
        return locked.holder
    return None


def take_away(path: Path) -> None:
    """Frees what a process of another host left. Raises `StackLocked` while its kernel says that it lives."""
    handle = _flocked(path)
    _name(path).unlink(missing_ok=True)
    os.close(handle)


def _name(path: Path) -> Path:
    return path.with_name(path.name + ".holder")


def _sign(path: Path, now: datetime) -> None:
    """Only a dead process of this host can have left a name here: the kernel's lock is ours, and a foreign name was refused."""
    path.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(json.dumps(_myself(now)))
    except FileExistsError:  # another host was faster
        raise StackLocked(_read(path)) from None
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _acquire_patiently(path: Path) -> int:
    """A holder without a name is about to write it, or only looked who holds the lock."""
    for _ in range(_PATIENCE):
        try:
            return _acquire(path)
        except StackLocked as locked:
            if locked.holder:
                raise
            time.sleep(0.02)
    return _acquire(path)


def _acquire(path: Path) -> int:
    handle = _flocked(path)
    left = _read(_name(path))
    if left and left.get("host") != socket.gethostname():
        os.close(handle)
        raise StackLocked(left)
    return handle


def _flocked(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            flock(handle, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise StackLocked(_read(_name(path))) from None
        if path.exists() and os.fstat(handle).st_ino == path.stat().st_ino:
            return handle
        os.close(handle)  # the stack was removed between opening and locking


def _read(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def _myself(now: datetime) -> dict[str, Any]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    since = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"user": user, "host": socket.gethostname(), "pid": os.getpid(), "since": since}
