"""The arguments of `turnout rollout …`. What a command does is imported when it runs."""

# ruff: noqa: ARG001 -- `as_json` works by its callback

from pathlib import Path
from typing import Annotated, Any

import typer

from turnout.cli.session import JsonOption, StackOption

rollouts = typer.Typer(help="Move traffic by evidence, and take it back.", no_args_is_help=True)
RolloutArgument = Annotated[str | None, typer.Argument(help="The rollout; default: the one under way, or the newest.")]
StrategyOption = Annotated[str | None, typer.Option(help="canary, blue-green, direct, …; default: the stack's.")]
WeightsOption = Annotated[str | None, typer.Option(help="The canary's weights: 5,25,50,100.")]
IncrementOption = Annotated[int | None, typer.Option(help="Weights rise by so many percent instead.")]
BakeOption = Annotated[str | None, typer.Option(help="How long each weight below 100 is observed: 5m.")]
ObserveOption = Annotated[str | None, typer.Option(help="How long the full switch is observed: 10m.")]
ExtendOption = Annotated[str | None, typer.Option(help="How much longer while a gate cannot tell: 15m.")]
SmokeOption = Annotated[str | None, typer.Option(help="The smoke test's command; $URL, $HEADER, $ENVIRONMENT.")]
SurgeOption = Annotated[int | None, typer.Option(help="Nodes beside today's, where twice as many cannot be had.")]
AnyTimeOption = Annotated[bool, typer.Option("--no-windows", help="At any time: the stack's windows and freeze are left out.")]
ReleaseOption = Annotated[
    str | None, typer.Option(help="Deploy it to the standby first; of recreate: it takes the active one's place.")
]
WaiveOption = Annotated[list[str] | None, typer.Option(help="ITEM=WHY: let an item of the checklist pass; repeat it.")]


def _spec_changes(weights: str | None, waive: list[str] | None, no_windows: bool, **given: Any) -> dict[str, Any]:
    if weights is not None:
        if not all(weight.strip().isdecimal() for weight in weights.split(",")):
            raise typer.BadParameter(f"{weights!r} are no weights; write 5,25,50,100")
        given["steps"] = [int(weight) for weight in weights.split(",")]
    if no_windows:
        given |= {"windows": (), "freeze": ()}
    if waive:
        given["waive"] = dict(item.partition("=")[::2] for item in waive)
    return {key: value for key, value in given.items() if value is not None}


@rollouts.command("check")
def rollout_check(
    strategy: StrategyOption = None,
    weights: WeightsOption = None,
    increment: IncrementOption = None,
    bake: BakeOption = None,
    observe: ObserveOption = None,
    extend: ExtendOption = None,
    smoke_test: SmokeOption = None,
    max_surge: SurgeOption = None,
    no_windows: AnyTimeOption = False,
    waive: WaiveOption = None,
    release: ReleaseOption = None,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """What `start` would do, what this traffic lets be seen, and everything that is looked at before. Touches nothing."""
    from turnout.cli.rollout import check

    given: dict[str, Any] = {"strategy": strategy, "increment": increment, "bake": bake, "observe": observe, "extend": extend}
    check(stack, _spec_changes(weights, waive, no_windows, smoke_test=smoke_test, max_surge=max_surge, **given), release)


@rollouts.command("start")
def rollout_start(
    strategy: StrategyOption = None,
    weights: WeightsOption = None,
    increment: IncrementOption = None,
    bake: BakeOption = None,
    observe: ObserveOption = None,
    extend: ExtendOption = None,
    smoke_test: SmokeOption = None,
    max_surge: SurgeOption = None,
    no_windows: AnyTimeOption = False,
    waive: WaiveOption = None,
    release: ReleaseOption = None,
    detach: Annotated[bool, typer.Option("--detach", help="Begin only; another driver takes it on.")] = False,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Give the standby's release traffic, step by step. Drives to the end: 0 promoted, 5 taken back."""
    from turnout.cli.rollout import start

    given: dict[str, Any] = {"strategy": strategy, "increment": increment, "bake": bake, "observe": observe, "extend": extend}
    start(
        stack, _spec_changes(weights, waive, no_windows, smoke_test=smoke_test, max_surge=max_surge, **given), detach, release
    )


@rollouts.command("run")
def rollout_run(
    rollout: RolloutArgument = None,
    once: Annotated[bool, typer.Option("--once", help="One look and what follows from it.")] = False,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Drive a rollout that was begun elsewhere, from any host. Takes over when its driver is gone."""
    from turnout.cli.rollout import run

    run(stack, rollout, once)


@rollouts.command("status")
def rollout_status(
    rollout: RolloutArgument = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Until it ends, or Ctrl-C.")] = False,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Where a rollout stands, what the gates say, and what was decided when."""
    from turnout.cli.rollout import show

    show(stack, rollout, watch)


@rollouts.command("pause")
def rollout_pause(rollout: RolloutArgument = None, stack: StackOption = "local", as_json: JsonOption = False) -> None:
    """Stay at this weight. The gates go on looking, and still take traffic back."""
    from turnout.cli.rollout import pause

    pause(stack, rollout)


@rollouts.command("resume")
def rollout_resume(rollout: RolloutArgument = None, stack: StackOption = "local", as_json: JsonOption = False) -> None:
    """Go on where it was paused."""
    from turnout.cli.rollout import resume

    resume(stack, rollout)


@rollouts.command("promote")
def rollout_promote(rollout: RolloutArgument = None, stack: StackOption = "local", as_json: JsonOption = False) -> None:
    """Approve the step that waits, or leave it without the evidence that it waits for. The history says so."""
    from turnout.cli.rollout import promote

    promote(stack, rollout)


@rollouts.command("note")
def rollout_note(
    text: Annotated[str, typer.Argument(help="What people should know.")],
    rollout: Annotated[str | None, typer.Option(help="The rollout; default: the one under way, or the newest.")] = None,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Write down what happened and why: the checklist asks for it after a return."""
    from turnout.cli.rollout import note

    note(stack, rollout, text)


@rollouts.command("abort")
def rollout_abort(
    rollout: RolloutArgument = None,
    reason: Annotated[str, typer.Option(help="Why; it is written down.")] = "by hand",
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Take all traffic back now, whoever drives. The candidate is not marked unstable: `turnout rollback` does that."""
    from turnout.cli.rollout import abort

    abort(stack, rollout, reason)


@rollouts.command("history")
def rollout_history(stack: StackOption = "local", as_json: JsonOption = False) -> None:
    """The newest rollouts and how they ended."""
    from turnout.cli.rollout import history

    history(stack)


@rollouts.command("report")
def rollout_report(
    rollout: RolloutArgument = None,
    html: Annotated[Path | None, typer.Option(help="The page's file; default: <rollout>.html in this folder.")] = None,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Write a rollout as one page of HTML: what was measured, what the gates say, what was decided when and why."""
    from turnout.cli.rollout import report

    report(stack, rollout, html)
