"""What the parts of one update share: state, providers, journal, events."""

import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Event, RLock
from typing import Any
from uuid import uuid4

from turnout.engine.events import Events
from turnout.engine.journal import Journal
from turnout.engine.plan import PROVIDER_PREFIX, Step
from turnout.engine.provider import ProviderConfig, ResourceType
from turnout.engine.redact import without_secrets
from turnout.engine.state import ResourceState, Snapshot, provider_urn
from turnout.engine.wire import plain

StandIn = Callable[[ResourceState], tuple[str, dict[str, Any]]]
"""Gives a resource that a preview would create an id, and outputs beside its inputs."""


class StepFailed(Exception):
    """A step failed and was reported; the update ends without the resources that depend on it."""


@dataclass
class Run:
    """One preview, update, refresh or destroy. `journal` is None in a preview: nothing is written."""

    snapshot: Snapshot
    providers: Mapping[str, ResourceType]
    events: Events
    journal: Journal | None = None
    stand_in: StandIn | None = None
    """Of a preview whose resources are to look as if they had been made."""
    lock: RLock = field(default_factory=RLock)
    stopping: Event = field(default_factory=Event)
    errors: list[str] = field(default_factory=list)
    _idle: Condition = field(default_factory=Condition)
    _busy: int = 0
    _on_stop: list[Callable[[], None]] = field(default_factory=list)

    def stop(self) -> None:
        """Begins no further step, and ends the program."""
        self.stopping.set()
        for act in self._on_stop:
            act()

    def when_stopped(self, act: Callable[[], None]) -> None:
        """`act` ends the program; at once when the run was stopped already."""
        self._on_stop.append(act)
        if self.stopping.is_set():
            act()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around every registration, so that `wait_until_idle` knows when the journal may be closed."""
        with self._idle:
            self._busy += 1
        try:
            yield
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def wait_until_idle(self) -> None:
        """Returns when no step is under way: what was begun is finished even when the program has ended."""
        with self._idle:
            self._idle.wait_for(lambda: self._busy == 0)

    @property
    def preview(self) -> bool:
        return self.journal is None

    def type_of(self, token: str) -> ResourceType:
        """The provider's resource type.

        Raises `LookupError` that names a type which the local engine lacks."""
        if token not in self.providers:
            raise LookupError(f"resource type {token} is not supported by the local engine")
        return self.providers[token]

    def config_of(self, reference: str) -> ProviderConfig:
        """The inputs of the explicit provider that a resource names (`<urn>::<id>`).

        Raises `LookupError` for a default provider: the kit gives every resource an explicit one."""
        urn = provider_urn(reference)
        with self.lock:
            state = self.snapshot.get(urn)
        if state is None or not state.type.startswith(PROVIDER_PREFIX):
            raise LookupError("no explicit provider: give the resource (or its parent component) a provider option")
        return ProviderConfig({name: _decoded(value) for name, value in plain(state.inputs).items()})

    def begin(self, operation: str, state: ResourceState) -> str:
        """Journals an intent; returns its token."""
        token = uuid4().hex
        assert self.journal is not None
        self.journal.begin(operation, state.urn, token, state)
        return token

    def fail(self, message: str, step: Step, state: ResourceState, old: ResourceState | None = None) -> StepFailed:
        """Reports a failed step; the caller raises what this returns."""
        message = without_secrets(message, state.inputs, state.outputs, old.inputs if old else None)
        with self.lock:
            self.errors.append(message)
        self.events.say("error", message, state.urn)
        self.events.failed(step, state, old)
        return StepFailed(message)


@contextmanager
def interruptible(run: Run) -> Iterator[None]:
    """The first Ctrl-C stops the run in order; a second one has its usual effect. An exception would not do: one that
    Python raises inside a destructor or callback is lost."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, usual)
        threading.Thread(target=run.stop, daemon=True).start()

    usual = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _decoded(value: Any) -> Any:
    """Provider inputs that are not strings arrive as JSON text."""
    if not isinstance(value, str) or not (value.startswith(("{", "[")) or value in ("true", "false")):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
