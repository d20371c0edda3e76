"""Plans one revision's program against the state that another revision's would have produced. Needs no account and no cloud.

The first plan gives every resource stand-ins for what only a cloud knows; the second one is compared with that. No file of
the stack's state is read or written, no passphrase is needed: secret config values are compared as they are encrypted.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from turnout.engine.config_values import ConfigError
from turnout.engine.crypto import Secrets
from turnout.engine.deployment import Deployment
from turnout.engine.events import masked
from turnout.engine.plan import STACK_TYPE
from turnout.engine.program import LocalProgram
from turnout.engine.state import Snapshot
from turnout.engine.store import StackStore
from turnout.engine.update_commands import ENDPOINT_VARIABLE, OFFLINE_VARIABLE
from turnout.engine.workspace import Project, StackFile, Value, load_project
from turnout.preview.changes import changes, resources
from turnout.preview.plan import Plan, Stack
from turnout.preview.revisions import Revision
from turnout.preview.stand_ins import StandIns
from turnout.providers import registry

_NOWHERE = "http://127.0.0.1:9"
"""An endpoint for programs that must have one; a plan calls nothing."""


class PlanFailed(Exception):
    """A revision's program cannot be planned; the message says which and why."""


def rehearse(stack: str, base: Revision, head: Revision) -> Plan | None:
    """The plan; None where neither revision has the stack, or the head has it no more.

    Raises `PlanFailed`."""
    before, after = _file(base, stack), _file(head, stack)
    if after is None:
        return None
    state, stand_ins = Snapshot(), StandIns(str(_values(after).get("region", "us-east-1")))
    outputs: Mapping[str, Any] = {}
    if before is not None:
        _plan(stack, base, before, head.top, state, stand_ins)
        outputs = _outputs(state)
    steps = _plan(stack, head, after, head.top, state, None)
    olds, news = (resources(steps, side, stand_ins.named) for side in ("old", "new"))
    begun = None if before is None else Stack(_values(before), olds, outputs)
    unchanged = sum(step["op"] == "same" for step in steps)
    found = Stack(_values(after), news, _outputs(state))
    return Plan(stack, begun, found, changes(steps, stand_ins.named), unchanged, _other_secrets(before, after))


def _plan(
    stack: str, of: Revision, file: StackFile, repository: Path, state: Snapshot, stand_ins: StandIns | None
) -> list[Mapping[str, Any]]:
    """The steps' metadata; `state` is what the program wants afterwards."""
    project = load_project(of.root)
    events: list[dict[str, Any]] = []
    config = file.masked()
    faults = file.faults(stack)
    if faults:
        raise PlanFailed(f"{stack} of {of.name}: " + "\n".join(faults))
    result = _deployment(project, stack, config, events).plan(_program(project, of, repository), state, stand_ins)
    if result.exit_code:
        said = [e["diagnosticEvent"]["message"].strip() for e in events if _is_error(e)]
        raise PlanFailed(f"{stack} of {of.name} cannot be planned:\n" + "\n".join(dict.fromkeys(said or result.errors)))
    steps = [event["resOutputsEvent"]["metadata"] for event in events if "resOutputsEvent" in event]
    return [step for step in steps if step["type"] != STACK_TYPE]


def _deployment(project: Project, stack: str, config: Mapping[str, Value], events: list[dict[str, Any]]) -> Deployment:
    nothing = StackStore(Path(os.devnull), project.name, stack, Secrets("", lambda: [], lambda salt: None))
    secret = [key for key, value in config.items() if value.secret]
    texts = {key: value.text for key, value in config.items()}
    return Deployment(nothing, registry(), events.append, str(project.root), texts, secret, refresh_first=False)


def _program(project: Project, of: Revision, repository: Path) -> LocalProgram:
    path = os.pathsep.join(of.path_entries(repository))
    return LocalProgram(project.main, project.root, {OFFLINE_VARIABLE: "1", ENDPOINT_VARIABLE: _NOWHERE, "PYTHONPATH": path})


def _file(of: Revision, stack: str) -> StackFile | None:
    project = load_project(of.root)
    path = project.stack_file(stack)
    try:
        return StackFile(path, project) if path.exists() else None
    except ConfigError as error:
        raise PlanFailed(f"{stack} of {of.name}: {error}") from None


def _values(file: StackFile) -> dict[str, Any]:
    """The config by key without its namespace."""
    found = file.masked().items()
    return {key.rpartition(":")[2]: value.text if value.object is None else value.object for key, value in found}


def _other_secrets(before: StackFile | None, after: StackFile) -> tuple[str, ...]:
    """By what is encrypted: the same value that was encrypted anew counts too."""
    olds, news = (file.encrypted() if file is not None else {} for file in (before, after))
    return tuple(sorted(key for key in news if olds.get(key) != news[key])) if before is not None else ()


def _outputs(state: Snapshot) -> Mapping[str, Any]:
    root = next((each for each in state.resources if each.type == STACK_TYPE), None)
    shown: Mapping[str, Any] = masked(root.outputs) if root is not None else {}
    return shown


def _is_error(event: Mapping[str, Any]) -> bool:
    found = event.get("diagnosticEvent") or {}
    return found.get("severity") in ("error", "info#err") and bool(found.get("message", "").strip())
