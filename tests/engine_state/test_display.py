"""What an operator reads, and what is kept out of it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from turnout.engine.display import Display, header
from turnout.engine.redact import Redactor, without_secrets
from turnout.engine.values import Secret


def step(op: str, old: dict[str, Any] | None = None, new: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    before, after = ({"inputs": inputs} if inputs is not None else None for inputs in (old, new))
    urn = "urn:pulumi:dev::shop::test:index:Thing::one"
    return {"metadata": {"op": op, "urn": urn, "type": "test:index:Thing", "old": before, "new": after, **more}}


def lines(operation: str, *events: dict[str, Any]) -> list[str]:
    display = Display(operation)
    return [line for event in events for line in display.lines(event)]


def test_an_update_names_each_property_that_changed_and_what_it_forces() -> None:
    old = {"size": 1, "tags": {"a": 1, "b": 2}, "zones": ["x", "y"], "password": "[secret]"}
    new = {"size": 2, "tags": {"a": 1, "c": 3}, "zones": ["x", "z"], "password": "[secret]"}
    event = step("replace", old, new, diffs=["password", "size", "tags", "zones"], keys=["size"])

    assert lines("up", {"resOutputsEvent": event}) == [
        " +- test:index:Thing one replaced",
        '        password: "[secret]" => "[secret]"',
        "        size: 1 => 2 (forces replacement)",
        "        tags.b: 2 => (none)",
        "        tags.c: (none) => 3",
        '        zones[1]: "y" => "z"',
    ]


def test_a_preview_speaks_of_what_would_be_and_says_it_once() -> None:
    events = {"resourcePreEvent": step("create", None, {})}, {"resOutputsEvent": step("create", None, {})}

    assert lines("preview", *events) == ["  + test:index:Thing one would be created"]
    assert lines("up", *events) == ["  + test:index:Thing one creating", "  + test:index:Thing one created"]


def test_what_stays_is_only_counted() -> None:
    summary = {"summaryEvent": {"resourceChanges": {"same": 4, "update": 1}, "durationSeconds": 2}}

    assert lines("up", {"resOutputsEvent": step("same", {}, {})}, summary) == [
        "Resources:",
        "    ~ 1 updated",
        "    4 unchanged",
        "Duration: 2s",
    ]


def test_an_error_names_its_resource() -> None:
    event = {"severity": "error", "message": "no room\nat all\n", "urn": "urn:pulumi:dev::shop::t:i:T::one"}

    assert lines("up", {"diagnosticEvent": event}) == ["    error: one: no room", "    at all"]


def test_every_header_says_who_it_is() -> None:
    for operation in ("up", "preview", "refresh", "preview-refresh", "destroy"):
        assert header(operation, "dev").endswith("(dev) with the local engine (not Pulumi)")


@given(st.text(min_size=3, max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_secret_that_is_known_never_passes(secret: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.learn({"deep": [secret]})

    cleaned = redactor.clean({"message": [before + secret + after]})["message"][0]

    assert secret not in cleaned.replace("[secret]", "\0")


def test_the_longest_secret_goes_first_and_lines_count_by_themselves() -> None:
    redactor = Redactor()
    redactor.learn(["abcdef", "abcdefghi", "first line\nsecond line"])

    assert redactor.clean("abcdefghi abcdef second line") == "[secret] [secret] [secret]"


def test_a_marked_word_that_is_too_short_for_a_secret_leaves_the_text_readable() -> None:
    assert without_secrets("test listener failed: hunter22", {"a": Secret("test")}, [Secret({"b": "hunter22"})]) == (
        "test listener failed: [secret]"
    )
