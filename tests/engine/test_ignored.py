"""Properties that an update leaves as they are."""

from typing import Any

import pytest

from turnout.engine.plan import with_ignored
from turnout.engine.state import ResourceState

HELD = {"tags": {"a": "1"}, "sizes": {"desired": 3, "most": 4}, "name": "n"}
WANTED = {"tags": {"a": "2"}, "sizes": {"desired": 1, "most": 5}, "fresh": True}


def kept(*ignore: str, held: dict[str, Any] | None = None) -> dict[str, Any]:
    old = ResourceState(urn="urn", type="t", custom=True, id="id", inputs=HELD if held is None else held, outputs={})
    return with_ignored(WANTED, old, list(ignore))


@pytest.mark.parametrize(
    ("ignore", "changes"),
    [
        ("tags", {"tags": {"a": "1"}}),
        ("sizes.desired", {"sizes": {"desired": 3, "most": 5}}),
        ("name", {"name": "n"}),
        ("sizes.desired.deeper", {}),
        ("other.part", {}),
    ],
)
def test_what_is_ignored_stays_as_the_state_has_it(ignore: str, changes: dict[str, Any]) -> None:
    assert kept(ignore) == {**WANTED, **changes}
    assert WANTED["sizes"] == {"desired": 1, "most": 5}


def test_what_the_state_has_not_is_not_declared() -> None:
    assert "fresh" not in kept("fresh")
    assert kept("sizes.desired", held={"sizes": {"most": 4}})["sizes"] == {"most": 5}


def test_a_new_resource_ignores_nothing() -> None:
    assert with_ignored(WANTED, None, ["tags"]) == WANTED
