"""Buckets: what AWS refuses of them, and what their end takes along."""

import json

import pytest

from tests.providers.cases_storage import ARCHIVE, BUCKET, DATED, KEEP
from tests.providers.conftest import TYPES, World
from turnout.engine.provider import Properties, ProviderError

VERSIONING, BLOCK = "aws:s3/bucketVersioning:BucketVersioning", "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
OWNERSHIP, POLICY = "aws:s3/bucketOwnershipControls:BucketOwnershipControls", "aws:s3/bucketPolicy:BucketPolicy"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"


def encrypted(algorithm: str, **more: object) -> Properties:
    key = {"kmsMasterKeyId": more.pop("key")} if "key" in more else {}
    return {"bucket": "b", "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": algorithm, **key}, **more}]}


def kept(**changes: object) -> Properties:
    return {"bucket": "b", "rules": [{**KEEP, **changes}]}


def said(**statement: object) -> Properties:
    return {"bucket": "b", "policy": json.dumps({"Statement": [{"Effect": "Allow", "Action": "s3:*", **statement}]})}


REFUSED: tuple[tuple[str, Properties, str], ...] = (
    *((BUCKET, {"bucket": name}, "bucket") for name in ("ab", "a" * 64, "Models", "a_b", "-ab", "ab-", "a..b", "10.0.0.1")),
    *((BUCKET, {"bucket": name}, "bucket") for name in ("xn--a", "sthree-a", "amzn-s3-demo-a", "a-s3alias", "a--x-s3")),
    (BUCKET, {"bucket": "models", "tags": {f"t{index}": "" for index in range(51)}}, "tags"),
    (VERSIONING, {"bucket": "b"}, "versioningConfiguration"),
    (VERSIONING, {"bucket": "b", "versioningConfiguration": {"status": "On"}}, "versioningConfiguration.status"),
    (
        VERSIONING,
        {"bucket": "b", "versioningConfiguration": {"status": "Enabled", "mfaDelete": "Enabled"}},
        "versioningConfiguration.mfaDelete",
    ),
    (ENCRYPTION, {"bucket": "b", "rules": []}, "rules"),
    (ENCRYPTION, encrypted("aes"), "rules[0].applyServerSideEncryptionByDefault.sseAlgorithm"),
    (ENCRYPTION, encrypted("AES256", key="k"), "rules[0].applyServerSideEncryptionByDefault.kmsMasterKeyId"),
    (ENCRYPTION, encrypted("aws:kms:dsse", bucketKeyEnabled=True), "rules[0].bucketKeyEnabled"),
    (BLOCK, {"blockPublicAcls": True}, "bucket"),
    (OWNERSHIP, {"bucket": "b", "rule": {"objectOwnership": "me"}}, "rule.objectOwnership"),
    (POLICY, {"bucket": "b", "policy": "no"}, "policy"),
    (POLICY, said(Resource="*"), "policy"),
    (POLICY, said(Principal="*", Resource="*" * 20_480), "policy"),
    (LIFECYCLE, {"bucket": "b", "rules": []}, "rules"),
    (LIFECYCLE, {"bucket": "b", "rules": [KEEP, KEEP]}, "rules"),
    (LIFECYCLE, kept(status="On"), "rules[0].status"),
    (LIFECYCLE, kept(id="a" * 256), "rules[0].id"),
    (LIFECYCLE, kept(prefix="a"), "rules[0].prefix"),
    (LIFECYCLE, kept(abortIncompleteMultipartUpload=None, noncurrentVersionExpiration=None), "rules[0]"),
    (LIFECYCLE, kept(filter={"tag": {"key": "a", "value": "b"}}), "rules[0].abortIncompleteMultipartUpload"),
    (LIFECYCLE, kept(filter={"and": {"tags": {"a": "b"}}}), "rules[0].abortIncompleteMultipartUpload"),
    (LIFECYCLE, kept(expiration={"days": 0}), "rules[0].expiration.days"),
    (LIFECYCLE, kept(expiration={"days": 1, "date": "2031-01-01T00:00:00Z"}), "rules[0].expiration.days"),
    (
        LIFECYCLE,
        kept(expiration={"days": 1, "expiredObjectDeleteMarker": True}),
        "rules[0].expiration.expiredObjectDeleteMarker",
    ),
    (
        LIFECYCLE,
        kept(noncurrentVersionExpiration={"noncurrentDays": 0}),
        "rules[0].noncurrentVersionExpiration.noncurrentDays",
    ),
    (
        LIFECYCLE,
        kept(noncurrentVersionExpiration={"noncurrentDays": 1, "newerNoncurrentVersions": 101}),
        "rules[0].noncurrentVersionExpiration.newerNoncurrentVersions",
    ),
    (LIFECYCLE, kept(transitions=[{"days": 29, "storageClass": "STANDARD_IA"}]), "rules[0].transitions[0].days"),
    (
        LIFECYCLE,
        kept(transitions=[{"days": 40, "storageClass": "GLACIER"}], expiration={"days": 40}),
        "rules[0].transitions[0].days",
    ),
    (
        LIFECYCLE,
        kept(noncurrentVersionTransitions=[{"noncurrentDays": 1, "storageClass": "ONEZONE_IA"}]),
        "rules[0].noncurrentVersionTransitions[0].noncurrentDays",
    ),
)
GOOD: tuple[tuple[str, Properties], ...] = (
    (BUCKET, {"bucket": "a-b.c1"}),
    (BUCKET, {"bucket": "a" * 63, "objectLockEnabled": True}),
    (VERSIONING, {"bucket": "b", "versioningConfiguration": {"status": "Suspended", "mfaDelete": "Disabled"}}),
    (ENCRYPTION, encrypted("AES256")),
    (ENCRYPTION, encrypted("aws:kms", key="k", bucketKeyEnabled=True)),
    (POLICY, said(Principal="*", Resource="*")),
    (LIFECYCLE, {"bucket": "b", "rules": [KEEP, ARCHIVE, DATED]}),
    (LIFECYCLE, kept(transitions=[{"days": 0, "storageClass": "GLACIER"}], expiration={"days": 1})),
    (LIFECYCLE, kept(expiration={"expiredObjectDeleteMarker": True})),
)


