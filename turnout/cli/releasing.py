"""`turnout releases create` and `verify`: manifests from a model's files, and the files against the manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from turnout_components.artifact import ArtifactError, verify
from turnout_components.release import Release, ReleaseError, load, name_of, parse

from turnout import releasing
from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.session import Session, screen
from turnout.cloud import images


def create(stack: str, name: str, model: Path, given: Mapping[str, Any], like: str | None, upload: bool) -> None:
    """Writes the manifest, after the upload if there is one: what is named is there.

    Raises `ReleaseError`, `ArtifactError`."""
    session = Session(stack)
    folder, out = session.stack.releases, screen()
    base = parse(_manifest(folder, like)) if like else None
    release, sums = releasing.make(name, model, {**given, "image": _image(given.get("image"))}, base)
    path = releasing.manifest_path(folder, release)
    if upload:
        releasing.publish(uploader(session), release, model, sums, lambda uri: out.line(f"uploading {uri}"))
    releasing.write(path, release)
    count = len(sums.splitlines()) if sums else 1
    out.line(f"{path}: {count} file{'s' if count > 1 else ''}, {release.model.sha256}")
    if sums and not upload:
        out.line(f"put the files and their SHA256SUMS at {release.model.uri} before you deploy (or --upload)")
    out.line("config line to deploy it to the standby:")
    out.line(f"  release: {release.id}")
    out.result({"id": release.id, "manifest": str(path), "model": release.model.sha256, "files": count, "uploaded": upload})


def check(stack: str, wanted: str | None, quick: bool) -> None:
    """Verifies one release, or those that the stack's environments name.

    Raises `CommandFailed` with every fault."""
    session = Session(stack)
    out = screen()
    releases = [_named(session, wanted)] if wanted else _deployed(session)
    faults: dict[str, list[str]] = {}
    for release in releases:
        files = releasing.files_of(release, session.stack.releases.parent, lambda: session.access().client("s3"))
        looked: list[str] = []
        try:
            faults[release.id] = verify(release.model, files, whole=not quick, told=looked.append)
        except ArtifactError as error:
            faults[release.id] = [str(error)]
        if not faults[release.id]:
            out.line(f"{release.name}: as the manifest says; looked at {len(looked)} of {release.model.uri}")
    wrong = [f"{name_of(release)}: {line}" for release, lines in faults.items() for line in lines]
    if wrong:
        raise CommandFailed(Exit.REFUSED, "\n".join(wrong))
    out.result({"verified": list(faults), "whole": not quick})


def _image(given: str | None) -> str | None:
    """The reference of the image that is meant: a folder with an image.toml stands for what it holds now.

    Raises `ImageError`."""
    if given is None or not (Path(given) / images.MANIFEST).is_file():
        return given
    return images.read(Path(given)).reference


def _named(session: Session, wanted: str) -> Release:
    folder = session.stack.releases
    return load(folder, wanted) if "@" in wanted else parse(_manifest(folder, wanted))


def _deployed(session: Session) -> list[Release]:
    ids = dict.fromkeys(release for release in session.stack.environments.values() if release)
    if not ids:
        raise ReleaseError(f"{session.stack.config_file} names no release")
    return [load(session.stack.releases, release) for release in ids]


def _manifest(folder: Path, name: str) -> Path:
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
        raise ReleaseError(f"no manifest {path}; the folder holds: {known}")
    return path


def uploader(session: Session) -> Any:
    """boto3's client of S3, which uploads in parts."""
    import boto3

    access = session.access()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"} if access.endpoint else {}
    return boto3.client("s3", region_name=session.stack.region, endpoint_url=access.endpoint, **keys)
