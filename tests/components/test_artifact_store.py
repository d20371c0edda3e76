"""What the component registers, with recording mocks, and what it refuses."""

import json
from typing import Any

import pytest
from component_args import SERVICE
from recording import ACCOUNT, AUTO_SUFFIX, Recording, record
from turnout_components import store_rules
from turnout_components.artifact_store import ArtifactStore

NAME = f"{SERVICE}-store"
OUTPUTS = ("bucket_name", "bucket_arn", "repository_url", "repository_arn", "key_arn")


def made(name: str = NAME, **changes: Any) -> Recording:
    args: Any = {"service": SERVICE, **changes}

    def program() -> dict[str, Any]:
        store = ArtifactStore(name, args)
        return {output: getattr(store, output) for output in OUTPUTS}

    return record(program)


def bucket(found: Recording) -> str:
    return str(found.outputs["bucket_name"])


def test_one_input_makes_a_store_and_everything_is_of_its_bucket() -> None:
    found = made()
    parts = [r for r in found.registrations if ":Bucket" in r.type and not r.type.endswith(":Bucket")]
    assert len(parts) == 6
    assert {r.inputs["bucket"] for r in parts} == {bucket(found)}
    assert set(found.outputs) == set(OUTPUTS)
    assert {r.parent for r in found.registrations[1:]} == {NAME}


def test_nothing_in_the_bucket_is_public_and_all_of_it_is_the_account_s() -> None:
    found = made()
    closed = found.one(":BucketPublicAccessBlock").inputs
    settings = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    assert [closed[setting] for setting in settings] == [True] * 4
    assert found.one(":BucketOwnershipControls").inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}


def test_objects_are_encrypted_with_the_store_s_key_by_a_bucket_key() -> None:
    found = made()
    (rule,) = found.one(":BucketServerSideEncryptionConfiguration").inputs["rules"]
    default = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": found.outputs["key_arn"]}
    assert rule == {"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": True}


def test_versions_are_kept_for_a_while_and_unfinished_uploads_are_not() -> None:
    found = made(noncurrent_days=5)
    assert found.one(":BucketVersioning").inputs["versioningConfiguration"] == {"status": "Enabled"}
    lifecycle = found.one(":BucketLifecycleConfiguration")
    assert lifecycle.inputs["rules"] == [
        {
            "id": "turnout",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrentVersionExpiration": {"noncurrentDays": 5},
            "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
        }
    ]
    assert f"{NAME}-models-versions" in lifecycle.dependencies


def test_without_tls_of_today_everything_is_denied_and_no_upload_chooses_its_encryption() -> None:
    found = made()
    policy = found.one(":BucketPolicy")
    arn = f"arn:aws:s3:::{bucket(found)}"
    statements = {s["Sid"]: s for s in json.loads(policy.inputs["policy"])["Statement"]}
    assert {(s["Effect"], s["Principal"]) for s in statements.values()} == {("Deny", "*")}
    for sid, condition in (
        ("TlsOnly", {"Bool": {"aws:SecureTransport": "false"}}),
        ("NoOldTls", {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
    ):
        said = statements[sid]
        assert (said["Action"], said["Resource"], said["Condition"]) == ("s3:*", [arn, f"{arn}/*"], condition)
    header = "s3:x-amz-server-side-encryption"
    assert statements["KmsOnly"]["Condition"] == {"Null": {header: "false"}, "StringNotEquals": {header: "aws:kms"}}
    own = {"ArnNotEquals": {f"{header}-aws-kms-key-id": found.outputs["key_arn"]}}
    assert statements["OwnKeyOnly"]["Condition"] == {"Null": {f"{header}-aws-kms-key-id": "false"}, **own}
    assert f"{NAME}-models-closed" in policy.dependencies


def test_images_are_scanned_encrypted_and_keep_their_tags() -> None:
    found = made()
    repository = found.one(":Repository").inputs
    assert repository["name"] == f"turnout/{SERVICE}/test"
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": found.outputs["key_arn"]}]


def test_only_images_without_a_tag_expire() -> None:
    (rule,) = json.loads(made(untagged_days=3).one(":LifecyclePolicy").inputs["policy"])["rules"]
    assert rule["action"] == {"type": "expire"}
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 3}
    assert rule["selection"] == selection


def test_the_key_serves_s3_and_ecr_only_and_ecr_may_hand_it_to_the_repository() -> None:
    statements = {s["Sid"]: s for s in json.loads(made().one(":KeyPolicy").inputs["policy"])["Statement"]}
    through = {"StringEquals": {"kms:ViaService": ["s3.us-east-1.amazonaws.com", "ecr.us-east-1.amazonaws.com"]}}
    assert statements["UseThroughItsServices"]["Condition"] == through
    grants = statements["GrantToItsServices"]
    assert (grants["Action"], grants["Condition"]) == (["kms:CreateGrant", "kms:RetireGrant"], through)
    assert {s["Principal"]["AWS"] for s in statements.values()} == {f"arn:aws:iam::{ACCOUNT}:root"}


@pytest.mark.parametrize("protect", [True, False])
def test_what_releases_need_is_protected_unless_told_otherwise(protect: bool) -> None:
    found = made(protect=protect) if not protect else made()
    assert {r.type.rsplit(":", 1)[1] for r in found.registrations if r.request.protect} == (
        {"Bucket", "Repository", "Key"} if protect else set()
    )
    assert "forceDestroy" not in found.one(":Bucket").inputs
    assert "forceDelete" not in found.one(":Repository").inputs


def test_names_fit_and_those_that_are_given_are_taken() -> None:
    assert len(made("x" * 90).one(":Bucket").name + AUTO_SUFFIX) <= 63
    found = made(bucket_name="our-models", repository_name="serving/vllm")
    assert found.one(":Bucket").inputs["bucket"] == "our-models"
    assert found.one(":Repository").inputs["name"] == "serving/vllm"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"bucket": "Models"}, "bucket_name"),
        ({"bucket": "a.b.c"}, "bucket_name"),
        ({"bucket": "ab"}, "bucket_name"),
        ({"bucket": "a" * 64}, "bucket_name"),
        ({"bucket": "-models"}, "bucket_name"),
        ({"bucket": "xn--models"}, "bucket_name"),
        ({"bucket": "models-s3alias"}, "bucket_name"),
        ({"repository": "Serving"}, "repository_name"),
        ({"repository": "a"}, "repository_name"),
        ({"repository": "serving//vllm"}, "repository_name"),
        ({"repository": "serving/"}, "repository_name"),
        ({"noncurrent_days": 0}, "noncurrent_days"),
        ({"untagged_days": 0}, "untagged_days"),
    ],
    ids=str,
)
def test_what_aws_refuses_is_refused(changes: Any, field: str) -> None:
    assert [fault.field for fault in store_rules.faults(**changes)] == [field]


def test_what_aws_allows_is_allowed() -> None:
    assert store_rules.faults("a1-models", "a/b-c/d.e_f", 1, 1) == []
    assert store_rules.faults("a" * 63, "ab") == []
    assert store_rules.faults() == []


def test_a_store_that_aws_would_refuse_is_not_registered() -> None:
    with pytest.raises(ValueError, match="bucket_name = 'A': is no name of a bucket; write 3 to 63") as error:
        made(bucket_name="A", untagged_days=0)
    assert len(str(error.value).splitlines()) == 2
