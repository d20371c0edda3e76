"""Every command's arguments. What a command does is imported when it runs: `rollback` must start fast."""

# ruff: noqa: ARG001 -- `as_json` works by its callback

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from turnout.cli import pipeline_commands
from turnout.cli.errors import EXIT_CODES, explain
from turnout.cli.rollout_commands import rollouts
from turnout.cli.session import JsonOption, StackOption, screen
from turnout.cli.stack_commands import refresh, stacks


class _Group(TyperGroup):
    """Ends a command that failed with its message and exit code."""

    def invoke(self, ctx: Any) -> Any:
        words = [*ctx._protected_args, *ctx.args]
        try:
            return super().invoke(ctx)
        except TyperException as error:  # of usage: Typer says it to people, and ends with its code
            if "--json" in words:
                screen().told(error.exit_code, error.format_message())
            raise
        except (Exception, KeyboardInterrupt) as error:
            # Whom a reader has left (`| head`) Typer ends with 1 and without a word.
            if isinstance(error, (BrokenPipeError, typer.Abort, typer.Exit)) or os.environ.get("TURNOUT_DEBUG"):
                raise
            code, message = explain(error)
            screen().error(code, message)
            raise typer.Exit(int(code)) from None


app = typer.Typer(
    cls=_Group,
    name="turnout",
    help="Blue-green deployments of AI models: two environments, one switch.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    rich_markup_mode=None,
)
releases = typer.Typer(help="What was released, and what was marked unstable.", no_args_is_help=True)
local = typer.Typer(help="The local cloud: AWS's API, model servers, a load balancer.", no_args_is_help=True)
app.add_typer(releases, name="releases")
app.add_typer(local, name="local")
app.add_typer(rollouts, name="rollout")
app.add_typer(stacks, name="stack")
pipeline_commands.add_to(releases)


@app.command()
def init(stack: StackOption = "local", as_json: JsonOption = False) -> None:
    """Make the switch record's table, once for a cloud. What exists is left alone."""
    from turnout.cli.setup import init

    init(stack)


@app.command()
def up(stack: StackOption = "local", as_json: JsonOption = False) -> None:
    """Bring the stack to what its config says, behind the gate."""
    from turnout.cli.deploying import up

    up(stack)


