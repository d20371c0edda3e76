"""The journal's lines reach the disk before anybody acts on them, those of several threads together."""

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.engine_state.strategies import urn
from turnout.engine.checkpoint import CheckpointError
from turnout.engine.state import ResourceState, Snapshot
from turnout.engine.store import StackStore

WRITERS = 12


def thing(number: int) -> ResourceState:
    return ResourceState(urn(number), "test:index:Thing", True, id=f"id-{number}")


class Disk:
    """What was synced: a stand-in for `os.fsync` that waits until it may go on, and then may fail."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.syncs = 0
        self.durable = b""
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.full = False
        self.most = 10**6
        """Syncs until it is full."""

    def sync(self, handle: int) -> None:
        if not self.path.exists() or os.fstat(handle).st_ino != self.path.stat().st_ino:
            return
        content = self.path.read_bytes()
        self.entered.set()
        assert self.go_on.wait(30)
        if self.full or self.syncs >= self.most:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.syncs += 1
        self.durable = content


@pytest.fixture
def disk(store: StackStore, monkeypatch: pytest.MonkeyPatch) -> Disk:
    store.save(Snapshot())
    made = Disk(store.journal_path)
    monkeypatch.setattr("turnout.engine.journal.os.fsync", made.sync)
    return made


def test_a_line_is_on_disk_when_its_call_returns(store: StackStore, disk: Disk) -> None:
    with store.journal() as journal, ThreadPoolExecutor(WRITERS) as threads:

        def write(number: int) -> bool:
            journal.record(thing(number))
            return urn(number).encode() + b'"' in disk.durable

        assert all(threads.map(write, range(WRITERS * 5)))
    assert disk.path.read_bytes() == disk.durable


def test_lines_that_come_during_a_sync_share_the_next_one(store: StackStore, disk: Disk) -> None:
    with store.journal() as journal, ThreadPoolExecutor(WRITERS) as threads:
        disk.entered.clear()
        disk.go_on.clear()
        first = threads.submit(journal.record, thing(0))
        assert disk.entered.wait(30)
        before = disk.syncs
        others = [threads.submit(journal.record, thing(number)) for number in range(1, WRITERS)]
        while len(journal._lines) < len(others):
            os.sched_yield()
        disk.go_on.set()
        for writer in (first, *others):
            writer.result(30)
        assert disk.syncs == before + 2
    assert {state.urn for state in store.load().resources} == {urn(number) for number in range(WRITERS)}


def test_nobody_whose_line_went_with_a_failed_sync_is_told_that_it_is_written(store: StackStore, disk: Disk) -> None:
    """Who did not sync himself learns it from the journal: his line is in no list any more."""
    with store.journal() as journal, ThreadPoolExecutor(WRITERS) as threads:
        disk.entered.clear()
        disk.go_on.clear()
        disk.most = disk.syncs + 1
        first = threads.submit(journal.record, thing(0))
        assert disk.entered.wait(30)
        others = [threads.submit(journal.record, thing(number)) for number in range(1, WRITERS)]
        while len(journal._lines) < len(others):
            os.sched_yield()
        disk.go_on.set()
        first.result(30)
        for writer in others:
            with pytest.raises(CheckpointError, match="No space left"):
                writer.result(30)


def test_after_a_failed_sync_nothing_more_is_written(store: StackStore, disk: Disk) -> None:
    """A kernel that could not write may forget it: the next sync would say that all is well (fsync(2))."""
    with store.journal() as journal:
        journal.record(thing(1))
        disk.full = True
        with pytest.raises(CheckpointError, match="No space left"):
            journal.record(thing(2))
        disk.full = False
        size = disk.path.stat().st_size
        with pytest.raises(CheckpointError, match="No space left"):
            journal.record(thing(3))
        assert disk.path.stat().st_size == size
    assert urn(1) in {state.urn for state in store.load().resources}


class Filling:
    """A file that takes a few bytes at a time, and none any more when so many are in it."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room = file, room

    def write(self, content: bytes) -> int:
        if self._room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken: int = self._file.write(content[: min(37, self._room)])
        self._room -= taken
        return taken

    def fileno(self) -> int:
        return int(self._file.fileno())

    def close(self) -> None:
        self._file.close()


@pytest.mark.parametrize("room", [0, 1, 500, 3000, 9001])
def test_whoever_was_told_that_a_line_is_written_finds_it_also_where_the_disk_fills(store: StackStore, room: int) -> None:
    store.save(Snapshot())
    with store.journal() as journal, ThreadPoolExecutor(WRITERS) as threads:
        journal._file = Filling(journal._file, room)  # type: ignore[assignment]

        def write(number: int) -> str | None:
            try:
                journal.record(thing(number))
            except CheckpointError:
                return None
            return urn(number)

        told = {name for name in threads.map(write, range(WRITERS * 8)) if name}
    kept = {state.urn for state in store.load().resources}
    assert told <= kept
    assert len(told) < WRITERS * 8
    assert kept or room < 500


def test_a_journal_that_was_closed_tells_whoever_comes_late(store: StackStore) -> None:
    store.save(Snapshot())
    journal = store.journal()
    journal.record(thing(1))
    journal.close()
    for number in (2, 3):
        with pytest.raises(ValueError, match="closed"):
            journal.record(thing(number))
    assert {state.urn for state in store.load().resources} == {urn(1)}
