"""A release's model: fetched into a content-addressed folder and verified.

A URI names one file, or, with a `/` at its end, a folder: then the release's sha256 is that of `SHA256SUMS` in it, and every
file that this lists is fetched and verified. `file:` is relative to the image's folder, `package:<name>/<path>` to an installed
package, `s3://<bucket>/<key>` an object of the account.
"""

import hashlib
import re
import shutil
import urllib.parse
import uuid
from pathlib import Path

from moto.s3.models import s3_backends
from turnout_components.artifact import ArtifactError, packaged

from turnout.cloud.images import Image

SUMS = "SHA256SUMS"
_LINE = re.compile(r"^(?P<digest>[0-9a-f]{64}) [ *](?P<name>.+)$")
_ACCOUNT = "123456789012"


class ModelError(ValueError):
    """A model that cannot be fetched, or is not what the release says; the message says which, where from and why."""


def fetch(uri: str, sha256: str, image: Image, store: Path) -> Path:
    """The model's file or folder in `store`, fetched and verified where it is not there yet.

    Raises `ModelError`."""
    target = store / sha256.removeprefix("sha256:")
    if target.exists():
        return target
    store.mkdir(parents=True, exist_ok=True)
    copy = store / f".{uuid.uuid4().hex}.new"
    try:
        if uri.endswith("/"):
            _folder(uri, sha256, image, copy)
        else:
            _file(uri, sha256, image, copy)
        copy.rename(target)
    finally:
        shutil.rmtree(copy, ignore_errors=True) if copy.is_dir() else copy.unlink(missing_ok=True)
    return target


def _folder(uri: str, sha256: str, image: Image, copy: Path) -> None:
    copy.mkdir()
    _file(uri + SUMS, sha256, image, copy / SUMS)
    for line in (copy / SUMS).read_text().splitlines():
        entry = _LINE.match(line)
        if entry is None:
            raise ModelError(f"model {uri}{SUMS}: {line!r} is no line of sha256sum; make it with `sha256sum * > {SUMS}`")
        file = copy / entry["name"]
        if not file.resolve().is_relative_to(copy.resolve()):
            raise ModelError(f"model {uri}{SUMS}: {entry['name']} lies outside of the folder")
        file.parent.mkdir(parents=True, exist_ok=True)
        _file(uri + entry["name"], f"sha256:{entry['digest']}", image, file)


def _file(uri: str, sha256: str, image: Image, copy: Path) -> None:
    _copy(uri, image, copy)
    with copy.open("rb") as content:
        found = "sha256:" + hashlib.file_digest(content, "sha256").hexdigest()
    if found != sha256:
        raise ModelError(f"model {uri} has {found}, the release says {sha256}; it is not started")


def _copy(uri: str, image: Image, copy: Path) -> None:
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme == "s3":
        copy.write_bytes(_object(uri, parts.netloc, urllib.parse.unquote(parts.path.removeprefix("/"))))
        return
    try:
        shutil.copyfile(_source(uri, parts.scheme, urllib.parse.unquote(parts.path), image), copy)
    except OSError as error:
        raise ModelError(f"model {uri} cannot be fetched: {error}") from None


def _source(uri: str, scheme: str, path: str, image: Image) -> Path:
    if scheme == "file":
        return image.folder / path
    if scheme != "package":
        raise ModelError(
            f"model {uri}: the local cloud fetches file: (from the image's folder), package:<name>/<path> and s3: only"
        )
    try:
        return packaged(uri)
    except ArtifactError as error:
        raise ModelError(f"model {error}") from None


def _object(uri: str, bucket: str, key: str) -> bytes:
    held = s3_backends[_ACCOUNT]["aws"].buckets.get(bucket)
    if held is None:
        raise ModelError(f"model {uri} cannot be fetched: the account has no bucket {bucket}")
    found = held.keys.get(key)
    if found is None or not hasattr(found, "value"):
        raise ModelError(f"model {uri} cannot be fetched: bucket {bucket} has no object {key}")
    return bytes(found.value)
