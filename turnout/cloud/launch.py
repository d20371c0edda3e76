"""What an instance is to run, from its user data: image, verified model, command and environment."""

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turnout_components.user_data import read_release

from turnout.cloud import images
from turnout.cloud.images import Image, ImageError

_PRIVATE = ("AWS_", "PULUMI_", "TURNOUT_")
"""Environment variables of the daemon that a model server does not get."""


class LaunchError(ValueError):
    """An instance that cannot serve; the message says what does not fit and what to do."""


@dataclass(frozen=True)
class Node:
    """What user data asks for."""

    environment: str
    release: dict[str, Any]

    @property
    def release_id(self) -> str:
        """`<name>@sha256:<hex>`."""
        return f"{self.release.get('name', '?')}@{self.release.get('digest', '?')}"


@dataclass(frozen=True)
class Start:
    """How to start a model server."""

    command: tuple[str, ...]
    env: dict[str, str]


def parse(user_data: str) -> Node | None:
    """What the user data asks for, or None where it is not this kit's.

    Raises `LaunchError` where it is ours and malformed."""
    try:
        node = read_release(user_data)
        return None if node is None else Node(str(node["environment"]), dict(node["release"]))
    except (ValueError, KeyError, TypeError) as error:
        raise LaunchError(f"user data names no release that can be read: {error}") from None


def prepare(node: Node, instance: str, port: int, folder: Path, catalogue: Sequence[Path], models: Path) -> Start:
    """Finds the image, fetches and verifies the model, writes the release into the instance's folder.

    Raises `LaunchError` when the image or the model does not fit."""
    release = node.release
    try:
        image = images.find(release["image"], catalogue)
        model = _fetch(release["model"]["uri"], release["model"]["sha256"], image, models)
        flags = [str(flag) for flag in release["engine"]["flags"]]
        own = {str(name): str(value) for name, value in release["engine"].get("env", {}).items()}
    except ImageError as error:
        raise LaunchError(str(error)) from None
    except (KeyError, TypeError) as error:
        raise LaunchError(f"release {node.release_id} is malformed: {error} is missing") from None
    manifest = folder / "release.json"
    manifest.write_text(json.dumps(release, indent=1, sort_keys=True))
    fill = {"{python}": sys.executable, "{image}": str(image.folder)}
    command = [_filled(part, fill) for part in image.command]
    env = {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)}
    env |= own | {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "INSTANCE_ID": instance,
        "TURNOUT_RELEASE": str(manifest),
        "TURNOUT_RELEASE_DIGEST": str(release["digest"]),
        "TURNOUT_MODEL": str(model),
    }
    return Start((*command, *flags), env)


def _filled(part: str, fill: dict[str, str]) -> str:
    for name, value in fill.items():
        part = part.replace(name, value)
    return part


def _fetch(uri: str, sha256: str, image: Image, models: Path) -> Path:
    """The model's file in the content-addressed folder `models`, copied and verified where it is not there yet."""
    source = _source(uri, image)
    target = models / sha256.removeprefix("sha256:")
    if target.is_file():
        return target
    models.mkdir(parents=True, exist_ok=True)
    copy = models / f".{target.name}.new"
    try:
        shutil.copyfile(source, copy)
    except OSError as error:
        raise LaunchError(f"model {uri} cannot be fetched: {error}") from None
    with copy.open("rb") as content:
        found = "sha256:" + hashlib.file_digest(content, "sha256").hexdigest()
    if found != sha256:
        copy.unlink()
        raise LaunchError(f"model {source} has {found}, the release says {sha256}; it is not started")
    copy.rename(target)
    return target


def _source(uri: str, image: Image) -> Path:
    """Where a URI points: `file:` is relative to the image's folder, `package:<name>/<path>` to an installed package's."""
    parts = urllib.parse.urlsplit(uri)
    path = urllib.parse.unquote(parts.path)
    if parts.scheme == "file":
        return image.folder / path
    if parts.scheme != "package":
        raise LaunchError(
            f"model {uri}: the local cloud fetches file: (from the image's folder) and package:<name>/<path> only"
        )
    name, _, rest = path.partition("/")
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise LaunchError(f"model {uri}: no package {name!r} is installed here; run `make setup`")
    return Path(spec.submodule_search_locations[0]) / rest
