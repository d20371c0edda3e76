"""Names both ways, and when a live value means what was declared."""

import json
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.providers.aws.mapping import fits, from_members, reflect, same_json, to_members

SHAPES = boto3.session.Session().client("ec2", region_name="us-east-1").meta.service_model

PLAIN = st.recursive(
    st.one_of(st.booleans(), st.integers(-9, 9), st.text("abc", min_size=1, max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("xyz", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(PLAIN)
def test_every_value_fits_itself(value: Any) -> None:
    assert fits(value, value)


@given(st.lists(st.integers(0, 3), max_size=5), st.randoms())
def test_the_order_of_a_list_does_not_matter(values: list[int], random: Any) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    assert fits(values, shuffled)


@given(st.dictionaries(st.sampled_from("abcd"), PLAIN), PLAIN)
def test_a_block_is_compared_in_what_it_declares_only(block: dict[str, Any], other: Any) -> None:
    assert fits(block, {**block, "computed": other})


@pytest.mark.parametrize(
    ("old", "live"),
    [
        (1, 2),
        ("a", "b"),
        (True, False),
        ("true", False),
        (True, None),
        ([1], [1, 1]),
        ([1, 2], [1, 3]),
        ({"a": 1}, {}),
        ({"a": 1}, None),
    ],
)
def test_what_differs_does_not_fit(old: Any, live: Any) -> None:
    assert not fits(old, live)


@pytest.mark.parametrize(
    ("old", "live"), [("30", 30), (30.0, "30"), ("true", True), (False, None), ("", None), ({"a": None}, {"a": 1}), (5.0, 5)]
)
def test_the_same_in_another_spelling_fits(old: Any, live: Any) -> None:
    assert fits(old, live)


@given(st.dictionaries(st.sampled_from("abcd"), PLAIN), st.dictionaries(st.sampled_from("abcdef"), PLAIN))
def test_reflecting_is_idempotent_and_keeps_what_the_cloud_does_not_hold(old: dict[str, Any], live: dict[str, Any]) -> None:
    names = frozenset("abcd")
    once = reflect(old, live, inputs=names, defaults={})
    assert reflect(once, live, inputs=names, defaults={}) == once
    assert set(once) == set(old)
    assert all(once[name] is old[name] for name in old if name not in live)


def test_an_undeclared_input_shows_only_when_it_departs_from_its_default() -> None:
    names, defaults = frozenset({"size", "role"}), {"size": 1, "role": None}
    assert reflect({}, {"size": 1, "role": None}, inputs=names, defaults=defaults) == {}
    assert reflect({}, {"size": 2, "role": "r"}, inputs=names, defaults=defaults) == {"size": 2, "role": "r"}
    assert reflect({}, {"size": 2}, inputs=names, defaults={}) == {}


def test_a_block_that_drifted_shows_its_declared_parts() -> None:
    live = {"health": {"path": "/b", "interval": 30, "port": "80"}}
    found = reflect({"health": {"path": "/a", "interval": "30"}}, live, inputs=frozenset({"health"}), defaults={})
    assert found == {"health": {"path": "/b", "interval": "30"}}


def test_items_of_a_list_that_drifted_keep_the_declared_form_and_order() -> None:
    """Else the program's own wish would differ from a drift to exactly that: a rollback, and the `up` after it."""

    def action(first: int, second: int) -> list[dict[str, Any]]:
        groups = [{"arn": "one", "weight": first}, {"arn": "two", "weight": second}]
        return [{"type": "forward", "forward": {"targetGroups": groups}}]

    groups = [{"arn": "two", "weight": 0}, {"arn": "one", "weight": 100}]
    sticky = {"enabled": False, "duration": None}
    live = [{"type": "forward", "order": 1, "forward": {"targetGroups": groups, "stickiness": sticky}}]
    found = reflect({"actions": action(0, 100)}, {"actions": live}, inputs=frozenset({"actions"}), defaults={})
    assert found == {"actions": action(100, 0)}
    more = [{"type": "forward", "forward": {"targetGroups": [*groups, {"arn": "three", "weight": 0}]}}]
    found = reflect({"actions": action(0, 100)}, {"actions": more}, inputs=frozenset({"actions"}), defaults={})
    assert len(found["actions"][0]["forward"]["targetGroups"]) == 3


def test_a_pulumi_block_becomes_boto3_members_by_the_shape() -> None:
    shape = SHAPES.shape_for("RequestLaunchTemplateData")
    block = {
        "ebsOptimized": "true",
        "vpcSecurityGroupIds": ["sg-1"],
        "monitoring": {"enabled": True},
        "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": "8", "iops": None}}],
        "networkInterfaces": {"securityGroups": ["sg-2"], "deleteOnTermination": "false"},
    }
    renames = {"vpcSecurityGroupIds": "SecurityGroupIds", "securityGroups": "Groups"}
    members = {
        "EbsOptimized": True,
        "SecurityGroupIds": ["sg-1"],
        "Monitoring": {"Enabled": True},
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}],
        "NetworkInterfaces": [{"Groups": ["sg-2"], "DeleteOnTermination": False}],
    }
    assert to_members(shape, block, renames) == members
    back = from_members(members, renames)
    assert back["vpcSecurityGroupIds"] == ["sg-1"]
    assert back["networkInterfaces"][0]["securityGroups"] == ["sg-2"]


def test_a_name_that_the_shape_lacks_is_an_error() -> None:
    with pytest.raises(KeyError, match="warpDrive"):
        to_members(SHAPES.shape_for("RequestLaunchTemplateData"), {"warpDrive": 1})


def test_documents_are_compared_by_what_they_say() -> None:
    assert same_json('{"A": ["x"], "B": 1}', '{"B":1,"A":"x"}')
    assert same_json('{"A": ["x", "y"]}', '{"A": ["y", "x"]}')
    assert not same_json('{"A": "x"}', '{"A": "y"}')
    assert not same_json("not json", json.dumps({}))
