"""A release is whole when its manifest, its image by digest and its model's files are what they were."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws
from turnout_components.release import parse

from turnout.cloud import images
from turnout.rollout.wholeness import faults, image_fault

MODEL = b"weights"


def local(tmp_path: Path, image: str | None = None, uri: str = "file:model.txt") -> tuple[Path, str]:
    """A catalogue with an image, a model and a release of both: the manifests' folder and the release's id."""
    (tmp_path / "image.toml").write_text('name = "tiny"\nfiles = ["server.py"]\ncommand = ["true"]\n')
    (tmp_path / "server.py").write_text("serve()\n")
    (tmp_path / "model.txt").write_bytes(MODEL)
    folder = tmp_path / "releases"
    folder.mkdir()
    model = {"name": "m", "version": "1", "uri": uri, "sha256": "sha256:" + hashlib.sha256(MODEL).hexdigest()}
    content = {"model": model, "image": image or images.read(tmp_path).reference, "engine": {"name": "tiny"}}
    (folder / "m-1.yaml").write_text(yaml.safe_dump(content))
    return folder, parse(folder / "m-1.yaml").id


def nothing(*_: Any) -> Any:
    raise AssertionError("not to be asked")


def look(folder: Path, release: str, **clients: Any) -> list[str]:
    return faults(release, folder, **{"s3": nothing, "ecr": nothing, **clients})


def test_a_whole_release_has_no_fault_and_everything_was_looked_at(tmp_path: Path) -> None:
    folder, release = local(tmp_path)
    looked: list[str] = []
    assert faults(release, folder, s3=nothing, ecr=nothing, told=looked.append) == []
    assert looked == [images.read(tmp_path).reference, "file:model.txt"]


def test_a_model_of_other_bytes_is_a_fault_with_both_hashes(tmp_path: Path) -> None:
    folder, release = local(tmp_path)
    (tmp_path / "model.txt").write_bytes(b"other")
    (fault,) = look(folder, release)
    assert hashlib.sha256(b"other").hexdigest() in fault
    assert hashlib.sha256(MODEL).hexdigest() in fault


def test_a_changed_image_is_said_once(tmp_path: Path) -> None:
    folder, release = local(tmp_path)
    (tmp_path / "server.py").write_text("serve(badly=True)\n")
    (fault,) = look(folder, release)
    assert fault.startswith("image local/tiny@sha256:")


def test_a_changed_or_missing_manifest_is_a_fault(tmp_path: Path) -> None:
    folder, release = local(tmp_path)
    path = folder / "m-1.yaml"
    path.write_text(path.read_text().replace("'1'", "'2'"))
    assert "releases are immutable" in look(folder, release)[0]
    path.unlink()
    assert "no manifest" in look(folder, release)[0]


@pytest.fixture
def aws() -> Iterator[Any]:
    with mock_aws():
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        yield lambda service, region="eu-west-1": boto3.client(service, region_name=region, **keys)


def pushed(aws: Any, repository: str = "models/llm") -> str:
    """An image in ECR, by digest."""
    ecr = aws("ecr")
    uri = ecr.create_repository(repositoryName=repository)["repository"]["repositoryUri"]
    manifest = '{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}'
    image = ecr.put_image(repositoryName=repository, imageManifest=manifest, imageTag="v1")["image"]
    return f"{uri}@{image['imageId']['imageDigest']}"


def test_an_image_in_ecr_is_looked_up_by_its_digest_in_its_region(aws: Any) -> None:
    reference = pushed(aws)
    asked: list[str] = []

    def ecr(region: str) -> Any:
        asked.append(region)
        return aws("ecr", region)

    assert image_fault(reference, Path("nowhere"), ecr) is None
    assert asked == ["eu-west-1"]
    gone = reference.rpartition("sha256:")[0] + "sha256:" + "0" * 64
    fault = image_fault(gone, Path("nowhere"), ecr)
    assert fault is not None
    assert "is not in its repository any more (ImageNotFoundException)" in fault
    other = reference.replace("models/llm", "models/other")
    assert "RepositoryNotFoundException" in str(image_fault(other, Path("nowhere"), ecr))


def test_a_model_in_s3_and_an_image_in_ecr_that_are_both_gone_are_both_said(aws: Any, tmp_path: Path) -> None:
    aws("s3").create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    aws("s3").put_object(Bucket="models", Key="m/1", Body=MODEL)
    image = pushed(aws)
    folder, release = local(tmp_path, image, "s3://models/m/1")
    clients = {"s3": lambda: aws("s3"), "ecr": lambda region: aws("ecr", region)}
    assert look(folder, release, **clients) == []
    aws("s3").put_object(Bucket="models", Key="m/1", Body=b"other")
    assert hashlib.sha256(b"other").hexdigest() in look(folder, release, **clients)[0]
    aws("s3").delete_object(Bucket="models", Key="m/1")
    aws("ecr").batch_delete_image(repositoryName="models/llm", imageIds=[{"imageDigest": image.partition("@")[2]}])
    gone, lost = look(folder, release, **clients)
    assert "is not in its repository any more" in gone
    assert "s3://models/m/1 cannot be read" in lost


def test_what_cannot_be_asked_is_not_proven() -> None:
    digest = "sha256:" + "a" * 64
    assert "in no ECR registry" in str(image_fault(f"ghcr.io/team/server@{digest}", Path("nowhere"), nothing))

    def refused(region: str) -> Any:
        raise PermissionError(f"no way into {region}")

    fault = image_fault(f"123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b@{digest}", Path("nowhere"), refused)
    assert fault is not None
    assert "cannot be looked up: PermissionError: no way into us-east-1" in fault
