"""`turnout preview`: what an update or a merge would do, for a terminal, a pull request's comment, or a program."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from turnout import stacks
from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.executing import execute
from turnout.cli.session import Session, screen
from turnout.engine.policy_packs import found_in
from turnout.preview import markdown, steps, text
from turnout.preview.page import page
from turnout.preview.plan import Plan
from turnout.preview.rehearsal import rehearse
from turnout.preview.revisions import Revision, revision


@dataclass(frozen=True)
class Wanted:
    """What is to come of the plans. `allowed`: resources whose interruption is wanted; another refuses, after all was shown."""

    allowed: Sequence[str] = ()
    comment: Path | None = None
    html: Path | None = None


def preview_update(names: Sequence[str], wanted: Wanted) -> None:
    """Shows what an `up` of these stacks would do, as their engines say."""
    _show([_engine_plan(name) for name in names], None, None, "", wanted)


def preview_merge(names: Sequence[str], base: str, head: str | None, wanted: Wanted) -> None:
    """Plans `head` (None: the working tree) against `base` for these stacks, or for all of both."""
    root = stacks.find_root(Path.cwd())
    with ExitStack() as closing:
        before, after = (closing.enter_context(revision(root, name)) for name in (base, head))
        plans = _plans(names or sorted({*_stacks(before), *_stacks(after)}), before, after)
    _show(plans, base, head, after.name, wanted)


def _show(plans: Sequence[Plan], base: str | None, head: str | None, merged: str, wanted: Wanted) -> None:
    for plan in plans:
        for line in text.lines(plan):
            screen().line(line)
    for file, made in ((wanted.comment, markdown.comment), (wanted.html, page)):
        if file is not None:
            file.write_text(made(plans, base, merged), encoding="utf-8")
    stops = [(plan.stack, stop) for plan in plans for stop in plan.interruptions if stop.resource not in wanted.allowed]
    refused = [f"{stack}: {stop.resource}: {stop.said}" for stack, stop in stops]
    against = [f"{plan.stack}: {found.policy}: {found.said}" for plan in plans for found in plan.refusals]
    documents = [plan.document() for plan in plans]
    screen().result({"base": base, "head": head, "stacks": documents, "refused": [*refused, *against]})
    if (refused or against) and screen().as_json:
        raise SystemExit(int(Exit.REFUSED))
    what, why = "update" if base is None else "merge", []
    if refused:
        why += [f"the {what} would interrupt the service; where that is wanted say --allow RESOURCE", *refused]
    if against:
        why += ["an `up` would be refused by mandatory policies", *against]
    if why:
        raise CommandFailed(Exit.REFUSED, "\n".join(why))


def _engine_plan(name: str) -> Plan:
    session = Session(name)
    outcome = execute(session, "preview")
    if outcome.code and not outcome.is_refused_by_policies:
        raise CommandFailed(Exit(outcome.code), "\n".join(outcome.errors) or "preview failed")
    return replace(steps.plan(name, session.stack.config, outcome.steps, outcome.engine), findings=outcome.findings)


def _plans(names: Sequence[str], before: Revision, after: Revision) -> list[Plan]:
    found, pack = [], found_in(after.root)
    for name in names:
        with screen().console.status(f"planning {name}: {before.name} and {after.name}"):
            plan = rehearse(name, before, after, pack)
        if plan is None:
            raise CommandFailed(Exit.REFUSED, f"{after.name} has no stack {name}; stacks: {', '.join(_stacks(after))}")
        found.append(plan)
    return found


def _stacks(of: Revision) -> list[str]:
    from turnout.engine.workspace import load_project

    return sorted(path.name.split(".")[1] for path in load_project(of.root).stack_folder.glob("Pulumi.*.yaml"))
