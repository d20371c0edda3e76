"""A store that two hosts share: nobody begins where another host's name stands, whatever the kernel's lock says."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from pulumi.automation import errors

from tests.engine_state.bench import Project
from turnout.engine.lock import StackLocked
from turnout.engine.store import StackStore

Make = Callable[[], StackStore]


def test_what_another_host_holds_is_refused_even_where_its_kernels_lock_is_not_seen(
    store: StackStore, make_store: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.lock():
        os.unlink(store.folder / "lock")  # as on a filesystem that does not share flock
        monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
        assert (make_store().holder() or {})["pid"] == os.getpid()
        os.unlink(store.folder / "lock")
        told = rf"locked by .+@(?!elsewhere).+ \(pid {os.getpid()}\) since \d{{4}}-.*if it died there, `cancel`"
        with pytest.raises(StackLocked, match=told), make_store().lock():
            pass
        assert (make_store().holder() or {})["pid"] == os.getpid()
        monkeypatch.undo()
    with make_store().lock():
        pass


def test_of_two_hosts_that_begin_at_once_one_is_refused(store: StackStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have looked and found no name; O_EXCL lets one of them write its own."""
    real = os.open

    def slow(path: str, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("lock.holder") and flags & os.O_EXCL and not Path(path).exists():
            Path(path).write_text(json.dumps({"user": "u", "host": "faster", "pid": 1, "since": "2026-01-01T00:00:00Z"}))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", slow)
    with pytest.raises(StackLocked, match="u@faster"), store.lock():
        pass


def test_what_a_dead_process_of_this_host_left_is_taken_over(store: StackStore) -> None:
    left = {"user": "u", "host": socket.gethostname(), "pid": 1, "since": "2026-01-01T00:00:00Z"}
    (store.folder / "lock.holder").write_text(json.dumps(left))

    assert store.holder() is None
    with store.lock():
        assert (store.holder() or {})["pid"] == os.getpid()
    assert not (store.folder / "lock.holder").exists()


def test_a_name_that_another_host_left_stays_until_it_is_cancelled(tmp_path: Path) -> None:
    project = Project(tmp_path)
    stack = project.stack()
    left = {"user": "ann", "host": "builder-7", "pid": 4711, "since": "2026-01-01T00:00:00Z"}
    (project.store_folder / "lock.holder").write_text(json.dumps(left))
    for operation in ("up", "refresh", "destroy"):
        with pytest.raises(errors.ConcurrentUpdateError, match=r"ann@builder-7 \(pid 4711\) since 2026-01-01T00:00:00Z"):
            getattr(stack, operation)()
    assert stack.workspace.list_stacks()[0].update_in_progress

    said = project.run("cancel", "--stack", "dev", "--yes").stdout

    assert "'dev' is free: ann@builder-7, pid 4711, since 2026-01-01T00:00:00Z no longer holds it" in said
    assert stack.up().summary.result == "succeeded"
