"""What a plan changes, property by property."""

import base64
import gzip

from tests.policies.judging import told
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


def test_an_update_always_names_what_makes_it_one() -> None:
    """Also where both mean the same: an explicit null, a document's spaces, user data that was packed anew."""
    spaced = '{"Statement": []}'
    for old, new in (({"a": {"b": None}}, {"a": {}}), ({"a": spaced}, {"a": spaced.replace(" ", "")})):
        (change,) = changes([step("update", "x", old=old, new=new)])
        assert [(each.path, each.before, each.after) for each in change.properties] == [("a", old["a"], new["a"])]
    packed = told(), base64.b64encode(gzip.compress(base64.b64decode(told()), 1)).decode()
    (change,) = changes([step("update", "x", old={"userData": packed[0]}, new={"userData": packed[1]}, keys=("userData",))])
    assert [each.path for each in change.properties] == ["userData"]


def test_a_replacement_that_differs_in_nothing_that_is_shown_names_what_forces_it() -> None:
    (change,) = changes([step("replace", "x", old={"a": {"b": None}}, new={"a": {}}, keys=("a",))])
    assert (change.forced_by, [each.path for each in change.properties]) == (("a",), ["a"])


def test_what_looks_alike_is_told_as_the_inputs_have_it_where_there_are_no_outputs() -> None:
    (change,) = changes([step("replace", "x", old={"a": 1}, new={"a": 1.0}, keys=("a",))])
    assert [(each.path, each.before, each.after, each.forces) for each in change.properties] == [("a", 1, 1.0, True)]


def test_a_document_that_is_nested_too_deep_is_a_text() -> None:
    (change,) = changes([step("update", "x", old={"a": "[]"}, new={"a": "[" * 100_000})])
    assert change.properties[0].after == "[" * 100_000
