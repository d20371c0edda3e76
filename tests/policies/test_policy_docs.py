"""The table of docs/policies.md, held against the pack."""

import json

from pulumi_policy import EnforcementLevel, Policy
from turnout_components.policy_encryption import OWN_KEYS

from policies.pack import POLICIES
from tests.layout_rules import ROOT

DOCUMENT = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")


def row(policy: Policy) -> str:
    """A policy as the table has it."""
    assert policy.severity is not None
    level = (policy.enforcement_level or EnforcementLevel.MANDATORY).value
    forms = policy.config_schema.properties if policy.config_schema else {}
    given = "; ".join(f"`{name}` {shown(form['default'])}: {form['description']}" for name, form in forms.items())
    cells = (f"`{policy.name}`", f"{level}, {policy.severity.value}", policy.description, policy.remediation_steps, given)
    return f"| {' | '.join(map(str, cells))} |"


def shown(default: object) -> str:
    return f"(`{json.dumps(default)}`)"


def test_the_table_says_what_the_pack_holds() -> None:
    section = DOCUMENT.partition("## What they demand")[2].partition("\n## ")[0]
    written = [line for line in section.splitlines() if line.startswith("| `")]
    assert written == [row(policy) for policy in POLICIES]


def test_names_are_the_packs_own_and_descriptions_say_why() -> None:
    names = [policy.name for policy in POLICIES]
    assert len(set(names)) == len(names)
    assert all(": " in policy.description and policy.description.endswith(".") for policy in POLICIES)


def test_the_kinds_of_own_keys_are_those_that_the_document_names() -> None:
    (parameter,) = (one for one in POLICIES if one.name == "encrypted-at-rest")
    assert parameter.config_schema is not None
    described = parameter.config_schema.properties["own_key"]["description"]
    assert all(kind in described for kind, _ in OWN_KEYS.values())


def test_the_example_of_a_configuration_fits_the_pack() -> None:
    example = json.loads(DOCUMENT.partition("```json\n")[2].partition("```")[0])
    schemas = {policy.name: policy.config_schema for policy in POLICIES}
    levels = {level.value for level in EnforcementLevel}
    for name, given in example.items():
        forms = schemas[name].properties if schemas[name] is not None else {}  # type: ignore[union-attr]
        properties = {} if isinstance(given, str) else dict(given)
        assert (given if isinstance(given, str) else properties.pop("enforcementLevel", "mandatory")) in levels
        assert properties.keys() <= forms.keys()
