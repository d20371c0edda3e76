"""Refresh through the Automation API: drift is shown property by property, previewed without being written, then taken over."""

import json
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation as auto
from pulumi.automation import errors

from tests.engine_state.bench import Project

TWO = """
Thing("one", size=1, tags={"team": "a", "kept": "yes"}, opts=on())
Thing("two", size=2, opts=on())
"""


@pytest.fixture
def drifted(tmp_path: Path) -> Project:
    """A stack whose `one` was changed and whose `two` was deleted by somebody else."""
    project = Project(tmp_path)
    project.program(TWO)
    project.stack().up()
    objects = {id_: found for id_, found in project.cloud.objects().items() if found["inputs"]["size"] == 1}
    for found in objects.values():
        found["inputs"].update(size=9, tags={"team": "b", "kept": "yes"})
    project.cloud.write(objects)
    return project


def resources(project: Project) -> dict[str, Any]:
    state = json.loads((project.store_folder / "checkpoint.json").read_text())
    return {each["urn"].rpartition("::")[2]: each for each in state["deployment"]["resources"]}


def test_a_previewed_refresh_shows_each_drifted_property_and_writes_nothing(drifted: Project) -> None:
    before = sorted((path, path.read_bytes()) for path in drifted.store_folder.rglob("*") if path.is_file())

    previewed = drifted.stack().preview_refresh()

    shown = previewed.stdout.splitlines()
    assert shown[0] == "Previewing refresh (dev) with the local engine (not Pulumi)"
    assert " ~ test:index:Thing one drifted (in the state => in the cloud)" in "\n".join(shown)
    assert "        size: 1 => 9" in shown
    assert '        tags.team: "a" => "b"' in shown
    assert not any("kept" in line for line in shown)
    assert any(line.endswith("two is gone, not by this engine: it leaves the state") for line in shown)
    assert "Drift: 1 changed, 1 gone" in shown
    assert previewed.change_summary == {"refresh": 1, "delete": 1}
    assert before == sorted((path, path.read_bytes()) for path in drifted.store_folder.rglob("*") if path.is_file())


def test_a_refresh_takes_the_drift_into_the_state_and_the_next_finds_none(drifted: Project) -> None:
    cloud = drifted.cloud.objects()
    events: list[auto.EngineEvent] = []

    done = drifted.stack().refresh(on_event=events.append)

    assert "        size: 1 => 9" in done.stdout
    assert done.summary.kind == "refresh"
    assert drifted.cloud.objects() == cloud
    assert resources(drifted)["one"]["inputs"]["size"] == 9
    assert "two" not in resources(drifted)
    assert "Drift: 0 changed, 0 gone" in drifted.stack().refresh().stdout
    steps = [event.res_outputs_event.metadata for event in events if event.res_outputs_event]
    assert sorted(step.op.value for step in steps) == ["delete", "refresh"]


def test_drift_that_was_not_expected_fails_a_refresh(drifted: Project) -> None:
    with pytest.raises(errors.CommandError, match="no changes were expected"):
        drifted.stack().refresh(expect_no_changes=True)
    assert drifted.stack().refresh(expect_no_changes=True).summary.result == "succeeded"


def test_an_update_that_refreshes_shows_the_drift_that_it_then_puts_right(drifted: Project) -> None:
    shown = drifted.stack().up(refresh=True).stdout

    assert "        size: 1 => 9" in shown
    assert "        size: 9 => 1" in shown
    assert {found["inputs"]["size"] for found in drifted.cloud.objects().values()} == {1, 2}


def test_drift_of_a_secret_is_told_and_the_secret_is_not(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.program('Thing("one", secret=Output.secret("pl4nted-one"), opts=on())')
    project.stack().up()
    objects = project.cloud.objects()
    next(iter(objects.values()))["inputs"]["secret"] = "pl4nted-two"
    project.cloud.write(objects)

    shown = project.stack().refresh().stdout

    assert '        secret: "[secret]" => "[secret]"' in shown
    files = b"".join(path.read_bytes() for path in project.store_folder.rglob("*") if path.is_file())
    assert b"pl4nted" not in shown.encode() + files


def test_what_needed_a_resource_that_is_gone_no_longer_names_it(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.program('a = Thing("a", opts=on())\nThing("b", tags={"a": a.serial}, opts=on(depends_on=[a]))')
    stack = project.stack()
    stack.up()
    project.cloud.write({id_: each for id_, each in project.cloud.objects().items() if each["inputs"]["name"][0] == "b"})

    stack.refresh()

    assert not any(urn.endswith("::a") for urn in resources(project)["b"].get("dependencies", []))
    stack.import_stack(stack.export_stack())
    assert stack.up().summary.resource_changes == {"same": 2, "create": 1, "update": 1}
