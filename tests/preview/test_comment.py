"""The comment of a pull request."""

from tests.preview.plans import FLIPPED, listener, planned, step
from turnout.preview.markdown import LONGEST, MARK, comment


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
