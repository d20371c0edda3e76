"""A model's files: hashed when a release is made, verified before it is deployed.

A model is one file, or a folder: its URI then ends in `/`, the file `SHA256SUMS` in it lists every other one in the format of
coreutils' sha256sum, and the manifest's sha256 is that of `SHA256SUMS`.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from turnout_components.release import Model

SUMS = "SHA256SUMS"
_LINE = re.compile(r"^(?P<digest>[0-9a-f]{64}) [ *](?P<name>.+)$")
_CHUNK = 1024 * 1024


class ArtifactError(ValueError):
    """A model's files that are missing or not what the manifest says; the message names URI and both hashes."""


class Files(Protocol):
    """Where a model's files are. Both methods raise `ArtifactError` for a file that is not there."""

    def read(self, uri: str) -> bytes:
        """The whole of a small file."""
        ...

    def sha256(self, uri: str, whole: bool) -> str | None:
        """A file's hash in hex; without `whole` only where the store knows it without reading the file, else None."""
        ...


def hash_model(path: Path) -> tuple[str, str | None]:
    """`sha256:<hex>` of a model and, for a folder, the text of its `SHA256SUMS`, in order of name.

    Raises `ArtifactError` for what cannot be hashed: nothing there, an empty folder, a name with a line break."""
    if path.is_file():
        return f"sha256:{_of_file(path)}", None
    names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file() and p.name != SUMS)
    if not names:
        raise ArtifactError(f"{path} is {'an empty folder' if path.is_dir() else 'neither a file nor a folder'}")
    unfit = [name for name in names if "\n" in name or "\\" in name]
    if unfit:
        raise ArtifactError(f"{path}: {SUMS} cannot hold the name {unfit[0]!r}; rename the file")
    text = "".join(f"{_of_file(path / name)}  {name}\n" for name in names)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", text


def parse_sums(text: str) -> dict[str, str]:
    """Hash in hex by name relative to the folder.

    Raises `ArtifactError` for a line of another form, and for a name that leads out of the folder."""
    sums = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.match(line)
        if match is None:
            raise ArtifactError(f"{SUMS}, line {number} is no '<sha256>  <name>': {line!r}")
        name = PurePosixPath(match["name"])
        if name.is_absolute() or ".." in name.parts:
            raise ArtifactError(f"{SUMS}, line {number} leads out of the folder: {match['name']}")
        sums[match["name"]] = match["digest"]
    return sums


def verify(model: Model, files: Files, *, whole: bool, told: Callable[[str], None] = lambda uri: None) -> list[str]:
    """What is wrong with a model's files, a line each; none when all are there and as the manifest says.

    `whole` reads every byte where the store has no hash of its own. `told` gets each URI before it is looked at."""
    if not model.uri.endswith("/"):
        return list(_faults([(model.uri, model.sha256.removeprefix("sha256:"))], files, whole, told))
    try:
        text = files.read(model.uri + SUMS)
        found = f"sha256:{hashlib.sha256(text).hexdigest()}"
        if found != model.sha256:
            return [f"{model.uri}{SUMS} has {found}, the release says {model.sha256}"]
        sums = parse_sums(text.decode())
    except (ArtifactError, UnicodeDecodeError) as error:
        return [str(error)]
    return list(_faults([(model.uri + name, digest) for name, digest in sums.items()], files, whole, told))


def _faults(wanted: list[tuple[str, str]], files: Files, whole: bool, told: Callable[[str], None]) -> Iterable[str]:
    for uri, digest in wanted:
        told(uri)
        try:
            found = files.sha256(uri, whole)
        except ArtifactError as error:
            yield str(error)
            continue
        if found is not None and found != digest:
            yield f"{uri} has sha256:{found}, the release says sha256:{digest}"


def packaged(uri: str) -> Path:
    """Where `package:<name>/<path>` points: into an installed Python package, which is looked up and not imported.

    Raises `ArtifactError`."""
    name, _, rest = unquote(urlsplit(uri).path).partition("/")
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ArtifactError(f"{uri}: no package {name!r} is installed here; run `make setup`")
    return Path(spec.submodule_search_locations[0]) / rest


class LocalFiles:
    """Files of `file:` URIs, relative ones below `folder`, and of `package:` URIs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, uri: str) -> bytes:
        return self._path(uri).read_bytes()

    def sha256(self, uri: str, whole: bool) -> str | None:  # noqa: ARG002 -- reading is all that there is
        return _of_file(self._path(uri))

    def path(self, uri: str) -> Path:
        """Where a model's file or folder is; whether it is there, reading it says.

        Raises `ArtifactError` for another kind of URI."""
        parts = urlsplit(uri)
        if parts.scheme not in ("file", "package"):
            raise ArtifactError(f"{uri} is no file: URI and no package: URI")
        if ".." in PurePosixPath(unquote(parts.path)).parts:
            raise ArtifactError(f"{uri} leads out of its folder; put the file there")
        return packaged(uri) if parts.scheme == "package" else self._folder / parts.path

    def _path(self, uri: str) -> Path:
        path = self.path(uri)
        if not path.is_file():
            raise ArtifactError(f"{uri}: there is no file {path}")
        return path


class S3Files:
    """Files of `s3://` URIs. `client` is botocore's.

    S3 keeps a SHA-256 of an object that was uploaded with one, of the whole object for an upload in one part only ("Checking
    object integrity for data uploads in Amazon S3", Amazon S3 User Guide)."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def read(self, uri: str) -> bytes:
        return bytes(self._call("get_object", uri)["Body"].read())

    def sha256(self, uri: str, whole: bool) -> str | None:
        kept = self._call("head_object", uri, ChecksumMode="ENABLED").get("ChecksumSHA256")
        if kept and "-" not in kept:
            return base64.b64decode(kept).hex()
        if not whole:
            return None
        digest = hashlib.sha256()
        for chunk in self._call("get_object", uri)["Body"].iter_chunks(_CHUNK):
            digest.update(chunk)
        return digest.hexdigest()

    def download(self, model: Model, folder: Path) -> Path:
        """Copies a model's file, or every file that `SHA256SUMS` in its folder lists, into `folder`, which is made; where it is
        then. What came is not compared with anything.

        Raises `ArtifactError`, `OSError`."""
        whole = model.uri.endswith("/")
        target = folder if whole else folder / model.uri.rpartition("/")[2]
        names = [SUMS, *parse_sums(self.read(model.uri + SUMS).decode(errors="replace"))] if whole else [""]
        for name in names:
            file = target / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as copy:
                for chunk in self._call("get_object", model.uri + name)["Body"].iter_chunks(_CHUNK):
                    copy.write(chunk)
        return target

    def _call(self, operation: str, uri: str, **more: str) -> Any:
        parts = urlsplit(uri)
        if parts.scheme != "s3":
            raise ArtifactError(f"{uri} is no s3:// URI")
        if not parts.netloc or parts.path in ("", "/"):
            raise ArtifactError(f"{uri} names no object; write s3://<bucket>/<key>")
        try:
            return getattr(self._client, operation)(Bucket=parts.netloc, Key=parts.path.removeprefix("/"), **more)
        except self._client.exceptions.ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            raise ArtifactError(f"{uri} cannot be read: {code or error}") from None


def _of_file(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
