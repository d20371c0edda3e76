"""Plans as one comment for a pull request: short, details folded, the same text for the same plans. Pure."""

from collections.abc import Sequence

from turnout.preview.changes import Change, Operation
from turnout.preview.fleet import Pool
from turnout.preview.plan import Plan
from turnout.preview.text import MEASURES, SIGNS, difference, short

LONGEST = 60_000
"""Bytes of a comment. GitHub takes 65,536 characters."""
MARK = "<!-- turnout-preview -->"
"""The first line, by which the comment is found again and edited."""


def comment(plans: Sequence[Plan], base: str, head: str) -> str:
    """The comment; "" when nothing changes. What is too long is cut at the details, and says so."""
    changed = [plan for plan in plans if not plan.is_quiet]
    if not changed:
        return ""
    title = f"### What merging {code(head)} into {code(base)} would do"
    rows = "\n".join(["| stack | changes | traffic |", "|---|---|---|", *(_row(plan) for plan in changed)])
    quiet = [plan.stack for plan in plans if plan.is_quiet]
    same = [f"Nothing changes in {', '.join(map(code, quiet))}."] if quiet else []
    top = "\n\n".join([f"{MARK}\n{title}", rows, *same])
    return _fitted(top, [part for plan in changed for part in _parts(plan)])


def _fitted(top: str, parts: list[tuple[str, str]]) -> str:
    """As many details as there is room for; each part has a shorter form that stands for it."""
    chosen = [whole for whole, _ in parts]
    for place in reversed(range(len(parts))):
        if len("\n\n".join([top, *chosen]).encode()) <= LONGEST:
            break
        chosen[place] = parts[place][1]
    return "\n\n".join([top, *chosen]) + "\n"


def _row(plan: Plan) -> str:
    return f"| {code(plan.stack)} | {plan.counted} | {cell(plan.traffic.removeprefix('traffic: '))} |"


def _parts(plan: Plan) -> list[tuple[str, str]]:
    """A stack's sections, each with the form that takes its place where there is no room."""
    stops = [f"- **{cell(each.resource)}**: {each.said}" for each in plan.interruptions]
    found = []
    if stops:
        warning = "\n".join([f"**{plan.stack} would interrupt the service:**", *stops])
        found.append((warning, warning))
    if rows := [_pool(pool) for pool in plan.pools]:
        table = "\n".join(["| pool | " + " | ".join(label for label, _ in MEASURES) + " |", "|---|---|---|---|", *rows])
        found.append((table, f"{len(rows)} pools change their size."))
    if plan.secrets:
        others = f"Secrets that are others: {', '.join(map(code, plan.secrets))}."
        found.append((others, others))
    details = "\n".join(line for change in plan.changes for line in _diff(change))
    summary = f"<summary>{plan.stack}: {plan.counted}</summary>"
    folded = f"<details>{summary}\n\n```diff\n{details}\n```\n\n</details>"
    found.append((folded, f"{plan.stack}: {plan.counted}; the details are too long for a comment, see the job's artifact."))
    return found


def _pool(pool: Pool) -> str:
    shown = [f"{pool.before.told(of)} → {pool.after.told(of)}" for _, of in MEASURES]
    return f"| {code(pool.name)} | {' | '.join(shown)} |"


def _diff(change: Change) -> list[str]:
    """Lines of a fenced block in `diff`: `!` marks what is replaced."""
    sign = {Operation.REPLACE: "!", Operation.UPDATE: "#"}.get(change.operation, SIGNS[change.operation])
    forced = f" (forced by {', '.join(change.forced_by)})" if change.forced_by else ""
    first = f"{sign} {change.operation} {short(change.type)} {change.name}{forced}"
    return [first, *(f"      {difference(each)}".replace("```", "'''") for each in change.properties)]


def code(text: str) -> str:
    """Text as code, whatever it holds."""
    return f"`{text.replace('`', chr(39))}`"


def cell(text: str) -> str:
    """Text in a table's cell."""
    return text.replace("|", "\\|").replace("\n", " ")
