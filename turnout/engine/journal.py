"""What an update did since the checkpoint was written, line by line, so that a killed engine loses nothing.

The intent to change something is on disk before the call to the cloud is made, its result as soon as it is known. The
first line names the checkpoint that the others continue, by its sha256.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any, Self

from turnout.engine.checkpoint import CheckpointError, decode_resource, encode_resource, not_written, sync_folder
from turnout.engine.crypto import Secrets
from turnout.engine.state import PendingOperation, ResourceState, Snapshot

FORMAT = 1


class Journal:
    """Appends; every line is on disk when its call returns. Safe to use from several threads: lines that are given while others
    are being synced go to the disk together. After a write that failed nothing more is written."""

    def __init__(self, path: Path, base: str, secrets: Secrets) -> None:
        self._secrets = secrets
        self._given = Lock()
        self._lines: list[bytes] = []
        self._count = 0
        self._turn = Lock()
        self._synced = 0
        self._failure: CheckpointError | None = None
        self._path = path
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._file = os.fdopen(handle, "ab", buffering=0)
        self._write({"journal": FORMAT, "base": base})
        sync_folder(path.parent)

    def begin(self, operation: str, urn: str, token: str, state: ResourceState) -> None:
        """The intent, before the call: `operation` is Pulumi's name of the step, `state` what is wanted (for a delete:
        what is deleted), `token` unique, and what the provider is given to find the object again."""
        self._write({"begin": operation, "urn": urn, "token": token, "state": self._encoded(state)})

    def done(self, urn: str, token: str, state: ResourceState | None) -> None:
        """The result of what was begun with `token`; None: it is gone."""
        self._write({"done": token, "urn": urn, "state": self._encoded(state)})

    def failed(self, urn: str, token: str) -> None:
        """What was begun with `token` certainly did not happen. Unknown whether it did? Then do not say so."""
        self._write({"failed": token, "urn": urn})

    def record(self, state: ResourceState) -> None:
        """A state that no call to the cloud made: a component, a read, a provider, other dependencies."""
        self._write({"record": state.urn, "state": self._encoded(state)})

    def forget(self, state: ResourceState) -> None:
        """A resource leaves the state without a call: gone in the cloud, retained, a component."""
        self._write({"forget": state.urn, "id": state.id, "delete": state.delete})

    def rename(self, old_urn: str, new_urn: str) -> None:
        """An alias: the resource and every reference to it take the new URN."""
        self._write({"rename": old_urn, "to": new_urn})

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _encoded(self, state: ResourceState | None) -> dict[str, Any] | None:
        return None if state is None else encode_resource(state, self._secrets)

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with self._given:
            self._lines.append(line)
            self._count += 1
            number = self._count
        with self._turn:
            if self._synced < number:
                self._sync()

    def _sync(self) -> None:
        """Writes what was given until now."""
        if self._failure is not None:
            raise self._failure
        with self._given:
            lines, self._lines, count = b"".join(self._lines), [], self._count
        try:
            while lines:
                lines = lines[self._file.write(lines) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._failure = not_written(self._path, error)
            raise self._failure from None
        self._synced = count


def base_of(path: Path) -> str | None:
    """The sha256 of the checkpoint that this journal continues; None: nothing was written after its creation."""
    for entry in _entries(path):
        return str(entry["base"])
    return None


def recover(path: Path, snapshot: Snapshot, secrets: Secrets) -> Snapshot:
    """The snapshot with everything that the journal reports finished, and with what is pending."""
    merged = Snapshot([replace(state) for state in snapshot.resources], list(snapshot.pending))
    open_operations = {operation.token: operation for operation in merged.pending}
    for number, entry in enumerate(_entries(path), 1):
        try:
            _apply(entry, merged, open_operations, secrets)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(path, number, f"{type(error).__name__}: {error}") from None
    merged.pending = list(open_operations.values())
    return merged


def _apply(entry: dict[str, Any], snapshot: Snapshot, open_operations: dict[str, PendingOperation], secrets: Secrets) -> None:
    if "begin" in entry:
        state = decode_resource(entry["state"], secrets)
        open_operations[entry["token"]] = PendingOperation(entry["begin"], entry["token"], state)
    elif "done" in entry:
        operation = open_operations.pop(entry["done"])
        result = decode_resource(entry["state"], secrets) if entry["state"] is not None else None
        _finish(operation, result, snapshot)
    elif "failed" in entry:
        open_operations.pop(entry["failed"])
    elif "record" in entry:
        snapshot.put(decode_resource(entry["state"], secrets))
    elif "forget" in entry:
        snapshot.remove(ResourceState(entry["forget"], "", False, id=entry["id"], delete=entry["delete"]))
    elif "rename" in entry:
        snapshot.rename(entry["rename"], entry["to"])
    elif entry.get("journal") != FORMAT:
        raise ValueError("unknown entry")


def _finish(operation: PendingOperation, result: ResourceState | None, snapshot: Snapshot) -> None:
    if result is None:
        snapshot.remove(operation.state)
        return
    old = snapshot.get(result.urn)
    if operation.operation == "create-replacement" and old is not None and old.id != result.id:
        old.delete = True
        snapshot.append(result)
    else:
        snapshot.put(result)


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """Every whole line. The last one may be cut off by a crash: what it would have said was not acted upon."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                entry = json.loads(line)
            except ValueError:
                raise _damaged(path, number, "no JSON") from None
            if not isinstance(entry, dict):
                raise _damaged(path, number, "no object")
            if number == 1 and (entry.get("journal") != FORMAT or "base" not in entry):
                raise _damaged(path, number, "no header of a journal this engine knows")
            yield entry


def _damaged(path: Path, number: int, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path} line {number} is damaged ({reason}); the lines before it are good: restore the file from a backup, or "
        f"remove the lines from {number} on and run `turnout up` (it refreshes the state first); it was left as it is"
    )
