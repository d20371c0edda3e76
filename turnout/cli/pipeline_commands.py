"""The arguments of `turnout releases validate`, `build` and `publish`. What a command does is imported when it runs."""

# ruff: noqa: ARG001 -- `as_json` works by its callback

from pathlib import Path
from typing import Annotated

import typer

from turnout.cli.session import JsonOption, StackOption

ReleaseArgument = Annotated[str, typer.Argument(help="Name or id of a release of the stack, or a manifest's path.")]
ServerOption = Annotated[
    Path | None, typer.Option(help="The folder of the server's image.toml; default: the one above the manifest's folder.")
]


def validate(
    release: ReleaseArgument,
    server: ServerOption = None,
    smoke: Annotated[Path | None, typer.Option(help="The smoke set; default: smoke.yaml beside image.toml.")] = None,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Prove a release: origin, files, format, load, answers. Publishes nothing."""
    from turnout.cli.pipeline import check

    check(stack, release, server, smoke)


BaseOption = Annotated[
    str | None, typer.Option(help="The image with what the server needs, by digest; default: image.toml's base.")
]
BuilderOption = Annotated[str | None, typer.Option(help="crane, buildah or docker; default: the first that is here.")]


def build(
    release: ReleaseArgument,
    server: ServerOption = None,
    base: BaseOption = None,
    builder: BuilderOption = None,
    out: Annotated[Path | None, typer.Option(help="Where the OCI image layout goes; default: .turnout/images.")] = None,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Build a release's image from its server's folder. The same files and base give the same digest."""
    from turnout.cli.pipeline import build

    build(stack, release, server, base, builder, out)


def publish(
    release: ReleaseArgument,
    bucket: Annotated[str | None, typer.Option(help="Put the model into this bucket, below its sha256.")] = None,
    repository: Annotated[str | None, typer.Option(help="Build the image and push it there by digest: HOST/NAME.")] = None,
    name: Annotated[str | None, typer.Option("--as", help="The published release's name; default: the same.")] = None,
    server: ServerOption = None,
    base: BaseOption = None,
    builder: BuilderOption = None,
    stack: StackOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Put model, image and manifest where the stack's nodes find them. What is there already is left alone."""
    from turnout.cli.pipeline import publish

    publish(stack, release, server, bucket, repository, base, builder, name)


def add_to(releases: typer.Typer) -> None:
    """Makes the commands known."""
    for command in (validate, build, publish):
        releases.command(command.__name__)(command)
