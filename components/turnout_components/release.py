"""A release: what an environment runs, immutable and content-addressed.

A manifest (`<releases>/<name>.yaml`) describes it; config names it as `<name>@sha256:<digest>`, so that a manifest which
was changed after it was named is refused.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

SHA256 = r"sha256:[0-9a-f]{64}"
_IMAGE = re.compile(rf"^[^\s@]+@{SHA256}$")
_ID = re.compile(rf"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{{0,62}})@(?P<digest>{SHA256})$")

ImageByDigest = Annotated[str, Field(pattern=_IMAGE.pattern)]
Word = Annotated[str, Field(pattern=r"""^[^\s'"\\$%]+$""")]
"""What stands in a systemd unit as it is, without quotes."""
Sha256 = Annotated[str, Field(pattern=rf"^{SHA256}$")]


class ReleaseError(ValueError):
    """A release id or manifest that cannot be used; the message names file, field and fix."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Model(_Frozen):
    """The model's weights: where they are and what they must hash to."""

    name: str
    version: str
    uri: str
    sha256: Sha256
    size: Annotated[int, Field(ge=0)] | None = None
    """Bytes of all its files; this and what follows are compared with what is there (`turnout releases validate`)."""
    format: str | None = None
    """`onnx`, `safetensors`, `gguf`, …; `pickle` must be said, or it is not loaded."""
    inputs: dict[str, str] | None = None
    """Element type and shape by name, as `float[n,64]`; of ONNX models."""


class ServingEngine(_Frozen):
    """The program that serves the model, its flags in order and its environment (never secrets: a manifest is public)."""

    name: str
    flags: tuple[Word, ...] = ()
    env: dict[Word, Word] = {}


class Provenance(_Frozen):
    """Where the release came from. Not part of the digest: the same content built twice is the same release."""

    git_commit: str | None = None
    """Of the repository that the release was made in; with `+dirty` where files differed from it."""
    training_data: str | None = None
    """The training data's version."""
    seed: int | None = None
    evaluation: dict[str, float | str] = {}
    """Scores by name, and what they were measured on."""


class Release(_Frozen):
    """One release; `digest` identifies it."""

    name: str
    model: Model
    image: ImageByDigest
    engine: ServingEngine
    prompt_version: str | None = None
    adapters: tuple[str, ...] = ()
    provenance: Provenance = Provenance()

    @property
    def digest(self) -> str:
        """`sha256:<hex>` over everything that decides behaviour, as canonical JSON. What is at its default is left out, so
        that a field which a later version adds changes no digest."""
        content = self.model_dump(mode="json", exclude={"provenance", "name"}, exclude_defaults=True)
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    @property
    def id(self) -> str:
        """`<name>@sha256:<hex>`: what config, record and reports call it."""
        return f"{self.name}@{self.digest}"

    def for_storage(self) -> dict[str, Any]:
        """The manifest with its digest, as JSON-ready data. What is left unsaid of the model is left out: nodes' user data is
        made of this, and stays the same under a version of the kit that knows more of models."""
        unsaid = {name for name in ("size", "format", "inputs") if getattr(self.model, name) is None}
        return {**self.model_dump(mode="json", exclude={"model": unsaid}), "digest": self.digest}


def split_id(release_id: str) -> tuple[str, str]:
    """Name and digest of `<name>@sha256:<hex>`.

    Raises `ReleaseError` for anything else."""
    match = _ID.match(release_id)
    if match is None:
        raise ReleaseError(f"{release_id!r} names no digest; write <name>@sha256:<64 hex digits>")
    return match["name"], match["digest"]


def checked_name(name: str) -> str:
    """The name of a release that is made: it becomes a file's, and part of ids.

    Raises `ReleaseError`."""
    if _ID.match(f"{name}@sha256:{'0' * 64}") is None:
        raise ReleaseError(
            f"{name!r} is no release's name: write letters, digits, '.', '_' and '-', at most 63, a letter or digit first"
        )
    return name


def name_of(release_id: str) -> str:
    """The name in a release id, whatever else it is."""
    return release_id.partition("@")[0]


def digest_of(release_id: str | None) -> str:
    """The digest in a release id; "" where there is none."""
    return (release_id or "").partition("@")[2]


def load(folder: Path, release_id: str) -> Release:
    """The release that `release_id` names, from its manifest in `folder`.

    Raises `ReleaseError` when the manifest is missing, malformed, or no longer what the digest says."""
    name, digest = split_id(release_id)
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
        raise ReleaseError(f"no manifest {path}; the folder holds: {known}")
    release = parse(path)
    if release.digest != digest:
        raise ReleaseError(f"{path} has digest {release.digest}, not {digest}; releases are immutable: make a new one")
    return release


def parse(path: Path) -> Release:
    """The release in a manifest file, its name taken from the file's.

    Raises `ReleaseError` with a line a fault."""
    try:
        return Release(name=path.stem, **(yaml.safe_load(path.read_text()) or {}))
    except ValidationError as error:
        raise ReleaseError("\n".join(_fault(path, e) for e in error.errors())) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{path}: no manifest can be read: {error}") from None
    except (yaml.YAMLError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', '')}" if mark else str(error)
        raise ReleaseError(f"{path}: not a release manifest: {where}") from None


def _fault(path: Path, error: Any) -> str:
    field = ".".join(str(part) for part in error["loc"])
    fix = "name it by digest: <image>@sha256:<64 hex digits>" if field == "image" else error["msg"]
    return f"{path}: {field} = {error.get('input')!r}: {fix}"
