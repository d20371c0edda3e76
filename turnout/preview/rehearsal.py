"""Plans one revision's program against the state that another revision's would have produced. Needs no account and no cloud.

The first plan gives every resource stand-ins for what only a cloud knows; the second one is compared with that. No file of
the stack's state is read or written, no passphrase is needed: secret config values are compared as they are encrypted.
The head's policy pack looks at both, so that it is known which findings are new.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from turnout.engine.config_values import ConfigError
from turnout.engine.crypto import Secrets
from turnout.engine.plan import STACK_TYPE
from turnout.engine.policy_packs import PackError, PolicyPack, found_in
from turnout.engine.program import ENDPOINT_VARIABLE, KUBECONFIG_VARIABLE, OFFLINE_VARIABLE, BegunProgram, LocalProgram
from turnout.engine.state import Snapshot
from turnout.engine.store import StackStore
from turnout.engine.workspace import Project, StackFile, Value, load_project
from turnout.preview.findings import Finding, Level, findings, marked
from turnout.preview.later_types import LaterTypes
from turnout.preview.revisions import Revision
from turnout.preview.stand_ins import StandIns

if TYPE_CHECKING:
    from turnout.engine.deployment import Result
    from turnout.preview.plan import Plan

_NOWHERE = "http://127.0.0.1:9"
"""An endpoint for programs that must have one; a plan calls nothing."""


class PlanFailed(Exception):
    """A revision's program cannot be planned; the message says which and why."""


@dataclass(frozen=True)
class Side:
    """A stack as a revision has it. `config`: secrets masked; `env`: what its programs find in their environment."""

    stack: str
    revision: str
    project: Project
    file: StackFile
    config: Mapping[str, Value]
    env: Mapping[str, str]

    @property
    def values(self) -> dict[str, Any]:
        """The config by key without its namespace."""
        found = self.config.items()
        return {key.rpartition(":")[2]: value.text if value.object is None else value.object for key, value in found}


@dataclass(frozen=True)
class Told:
    """What a plan has told: steps' metadata without the stack's own, and what policies found."""

    steps: Sequence[Mapping[str, Any]]
    policies: Sequence[Mapping[str, Any]]
    outputs: Mapping[str, Any]


def rehearse(stack: str, base: Revision, head: Revision, pack: PolicyPack | None = None) -> "Plan | None":
    """The plan; None where neither revision has the stack. `pack`: the head's policies.

    Raises `PlanFailed`."""
    from turnout.preview.changes import changes, resources
    from turnout.preview.plan import Plan, Stack

    before, after = (side_of(revision, stack, head.top) for revision in (base, head))
    if after is None:
        return Plan(stack, Stack(before.values), Stack({}), (), 0, gone=True) if before is not None else None
    state, stand_ins = Snapshot(), StandIns(str(after.values.get("region", "us-east-1")))
    packs = [replace(pack, env=after.env)] if pack is not None else []
    begun = planned(before, state, stand_ins, packs) if before is not None else None
    told = planned(after, state, None, packs)
    olds, news = (resources(told.steps, side, stand_ins.named) for side in ("old", "new"))
    found, standing = (findings(each.policies, stand_ins.named) if each else () for each in (told, begun))
    return Plan(
        stack,
        Stack(before.values, olds, begun.outputs) if before and begun else None,
        Stack(after.values, news, told.outputs),
        changes(told.steps, stand_ins.named),
        sum(step["op"] == "same" for step in told.steps),
        _other_secrets(before, after),
        findings=(*marked(found, standing), *_lost(base, pack, stack, after.project.name)),
    )


def _lost(base: Revision, pack: PolicyPack | None, stack: str, project: str) -> list[Finding]:
    """That the head has no policy pack where the base has one."""
    if pack is not None or found_in(base.root) is None:
        return []
    demand, detail = "The project keeps its policy pack.", "policies/PulumiPolicy.yaml is gone: no policy looked at this"
    urn = f"urn:pulumi:{stack}::{project}::{STACK_TYPE}::{project}-{stack}"
    return [Finding(Level.ADVISORY, "high", "policy-pack", "turnout", urn, demand, detail)]


def planned(of: Side, state: Snapshot, stand_ins: StandIns | None, packs: Sequence[PolicyPack]) -> Told:
    """What the engine tells; `state` is what the program wants afterwards."""
    whose = f"{of.stack} of {of.revision}"
    if faults := of.file.faults(of.stack):
        raise PlanFailed(f"{whose}: " + "\n".join(faults))
    program, events = LocalProgram(of.project.main, of.project.root, of.env), list[dict[str, Any]]()
    try:
        with closing(program.begun()) as begun:
            result = _result(of, begun, state, stand_ins, packs, events)
    except PackError as error:
        raise PlanFailed(f"{whose} cannot be planned:\n{error}") from None
    if result.exit_code:
        said = [e["diagnosticEvent"]["message"].strip() for e in events if _is_error(e)]
        raise PlanFailed(f"{whose} cannot be planned:\n" + "\n".join(dict.fromkeys(said or result.errors)))
    from turnout.engine.events import masked

    steps = [event["resOutputsEvent"]["metadata"] for event in events if "resOutputsEvent" in event]
    policies = [event["policyEvent"] for event in events if "policyEvent" in event]
    return Told([step for step in steps if step["type"] != STACK_TYPE], policies, masked(result.outputs))


def _result(
    of: Side,
    program: BegunProgram,
    onto: Snapshot,
    stand_ins: StandIns | None,
    packs: Sequence[PolicyPack],
    events: list[dict[str, Any]],
) -> "Result":
    """The plan's result. The engine is imported here, while the program's process starts."""
    from turnout.engine.deployment import Deployment

    nothing = StackStore(Path(os.devnull), of.project.name, of.stack, Secrets("", lambda: [], lambda salt: None))
    types = LaterTypes()
    deployment = Deployment(
        nothing,
        types,
        events.append,
        str(of.project.root),
        config={key: value.text for key, value in of.config.items()},
        secret_keys=[key for key, value in of.config.items() if value.secret],
        refresh_first=False,
        policy_packs=packs,
    )
    return deployment.plan(types.after(program), onto, stand_ins)


def side_of(of: Revision, stack: str, repository: Path) -> Side | None:
    project = load_project(of.root)
    path = project.stack_file(stack)
    if not path.exists():
        return None
    try:
        file = StackFile(path, project)
    except ConfigError as error:
        raise PlanFailed(f"{stack} of {of.name}: {error}") from None
    path_entries = os.pathsep.join(of.path_entries(repository))
    nowhere = {ENDPOINT_VARIABLE: _NOWHERE, KUBECONFIG_VARIABLE: os.devnull}
    env = {OFFLINE_VARIABLE: "1", **nowhere, "PYTHONPATH": path_entries}
    return Side(stack, of.name, project, file, file.masked(), env)


def _other_secrets(before: Side | None, after: Side) -> tuple[str, ...]:
    """By what is encrypted: the same value that was encrypted anew counts too."""
    olds, news = (side.file.encrypted() if side is not None else {} for side in (before, after))
    return tuple(sorted(key for key in news if olds.get(key) != news[key])) if before is not None else ()


def _is_error(event: Mapping[str, Any]) -> bool:
    found = event.get("diagnosticEvent") or {}
    return found.get("severity") in ("error", "info#err") and bool(found.get("message", "").strip())
