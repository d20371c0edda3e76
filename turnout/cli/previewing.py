"""`turnout preview --base`: what a merge would do, for a terminal, a pull request's comment, or a program."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from turnout import stacks
from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.session import screen
from turnout.preview import markdown, text
from turnout.preview.page import page
from turnout.preview.plan import Plan
from turnout.preview.rehearsal import rehearse
from turnout.preview.revisions import Revision, revision


def preview_merge(
    names: Sequence[str], base: str, head: str | None, allowed: Sequence[str], comment: Path | None, html: Path | None
) -> None:
    """Plans `head` (None: the working tree) against `base` for these stacks, or for all. `allowed`: resources whose
    interruption is wanted; another one refuses, after all was shown."""
    root = stacks.find_root(Path.cwd())
    with ExitStack() as closing:
        before, after = (closing.enter_context(revision(root, name)) for name in (base, head))
        plans = _plans(names or _stacks(after), before, after)
    for plan in plans:
        for line in text.lines(plan):
            screen().line(line)
    for file, made in ((comment, markdown.comment), (html, page)):
        if file is not None:
            file.write_text(made(plans, base, after.name), encoding="utf-8")
    stops = [(plan.stack, stop) for plan in plans for stop in plan.interruptions if stop.resource not in allowed]
    refused = [f"{stack}: {stop.resource}: {stop.said}" for stack, stop in stops]
    documents = [plan.document() for plan in plans]
    screen().result({"base": base, "head": head, "stacks": documents, "refused": refused})
    if refused and screen().as_json:
        raise SystemExit(int(Exit.REFUSED))
    if refused:
        why = "the merge would interrupt the service; where that is wanted say --allow RESOURCE"
        raise CommandFailed(Exit.REFUSED, "\n".join([why, *refused]))


def _plans(names: Sequence[str], before: Revision, after: Revision) -> list[Plan]:
    found = []
    for name in names:
        with screen().console.status(f"planning {name}: {before.name} and {after.name}"):
            plan = rehearse(name, before, after)
        if plan is None:
            raise CommandFailed(Exit.REFUSED, f"{after.name} has no stack {name}; stacks: {', '.join(_stacks(after))}")
        found.append(plan)
    return found


def _stacks(of: Revision) -> list[str]:
    from turnout.engine.workspace import load_project

    return sorted(path.name.split(".")[1] for path in load_project(of.root).stack_folder.glob("Pulumi.*.yaml"))
