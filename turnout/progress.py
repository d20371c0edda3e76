"""What a deployment tells while it runs: an engine's events as steps and messages for people, and what its outcome needs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from turnout.engine.display import DRIFTED, GONE, differences
from turnout.preview.findings import Finding, Level, findings

_MARKUP = re.compile(r"<\{%.*?%\}>")


class StepState(StrEnum):
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Step:
    """One resource's operation (`create`, `update`, `delete`, …) at one moment."""

    state: StepState
    operation: str
    type: str
    name: str


class Progress(Protocol):
    """Hears what a deployment does; called from one thread at a time, not always the caller's."""

    def header(self, operation: str, stack: str, engine: str) -> None: ...

    def step(self, step: Step) -> None: ...

    def message(self, severity: str, text: str) -> None: ...


class Listener:
    """Turns the engine's events into steps and messages, and keeps what the outcome needs; with `keep` the steps' data too."""

    def __init__(self, progress: Progress, keep: bool) -> None:
        self._progress = progress
        self._keep = keep
        self.steps: list[Mapping[str, Any]] = []
        self._policies: list[Mapping[str, Any]] = []
        self._errors: list[str] = []
        self._program_errors: list[str] = []
        self._begun: dict[str, str] = {}
        self.drift: dict[str, tuple[str, ...]] = {}
        """What a refresh found changed, by URN: a line for each property, none where the resource is gone."""
        self.changes: dict[str, int] = {}

    @property
    def errors(self) -> tuple[str, ...]:
        """What the program wrote to stderr, where a refused config is told, what mandatory policies found, and what the engine
        called an error; not that these failed it, which says nothing more."""
        refusals = [each.refusal for each in self.findings if each.level is Level.MANDATORY]
        others = [text for text in self._errors if not (refusals and text.startswith(("preview failed", "update failed")))]
        return tuple(dict.fromkeys(self._program_errors + refusals + others))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What policies found."""
        return findings(self._policies)

    def hear(self, event: Any) -> None:
        if event.resource_pre_event:
            self._begun[event.resource_pre_event.metadata.urn] = _plain(event.resource_pre_event.metadata.op)
            self._step(StepState.STARTED, event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._ended(event.res_outputs_event.metadata)
        elif event.res_op_failed_event:
            self._step(StepState.FAILED, event.res_op_failed_event.metadata)
        elif event.policy_event:
            self._police(event.policy_event)
        elif event.diagnostic_event:
            self._diagnose(event.diagnostic_event)
        elif event.summary_event:
            self.changes = {_plain(op): count for op, count in event.summary_event.resource_changes.items()}

    def _ended(self, metadata: Any) -> None:
        begun, operation = self._begun.get(metadata.urn), _plain(metadata.op)
        if self._keep:
            refreshed = begun == "refresh" or (begun is None and operation == "delete")
            self.steps.append({**_told(metadata), **({"op": "refresh"} if refreshed else {})})
        if self._is_drift(metadata):
            self._drifted(metadata)
        else:
            self._step(StepState.DONE, metadata)

    def _is_drift(self, metadata: Any) -> bool:
        """Pulumi tells what a refresh found as an update or delete that was begun as a refresh, the local engine as a refresh
        or as a delete that nobody began."""
        operation = _plain(metadata.op)
        read_only = self._begun.get(metadata.urn, "refresh") == "refresh"
        return (operation == "refresh" and bool(metadata.diffs)) or (operation in ("update", "delete") and read_only)

    def _drifted(self, metadata: Any) -> None:
        old, new = (_properties(state) for state in (metadata.old, metadata.new))
        gone = _plain(metadata.op) == "delete"
        lines = (
            ()
            if gone
            else tuple(line for name in metadata.diffs or () for line in differences(name, old.get(name), new.get(name)))
        )
        self.drift[metadata.urn] = lines
        text = f"{metadata.type} {metadata.urn.rpartition('::')[2]} {GONE if gone else DRIFTED}"
        if not self._keep:
            self._progress.message("warning", "\n".join([text, *(f"    {line}" for line in lines)]))

    def _step(self, state: StepState, metadata: Any) -> None:
        operation = _plain(metadata.op)
        if operation not in ("same", "read", "refresh"):
            self._progress.step(Step(state, operation, metadata.type, metadata.urn.rpartition("::")[2]))

    def _police(self, event: Any) -> None:
        told = {
            "resourceUrn": event.resource_urn,
            "message": _MARKUP.sub("", event.message),
            "policyName": event.policy_name,
            "policyPackName": event.policy_pack_name,
            "enforcementLevel": event.enforcement_level,
        }
        self._policies.append(told)
        found = findings([told])[0]
        if not self._keep and found.level is Level.ADVISORY:
            self._progress.message("warning", f"policy {found.policy} advises: {found.said}")

    def _diagnose(self, event: Any) -> None:
        text = _MARKUP.sub("", event.message).strip()
        if not text:
            return
        if event.severity == "error":
            self._errors.append(text)
        elif event.severity == "info#err":
            self._program_errors.append(text.removeprefix("error: "))
        else:
            self._progress.message(event.severity, text)


def _properties(state: Any) -> dict[str, Any]:
    return {**(state.outputs or {}), **(state.inputs or {})} if state is not None else {}


def _told(metadata: Any) -> dict[str, Any]:
    """A step as its JSON has it."""
    detailed = metadata.detailed_diff or {}
    return {
        "op": _plain(metadata.op),
        "urn": metadata.urn,
        "type": metadata.type,
        "old": None if metadata.old is None else vars(metadata.old),
        "new": None if metadata.new is None else vars(metadata.new),
        "keys": metadata.keys,
        "diffs": metadata.diffs,
        "detailedDiff": {path: {"diffKind": _plain(one.diff_kind)} for path, one in detailed.items()},
    }


def _plain(operation: Any) -> str:
    return str(getattr(operation, "value", operation))
