"""Events as lines that an operator reads: one a resource, its changed properties below, and a summary. Pure text."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

HEADER = "local engine (not Pulumi)"
_SIGNS = {"create": "+", "update": "~", "replace": "+-", "delete": "-", "read": ">", "refresh": "~"}
_DOING = {
    "create": "creating",
    "update": "updating",
    "replace": "replacing",
    "delete": "deleting",
    "read": "reading",
    "refresh": "refreshing",
}
_DONE = {
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "delete": "deleted",
    "read": "read",
    "refresh": "refreshed",
}
DRIFTED = "drifted (in the state => in the cloud)"
GONE = "is gone, not by this engine: it leaves the state"
_LONGEST = 120
"""Characters of a property's value."""


def header(operation: str, stack: str) -> str:
    """The first line."""
    doing = {
        "preview": "Previewing update",
        "up": "Updating",
        "preview-refresh": "Previewing refresh",
        "refresh": "Refreshing",
        "destroy": "Destroying",
    }[operation]
    return f"{doing} ({stack}) with the {HEADER}"


class Display:
    """Turns one event after the other into lines."""

    def __init__(self, operation: str, *, preview: bool | None = None) -> None:
        self._refresh = operation == "refresh"
        self._preview = operation == "preview" if preview is None else preview
        self._to_delete: set[str] = set()

    def lines(self, event: Mapping[str, Any]) -> Iterator[str]:
        """The lines of an event, none for most."""
        if found := event.get("resourcePreEvent"):
            yield from self._before(found["metadata"])
        elif found := event.get("resOutputsEvent"):
            yield from self._after(found["metadata"])
        elif found := event.get("resOpFailedEvent"):
            yield _line(found["metadata"], "failed")
        elif found := event.get("policyEvent"):
            yield from _violation(found)
        elif found := event.get("diagnosticEvent"):
            yield from _diagnostic(found)
        elif found := event.get("summaryEvent"):
            yield from self._summary(found)

    def _before(self, step: Mapping[str, Any]) -> Iterator[str]:
        if step["op"] in ("same", "read", "refresh"):
            return
        if step["op"] == "delete":
            self._to_delete.add(step["urn"])
        if self._preview:
            yield _line(step, "would be " + _DONE.get(step["op"], step["op"]))
            yield from _differences(step)
        else:
            yield _line(step, _DOING.get(step["op"], step["op"]))

    def _after(self, step: Mapping[str, Any]) -> Iterator[str]:
        if step["op"] in ("same", "read") or (step["op"] == "refresh" and not step.get("diffs")):
            return
        if step["op"] == "refresh":
            yield _line(step, DRIFTED)
        elif step["op"] == "delete" and step["urn"] not in self._to_delete:
            yield _line(step, GONE)
        elif self._preview:
            return
        else:
            yield _line(step, _DONE.get(step["op"], step["op"]))
        yield from _differences(step)

    def _summary(self, summary: Mapping[str, Any]) -> Iterator[str]:
        changes = {op: count for op, count in summary["resourceChanges"].items() if op not in ("read", "refresh")}
        if self._refresh:
            yield f"Drift: {summary['resourceChanges'].get('refresh', 0)} changed, {changes.get('delete', 0)} gone"
            yield f"Duration: {summary['durationSeconds']}s"
            return
        unchanged = changes.pop("same", 0)
        words = {"create": "to create", "update": "to update", "replace": "to replace", "delete": "to delete"}
        yield "Resources:"
        for op, count in changes.items():
            yield f"    {_SIGNS.get(op, ' ')} {count} {words.get(op, op) if self._preview else _DONE.get(op, op)}"
        yield f"    {unchanged} unchanged"
        yield f"Duration: {summary['durationSeconds']}s"


def outputs(values: Mapping[str, Any]) -> Iterator[str]:
    """The stack's outputs; `values` are masked already."""
    if values:
        yield "Outputs:"
    for name, value in sorted(values.items()):
        yield f"    {name}: {_short(value)}"


def _line(step: Mapping[str, Any], what: str) -> str:
    name = step["urn"].rsplit("::", 1)[-1]
    return f" {_SIGNS.get(step['op'], ' '):>2} {step['type']} {name} {what}"


def _differences(step: Mapping[str, Any]) -> Iterator[str]:
    if step["op"] not in ("update", "replace", "refresh"):
        return
    old, new = (step.get("old") or {}).get("inputs") or {}, (step.get("new") or {}).get("inputs") or {}
    forcing = set(step.get("keys") or ())
    for name in step.get("diffs") or ():
        note = " (forces replacement)" if name in forcing else ""
        for line in differences(name, old.get(name), new.get(name)):
            yield f"        {line}{note}"


def differences(name: str, old: Any, new: Any) -> Iterator[str]:
    """What changed in a property, a line for each leaf: `tags.team: "a" => "b"`."""
    for path, before, after in _changed(name, old, new):
        yield f"{path}: {_short(before)} => {_short(after)}"


def _changed(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """The leaves that differ, named by their path. Equal masks hide different secrets: the whole is shown then."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                yield from _changed(f"{path}.{key}", old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and old != new:
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            if before != after:
                yield from _changed(f"{path}[{index}]", before, after)
    else:
        yield path, old, new


def _diagnostic(event: Mapping[str, Any]) -> Iterator[str]:
    if event.get("ephemeral"):
        return
    severity = event["severity"]
    prefix = f"{severity}: " if severity in ("error", "warning") else ""
    where = event.get("urn", "").rsplit("::", 1)[-1]
    for number, line in enumerate(event["message"].rstrip("\n").split("\n")):
        place = f"{where}: " if where and number == 0 else ""
        yield f"    {prefix if number == 0 else ''}{place}{line}"


def _violation(event: Mapping[str, Any]) -> Iterator[str]:
    """As Pulumi lists them: level, policy, resource; the message below."""
    where = event["resourceUrn"].rsplit("::", 1)[-1]
    yield f"    [{event['enforcementLevel']}] {event['policyName']} ({where}), {event['policyPackName']}"
    for line in event["message"].rstrip("\n").split("\n"):
        yield f"        {line}"


def _short(value: Any) -> str:
    if value is None:
        return "(none)"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
