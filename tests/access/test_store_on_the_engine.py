"""The artifact store as it comes to be in moto: made, found the same, protected, and used for a release."""

import json
from pathlib import Path
from typing import Any

import pytest
from moto.s3.models import FakeBucket
from turnout_components.artifact import S3Files, verify
from turnout_components.store_rules import bucket_policy, image_lifecycle

from tests.access.conftest import PROVIDER, Deployed
from tests.engine_state.bench import Project
from turnout import releasing
from turnout.cloud.moto_s3 import extend_s3
from turnout.providers.aws.clients import ENDPOINT_KEYS

STORE = """
store = ArtifactStore("svc-store", dict(service="svc", protect={protect}), on)
for output in ("bucket_name", "bucket_arn", "repository_url", "repository_arn", "key_arn"):
    pulumi.export(output, getattr(store, output))
"""


@pytest.fixture
def conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto's S3 as the local cloud extends it."""
    monkeypatch.setattr(FakeBucket, "get_permission", FakeBucket.get_permission)
    extend_s3()


def up(project: Project, endpoint: str, protect: bool) -> tuple[dict[str, int], dict[str, Any]]:
    provider = PROVIDER.format(endpoint=endpoint, keys=sorted(ENDPOINT_KEYS))
    project.program(provider + STORE.format(protect=protect))
    project.stack().refresh()
    result = project.stack().up()
    return dict(result.summary.resource_changes or {}), {key: output.value for key, output in result.outputs.items()}


@pytest.mark.usefixtures("conditions")
def test_a_store_is_made_holds_a_release_and_goes_only_when_it_may(project: Project, endpoint: str, tmp_path: Path) -> None:
    account = Deployed(endpoint, {})
    s3, ecr, kms = account.api("s3"), account.api("ecr"), account.api("kms")
    _, made = up(project, endpoint, True)
    bucket, key = made["bucket_name"], made["key_arn"]
    assert set(up(project, endpoint, True)[0]) == {"same"}

    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    assert rule["BucketKeyEnabled"] is True
    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == bucket_policy(made["bucket_arn"], key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    (repository,) = ecr.describe_repositories(repositoryNames=["turnout/svc/dev"])["repositories"]
    assert repository["repositoryUri"] == made["repository_url"]
    assert (repository["imageTagMutability"], repository["imageScanningConfiguration"]["scanOnPush"]) == ("IMMUTABLE", True)
    assert repository["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": key}
    lifecycle = ecr.get_lifecycle_policy(repositoryName="turnout/svc/dev")["lifecyclePolicyText"]
    assert json.loads(lifecycle) == image_lifecycle(30)

    model = tmp_path / "model"
    (model / "part").mkdir(parents=True)
    (model / "part" / "weights.bin").write_bytes(b"weights")
    given = {
        "model": {"name": "llm", "version": "1.0", "uri": f"s3://{bucket}/llm/1.0/"},
        "image": f"{made['repository_url']}@sha256:{'ab' * 32}",
        "engine": {"name": "vllm"},
    }
    release, sums = releasing.make("llm-1.0", model, given, None)
    releasing.publish(s3, release, model, sums, lambda _: None)
    assert verify(release.model, S3Files(s3), whole=True) == []

    with pytest.raises(Exception, match="protected"):
        project.stack().destroy()
    assert s3.get_object(Bucket=bucket, Key="llm/1.0/SHA256SUMS")["VersionId"] != "null"
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for item in page["Versions"]:
            s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
    up(project, endpoint, False)
    project.stack().destroy()
    assert bucket not in [found["Name"] for found in s3.list_buckets()["Buckets"]]
