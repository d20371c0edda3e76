"""Makes release manifests from a model's files, publishes the files, and verifies them where they are."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from turnout_components.artifact import SUMS, Files, LocalFiles, S3Files, hash_model
from turnout_components.release import Release, ReleaseError, checked_name, parse

from turnout.cloud import images

_HEAD = "# written by `turnout releases`\n"


def make(name: str, model: Path, given: Mapping[str, Any], like: Release | None) -> tuple[Release, str | None]:
    """A release of the model in the file or folder `model`, and the text of its `SHA256SUMS` if it is a folder.

    `given` nests as a manifest does and stands above what `like` has; what `like` says about its own model's hash and origin
    is not taken over.
    Raises `ReleaseError` with a line for each field that is missing or malformed, `ArtifactError`."""
    checked_name(name)
    base = like.model_dump(mode="json", exclude={"name", "provenance"}, exclude_defaults=True) if like else {}
    content = _merged(base, given)
    sha256, sums = hash_model(model)
    content["model"] = {**content.get("model", {}), "sha256": sha256}
    if sums is not None and not str(content["model"].get("uri", "/")).endswith("/"):
        content["model"]["uri"] += "/"
    try:
        return Release.model_validate({"name": name, **content}), sums
    except ValidationError as error:
        raise ReleaseError("\n".join(_fault(name, e) for e in error.errors())) from None


def manifest_path(folder: Path, release: Release) -> Path:
    """Where the release's manifest belongs.

    Raises `ReleaseError` where another release has the name: releases are immutable."""
    path = folder / f"{release.name}.yaml"
    if path.exists() and parse(path).digest != release.digest:
        raise ReleaseError(f"{path} is another release ({parse(path).digest}); releases are immutable: choose another name")
    return path


def write(path: Path, release: Release) -> None:
    """Writes the manifest."""
    content = release.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_HEAD + yaml.safe_dump(content, sort_keys=False, width=120))


def add(path: Path, release: Release) -> bool:
    """Writes the manifest unless it stands there: of two that write at once one does. Whether it did.

    Raises `ReleaseError` where another release has come to have the name."""
    own = path.with_name(f".{path.stem}.{os.getpid()}")
    write(own, release)
    try:
        os.link(own, path)
    except FileExistsError:
        manifest_path(path.parent, release)
        return False
    finally:
        own.unlink()
    return True


def git_commit(folder: Path) -> str | None:
    """The commit that `folder` is at, with `+dirty` where tracked files differ from it; None outside of a repository."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return commit + ("+dirty" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def evaluation(path: Path) -> dict[str, float | str]:
    """The scores in a JSON file: an object of numbers and texts.

    Raises `ReleaseError`."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{path}: no evaluation can be read: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(v, (int, float, str)) and v is not None for v in found.values()):
        raise ReleaseError(f'{path}: write one object of scores, such as {{"accuracy": 0.93, "set": "heldout-2026-09"}}')
    return found


def publish(client: Any, release: Release, model: Path, sums: str | None, told: Callable[[str], None]) -> None:
    """Uploads the model's files to its `s3://` URI, each with its SHA-256, `SHA256SUMS` last. `client` is boto3's.

    Raises `ReleaseError` where the URI is of another kind."""
    bucket, _, key = release.model.uri.removeprefix("s3://").partition("/")
    if not release.model.uri.startswith("s3://") or not bucket:
        raise ReleaseError(f"{release.model.uri} is no s3:// URI: files cannot be uploaded there")
    extra = {"ChecksumAlgorithm": "SHA256"}
    if sums is None:
        told(release.model.uri)
        client.upload_file(str(model), bucket, key, ExtraArgs=extra)
        return
    for line in sums.splitlines():
        name = line.partition("  ")[2]
        told(release.model.uri + name)
        client.upload_file(str(model / name), bucket, key + name, ExtraArgs=extra)
    client.put_object(Bucket=bucket, Key=key + SUMS, Body=sums.encode(), **extra)


def files_of(release: Release, catalogue: Path, s3: Callable[[], Any]) -> Files:
    """Where the release's model is: in S3, in an installed package, or (`file:`) below its image's folder in the catalogue.

    Raises `ReleaseError` for another kind of URI, or an image that the catalogue lacks."""
    scheme = release.model.uri.partition(":")[0]
    if scheme == "s3":
        return S3Files(s3())
    if scheme not in ("file", "package"):
        raise ReleaseError(f"{release.model.uri}: only s3://, file: and package: URIs can be verified")
    try:
        return LocalFiles(images.find(release.image, [catalogue]).folder)
    except images.ImageError as error:
        raise ReleaseError(str(error)) from None


def _merged(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Both, `given` above `base`; what is given as nothing is not given."""
    merged = dict(base)
    for key, value in given.items():
        chosen = _merged(merged.get(key) or {}, value) if isinstance(value, Mapping) else value
        if chosen not in (None, [], {}):
            merged[key] = chosen
    return merged


_OPTIONS = {
    "image": "--image <image>@sha256:<64 hex digits>",
    "model.uri": "--uri s3://<bucket>/<prefix>/",
    "model.name": "--model-name",
    "model.version": "--model-version",
    "engine": "--engine",
    "engine.flags": "--flag",
    "engine.env": "--env",
}


def _fault(name: str, error: Any) -> str:
    place = [str(part) for part in error["loc"]]
    option = next((_OPTIONS[field] for n in (2, 1) if (field := ".".join(place[:n])) in _OPTIONS), "another value")
    return f"{name}: {'.'.join(place)}: {error['msg']}; give {option}, or take it from another release with --like"
