"""Stack files: read, edited with their comments kept, addressed by path."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine_state.bench import Project
from turnout.engine.config_values import ConfigError, full_key, get_at, parse_path, remove_at, set_at, typed

FILE = """\
# who runs this
config:
  shop:traffic: # the switch
    active: amber # today
    weights: {blue: 90, green: 10}
  shop:zones: [a, "b"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.dev.yaml").write_text(FILE)
    made.stack()
    return made


def text(project: Project) -> str:
    return (project.folder / "stacks" / "Pulumi.dev.yaml").read_text()


def test_one_value_is_changed_and_everything_else_stays_to_the_letter(project: Project) -> None:
    project.run("config", "set", "--path", "shop:traffic.active", "green")

    assert text(project) == FILE.replace("amber", "green")


def test_values_are_set_read_and_removed_by_path(project: Project) -> None:
    project.run("config", "set", "--path", "traffic.weights.blue", "50")
    project.run("config", "set", "--path", "zones[2]", "c")
    project.run("config", "set", "--path", 'traffic.standby["keep.it"]', "true")

    assert "weights: {blue: 50, green: 10}" in text(project)
    assert project.run("config", "get", "--path", "zones[2]").stdout == "c"
    assert project.run("config", "get", "traffic").stdout.endswith('"standby":{"keep.it":true}}')
    project.run("config", "rm", "--path", "traffic.weights")
    project.run("config", "rm-all", "zones", "nothing")
    assert "weights" not in text(project)
    assert "# who runs this" in text(project)
    with pytest.raises(Exception, match="configuration key 'zones' not found for stack 'dev'"):
        project.run("config", "get", "zones")


def test_a_text_stays_a_text_where_no_path_is_given(project: Project) -> None:
    project.run("config", "set", "version", "01")
    project.run("config", "set", "flag", "true")
    project.run("config", "set", "negative", "--", "-5")

    assert "shop:version: '01'" in text(project)
    assert "shop:flag: 'true'" in text(project)
    assert project.run("config", "get", "negative").stdout == "-5"


def test_secrets_are_encrypted_in_the_file_and_masked_in_the_list(project: Project) -> None:
    project.run("config", "set", "--secret", "password", "tr0ub4dor")
    project.run("config", "set-all", "--secret", "token=t0ken-value", "--plaintext", "size=5")

    assert "encryptionsalt: v1:" in text(project)
    assert "secure: v1:" in text(project)
    assert "tr0ub4dor" not in text(project)
    listed = project.run("config", "--json").stdout
    assert "tr0ub4dor" not in listed
    assert '"shop:password": {\n    "secret": true\n  }' in listed
    assert "tr0ub4dor" in project.run("config", "--show-secrets", "--json").stdout
    assert project.run("config", "get", "password").stdout == "tr0ub4dor"
    assert project.run("config", "get", "size").stdout == "5"


@pytest.mark.parametrize(
    ("content", "message"),
    [("config: [", "line 1 is no YAML"), ("- a", "must be a map"), ("config: text", "config must be a map")],
)
def test_a_file_that_cannot_be_read_is_named_and_left_alone(content: str, message: str, project: Project) -> None:
    (project.folder / "stacks" / "Pulumi.dev.yaml").write_text(content)

    with pytest.raises(Exception, match=rf"Pulumi.dev.yaml.*{message}"):
        project.run("config", "set", "a", "b")

    assert text(project) == content


KEYS = st.text(st.characters(codec="utf-8", exclude_characters='"\\:'), min_size=1, max_size=6)


@given(st.lists(KEYS | st.integers(0, 9), max_size=4))
def test_any_path_reads_as_it_was_written(steps: list[str | int]) -> None:
    written = "".join(f"[{step}]" if isinstance(step, int) else f'["{step}"]' for step in steps)

    assert parse_path(f"ns:key{written}", "shop") == ("ns:key", steps)


@given(st.lists(KEYS | st.just(0), max_size=4), st.integers())
def test_what_is_set_at_a_path_is_found_there_and_gone_when_removed(steps: list[str | int], value: int) -> None:
    root: dict[str, Any] = {"other": 1}
    set_at(root, "key", steps, value)

    assert get_at(root, ["key", *steps], "key") == value
    remove_at(root, "key", steps)
    with pytest.raises(KeyError):
        get_at(root, ["key", *steps], "key")
    assert root["other"] == 1


@pytest.mark.parametrize("path", ["", "a..b", "a[", "[0]", "a[x]", ".a", "a:b:c:d.e"])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(ConfigError):
        parse_path(path, "shop")


@pytest.mark.parametrize(
    ("root", "path", "message"),
    [
        ({"a": "text"}, ["b"], "plain value"),
        ({"a": {"secure": "v1:x"}}, ["b"], "is a secret"),
        ({"a": [1]}, [3], "a list, whose next index is 1"),
        ({"a": {"b": 1}}, [0], "does not fit a map"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(root: dict[str, Any], path: list[str | int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        set_at(root, "a", path, 1)


def test_keys_and_values_mean_what_pulumi_means() -> None:
    assert [full_key(key, "shop") for key in ("a", "aws:region", "aws:config:region")] == ["shop:a", "aws:region", "aws:region"]
    assert [typed(value) for value in ("true", "5", "-5", "05", "5.0", "True")] == [True, 5, -5, "05", "5.0", "True"]
