"""`--event-log`: engine events as JSON, to a file (a line each) or to the Automation API's gRPC service (tcp://…)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
from pulumi.runtime.proto import events_pb2, events_pb2_grpc

from turnout.engine.events import Sink

_PATIENCE = 10.0
"""Seconds that the reader of a stream may take to answer after the last event."""


@contextmanager
def event_log(target: str) -> Iterator[Sink]:
    """A sink for the target; "" is none."""
    if not target:
        yield lambda event: None
    elif target.startswith("tcp://"):
        with _stream(target.removeprefix("tcp://")) as sink:
            yield sink
    else:
        with Path(target).open("a", encoding="utf-8") as file:

            def write(event: dict[str, Any]) -> None:
                file.write(json.dumps(event) + "\n")
                file.flush()

            yield write


@contextmanager
def _stream(address: str) -> Iterator[Sink]:
    queue: SimpleQueue[events_pb2.EventRequest | None] = SimpleQueue()
    with grpc.insecure_channel(address) as channel:
        answer = events_pb2_grpc.EventsStub(channel).StreamEvents.future(iter(queue.get, None))
        try:
            yield lambda event: queue.put(events_pb2.EventRequest(event=json.dumps(event)))
        finally:
            queue.put(None)
            answer.exception(timeout=_PATIENCE)
