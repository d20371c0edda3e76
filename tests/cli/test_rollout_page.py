"""`turnout rollout report`: where the page goes, and what it never replaces."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from turnout_components.items import DynamoItems, create_table
from typer.testing import Result

from tests.cli.conftest import BEGAN, begun
from turnout.rollout.store import RolloutStore

ID = "digits-2.0.0-20260102-030000"
Turnout = Callable[..., Result]


@pytest.fixture
def store(aws: Callable[[str], Any]) -> RolloutStore:
    """The stack's rollouts; one has begun."""
    create_table(aws("dynamodb"), "turnout-switch", protect=False)
    store = RolloutStore(DynamoItems(aws("dynamodb"), "turnout-switch"), "digits", "local")
    store.create(begun())
    return store


@pytest.mark.usefixtures("store")
def test_the_page_goes_into_this_folder_under_the_rollouts_name(project: Path, turnout: Turnout) -> None:
    result = turnout("rollout", "report")
    assert result.exit_code == 0, result.output
    file = project / "stacks" / f"{ID}.html"
    assert str(file) in result.stdout
    assert "digits-2.0.0 on digits/local" in file.read_text(encoding="utf-8")
    assert [each.name for each in file.parent.glob("*.html*")] == [file.name]
    assert [each.name for each in file.parent.glob(".*")] == []


@pytest.mark.usefixtures("store")
def test_with_json_the_file_is_named(tmp_path: Path, turnout: Turnout) -> None:
    result = turnout("rollout", "report", ID, "--html", "../page.html", "--json")
    assert json.loads(result.stdout).keys() == {"file"}
    assert Path(json.loads(result.stdout)["file"]).resolve() == tmp_path / "page.html"
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_newer_report_replaces_an_older(tmp_path: Path, store: RolloutStore, turnout: Turnout) -> None:
    file = tmp_path / "page.html"
    turnout("rollout", "report", "--html", str(file))
    assert "somebody looked" not in file.read_text(encoding="utf-8")
    store.update(ID, lambda status: status.said(BEGAN, "somebody looked"))
    assert turnout("rollout", "report", "--html", str(file)).exit_code == 0
    assert "somebody looked" in file.read_text(encoding="utf-8")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("content", ["config:\n  turnout:service: digits\n", "<!doctype html><title>mine</title>", ""])
def test_a_file_that_is_no_report_is_left_alone(content: str, tmp_path: Path, turnout: Turnout) -> None:
    file = tmp_path / "mine"
    file.write_text(content)
    result = turnout("rollout", "report", "--html", str(file))
    assert result.exit_code == 2
    assert f"{file} exists and is no rollout's report; remove it, or choose another file" in result.stderr
    assert file.read_text() == content


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("place", "why"), [("", "Is a directory"), ("missing/page.html", "No such file or directory")])
def test_where_nothing_can_be_written_is_said(place: str, why: str, tmp_path: Path, turnout: Turnout) -> None:
    result = turnout("rollout", "report", "--html", str(tmp_path / place))
    assert result.exit_code == 2
    assert why in result.stderr
    assert "--html" in result.stderr


@pytest.mark.usefixtures("store")
def test_a_rollout_that_does_not_exist_is_refused(project: Path, turnout: Turnout) -> None:
    result = turnout("rollout", "report", "nope")
    assert result.exit_code == 2
    assert "turnout rollout history" in result.stderr
    assert list(project.rglob("*.html")) == []
