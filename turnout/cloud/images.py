"""The local cloud's image catalogue: folders that stand for container images, named by their content's digest."""

import hashlib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MANIFEST = "image.toml"
_REFERENCE = re.compile(r"^local/(?P<name>[^@]+)@sha256:(?P<digest>[0-9a-f]{64})$")


_NAME = re.compile(r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")


class ImageError(ValueError):
    """An image that cannot be found or read; the message says which, where and what to do."""


@dataclass(frozen=True)
class Image:
    """A folder with an `image.toml`: `command` starts the server, `digest` is `sha256:<hex>`; `files` are its own, in order of
    name; `base` is what it says of the image below it, if anything."""

    name: str
    folder: Path
    command: tuple[str, ...]
    digest: str
    files: tuple[str, ...] = ()
    base: object = None

    def started_by(self, python: str, folder: str) -> tuple[str, ...]:
        """The command where Python is `python` and the image's files are in `folder`."""
        return tuple(part.replace("{python}", python).replace("{image}", folder) for part in self.command)

    @property
    def reference(self) -> str:
        """What a release manifest writes under `image`."""
        return f"local/{self.name}@{self.digest}"


def digest(folder: Path) -> str:
    """`sha256:<hex>` over `image.toml` and the files that it lists: name NUL bytes NUL, in order of name.

    Raises `ImageError` when a file is missing."""
    return read(folder).digest


def read(folder: Path) -> Image:
    """The image in `folder`.

    Raises `ImageError` when its manifest or a file that it lists is missing or malformed."""
    path = folder / MANIFEST
    try:
        manifest = tomllib.loads(path.read_text())
        name, files, command = manifest["name"], manifest["files"], manifest["command"]
        if fault := _fault(name, files, command):
            raise ImageError(f"{path}: {fault}")
        linked = [file for file in files if not (folder / file).resolve().is_relative_to(folder.resolve())]
        if linked:
            raise ImageError(f"{path}: files: {linked[0]} is a link out of the folder; copy the file there")
        content = hashlib.sha256()
        own = tuple(sorted({MANIFEST, *files}))
        for file in own:
            content.update(file.encode() + b"\0" + (folder / file).read_bytes() + b"\0")
    except KeyError as error:
        raise ImageError(f"{path}: {error} is missing; it needs name, files and command") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ImageError(f"{path}: {error}") from None
    return Image(name, folder, tuple(command), f"sha256:{content.hexdigest()}", own, manifest.get("base"))


def find(reference: str, folders: Iterable[Path]) -> Image:
    """The image that `reference` names, from every `image.toml` below `folders`.

    Raises `ImageError` when none has this name and digest, and says what the catalogue holds instead."""
    match = _REFERENCE.match(reference)
    if match is None:
        raise ImageError(f"image {reference!r} is not in the local catalogue; name it local/<name>@sha256:<64 hex>")
    places = list(folders)
    held = [read(path.parent) for folder in places for path in sorted(folder.rglob(MANIFEST))]
    for image in held:
        if image.reference == reference:
            return image
    known = ", ".join(image.reference for image in held) or "nothing"
    where = ", ".join(str(folder) for folder in places) or "no folder"
    raise ImageError(f"image {reference} is not below {where}, which holds {known}; rebuild the release's manifest")


def _fault(name: object, files: object, command: object) -> str | None:
    """What is wrong with the fields of an image.toml. A file outside of its folder would be outside of the image too."""
    if not isinstance(name, str) or _NAME.match(name) is None:
        return f"name = {name!r}: write letters, digits, '.', '_', '-' and '/'"
    for field, value in (("files", files), ("command", command)):
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            return f"{field} = {value!r}: write a list of texts"
    if not command:
        return "command is empty: write the program and its arguments"
    outside = [file for file in map(PurePosixPath, files) if file.is_absolute() or ".." in file.parts]  # type: ignore[call-overload]
    return f"files: {outside[0]} is not in the folder; copy it there" if outside else None


def told(instance: str, port: int, manifest: Path, digest: str, model: Path) -> dict[str, str]:
    """What a node tells its model server by its environment; it stands above the release's own variables."""
    return {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "INSTANCE_ID": instance,
        "TURNOUT_RELEASE": str(manifest),
        "TURNOUT_RELEASE_DIGEST": digest,
        "TURNOUT_MODEL": str(model),
    }
