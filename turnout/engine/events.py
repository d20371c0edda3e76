"""Engine events in the JSON that the Automation API reads (`pulumi.automation.events`); secrets are masked here."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from threading import Lock
from types import MappingProxyType
from typing import Any

from turnout.engine.analyzer import Violation
from turnout.engine.plan import Kind, Step
from turnout.engine.state import ResourceState
from turnout.engine.values import Secret, Unknown

Sink = Callable[[dict[str, Any]], None]


class Events:
    """Numbers events, hands them to the sink one at a time, and counts steps for the summary."""

    def __init__(self, sink: Sink, clock: Callable[[], float] = time.time) -> None:
        self._sink = sink
        self._clock = clock
        self._lock = Lock()
        self._sequence = 0
        self._began = clock()
        self.changes: Counter[str] = Counter()

    def prelude(self, config: Mapping[str, str]) -> None:
        self._emit({"preludeEvent": {"config": dict(config)}})

    def begins(self, step: Step, state: ResourceState, old: ResourceState | None, planning: bool) -> None:
        """A step is about to be taken."""
        self._emit({"resourcePreEvent": {"metadata": metadata(step, state, old), "planning": planning}})

    def ended(self, step: Step, state: ResourceState, old: ResourceState | None, planning: bool) -> None:
        """A step was taken, or in a preview: would be."""
        with self._lock:
            self.changes[step.kind.value] += 1
        self._emit({"resOutputsEvent": {"metadata": metadata(step, state, old), "planning": planning}})

    def stack_outputs(self, stack: ResourceState) -> None:
        """What a preview knows of the stack's outputs: a second event of the stack, as of Pulumi's `OnResourceOutputs`."""
        self._emit({"resOutputsEvent": {"metadata": metadata(Step(Kind.SAME), stack, None), "planning": True}})

    def failed(self, step: Step, state: ResourceState, old: ResourceState | None) -> None:
        self._emit({"resOpFailedEvent": {"metadata": metadata(step, state, old), "status": 1, "steps": 0}})

    def say(self, severity: str, message: str, urn: str = "", ephemeral: bool = False) -> None:
        """A diagnostic; `severity` is info, info#err, warning or error."""
        event = {"urn": urn, "message": f"{message}\n", "color": "never", "severity": severity, "ephemeral": ephemeral}
        self._emit({"diagnosticEvent": event})

    def violated(self, found: Violation) -> None:
        """What a policy found, as `PolicyEvent`; `severity` is ours, Pulumi's events have none."""
        event = {
            "resourceUrn": found.urn,
            "message": f"{found.message}\n",
            "color": "never",
            "policyName": found.policy,
            "policyPackName": found.pack,
            "policyPackVersion": found.version,
            "policyPackVersionTag": found.version,
            "enforcementLevel": found.level,
            "severity": found.severity,
        }
        self._emit({"policyEvent": event})

    def summary(self, maybe_corrupt: bool = False, packs: Mapping[str, str] = MappingProxyType({})) -> None:
        """`packs`: version by policy pack."""
        seconds = max(1, round(self._clock() - self._began))
        changes = dict(self.changes)
        body = {"maybeCorrupt": maybe_corrupt, "durationSeconds": seconds, "resourceChanges": changes}
        self._emit({"summaryEvent": {**body, "PolicyPacks": dict(packs)}})

    def cancelled(self) -> None:
        self._emit({"cancelEvent": {}})

    def _emit(self, event: dict[str, Any]) -> None:
        with self._lock:
            self._sequence += 1
            self._sink({"sequence": self._sequence, "timestamp": int(self._clock()), **event})


def metadata(step: Step, state: ResourceState, old: ResourceState | None) -> dict[str, Any]:
    """A step as `StepEventMetadata`."""
    new = None if step.kind is Kind.DELETE else _state(state)
    before = state if step.kind is Kind.DELETE else old
    return {
        "op": step.kind.value,
        "urn": state.urn,
        "type": state.type,
        "old": _state(before) if before else None,
        "new": new,
        "keys": list(step.replacing) or None,
        "diffs": list(step.changed) or None,
        "detailedDiff": {name: _difference(name, step, state, old) for name in step.changed} if old else None,
        "logical": True,
        "provider": state.provider,
    }


def masked(value: Any) -> Any:
    """`value` for human eyes and logs."""
    if isinstance(value, Secret):
        return "[secret]"
    if isinstance(value, Unknown):
        return "[unknown]"
    if isinstance(value, Mapping):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    return value


def _state(state: ResourceState) -> dict[str, Any]:
    return {
        "type": state.type,
        "urn": state.urn,
        "custom": state.custom,
        "delete": state.delete,
        "id": state.id,
        "parent": state.parent,
        "protect": state.protect,
        "inputs": masked(state.inputs),
        "outputs": masked(state.outputs),
        "provider": state.provider,
    }


def _difference(name: str, step: Step, state: ResourceState, old: ResourceState | None) -> dict[str, Any]:
    before = old is not None and old.inputs.get(name) is not None
    after = state.inputs.get(name) is not None
    kind = "update" if before and after else "delete" if before else "add"
    return {"diffKind": f"{kind}-replace" if name in step.replacing else kind, "inputDiff": True}
