"""Steps as the engines' events hold them, and plans made of them."""

from typing import Any

from turnout.preview.changes import changes, resources
from turnout.preview.plan import Plan, Stack

LISTENER = "aws:lb/listener:Listener"
TARGETS = "aws:lb/targetGroup:TargetGroup"
GROUP = "aws:autoscaling/group:Group"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"


def step(
    op: str,
    name: str,
    kind: str = "aws:sns/topic:Topic",
    *,
    old: dict[str, Any] | None = None,
    new: dict[str, Any] | None = None,
    keys: tuple[str, ...] = (),
    parent: str = "",
) -> dict[str, Any]:
    """A step's metadata; what differs is found as the engine finds it: by top-level input."""
    urn = f"urn:pulumi:prod::shop::{kind}::{name}"
    before, after = old or {}, new or {}
    diffs = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))

    def state(inputs: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if inputs is None else {"urn": urn, "type": kind, "parent": parent, "inputs": inputs}

    return {"op": op, "urn": urn, "type": kind, "old": state(old), "new": state(new), "diffs": diffs, "keys": list(keys)}


def forwarding(weights: dict[str, int]) -> dict[str, Any]:
    """Inputs of a listener that forwards to target groups by name."""
    groups = [{"arn": f"${{{name}.arn}}", "weight": weight} for name, weight in weights.items()]
    return {"defaultActions": [{"type": "forward", "forward": {"targetGroups": groups}}]}


def listener(before: dict[str, int], after: dict[str, int]) -> dict[str, Any]:
    """The production listener's step."""
    op = "same" if before == after else "update"
    return step(op, "live", LISTENER, old=forwarding(before), new=forwarding(after))


def planned(
    *steps: dict[str, Any], before: dict[str, Any] | None = None, after: dict[str, Any] | None = None, traffic: Any = None
) -> Plan:
    """A plan of these steps; `before` and `after` are the stack's outputs."""
    olds, news = (resources(steps, side) for side in ("old", "new"))
    config = {"traffic": traffic or {}}
    same = sum(each["op"] == "same" for each in steps)
    return Plan("prod", Stack(config, olds, before or {}), Stack(config, news, after or {}), changes(steps), same)


FLIPPED = {"before": {"weights": {"blue": 100, "green": 0}}, "after": {"weights": {"blue": 0, "green": 100}}}
"""Outputs of a stack whose traffic moves."""
