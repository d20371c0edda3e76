"""What a plan changes, property by property."""

from tests.preview.plans import step
from turnout.preview.changes import UNKNOWN, Operation, changes


def test_only_leaves_that_differ_are_told_with_their_path() -> None:
    old = {"tags": {"team": "a", "cost": "1"}, "rules": [{"port": 80}, {"port": 443}]}
    new = {"tags": {"team": "b", "cost": "1"}, "rules": [{"port": 80}, {"port": 8443}]}
    (change,) = changes([step("update", "x", old=old, new=new)])
    assert [(each.path, each.before, each.after) for each in change.properties] == [
        ("rules[1].port", 443, 8443),
        ("tags.team", "a", "b"),
    ]


def test_a_document_is_compared_inside() -> None:
    """IAM policies are JSON in a text."""
    old = {"policy": '{"Statement": [{"Action": "s3:GetObject", "Resource": "*"}]}'}
    new = {"policy": '{"Statement": [{"Action": "s3:*", "Resource": "*"}]}'}
    (change,) = changes([step("update", "x", old=old, new=new)])
    assert [(each.path, each.after) for each in change.properties] == [("policy.Statement[0].Action", "s3:*")]


def test_lists_of_other_lengths_are_told_whole() -> None:
    (change,) = changes([step("update", "x", old={"a": [1]}, new={"a": [1, 2]})])
    assert [(each.path, each.before, each.after) for each in change.properties] == [("a", [1], [1, 2])]


def test_a_secret_that_changed_is_told_though_both_look_alike() -> None:
    told = step("update", "x", old={"value": "[secret]"}, new={"value": "[secret]"})
    told["diffs"] = ["value"]
    (change,) = changes([told])
    assert [(each.path, each.before, each.after) for each in change.properties] == [("value", "[secret]", "[secret]")]


def test_a_replacement_names_what_forces_it() -> None:
    old, new = {"name": "a", "size": 1}, {"name": UNKNOWN, "size": 2}
    (change,) = changes([step("replace", "x", old=old, new=new, keys=("name",))])
    assert change.forced_by == ("name",)
    assert {each.path: each.forces for each in change.properties} == {"name": True, "size": False}


def test_what_can_hurt_comes_first_and_the_same_is_left_out() -> None:
    steps = [step("create", "d", new={}), step("same", "s", old={}, new={}), step("delete", "c", old={"a": 1})]
    steps += [step("update", "b", old={"a": 1}, new={"a": 2}), step("replace", "a", old={"a": 1}, new={"a": 2})]
    assert [(each.operation, each.name) for each in changes(steps)] == [
        (Operation.REPLACE, "a"),
        (Operation.DELETE, "c"),
        (Operation.UPDATE, "b"),
        (Operation.CREATE, "d"),
    ]


def test_stand_ins_have_their_names_in_every_text() -> None:
    old, new = {"arns": ["x1"]}, {"arns": ["x1", "y2"]}
    (change,) = changes([step("update", "x", old=old, new=new)], lambda text: text.replace("x1", "${role.arn}"))
    assert change.properties[0].after == ["${role.arn}", "y2"]
