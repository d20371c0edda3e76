"""The comment of a pull request."""

import re
from dataclasses import replace

from tests.preview.plans import FLIPPED, GROUP, LISTENER, TARGETS, forwarding, listener, planned, step
from turnout.preview.findings import Finding, Level
from turnout.preview.markdown import LONGEST, MARK, comment
from turnout.preview.page import page
from turnout.preview.text import lines


def test_nothing_to_say_is_no_comment() -> None:
    assert comment([planned(step("same", "x", old={}, new={}))], "main", "topic") == ""


def test_the_comment_names_stack_counts_and_traffic_and_folds_details() -> None:
    plan = planned(listener({"blue": 100}, {"green": 100}), **FLIPPED)
    text = comment([plan], "main", "topic")
    assert text.splitlines()[0] == MARK
    assert "| `prod` | 1 to update, 0 unchanged | blue 100 → green 100; standby blue kept full for 24 h |" in text
    folded = text.partition("<details>")[2]
    assert "defaultActions[0].forward.targetGroups" in folded
    assert comment([plan], "main", "topic") == text


def test_a_long_plan_stays_below_the_limit_and_says_what_is_missing() -> None:
    steps = [step("update", f"r{n}", old={"value": "a" * 90 + str(n)}, new={"value": "ü" * 90 + str(n)}) for n in range(700)]
    text = comment([planned(*steps)], "main", "topic")
    assert len(text.encode()) <= LONGEST
    assert "700 to update" in text
    assert "too long for a comment" in text


def test_what_a_program_says_cannot_break_out_of_the_comment() -> None:
    steps = [step("update", "x", old={"text": "a"}, new={"text": "```\n</details><script>"})]
    text = comment([planned(*steps)], "main", "a|b`c")
    assert text.count("```") == 2
    assert "\n</details><script>" not in text
    assert "`a|b'c`" in text


EVIL = "x`|\n```\n</details><script>alert(1)</script>@octocat\x1b[2J\u202e**b**"


def test_no_name_of_a_program_is_markup_wherever_it_stands() -> None:
    """Of a stack, a resource, a property, a target group, an environment, a policy: on lines of their own and escaped."""
    to = {EVIL: 100}
    steps = [
        step("replace", EVIL, TARGETS, old={EVIL: "a"}, new={EVIL: "b"}, keys=(EVIL,)),
        step("update", EVIL, GROUP, old={"maxSize": 1}, new={"maxSize": 2}),
        step("same", "live", LISTENER, old=forwarding(to), new=forwarding(to)),
    ]
    found = Finding(Level.MANDATORY, "high", EVIL, "pack", f"urn::{EVIL}", f"Demand {EVIL}", f"Detail {EVIL}")
    waiting = replace(found, level=Level.UNDECIDED)
    weights = {"before": {"weights": {EVIL: 100}}, "after": {"weights": {EVIL: 50, "b": 50}}}
    plan = replace(planned(*steps, **weights), stack=EVIL, findings=(found, waiting), secrets=(EVIL,))
    for text in (comment([plan], "main", EVIL), comment([plan], None, "")):
        outside = re.sub(r"`[^`\n]*`", "", re.sub(r"(?s)```diff\n.*?\n```", "", text))
        assert "would interrupt the service" in text
        assert text.count("```") == 2 * text.count("```diff") > 0
        assert not re.search(r"(?<!\\)<script|@octocat", outside)
        assert not re.search(r"(?<!\\)\*\*b", re.sub(r"<summary>.*</summary>", "", outside))  # HTML, where it is no markup
        assert outside.count("</details>") == outside.count("<details") == 2
        assert not any(each in text for each in ("\x1b", "\u202e", EVIL))
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")}
        assert widths == {4, 5}  # of stacks and of pools
    for line in lines(plan):
        assert line.isprintable()
    assert "<script>" not in page([plan], "main", EVIL)


def test_what_interrupts_the_service_stays_longest_and_no_comment_is_longer() -> None:
    names = {f"group-{n:04}-{'ü' * 60}": 1 for n in range(500)}
    stops = [step("replace", name, TARGETS, old={"port": 1}, new={"port": 2}, keys=("port",)) for name in names]
    held = step("same", "live", LISTENER, old=forwarding(names), new=forwarding(names))
    small = replace(planned(step("update", "y", old={"a": 1}, new={"a": 2})), stack="dev")
    text = comment([small, planned(*stops[:100], *stops[:100], held)], "main", "topic")
    assert len(text.encode()) <= LONGEST
    assert text.count("would be replaced, because of port") == 200
    assert "      a: 1 → 2" in text
    text = comment([planned(*stops, held), small], "main", "topic")
    assert len(text.encode()) <= LONGEST
    assert "**prod would interrupt the service:** 500 resources; too long for a comment" in text
    many = [replace(small, stack=f"stack-{n}") for n in range(3000)]
    text = comment(many, "main", "topic")
    assert len(text.encode()) <= LONGEST
    assert text.endswith("too long for a comment, see the job's artifact.\n")


def test_of_long_values_what_differs_is_shown() -> None:
    old = [f"subnet-{n}" for n in range(20)]
    (line,) = list(lines(planned(step("update", "x", old={"ids": old}, new={"ids": [*old, "subnet-new"]}))))[2:]
    assert line.startswith("      ids: …")
    assert "subnet-new" in line.partition(" → ")[2]
    assert len(line) < 300
