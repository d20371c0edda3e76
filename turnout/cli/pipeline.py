"""`turnout releases validate`, `build` and `publish`: a model's way to the nodes, each step by what the manifest names."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from rich.table import Table
from rich.text import Text
from turnout_components.artifact import Files, LocalFiles, S3Files
from turnout_components.release import Release, ReleaseError, checked_name, load, name_of, parse

from turnout import releasing
from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.releasing import uploader
from turnout.cli.session import Session, screen
from turnout.cloud import images
from turnout.pipeline import publish as publishing
from turnout.pipeline import smoke_set
from turnout.pipeline.builders import choose, context_of
from turnout.pipeline.formats import format_of
from turnout.pipeline.registry import Put, find_crane, login, push
from turnout.pipeline.validate import Check, Subject, Validation, fetch, size_of, validate


def check(stack: str, wanted: str, server: Path | None, smoke: Path | None) -> None:
    """Validates a release and prints what was found. Ends the command with 2 where a check fails.

    Raises `ReleaseError`, `ImageError`, `SmokeSetError` where nothing can be begun."""
    session = Session(stack)
    release, manifest = find(session, wanted)
    image = image_of(release, manifest, server)
    subject = Subject(
        release, files_of(session, release, image), image, smoke_set.read(smoke or image.folder / smoke_set.FILE), session.root
    )
    out = screen()
    out.line(f"{release.id}, served by {os.path.relpath(image.folder)}")
    with tempfile.TemporaryDirectory(prefix="turnout-validate-") as folder:
        found = validate(subject, Path(folder), lambda each: out.show(_row(each)))
    out.result(found.document())
    if not found.sound:
        _end(found)
    out.line(f"{release.name} is valid")


def build(stack: str, wanted: str, server: Path | None, base: str | None, builder: str | None, out: Path | None) -> None:
    """Builds a release's image as an OCI layout below the project's state, or in `out`.

    Raises `BuildError`, `ImageError`, `ReleaseError`."""
    session = Session(stack)
    release, manifest = find(session, wanted)
    image = image_of(release, manifest, server)
    layout = (out or session.home / "images" / image.digest.removeprefix("sha256:")).absolute()
    if layout.exists() and not (layout / "oci-layout").is_file():
        raise ReleaseError(f"{layout} is there and no image layout; choose another folder with --out")
    layout.parent.mkdir(parents=True, exist_ok=True)
    with _built(session, image, base, builder, layout.parent) as (made, digest, by):
        shutil.rmtree(layout, ignore_errors=True)
        made.rename(layout)
    screen().line(f"{digest} by {by}, in {layout}")
    screen().result({"digest": digest, "builder": by, "layout": str(layout)})


def publish(
    stack: str,
    wanted: str,
    server: Path | None,
    bucket: str | None,
    repository: str | None,
    base: str | None,
    builder: str | None,
    name: str | None,
) -> None:
    """Puts model, image and manifest where the stack's nodes find them; says what was there already.

    Raises `ArtifactError`, `BuildError`, `ImageError`, `RegistryError`, `ReleaseError`."""
    session, out = Session(stack), screen()
    release, manifest = find(session, wanted)
    own = release.image.startswith("local/")
    _refuse_unreachable(session, release, bucket, repository)
    name = checked_name(name or release.name)
    publishing.refuse_taken(session.stack.releases, release, name, bucket, repository if own else None)
    image = image_of(release, manifest, server) if own or bucket else None
    put_model, put_image = Put(release.model.uri, True), Put(release.image, True)
    found: dict[str, Any] = {}
    if repository is not None and own:
        assert image is not None
        with (
            _built(session, image, base, builder, None) as (layout, _, by),
            login((repository,), lambda region: session.access().client("ecr", region)) as env,
        ):
            out.line(f"image built by {by}")
            put_image = push(find_crane(), layout, repository, env)
    if bucket is not None:
        assert image is not None
        with tempfile.TemporaryDirectory(prefix="turnout-publish-") as folder:
            path = fetch(release.model, files_of(session, release, image), Path(folder))
            found = {"size": size_of(path), "format": format_of(path)}
            put_model = publishing.put_model(uploader(session), release, path, bucket, lambda uri: out.line(f"uploading {uri}"))
    made = publishing.published(release, name, put_model.where, put_image.where, found)
    path = releasing.manifest_path(session.stack.releases, made)
    known = not releasing.add(path, made)
    for what, put, done in (
        ("model", put_model, "uploaded" if bucket else None),
        ("image", put_image, "pushed" if repository and own else None),
        ("manifest", Put(os.path.relpath(path), known), "written"),
    ):
        out.line(f"{what:9}{put.where}: {'was there' if done and put.was_there else done or 'left as it is'}")
    out.line("to give it traffic:")
    out.line(f"  turnout rollout start --release {made.name} --stack {stack}")
    document = {"id": made.id, "name": made.name, "manifest": str(path), "model": put_model.where, "image": put_image.where}
    out.result({**document, "uploaded": not put_model.was_there, "pushed": not put_image.was_there})


def _refuse_unreachable(session: Session, release: Release, bucket: str | None, repository: str | None) -> None:
    """Nodes in AWS have neither this project's files nor its folders. Raises `ReleaseError`."""
    if session.stack.is_local:
        return
    if not release.model.uri.startswith("s3://") and bucket is None:
        raise ReleaseError(f"nodes of stack {session.stack.name} cannot read {release.model.uri}: say --bucket NAME")
    if release.image.startswith("local/") and repository is None:
        raise ReleaseError(f"nodes of stack {session.stack.name} cannot pull {release.image}: say --repository HOST/NAME")


