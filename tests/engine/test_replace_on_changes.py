"""What a program says must not change in place: a property, a part of one, or anything."""

from pathlib import Path

import pytest
from memory import MemoryCloud, Thing

from turnout.engine.plan import Goal, Kind, decide
from turnout.engine.state import ResourceState

OLD = {"size": 1, "tags": {"a": "1", "b": "1"}}


@pytest.mark.parametrize(
    ("path", "new", "replacing"),
    [
        ("tags", {"tags": {"a": "1", "b": "2"}}, ("tags",)),
        ("tags.a", {"tags": {"a": "2", "b": "1"}}, ("tags",)),
        ("tags.a", {"tags": {"a": "1", "b": "2"}}, ()),
        ("tags.a", {"size": 2}, ()),
        ("tags[0].a", {"tags": {"a": "1", "b": "2"}}, ("tags",)),
        ("*", {"size": 2}, ("size",)),
        ("tags", {}, ()),
    ],
)
def test_a_change_of_what_is_named_replaces(
    path: str, new: dict[str, object], replacing: tuple[str, ...], tmp_path: Path
) -> None:
    old = ResourceState(urn="urn", type="t", custom=True, id="id", inputs=OLD, outputs={})
    goal = Goal(urn="urn", type="t", name="n", custom=True, inputs={**OLD, **new}, replace_on_changes=[path])
    step = decide(old, goal, Thing(MemoryCloud(tmp_path)))
    expected = Kind.REPLACE if replacing else Kind.UPDATE if new else Kind.SAME
    assert (step.kind, step.replacing) == (expected, replacing)
