"""A small policy pack in a folder, and what a run with it has told."""

import textwrap
from pathlib import Path
from typing import Any

from turnout.engine.policy_packs import PolicyPack

PRELUDE = """
from pulumi_policy import (
    EnforcementLevel, PolicyConfigSchema, PolicyPack, ResourceValidationPolicy, Severity, StackValidationPolicy,
)

THING = "test:index:Thing"

def small(args, report):
    limit = args.get_config().get("limit", 10)
    if args.resource_type == THING and args.props.get("size", 0) > limit:
        report(f"{args.name} has size {args.props['size']:g}, more than {limit:g}")

def coloured(args, report):
    if args.resource_type == THING and not args.props.get("color"):
        report("give it a color")

def few(args, report):
    things = [each for each in args.resources if each.resource_type == THING]
    if len(things) > 2:
        report(f"{len(things)} things", min(each.urn for each in things))

SIZE = ResourceValidationPolicy(
    "size", "Things are small.", small, EnforcementLevel.MANDATORY,
    PolicyConfigSchema({"limit": {"type": "integer", "default": 10, "minimum": 1}}), severity=Severity.HIGH,
)
COLOR = ResourceValidationPolicy("color", "Things have a color.", coloured)
FEW = StackValidationPolicy("few", "Two things are enough.", few, EnforcementLevel.MANDATORY)
"""
BODY = 'PolicyPack("tiny", [SIZE, COLOR, FEW])\n'


def pack(
    folder: Path, body: str = BODY, prelude: str = PRELUDE, project: str = "runtime: python\nversion: 1.2.0\n"
) -> PolicyPack:
    """Writes a pack."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "PulumiPolicy.yaml").write_text(project)
    (folder / "__main__.py").write_text(prelude + textwrap.dedent(body))
    return PolicyPack(folder)


def found(events: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Level, policy and resource of what was found, sorted."""
    policy = [event["policyEvent"] for event in events if "policyEvent" in event]
    return sorted((each["enforcementLevel"], each["policyName"], each["resourceUrn"].rpartition("::")[2]) for each in policy)
