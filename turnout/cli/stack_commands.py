"""The arguments of `turnout refresh` and `turnout stack …`. What a command does is imported when it runs."""

# ruff: noqa: ARG001 -- `as_json` works by its callback

from pathlib import Path
from typing import Annotated

import typer

from turnout.cli.session import JsonOption, StackOption

stacks = typer.Typer(help="What the engine keeps of stacks: outputs, history, state.", no_args_is_help=True)


def refresh(
    preview: Annotated[bool, typer.Option("--preview", help="Only show the drift.")] = False,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Read every resource; show and keep what others changed. The engine's state takes it; nothing in the cloud changes."""
    from turnout.cli.stack import refresh

    refresh(stack, preview)


@stacks.command("ls")
def stack_list(stack: StackOption = "local", as_json: JsonOption = False) -> None:
    """The project's stacks that the named one's engine keeps."""
    from turnout.cli.stack import show_stacks

    show_stacks(stack)


@stacks.command("history")
def stack_history(
    newest: Annotated[int, typer.Option("--newest", "-n", min=1, help="So many updates.")] = 20,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Updates, the last one first."""
    from turnout.cli.stack import show_history

    show_history(stack, newest)


@stacks.command("output")
def stack_output(
    name: Annotated[str | None, typer.Argument(help="Only this output.")] = None,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """What the program has exported; secret values are masked."""
    from turnout.cli.stack import show_outputs

    show_outputs(stack, name)


@stacks.command("export")
def stack_export(
    file: Annotated[Path | None, typer.Option("--file", help="Where to; default: stdout.")] = None,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """The state as a Pulumi deployment; secrets stay encrypted."""
    from turnout.cli.stack import export

    export(stack, file)


@stacks.command("import")
def stack_import(
    file: Annotated[Path, typer.Argument(help="An export of this stack.", exists=True, dir_okay=False)],
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Put an export in the place of the state. The cloud is left as it is; `turnout refresh` compares the two."""
    from turnout.cli.stack import replace

    replace(stack, file)


@stacks.command("cancel")
def stack_cancel(stack: StackOption = "local", as_json: JsonOption = False) -> None:
    """Stop the update that runs, or free what a dead host holds."""
    from turnout.cli.stack import cancel

    cancel(stack)
