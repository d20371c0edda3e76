"""A full disk, at every write of the state: one message, no traceback, and a state that the next run takes up."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from memory import MemoryCloud

from tests.engine_state.bench import Project
from turnout.engine.checkpoint import NotWritten
from turnout.engine.crypto import Secrets
from turnout.engine.state import ResourceState
from turnout.engine.store import StackStore

BODY = """
a = Thing("a", size=1, opts=on())
b = Thing("b", tags={"a": a.serial}, opts=on())
Thing("c", tags={"b": b.serial}, opts=on())
"""
NAMES = ["a", "b", "c"]


def names(cloud: MemoryCloud) -> list[str]:
    return sorted(each["inputs"]["name"][0] for each in cloud.objects().values())


def failed_up(project: Project) -> str:
    """What an `up` that must fail said on stdout and stderr, at most a screen of it."""
    from pulumi.automation.errors import CommandError

    with pytest.raises(CommandError) as caught:
        project.stack().up()
    said = str(caught.value)
    assert "code: 1\n" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 40
    return said


class Disk:
    """Room for so many bytes below `folder`; what no longer fits fails, after as much as fits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, room: int) -> None:
        self.room = room
        self._folder = str(folder)
        fdopen = os.fdopen
        monkeypatch.setattr(os, "fdopen", lambda *args, **more: File(self, fdopen(*args, **more), "buffering" not in more))

    def write(self, handle: int, data: bytes) -> int:
        if not os.readlink(f"/proc/self/fd/{handle}").startswith(self._folder):
            return os.write(handle, data)
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = os.write(handle, data[: self.room])
        self.room -= done
        return done


class File:
    """An open file on the disk; a buffered one writes all or fails."""

    def __init__(self, disk: Disk, file: Any, buffered: bool) -> None:
        self._disk = disk
        self._file = file
        self._buffered = buffered

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "File":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes | str) -> int:
        raw = data.encode() if isinstance(data, str) else data
        done = self._disk.write(self._file.fileno(), raw)
        while self._buffered and done < len(raw):
            done += self._disk.write(self._file.fileno(), raw[done:])
        return done


def journal_size(folder: Path) -> int:
    """How many bytes the journal of BODY takes in all, measured once."""
    project = Project(folder)
    project.program(BODY)
    project.stack()
    kept = []
    real = os.fsync

    def look(handle: int) -> None:
        real(handle)
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if path.name == "journal.jsonl":
            kept.append(path.stat().st_size)

    os.fsync = look
    try:
        project.stack().up()
    finally:
        os.fsync = real
    return max(kept)


@pytest.fixture(scope="module")
def size(tmp_path_factory: pytest.TempPathFactory) -> int:
    return journal_size(tmp_path_factory.mktemp("measured"))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 1.0])
def test_a_disk_that_gets_full_anywhere_loses_nothing_and_makes_nothing_twice(
    share: float, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first line of the journal to the checkpoint, which is written when the journal is whole."""
    project = Project(tmp_path)
    project.program(BODY)
    project.stack()
    with monkeypatch.context() as patch:
        Disk(patch, project.store_folder, int(size * share) + 200)  # 200: the lock's name
        said = failed_up(project)
    assert "No space left on device" in said
    assert "make room there" in said
    made = len(project.cloud.objects())
    assert share < 0.5 or made

    assert project.stack().up().summary.result == "succeeded"

    assert names(project.cloud) == NAMES
    assert project.stack().up().summary.resource_changes == {"same": 5}
    assert not list(project.store_folder.glob(".*.tmp"))


def test_after_a_line_that_was_torn_no_other_is_written_even_when_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would stand behind half a line, and the journal would be damaged in its middle."""
    store = StackStore(tmp_path, "shop", "dev", Secrets("", lambda: ["passphrase"]))
    store.create()
    states = [ResourceState(f"urn:pulumi:dev::shop::test:index:Thing::{name}", "test:index:Thing", True) for name in "abc"]
    with monkeypatch.context() as patch:
        disk = Disk(patch, store.folder, 10_000)
        with store.journal() as journal:
            journal.record(states[0])
            disk.room = 20
            with pytest.raises(NotWritten, match="No space left on device"):
                journal.record(states[1])
            disk.room = 10_000
            with pytest.raises(NotWritten, match="No space left on device"):
                journal.record(states[2])

    assert [state.name for state in store.load().resources] == ["a"]


def test_a_disk_that_is_full_before_an_update_is_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path)
    project.program(BODY)
    project.stack()
    with monkeypatch.context() as patch:
        Disk(patch, project.store_folder, 0)
        said = failed_up(project)
    assert "No space left on device" in said
    assert project.cloud.objects() == {}
    assert project.stack().up().summary.result == "succeeded"


def test_a_disk_that_is_full_at_a_refresh_keeps_the_state_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path)
    project.program(BODY)
    project.stack().up()
    project.cloud.write({})
    with monkeypatch.context() as patch:
        Disk(patch, project.store_folder, 400)
        said = failed_up_of_refresh(project)
    assert "No space left on device" in said
    assert project.stack().up(refresh=True).summary.result == "succeeded"
    assert names(project.cloud) == NAMES


def failed_up_of_refresh(project: Project) -> str:
    from pulumi.automation.errors import CommandError

    with pytest.raises(CommandError) as caught:
        project.stack().up(refresh=True)
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("be root, and be let mount a tmpfs")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_real_full_filesystem_loses_nothing_and_makes_nothing_twice(small_disk: Path, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.home = small_disk
    project.program(BODY)
    project.stack()
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file:
        free = os.statvfs(small_disk)
        file.write(b"x" * (free.f_bavail * free.f_frsize - 2 * free.f_frsize))  # two pages: the lock's name and the journal's

    said = failed_up(project)

    assert "No space left on device" in said
    ballast.unlink()
    assert project.stack().up().summary.result == "succeeded"
    assert names(project.cloud) == NAMES
    assert project.stack().up().summary.resource_changes == {"same": 5}