@contextmanager
def _built(
    session: Session, image: images.Image, base: str | None, builder: str | None, beside: Path | None
) -> Iterator[tuple[Path, str, str]]:
    """A layout that goes with the block unless it is moved, the image's digest, and who built it. It is this run's own: another
    may build at the same time. `beside`: the folder that it is to be moved into."""
    context = context_of(image, session.root, base)
    with (
        tempfile.TemporaryDirectory(prefix=".building-", dir=beside) as folder,
        login((context.base,), lambda region: session.access().client("ecr", region)) as env,
    ):
        layout, chosen = Path(folder) / "layout", choose(context, builder, env)
        yield layout, chosen.build(context, layout), chosen.name


def find(session: Session, wanted: str) -> tuple[Release, Path]:
    """The release that a name, an id or a manifest's path names, and its manifest.

    Raises `ReleaseError`."""
    if wanted.endswith((".yaml", ".yml")):
        path = Path(wanted)
        if not path.is_file():
            raise ReleaseError(f"no manifest {path}")
        return parse(path), path.absolute()
    folder = session.stack.releases
    path = folder / f"{name_of(wanted)}.yaml"
    if "@" in wanted:
        return load(folder, wanted), path
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
        raise ReleaseError(f"no manifest {path}; the folder holds: {known}")
    return parse(path), path


def files_of(session: Session, release: Release, image: images.Image) -> Files:
    """Where the model's files are; `file:` is relative to the server's folder.

    Raises `ReleaseError` for a URI of another kind."""
    scheme = release.model.uri.partition(":")[0]
    if scheme == "s3":
        return S3Files(session.access().client("s3"))
    if scheme not in ("file", "package"):
        raise ReleaseError(f"{release.model.uri}: only s3://, file: and package: URIs can be fetched")
    return LocalFiles(image.folder)


def image_of(release: Release, manifest: Path, server: Path | None) -> images.Image:
    """The folder with the release's own server: beside its manifest's folder, or `server`.

    Raises `ImageError` where it is another server than the manifest names, `ReleaseError` where nothing says which it is."""
    if server is not None:
        found = images.read(server.absolute())
        if release.image.startswith("local/") and found.reference != release.image:
            raise ReleaseError(f"{server} is {found.reference}, {release.name} names {release.image}: make the manifest again")
        return found
    if not release.image.startswith("local/"):
        fix = "say --server FOLDER (with its image.toml) to start it from the code that it was built from"
        raise ReleaseError(f"{release.name}'s image {release.image} cannot be started here; {fix}")
    return images.find(release.image, [manifest.parent.parent])


def _row(check: Check) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(width=7)
    table.add_column(width=10)
    table.add_column(overflow="fold")
    outcome = Text("ok", style="green") if check.passed else Text("refused", style="red")
    table.add_row(outcome, check.check, Text(check.said))
    return table


def _end(found: Validation) -> NoReturn:
    """In JSON the document, which is written already, is all that is said."""
    if screen().as_json:
        raise SystemExit(int(Exit.REFUSED))
    faults: list[Any] = [each.check for each in found.checks if not each.passed]
    raise CommandFailed(Exit.REFUSED, f"{name_of(found.release)} is not valid: {', '.join(faults)}; nothing was published")
