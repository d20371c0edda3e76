"""docs/components.md against the package: every public component, what it needs and gives, and its smallest program."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from turnout_components import traffic_decision
from turnout_components.public import COMPONENTS
from turnout_components.resolve import Decision, Size
from turnout_components.switch_record import Traffic

from tests.layout_rules import ROOT

sys.path.insert(0, str(Path(__file__).parents[1] / "components"))

from recording import record  # the folder is on the path only now

PAGE = (ROOT / "docs" / "components.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in re.split(r"^## ", PAGE, flags=re.M)[1:]}
BY_NAME: dict[str, Any] = {component.__name__: component for component in COMPONENTS}


def named(section: str, verb: str) -> set[str]:
    """What stands in backquotes after the verb, to the end of its sentence."""
    found = re.search(rf"\b{verb} (.*?)\.(?:\s|$)", section.partition("```")[0], re.S)
    assert found is not None, f"no sentence with {verb}"
    return set(re.findall(r"`([a-z_]+)`", found.group(1)))


def test_the_page_has_a_section_for_every_public_component_and_no_other() -> None:
    assert list(SECTIONS)[:-1] == [component.__name__ for component in COMPONENTS]


@pytest.mark.parametrize("name", BY_NAME)
def test_a_section_names_what_a_component_needs_and_gives(name: str) -> None:
    form = BY_NAME[name].__init__.__annotations__["args"]
    assert named(SECTIONS[name], "Needs") == set(form.__required_keys__)
    assert named(SECTIONS[name], "Gives") == set(vars(BY_NAME[name]).get("__annotations__", {}))


@pytest.fixture
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decision as for a first deployment."""
    traffic = Traffic.all_to("blue", ["blue", "green"])
    sizes = {name: Size(1, 4) for name in ("blue", "green")}
    monkeypatch.setattr(traffic_decision, "decided", lambda *_: Decision(traffic, True, "first deployment", sizes))
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("no_account")
@pytest.mark.parametrize("name", BY_NAME)
def test_the_smallest_program_of_a_component_runs(name: str) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", SECTIONS[name], re.M | re.S)
    made = record(lambda: exec(compile(program, name, "exec"), {}))
    assert [each.type for each in made.registrations if each.type.endswith(f"index:{name}")] == [
        f"turnout-components:index:{name}"
    ]
