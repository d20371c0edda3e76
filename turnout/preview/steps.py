"""The steps that an engine's own preview tells, as a plan: Pulumi's with an account, or the local engine's. Pure.

What Pulumi tells, and in which order: `previewActions` (pulumi/pulumi, pkg/engine/update.go) and pkg/resource/deploy/step.go.
First `refresh` of every resource, then each resource as the program registers it, a component and the stack once more with
their outputs; a replacement as `create-replacement`, `replace` and `delete-replaced`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from turnout.engine.plan import STACK_TYPE
from turnout.preview import traffic
from turnout.preview.changes import Operation, Resource, changes, drifted, resources
from turnout.preview.names import Names
from turnout.preview.plan import Plan, Stack

_LASTING = ("same", "create", "update", "replace")


@dataclass
class _Told:
    """Steps by what they are about; by URN, the last that was told."""

    lasting: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    deleted: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    refreshed: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """The stack's, `old` and `new`."""

    def hear(self, step: Mapping[str, Any]) -> None:
        if step["type"] == STACK_TYPE:
            sides = {side: (step.get(side) or {}).get("outputs") for side in ("old", "new")}
            self.outputs.update({side: found for side, found in sides.items() if found})
        elif step["op"] == "refresh":
            self.refreshed[step["urn"]] = step
        elif step["op"] == "delete":
            self.deleted[step["urn"]] = step
        elif step["op"] in _LASTING:
            self.lasting[step["urn"]] = step

    def planned(self) -> list[Mapping[str, Any]]:
        """What an update would do."""
        return [*self.lasting.values(), *(step for urn, step in self.deleted.items() if urn not in self.lasting)]


def plan(stack: str, config: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], engine: str = "") -> Plan:
    """The plan that a preview's steps (`StepEventMetadata`, one for each `resOutputsEvent`, in order) make.

    `config`: the stack's, without namespace; `engine`: who planned."""
    told = _Told()
    for step in steps:
        told.hear(step)
    named, planned = Names(steps), told.planned()
    olds, news = (resources(planned, side, named) for side in ("old", "new"))
    begun = Stack(config, olds, _outputs(told.outputs.get("old"), olds, config)) if olds else None
    wanted = Stack(config, news, _outputs(told.outputs.get("new"), news, config))
    unchanged = sum(step["op"] == "same" for step in planned)
    drift = [change for step in told.refreshed.values() if (change := drifted(step, named)) is not None]
    drift.sort(key=lambda each: (each.operation is not Operation.DELETE, each.type, each.name))
    return Plan(stack, begun, wanted, changes(planned, named), unchanged, drift=tuple(drift), engine=engine)


def _outputs(told: Mapping[str, Any] | None, held: Sequence[Resource], config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The stack's outputs, with the weights that its listener has: a rollout moves those without an update."""
    outputs = dict(told or {})
    return {**outputs, "weights": traffic.live(held, config.get("environments") or {}, outputs.get("weights"))}
