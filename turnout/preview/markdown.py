"""Plans as one comment for a pull request: short, details folded, the same text for the same plans. Pure."""

import re
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from turnout.preview.changes import Change, Operation
from turnout.preview.findings import Finding, Level, by_policy, counted, undecided
from turnout.preview.fleet import Pool
from turnout.preview.plan import Plan
from turnout.preview.text import MEASURES, SIGNS, difference, drift_word, plain, short

LONGEST = 60_000
"""Bytes of a comment. GitHub takes 65,536 characters."""
_TOO_LONG = "too long for a comment, see the job's artifact."
MARK = "<!-- turnout-preview -->"
"""The first line, by which the comment is found again and edited."""
MARK_OF_ACCOUNT = "<!-- turnout-preview-account -->"
"""The same of the comment that was planned against what is deployed."""


def comment(plans: Sequence[Plan], base: str | None, head: str) -> str:
    """The comment; "" when nothing changes. What is too long is cut at the details, and says so.

    `base` and `head`: revisions; without `base` the plans are of an engine that knows what is deployed."""
    changed = [plan for plan in plans if not plan.is_quiet]
    if not changed:
        return ""
    if base is None:
        mark, title = MARK_OF_ACCOUNT, f"What an update would do, by {changed[0].engine}"
    else:
        mark, title = MARK, f"What merging {code(head)} into {code(base)} would do"
    rows = "\n".join(["| stack | changes | traffic |", "|---|---|---|", *(_row(plan) for plan in changed)])
    quiet = [plan.stack for plan in plans if plan.is_quiet]
    same = [f"Nothing changes in {', '.join(map(code, quiet))}."] if quiet else []
    top = "\n\n".join([f"{mark}\n### {title}", rows, *same])
    return _fitted(top, [part for plan in changed for part in _parts(plan)])


class _Part(NamedTuple):
    """A section, and the form that takes its place where there is no room; the lowest `rank` goes first."""

    whole: str
    short: str
    rank: int


def _fitted(top: str, parts: list[_Part]) -> str:
    """As many details as there is room for; what interrupts the service stays longest."""
    chosen = [part.whole for part in parts]
    for place in sorted(range(len(parts)), key=lambda place: (parts[place].rank, -place)):
        if len("\n\n".join([top, *chosen]).encode()) < LONGEST:
            break
        chosen[place] = parts[place].short
    whole = "\n\n".join([top, *chosen]).encode()
    end = f"…\n\n{_TOO_LONG}".encode() if len(whole) >= LONGEST else b""
    return whole[: LONGEST - 1 - len(end)].decode(errors="ignore") + end.decode() + "\n"


def _row(plan: Plan) -> str:
    return f"| {cell(code(plan.stack))} | {plan.counted} | {_words(plan.traffic.removeprefix('traffic: '))} |"


def _parts(plan: Plan) -> list[_Part]:
    """A stack's sections."""
    stops = [f"- {code(each.resource)}: {_words(each.said)}" for each in plan.interruptions]
    found = []
    if stops:
        title = f"**{_words(plan.stack)} would interrupt the service:**"
        found.append(_Part("\n".join([title, *stops]), f"{title} {len(stops)} resources; {_TOO_LONG}", 3))
    if plan.findings:
        found.append(_policies(plan))
    if rows := [_pool(pool) for pool in plan.pools]:
        table = "\n".join(["| pool | " + " | ".join(label for label, _ in MEASURES) + " |", "|---|---|---|---|", *rows])
        found.append(_Part(table, f"{len(rows)} pools change their size.", 1))
    if plan.secrets:
        others = f"Secrets that are others: {', '.join(map(code, plan.secrets))}."
        found.append(_Part(others, f"{len(plan.secrets)} secrets are others.", 1))
    lines = [
        *(line for change in plan.changes for line in _diff(change)),
        *(line for one in plan.drift for line in _drift(one)),
    ]
    details = "\n".join(lines)
    if not lines:
        return found
    title = f"{_words(plan.stack)}: {plan.counted}"
    folded = f"<details><summary>{_html(plan.stack)}: {plan.counted}</summary>\n\n```diff\n{details}\n```\n\n</details>"
    found.append(_Part(folded, f"{title}; the details are {_TOO_LONG}", 0))
    return found


def _policies(plan: Plan) -> _Part:
    """What policies found; open where it refuses an `up`. Without room only what refuses is listed, and that shortly."""
    title = f"policies: {counted(plan.findings)}"
    summary = f"<summary>{_html(plan.stack)}: {title}</summary>"
    groups = by_policy(plan.findings)
    lines = [line for group in groups for line in _violations(group)]
    if names := undecided(plan.findings):
        lines.append(f"- Not looked at, as what they ask for is known after the update only: {_words(names)}")
    folded = f"<details{' open' if plan.refusals else ''}>{summary}\n\n" + "\n".join(lines) + "\n\n</details>"
    refusing = dict.fromkeys(code(each.policy) for each in plan.refusals)
    by = f", refused by {', '.join(refusing)}" if refusing else ""
    return _Part(folded, f"{_words(plan.stack)}: {title}{by}; the rest is {_TOO_LONG}", 2)


def _violations(group: Sequence[Finding]) -> list[str]:
    first = group[0]
    return [
        f"- {'❌' if first.level is Level.MANDATORY else '⚠️'} {code(first.policy)} ({first.label}): {_words(first.demand)}",
        *(f"  - {_words(each.said)}" for each in group),
    ]


def _words(text: str) -> str:
    """What a policy or a program says, as text and no markup."""
    return _nobody(re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", plain(" ".join(text.split()))))


def _html(text: str) -> str:
    """The same inside an element."""
    return _nobody(escape(plain(text))).replace("`", "'")


def _nobody(text: str) -> str:
    """Mentions nobody: behind an @ stands a space of no width. A backslash would not keep GitHub from telling who is named."""
    return text.replace("@", "@\u200b")


def _pool(pool: Pool) -> str:
    shown = [f"{pool.before.told(of)} → {pool.after.told(of)}" for _, of in MEASURES]
    return f"| {cell(code(pool.name))} | {' | '.join(shown)} |"


def _diff(change: Change) -> list[str]:
    """Lines of a fenced block in `diff`: `!` marks what is replaced."""
    sign = {Operation.REPLACE: "!", Operation.UPDATE: "#"}.get(change.operation, SIGNS[change.operation])
    forced = f" (forced by {', '.join(change.forced_by)})" if change.forced_by else ""
    return [_line(f"{sign} {change.operation} {short(change.type)} {change.name}{forced}"), *_differences(change)]


def _drift(change: Change) -> list[str]:
    """What others did, in the same block."""
    return [_line(f"# {drift_word(change)} {short(change.type)} {change.name}"), *_differences(change)]


def _differences(change: Change) -> list[str]:
    return [_line(f"      {difference(each)}") for each in change.properties]


def _line(text: str) -> str:
    """A line that cannot end a fenced block."""
    return plain(text).replace("```", "'''")


def code(text: str) -> str:
    """Text as code, whatever it holds."""
    return f"`{plain(text).replace('`', chr(39))}`"


def cell(text: str) -> str:
    """Code in a table's cell, where a bar would end it."""
    return text.replace("|", "\\|")
