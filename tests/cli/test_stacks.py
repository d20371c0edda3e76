"""Reading where a stack lives."""

from pathlib import Path

import pytest

from turnout import stacks
from turnout.stacks import StackError


def edited(project: Path, old: str, new: str) -> None:
    file = project / "stacks/Pulumi.local.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_stack_is_found_from_a_folder_inside_the_project(project: Path) -> None:
    stack = stacks.load(stacks.find_root(project / "stacks"), "local")
    assert (stack.service, stack.cloud, stack.region, stack.is_local) == ("digits", "local", "us-east-1", True)
    assert stack.record_table == "turnout-switch"
    assert stack.releases == project / "releases"
    assert list(stack.environments) == ["blue", "green"]
    assert stack.config_file == "stacks/Pulumi.local.yaml"


def test_the_home_is_in_the_project_unless_the_environment_names_another(project: Path, tmp_path: Path) -> None:
    assert stacks.home_of(project, {}) == project / ".turnout"
    assert stacks.home_of(project, {"TURNOUT_HOME": str(tmp_path / "x")}) == tmp_path / "x"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("turnout:cloud: local", "turnout:cloud: azure", "turnout:cloud = 'azure': write local, aws or cluster"),
        ("turnout:service: digits", "turnout:service: ''", "turnout:service = '': give it a value"),
        ("active: green", "active: null", "turnout:traffic.active = None: give it a value"),
        ("config:", "config: [", "Pulumi.local.yaml cannot be read: line 3, column 23: "),
    ],
)
def test_a_wrong_value_is_named_with_file_and_field(project: Path, old: str, new: str, said: str) -> None:
    edited(project, old, new)
    with pytest.raises(StackError, match="Pulumi.local.yaml") as raised:
        stacks.load(project, "local")
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("cloud", "platform", "said"),
    [
        ("local", "nomad", "turnout:platform = 'nomad': write ec2, eks or kubernetes"),
        ("cluster", "eks", "turnout:platform = 'eks': cloud cluster is of platform kubernetes"),
    ],
)
def test_a_platform_that_there_is_not_is_named(project: Path, cloud: str, platform: str, said: str) -> None:
    edited(project, "turnout:cloud: local", f"turnout:cloud: {cloud}\n  turnout:platform: {platform}")
    with pytest.raises(StackError, match=said):
        stacks.load(project, "local")


def test_a_stack_on_a_cluster_needs_no_region_and_one_on_aws_does(project: Path) -> None:
    edited(project, "  turnout:region: us-east-1\n", "")
    with pytest.raises(StackError, match="turnout:region"):
        stacks.load(project, "local")
    edited(project, "config:", "config:\n  turnout:platform: kubernetes\n  turnout:kubernetes: {context: prod}")
    stack = stacks.load(project, "local")
    assert (stack.platform, stack.region, stack.part("kubernetes", "context")) == ("kubernetes", "", "prod")
    assert stack.part("kubernetes", "gateway", "name") is None
