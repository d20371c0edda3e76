"""Proves that a release can be deployed again: its manifest, its image by digest and its model's files are all there.

Asked before anything moves; what cannot be asked is not proven.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from turnout_components.artifact import ArtifactError, verify
from turnout_components.release import ReleaseError, load

from turnout import releasing
from turnout.cloud import images

_ECR = re.compile(
    r"^(?P<account>\d{12})\.dkr[.-]ecr[a-z.-]*\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)/"
    r"(?P<repository>[^@:]+)(?::[^@]*)?@(?P<digest>sha256:[0-9a-f]{64})$"
)
"""`<account>.dkr.ecr.<region>.amazonaws.com/<repository>@<digest>` ("Amazon ECR registries", Amazon ECR User Guide)."""
_MISSING = ("ImageNotFoundException", "RepositoryNotFoundException")


def faults(
    release_id: str,
    folder: Path,
    *,
    s3: Callable[[], Any],
    ecr: Callable[[str], Any],
    whole: bool = True,
    told: Callable[[str], None] = lambda uri: None,
) -> list[str]:
    """What keeps the release (id) from being deployed again, a line each; none when it is whole.

    `folder` holds the manifests, its parent the local images. `s3` gives a client, `ecr` one of a region. With
    `whole` every byte of the model is read where its store has no hash of its own; `told` gets each file before it is looked
    at."""
    try:
        release = load(folder, release_id)
    except ReleaseError as error:
        return [str(error)]
    found = []
    told(release.image)
    missing = image_fault(release.image, folder.parent, ecr)
    if missing is not None:
        found.append(missing)
    try:
        files = releasing.files_of(release, folder.parent, s3)
        found += verify(release.model, files, whole=whole, told=told)
    except (ArtifactError, ReleaseError) as error:
        if str(error) != missing:
            found.append(str(error))
    return found


def image_fault(reference: str, catalogue: Path, ecr: Callable[[str], Any]) -> str | None:
    """Why the image cannot be pulled by its digest; None when it is there ("DescribeImages", Amazon ECR API Reference)."""
    if reference.startswith("local/"):
        try:
            images.find(reference, [catalogue])
        except images.ImageError as error:
            return str(error)
        return None
    named = _ECR.match(reference)
    if named is None:
        return f"image {reference} is in no ECR registry: that it is there cannot be proven; copy it to ECR"
    wanted = {"registryId": named["account"], "repositoryName": named["repository"]}
    try:
        ecr(named["region"]).describe_images(**wanted, imageIds=[{"imageDigest": named["digest"]}])
    except Exception as error:  # whatever the API says, the image is not proven to be there
        response: Any = getattr(error, "response", {})
        code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
        if code in _MISSING:
            return f"image {reference} is not in its repository any more ({code}): push it again, or choose another release"
        return f"image {reference} cannot be looked up: {type(error).__name__}: {error}"
    return None
