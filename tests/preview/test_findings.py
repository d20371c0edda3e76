"""What policies found, in all that a preview writes."""

from dataclasses import replace
from typing import Any

from tests.preview.plans import planned, step
from turnout.preview.findings import Finding, Level, counted, findings, marked, undecided
from turnout.preview.markdown import LONGEST, comment
from turnout.preview.page import page
from turnout.preview.plan import Plan
from turnout.preview.text import lines

CALM = planned(step("same", "x", old={}, new={}))


def event(level: str = "mandatory", policy: str = "imdsv2", name: str = "x", **more: Any) -> dict[str, Any]:
    return {
        "resourceUrn": f"urn:pulumi:prod::shop::aws:sns/topic:Topic::{name}",
        "message": f"Demand of {policy}.\nwrong in {name}\n",
        "policyName": policy,
        "policyPackName": "turnout",
        "enforcementLevel": level,
        "severity": "high",
        **more,
    }


REMARK = "can't run policy 'tags' from policy pack 'turnout@v1' during preview: Output value for x.arn is unknown"


def plan(*events: dict[str, Any], base: tuple[Finding, ...] = (), of: Plan = CALM) -> Plan:
    return replace(of, findings=marked(findings(events), base))


def test_the_worst_comes_first_and_the_same_is_told_once() -> None:
    found = findings(
        [
            event("advisory", "b"),
            event("mandatory", "c", severity="low"),
            event("mandatory", "d", severity="critical"),
            event("advisory", "b"),
            event("advisory", "tags", message=REMARK),
        ]
    )
    assert [(each.level, each.policy) for each in found] == [
        (Level.MANDATORY, "d"),
        (Level.MANDATORY, "c"),
        (Level.ADVISORY, "b"),
        (Level.UNDECIDED, "tags"),
    ]
    assert (found[0].demand, found[0].detail, found[0].resource) == ("Demand of d.", "wrong in x", "x")
    assert undecided(found) == "tags (1)"
    assert found[3].detail == "Output value for x.arn is unknown"


def test_what_the_base_has_too_stands() -> None:
    both = findings([event(), event(name="y"), event("advisory", "soft")])
    found = marked(both, findings([event(), event("advisory", "soft", message="Demand of soft.\nother words")]))
    assert [(each.policy, each.resource, each.standing) for each in found] == [
        ("imdsv2", "x", True),
        ("imdsv2", "y", False),
        ("soft", "x", False),
    ]
    assert counted(found) == "2 mandatory (1 standing), 1 advisory"


def test_the_text_lists_findings_below_their_policy() -> None:
    found = [event(), event(name="y"), event("advisory", "soft", severity=""), event("advisory", "tags", message=REMARK)]
    told = list(lines(plan(*found, base=findings([event()]))))
    assert told[1:] == [
        "  policies: 2 mandatory (1 standing), 1 advisory, 1 undecided",
        "  ✗ imdsv2 (mandatory, high): Demand of imdsv2.",
        "      x: wrong in x (standing)",
        "      y: wrong in y",
        "  ! soft (advisory): Demand of soft.",
        "      x: wrong in x",
        "  ? not looked at, as what they ask for is known after the update only: tags (1)",
    ]


def test_only_what_is_new_or_refuses_makes_a_comment() -> None:
    soft = event("advisory", "soft")
    assert comment([plan(soft, base=findings([soft]))], "main", "topic") == ""
    assert comment([plan(soft)], "main", "topic") != ""
    standing = comment([plan(event(), base=findings([event()]))], "main", "topic")
    assert "<details open><summary>prod: policies: 1 mandatory (1 standing)</summary>" in standing
    assert "- ❌ `imdsv2` (mandatory, high): Demand of imdsv2.\n  - x: wrong in x (standing)" in standing


def test_what_a_policy_says_is_no_markup() -> None:
    evil = event(message="Want <b>this</b>.\n</details> | `x` [link](http://x) @team")
    text = comment([plan(evil)], "main", "topic")
    assert text.count("</details>") == text.count("<details")
    assert r"\</details\> \| \`x\` \[link\](http://x) @" + "\u200bteam" in text
    shown = page([plan(evil)], "main", "topic")
    assert "<b>this</b>" not in shown
    assert "&lt;b&gt;this" in shown


def test_too_many_findings_give_way_to_their_number() -> None:
    many = [event(policy=f"p{n}", name="n" * 90 + str(n)) for n in range(500)]
    text = comment([plan(*many)], "main", "topic")
    assert len(text.encode()) <= LONGEST
    assert "500 mandatory, refused by `p0`" in text
    assert comment([plan(*reversed(many))], "main", "topic") == text


def test_the_page_opens_what_refuses() -> None:
    shown = page([plan(event(), event("advisory", "soft"))], "main", "topic")
    assert '<details open><summary><span class="mandatory">mandatory, high</span> <code>imdsv2</code>' in shown
    assert '<details><summary><span class="advisory">advisory, high</span> <code>soft</code>' in shown


def test_programs_get_every_finding() -> None:
    document = plan(event(), base=findings([event()])).document()["findings"]
    assert document[0]["standing"] is True
    assert {key: document[0][key] for key in ("level", "severity", "policy", "pack", "resource", "detail")} == {
        "level": "mandatory",
        "severity": "high",
        "policy": "imdsv2",
        "pack": "turnout",
        "resource": "x",
        "detail": "wrong in x",
    }
