"""Where a stack lives on this machine: its checkpoint, journal, lock and history.

```
<home>/stacks/<project>/<stack>/   checkpoint.json  checkpoint.json.bak  journal.jsonl  history/000001.json
                                   lock  lock.holder  (while an update runs)
```
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from turnout.engine import checkpoint, journal, lock
from turnout.engine.checkpoint import CheckpointError
from turnout.engine.crypto import Secrets
from turnout.engine.journal import Journal
from turnout.engine.state import Snapshot


class StackStore:
    """One stack's files. Whoever changes them holds `lock()`."""

    def __init__(
        self,
        home: Path,
        project: str,
        stack: str,
        secrets: Secrets,
        *,
        secrets_for: Callable[[str], Secrets] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`secrets` encrypts what is written; `secrets_for(salt)` decrypts a checkpoint that names another salt."""
        self.project = project
        self.stack = stack
        self.folder = home / "stacks" / project / stack
        self.secrets = secrets
        self._secrets_for = secrets_for
        self._now = now

    @property
    def checkpoint_path(self) -> Path:
        return self.folder / "checkpoint.json"

    @property
    def journal_path(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def _lock_path(self) -> Path:
        return self.folder / "lock"

    @property
    def _backup_path(self) -> Path:
        return self.folder / "checkpoint.json.bak"

    def exists(self) -> bool:
        return self.checkpoint_path.exists() or self.journal_path.exists()

    def create(self) -> None:
        """Makes an empty stack."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.save(Snapshot())

    def remove(self) -> None:
        """Deletes the stack's files."""
        shutil.rmtree(self.folder)

    def load(self) -> Snapshot:
        """The state as it is: the checkpoint, and what the journal adds to it. A damaged file raises `CheckpointError`
        and stays as it is."""
        snapshot, digest = self._load_checkpoint()
        if not self.journal_path.exists():
            return snapshot
        if self._journal_is_merged(digest):
            return snapshot
        if journal.base_of(self.journal_path) in (None, digest):
            return journal.recover(self.journal_path, snapshot, self.secrets)
        raise CheckpointError(
            f"{self.journal_path} continues another checkpoint than {self.checkpoint_path}: put the checkpoint back "
            "that it belongs to (.bak), or move the journal away if it is not wanted; both were left as they are"
        )

    def save(self, snapshot: Snapshot) -> None:
        """Writes the checkpoint and ends the journal that it contains."""
        data = checkpoint.encode(snapshot, self.secrets, self._now())
        if self.journal_path.exists() and self._journal_is_merged(_digest(_bytes(self.checkpoint_path))):
            self.journal_path.unlink()  # before the backup, which tells that it is merged, is replaced
        checkpoint.write(self.checkpoint_path, data)
        self.journal_path.unlink(missing_ok=True)
        checkpoint.sync_folder(self.folder)

    def journal(self) -> Journal:
        """Opens a journal of the checkpoint as it stands; one that an interrupted update left is merged first."""
        if self.journal_path.exists():
            self.save(self.load())
        return Journal(self.journal_path, _digest(_bytes(self.checkpoint_path)), self.secrets)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the stack; raises `StackLocked` while somebody else does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock.held(self._lock_path, self._now()):
            yield

    def holder(self) -> dict[str, Any] | None:
        """Who holds the stack now: user, host, pid, since."""
        return lock.holder(self._lock_path)

    def take_lock_away(self) -> None:
        """Frees a stack that a dead process of another host holds."""
        lock.take_away(self._lock_path)

    def add_history(self, entry: dict[str, Any]) -> int:
        """Keeps an update's summary (secrets in it encrypted already); returns its version, from 1."""
        folder = self.folder / "history"
        folder.mkdir(exist_ok=True)
        number = max((int(path.stem) for path in folder.glob("[0-9]*.json")), default=0) + 1
        raw = json.dumps({**entry, "version": number}, indent=2).encode()
        checkpoint.replace_file(folder / f"{number:06}.json", raw)
        return number

    def history(self) -> Iterator[dict[str, Any]]:
        """Summaries of updates, the newest first."""
        for path in sorted((self.folder / "history").glob("[0-9]*.json"), reverse=True):
            yield checkpoint.read(path)[0]

    def _load_checkpoint(self) -> tuple[Snapshot, str]:
        if not self.checkpoint_path.exists():
            if self._backup_path.exists():
                raise CheckpointError(f"{self.checkpoint_path} is gone and its backup is there: rename the backup (.bak) to it")
            return Snapshot(), _digest(b"")
        data, raw = checkpoint.read(self.checkpoint_path)
        return checkpoint.decode(data, self._manager, str(self.checkpoint_path)), _digest(raw)

    def _journal_is_merged(self, digest: str) -> bool:
        """A save was cut off after it wrote the checkpoint that contains this journal."""
        base = journal.base_of(self.journal_path)
        return base not in (None, digest) and base == _digest(_bytes(self._backup_path))

    def _manager(self, salt: str) -> Secrets:
        if not salt or salt == self.secrets.salt or self._secrets_for is None:
            return self.secrets
        return self._secrets_for(salt)


def stacks(home: Path, project: str) -> list[str]:
    """Names of the stacks of a project on this machine."""
    return sorted(path.parent.name for path in (home / "stacks" / project).glob("*/checkpoint.json"))


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