@pytest.mark.parametrize(("token", "inputs", "property"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_aws_refuses_of_buckets_is_a_fault(token: str, inputs: Properties, property: str) -> None:
    given = {name: value for name, value in inputs.items() if value is not None}
    assert property in [fault.property for fault in TYPES[token].check(given)]


@pytest.mark.parametrize(("token", "inputs"), GOOD, ids=lambda value: str(value)[:60])
def test_good_buckets_have_no_fault(token: str, inputs: Properties) -> None:
    assert TYPES[token].check(inputs) == []


@pytest.mark.parametrize("name", ["expiration", "transitions", "noncurrentVersionTransitions", "filter", "status"])
def test_a_part_of_a_lifecycle_that_is_not_known_yet_passes(name: str) -> None:
    assert TYPES[LIFECYCLE].check(kept(**{name: object()})) == []
    assert TYPES[LIFECYCLE].check(kept(transitions=[object()], expiration={"days": object()})) == []


def test_a_bucket_with_versions_goes_only_by_force(world: World) -> None:
    kind, inputs = TYPES[BUCKET], {"bucket": world.name("models")}
    made = kind.create(world.config, inputs, "t" * 32)
    name, api = made.id, world.api("s3")
    api.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"one", b"two"):
        api.put_object(Bucket=name, Key="blue/model", Body=body)
    api.delete_object(Bucket=name, Key="blue/model")
    assert api.list_objects_v2(Bucket=name)["KeyCount"] == 0
    with pytest.raises(ProviderError, match="BucketNotEmpty.*forceDestroy"):
        kind.delete(world.config, name, inputs, made.outputs, 5)
    forced = {**inputs, "forceDestroy": True}
    outputs = kind.update(world.config, name, inputs, forced, made.outputs)
    kind.delete(world.config, name, forced, outputs, 5)
    assert kind.read(world.config, name, forced, outputs) is None


def test_a_bucket_that_exists_already_is_not_taken_over(world: World) -> None:
    name = world.make(BUCKET, bucket=world.name("models")).id
    with pytest.raises(ProviderError, match="BucketAlreadyOwnedByYou"):
        TYPES[BUCKET].create(world.config, {"bucket": name}, "t" * 32)
    assert TYPES[BUCKET].find(world.config, {"bucket": name}, "t" * 32) is None


def test_a_bucket_that_was_made_and_not_tagged_yet_is_adopted(world: World) -> None:
    inputs = {"bucket": world.name("models"), "tags": {"a": "b"}}
    world.api("s3").create_bucket(Bucket=inputs["bucket"])
    found = TYPES[BUCKET].find(world.config, inputs, "t" * 32)
    assert found is not None
    assert found.outputs["tags"] == inputs["tags"]
    TYPES[BUCKET].delete(world.config, found.id, inputs, found.outputs, 5)


def test_a_bucket_with_object_lock_has_versions(world: World) -> None:
    locked = world.make(BUCKET, bucket=world.name("models"), objectLockEnabled=True)
    assert locked.outputs["objectLockEnabled"] is True
    assert world.api("s3").get_bucket_versioning(Bucket=locked.id)["Status"] == "Enabled"


def test_the_end_of_a_setting_of_a_bucket_that_is_gone_is_success(world: World) -> None:
    for token in (VERSIONING, ENCRYPTION, BLOCK, OWNERSHIP, POLICY, LIFECYCLE):
        TYPES[token].delete(world.config, "no-such-bucket-here", {"bucket": "no-such-bucket-here"}, {}, 2)


def test_the_end_of_versioning_suspends_it(world: World) -> None:
    name = world.make(BUCKET, bucket=world.name("models")).id
    inputs = {"bucket": name, "versioningConfiguration": {"status": "Enabled"}}
    made = TYPES[VERSIONING].create(world.config, inputs, "t" * 32)
    TYPES[VERSIONING].delete(world.config, made.id, inputs, made.outputs, 2)
    assert world.api("s3").get_bucket_versioning(Bucket=name)["Status"] == "Suspended"
