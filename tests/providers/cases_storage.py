"""Buckets, what is set on them, and repositories of images."""

import json
from typing import Any

from tests.providers.conftest import World
from tests.providers.samples import RETAG, TAGS, Case
from turnout.engine.provider import Created, Properties

BUCKET = "aws:s3/bucket:Bucket"


def bucket(world: World) -> str:
    return world.make(BUCKET, bucket=world.name("models")).id


def for_whom(name: str, *actions: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": list(actions),
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def key(world: World) -> str:
    return str(world.make("aws:kms/key:Key", deletionWindowInDays=7).outputs["arn"])


def encryption(world: World) -> Properties:
    default = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key(world)}
    rule = {"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": True}
    return {"bucket": bucket(world), "rules": [rule]}


def encrypt_otherwise(world: World, made: Created) -> Any:
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key(world)}
    rules = [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
    return world.api("s3").put_bucket_encryption(Bucket=made.id, ServerSideEncryptionConfiguration={"Rules": rules})


def bucket_policy(world: World) -> Properties:
    name = bucket(world)
    return {"bucket": name, "policy": for_whom(name, "s3:GetObject", "s3:ListBucket")}


KEEP: Properties = {
    "id": "turnout",
    "status": "Enabled",
    "filter": {"prefix": ""},
    "noncurrentVersionExpiration": {"noncurrentDays": 90},
    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
}
ARCHIVE: Properties = {
    "id": "archive",
    "status": "Enabled",
    "filter": {"and": {"prefix": "old/", "tags": {"keep": "no", "stage": "a"}}},
    "transitions": [{"days": 30, "storageClass": "STANDARD_IA"}, {"days": 90, "storageClass": "GLACIER"}],
    "expiration": {"days": 365},
}
DATED: Properties = {
    "id": "dated",
    "status": "Disabled",
    "filter": {"tag": {"key": "keep", "value": "no"}},
    "expiration": {"date": "2031-01-01T00:00:00Z"},
}


def forget(world: World, made: Created) -> Any:
    rules = [{"ID": "turnout", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]
    return world.api("s3").put_bucket_lifecycle_configuration(Bucket=made.id, LifecycleConfiguration={"Rules": rules})


STORAGE = (
    Case(
        BUCKET,
        lambda w: {"bucket": w.name("models"), "tags": TAGS},
        lambda _: RETAG,
        {
            "tags": lambda w, m: w.api("s3").put_bucket_tagging(
                Bucket=m.id, Tagging={"TagSet": [{"Key": "stranger", "Value": "1"}]}
            )
        },
        ("arn", "region", "bucketDomainName", "bucketRegionalDomainName"),
    ),
    Case(
        "aws:s3/bucketVersioning:BucketVersioning",
        lambda w: {"bucket": bucket(w), "versioningConfiguration": {"status": "Enabled"}},
        lambda _: [{"versioningConfiguration": {"status": "Suspended"}}, {"versioningConfiguration": {"status": "Enabled"}}],
        {
            "versioningConfiguration": lambda w, m: w.api("s3").put_bucket_versioning(
                Bucket=m.id, VersioningConfiguration={"Status": "Suspended"}
            )
        },
        stays=True,
    ),
    Case(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        encryption,
        lambda w: [
            {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key(w)}}]},
            {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms:dsse", "kmsMasterKeyId": key(w)}}]},
        ],
        {"rules": encrypt_otherwise},
    ),
    Case(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        lambda w: {"bucket": bucket(w), "blockPublicAcls": True, "blockPublicPolicy": True},
        lambda _: [
            {"ignorePublicAcls": True},
            {"restrictPublicBuckets": True},
            {"blockPublicAcls": None},
            {"blockPublicPolicy": False},
        ],
        {
            "blockPublicPolicy": lambda w, m: w.api("s3").put_public_access_block(
                Bucket=m.id, PublicAccessBlockConfiguration={"BlockPublicAcls": True}
            ),
            "restrictPublicBuckets": lambda w, m: w.api("s3").put_public_access_block(
                Bucket=m.id, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True}
            ),
        },
    ),
    Case(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        lambda w: {"bucket": bucket(w), "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        lambda _: [{"rule": {"objectOwnership": "BucketOwnerPreferred"}}],
        {
            "rule": lambda w, m: w.api("s3").put_bucket_ownership_controls(
                Bucket=m.id, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
            )
        },
    ),
    Case(
        "aws:s3/bucketPolicy:BucketPolicy",
        bucket_policy,
        lambda _: [{"policy": for_whom("models", "s3:GetObject")}],
        {
            "policy": lambda w, m: w.api("s3").put_bucket_policy(Bucket=m.id, Policy=for_whom(m.id, "s3:*")),
        },
    ),
    Case(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        lambda w: {"bucket": bucket(w), "rules": [KEEP]},
        lambda _: [
            {"rules": [{**KEEP, "noncurrentVersionExpiration": {"noncurrentDays": 7}}]},
            {"rules": [{**KEEP, "status": "Disabled"}, ARCHIVE]},
            {"rules": [DATED]},
        ],
        {"rules": forget},
    ),
)