@app.command()
def preview(
    stack: Annotated[
        list[str] | None, typer.Option("--stack", "-s", envvar="TURNOUT_STACK", help="A stack; repeat it. With --base: or all.")
    ] = None,
    base: Annotated[str | None, typer.Option(help="A git revision: what a merge into it would do, offline.")] = None,
    head: Annotated[str | None, typer.Option(help="With --base: what is merged; default: the files as they are.")] = None,
    allow: Annotated[list[str] | None, typer.Option(help="A resource that may interrupt the service; repeat it.")] = None,
    comment: Annotated[Path | None, typer.Option(help="A file for a pull request's comment (Markdown).")] = None,
    html: Annotated[Path | None, typer.Option(help="A file for a page.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what `up`, or a merge (--base), would do; touches nothing."""
    from turnout.cli.errors import CommandFailed, Exit
    from turnout.cli.previewing import Wanted, preview_merge, preview_update

    wanted = Wanted(tuple(allow or ()), comment, html)
    if base is not None:
        preview_merge(stack or [], base, head, wanted)
    elif head is not None:
        raise CommandFailed(Exit.REFUSED, "--head goes with --base REVISION")
    else:
        preview_update(stack or ["local"], wanted)


app.command()(refresh)


@app.command()
def destroy(
    stack: StackOption = "local",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take the whole stack down. The switch record's history and its table stay."""
    from turnout.cli.deploying import destroy

    destroy(stack, yes)


@app.command()
def flip(
    environment: Annotated[str | None, typer.Argument(help="Who is to be active; default: the standby.")] = None,
    to: Annotated[str | None, typer.Option(help="Shares instead of all traffic: blue=90,green=10.")] = None,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Move traffic: turnout:traffic in the stack's file, then `up`. What is refused leaves the file as it was."""
    from turnout.cli.flipping import flip

    flip(stack, environment, to)


@app.command()
def rollback(
    now: Annotated[bool, typer.Option("--now", help="One healthy target in the standby is enough.")] = False,
    reason: Annotated[str, typer.Option(help="Why; it is written into the record.")] = "rolled back by hand",
    to: Annotated[str | None, typer.Option(help="An earlier release: proven whole first, deployed where none runs it.")] = None,
    candidates: Annotated[bool, typer.Option("--candidates", help="Only list where a rollback may go.")] = False,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Give all traffic back to the environment that had it before. Uses no Pulumi; breaks a move that is under way."""
    from turnout.cli.rolling_back import roll_back, show_candidates

    if candidates:
        show_candidates(stack)
    else:
        roll_back(stack, now, reason, to)


@app.command()
def status(stack: StackOption = "local", as_json: JsonOption = False) -> None:
    """Who is active, who is ready, who moves traffic, what is kept."""
    from turnout.cli.status import show

    show(stack)


@releases.command("list")
def releases_list(stack: StackOption = "local", as_json: JsonOption = False) -> None:
    """Every release that has a manifest, and where it runs. With unstable marks and history."""
    from turnout.cli.releases import show

    show(stack)


@releases.command("accept")
def releases_accept(
    release: Annotated[str, typer.Argument(help="Name, digest or id of a release that is marked unstable.")],
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Let a release that was marked unstable carry traffic again."""
    from turnout.cli.releases import accept

    accept(stack, release)


@releases.command("create")
def releases_create(
    name: Annotated[str, typer.Argument(help="The release's name; the manifest is <releases>/<name>.yaml.")],
    model: Annotated[Path, typer.Argument(help="The model's file, or the folder with its files.", exists=True)],
    like: Annotated[str | None, typer.Option(help="Take over what is not given here from this release.")] = None,
    uri: Annotated[str | None, typer.Option(help="Where nodes fetch the model: s3://…; a folder's ends in /.")] = None,
    image: Annotated[str | None, typer.Option(help="The serving image by digest, or the folder with its image.toml.")] = None,
    model_name: Annotated[str | None, typer.Option(help="The model's name.")] = None,
    model_version: Annotated[str | None, typer.Option(help="The model's version.")] = None,
    engine: Annotated[str | None, typer.Option(help="The serving engine's name, such as vllm.")] = None,
    flag: Annotated[list[str] | None, typer.Option(help="A flag of the engine; repeat it, in order.")] = None,
    env: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the engine; repeat it. Never a secret.")] = None,
    prompt_version: Annotated[str | None, typer.Option(help="The prompt template's version.")] = None,
    adapter: Annotated[list[str] | None, typer.Option(help="An adapter; repeat it, in order.")] = None,
    training_data: Annotated[str | None, typer.Option(help="The training data's version.")] = None,
    seed: Annotated[int | None, typer.Option(help="The training's seed.")] = None,
    evaluation: Annotated[Path | None, typer.Option(help="A JSON file of scores.")] = None,
    git_commit: Annotated[str | None, typer.Option(help="Default: the current folder's.")] = None,
    upload: Annotated[bool, typer.Option("--upload", help="Put the files at their URI first.")] = False,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Hash a model's files; write the manifest of a new release."""
    from turnout.cli.releasing import create
    from turnout.releasing import evaluation as scores
    from turnout.releasing import git_commit as commit_of

    origin = {"training_data": training_data, "seed": seed, "git_commit": git_commit or commit_of(Path.cwd())}
    given = {
        "model": {"name": model_name, "version": model_version, "uri": uri},
        "image": image,
        "engine": {"name": engine, "flags": flag, "env": dict(pair.partition("=")[::2] for pair in env or [])},
        "prompt_version": prompt_version,
        "adapters": adapter,
        "provenance": {**origin, "evaluation": scores(evaluation) if evaluation else None},
    }
    create(stack, name, model, given, like, upload)


@releases.command("verify")
def releases_verify(
    release: Annotated[str | None, typer.Argument(help="Name or id; default: what the stack's config names.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Read no file that S3 has no hash of.")] = False,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Compare a release's files, where they are, with its manifest."""
    from turnout.cli.releasing import check

    check(stack, release, quick)


@local.command("start")
def local_start(
    images: Annotated[
        list[Path] | None,
        typer.Option(help="Folder with image.toml files; repeat it for more. Default: the folder above turnout:releases."),
    ] = None,
    speed: Annotated[float, typer.Option(min=0.1, help="Divides the cloud's own waits (docs/local-cloud.md).")] = 1.0,
    platform: Annotated[
        str | None,
        typer.Option(help="ec2, or eks or kubernetes: with a cluster beside the account. Default: the stack's platform."),
    ] = None,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Start the local cloud of this project in the background."""
    from turnout.cli.local import start

    start(stack, images or [], speed, platform)


@local.command("stop")
def local_stop(as_json: JsonOption = False) -> None:
    """Stop the local cloud, and everything that it runs."""
    from turnout.cli.local import stop

    stop()


@local.command("status")
def local_status(as_json: JsonOption = False) -> None:
    """What the local cloud balances, serves and runs."""
    from turnout.cli.local import status

    status()


@local.command("logs")
def local_logs(
    instance: Annotated[str | None, typer.Argument(help="An instance's id, or a part of it; default: the cloud.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print what the cloud, or one instance, has logged."""
    from turnout.cli.local import logs

    logs(instance, follow)


@app.command()
def demo(
    report: Annotated[Path, typer.Option(help="Where the report goes (docs/report.md).")] = Path("report.json"),
    model: Annotated[str, typer.Option(help="What is served: digits, or llm (a language model's streams).")] = "digits",
    platform: Annotated[str, typer.Option(help="Where it runs: ec2, or kubernetes (digits only).")] = "ec2",
    as_json: JsonOption = False,
) -> None:
    """Deploy, flip, meet a bad release and roll back, under traffic."""
    from turnout.cli.demo import demo

    demo(report, model, platform)
