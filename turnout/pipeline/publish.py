"""Puts a release's model into S3 below its own sha256, and says what the release is called there.

What is there already is left alone, so that a run which was cut off is simply run again.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from boto3.exceptions import Boto3Error
from turnout_components.artifact import ArtifactError, S3Files, hash_model, verify
from turnout_components.release import Model, Release, ReleaseError, parse

from turnout import releasing
from turnout.pipeline.registry import Put


def model_uri(model: Model, bucket: str, name: str | None) -> str:
    """Where a model goes in a bucket: below its hash, so that nothing is ever written over. `name`: of a single file."""
    return f"s3://{bucket}/{model.name}/{model.sha256.removeprefix('sha256:')}/{name or ''}"


def put_model(client: Any, release: Release, path: Path, bucket: str, told: Callable[[str], None]) -> Put:
    """Uploads the file or folder at `path` unless it is there; then all of it is compared. `client` is boto3's.

    Raises `ArtifactError` where `path` is another model, the bucket holds something else below this hash, or takes nothing."""
    found, sums = hash_model(path)
    if found != release.model.sha256:
        raise ArtifactError(f"{path} has {found}, {release.name} says {release.model.sha256}; nothing was published")
    uri = model_uri(release.model, bucket, path.name if sums is None else None)
    there = release.model_copy(update={"model": release.model.model_copy(update={"uri": uri})})
    files = S3Files(client)
    faults = verify(there.model, files, whole=True)
    if not faults:
        return Put(uri, True)
    others = [fault for fault in faults if " has sha256:" in fault]
    if others:
        raise ArtifactError(
            "\n".join([*others, "what is there under this hash is something else: delete it, and see who put it"])
        )
    try:
        releasing.publish(client, there, path, sums, told)
    except Boto3Error as error:
        raise ArtifactError(f"{error}; is there a bucket {bucket}, and may you write to it?") from None
    faults = verify(there.model, files, whole=True)
    if faults:
        raise ArtifactError("\n".join(faults))
    return Put(uri, False)


def published(release: Release, name: str, uri: str, image: str, found: Mapping[str, Any]) -> Release:
    """The release as nodes take it: the same but for its name, where model and image are, and what was `found` of the model."""
    model = {**release.model.model_dump(), "uri": uri, **found}
    return Release.model_validate({**release.model_dump(), "name": name, "model": model, "image": image})


def refuse_taken(folder: Path, release: Release, name: str, bucket: str | None, repository: str | None) -> None:
    """Before anything is built or uploaded: a name is never given twice. `repository`: None where the image stays where it is.

    Raises `ReleaseError` where the manifest of this name in `folder` is not what publishing to there would write."""
    path = folder / f"{name}.yaml"
    if not path.exists():
        return
    known = parse(path)
    if (repository and not known.image.startswith(f"{repository}@")) or (
        bucket and not known.model.uri.startswith(f"s3://{bucket}/")
    ):
        where = f"model {known.model.uri}, image {known.image}"
        raise ReleaseError(f"{path} is there and names others: {where}; releases are immutable: choose another name with --as")
    found = {"size": known.model.size, "format": known.model.format}
    releasing.manifest_path(folder, published(release, name, known.model.uri, known.image, found))
