"""What the parts of one update share: state, providers, journal, events."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Condition, Event, RLock, Semaphore
from typing import Any
from uuid import uuid4

from turnout.engine.analyzer import Analyzers, PackFailed, Violation
from turnout.engine.events import Events
from turnout.engine.journal import Journal
from turnout.engine.plan import PROVIDER_PREFIX, Goal, Step
from turnout.engine.provider import ProviderConfig, ResourceType
from turnout.engine.redact import without_secrets
from turnout.engine.state import ResourceState, Snapshot, provider_urn
from turnout.engine.wire import plain

DEFAULT_PARALLEL = 16
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
    steps: Semaphore = field(default_factory=lambda: Semaphore(DEFAULT_PARALLEL))
    """As many steps as may be under way at once (`--parallel`), hooks and waiting included."""
    stopping: Event = field(default_factory=Event)
    errors: list[str] = field(default_factory=list)
    analyzers: Analyzers | None = None
    violations: list[Violation] = field(default_factory=list)
    """What mandatory policies found."""
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

    def heed_policies(self, goal: Goal, written: Mapping[str, Any], step: Step, state: ResourceState) -> None:
        """Lets the policy packs look at a resource before its step.

        Raises `StepFailed` where one refuses it; in a preview a refusal is only told, so that all are."""
        if self.analyzers is None:
            return
        with self.lock:
            provider = self.snapshot.get(provider_urn(goal.provider))
        try:
            found = self.analyzers.analyze(goal, written, provider)
        except PackFailed as error:
            if self.stopping.is_set():  # an interruption has ended the pack
                raise StepFailed("interrupted") from None
            raise self.fail(str(error), step, state) from None
        refusals = self.tell(found)
        if refusals and not self.preview:
            raise StepFailed(refusals[0])

    def tell(self, found: Iterable[Violation]) -> list[str]:
        """Tells what policies found; returns the refusals, which fail an update at once."""
        refusals = []
        for each in found:
            self.events.violated(each)
            if each.is_mandatory:
                refusals.append(each.refusal)
                with self.lock:
                    self.violations.append(each)
        if not self.preview:
            with self.lock:
                self.errors += refusals
        return refusals

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


INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""A job that is cancelled is sent the second one; Pulumi takes both alike (pkg/backend, its cancellation scopes)."""
_SHOW_CURSOR = "\x1b[?25h"
"""What a progress display has hidden."""
_STOPPING = "interrupted: what is under way is finished, nothing more begins; Ctrl-C again ends at once"
_AT_ONCE = "interrupted again: ended at once; what was under way is journalled, and the next run looks for it"


def _leave() -> None:
    """Ends this process as a kill would, which every step is journalled for: nothing is waited for, not even threads. A program
    of its own ends with it."""
    with suppress(OSError):
        cursor = _SHOW_CURSOR if os.isatty(2) else ""
        os.write(2, f"{cursor}\n{_AT_ONCE}\n".encode())
    os._exit(INTERRUPTED)


@contextmanager
def interruptible(run: Run, leave: Callable[[], None] = _leave) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) stops the run in order; the second one leaves. An exception would not do: one that Python
    raises inside a destructor or callback is lost, and a step that hangs would still be waited for."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        for number in _SIGNALS:
            signal.signal(number, lambda *_: leave())
        threading.Thread(target=stop_in_order, daemon=True).start()

    def stop_in_order() -> None:
        run.events.say("warning", _STOPPING)
        run.stop()

    usual = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _decoded(value: Any) -> Any:
    """Provider inputs that are not strings arrive as JSON text."""
    if not isinstance(value, str) or not (value.startswith(("{", "[")) or value in ("true", "false")):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
