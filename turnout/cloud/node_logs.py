"""CloudWatch Logs' part: what model servers say of mirrored requests goes to their node's log group, a stream an instance.

A node's container writes all of its output there (docker's awslogs driver, which makes streams and no groups: "Use the awslogs
log driver", Amazon ECS Developer Guide). Here only those lines go, as nothing else of the output is asked for.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto.logs.models import logs_backends

from turnout.cloud.moto_state import ACCOUNT, api_lock

logger = logging.getLogger(__name__)

_MARK = b'"turnout": "mirrored"'


@dataclass(frozen=True)
class Source:
    """An instance's output, and the log group that it goes to."""

    region: str
    group: str
    path: Path


class NodeLogs:
    """How far each instance's output was read."""

    def __init__(self) -> None:
        self._read: dict[str, int] = {}

    def ship(self, sources: Mapping[str, Source]) -> None:
        """Puts what is new into the log groups; where there is no group it stays for later."""
        self._read = {name: place for name, place in self._read.items() if name in sources}
        for name, source in sources.items():
            content, place = _new(source.path, self._read.get(name, 0))
            events = [event for line in content.splitlines() if _MARK in line and (event := _event(line)) is not None]
            if not events or _put(name, source, events):
                self._read[name] = place


def _new(path: Path, place: int) -> tuple[bytes, int]:
    """The whole lines after `place`, and where they end."""
    try:
        if path.stat().st_size <= place:
            return b"", place
        with path.open("rb") as output:
            output.seek(place)
            content = output.read()
    except OSError:
        return b"", place
    whole = content[: content.rfind(b"\n") + 1]
    return whole, place + len(whole)


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        return {"message": line.decode(), "timestamp": round(float(json.loads(line)["at"]) * 1000)}
    except (ValueError, KeyError, TypeError):
        return None


def _put(name: str, source: Source, events: list[dict[str, Any]]) -> bool:
    with api_lock:
        backend = logs_backends[ACCOUNT][source.region]
        if source.group not in backend.groups:
            return False
        if name not in backend.groups[source.group].streams:
            backend.create_log_stream(source.group, name)
        backend.put_log_events(source.group, name, sorted(events, key=lambda event: float(event["timestamp"])))
    return True
