"""What AWS refuses of an artifact store, as pure functions (`checks.Fault`), and its policies as documents."""

import re
from collections.abc import Iterable
from typing import Any

from turnout_components.checks import Fault

BUCKET_LIMIT = 63
OLDEST_TLS = "1.2"
_BUCKET = re.compile(r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")
_RESERVED = re.compile(r"^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|--x-s3|--table-s3)$")
_REPOSITORY = re.compile(r"^(?:[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*/)*[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$")


def faults(bucket: object = None, repository: object = None, noncurrent_days: int = 1, untagged_days: int = 1) -> list[Fault]:
    """Every rule that a store breaks. Names that are not given, or not known yet, are not judged."""
    return [
        *(bucket_name(bucket) if isinstance(bucket, str) else ()),
        *(repository_name(repository) if isinstance(repository, str) else ()),
        *_days("noncurrent_days", noncurrent_days),
        *_days("untagged_days", untagged_days),
    ]


def bucket_name(name: str) -> Iterable[Fault]:
    """ "General purpose bucket naming rules" (Amazon S3 User Guide); without the dots that it advises against: S3's certificate
    does not cover them, and this bucket is reached by TLS only."""
    if not _BUCKET.match(name):
        yield Fault("bucket_name", name, "is no name of a bucket", "write 3 to 63 lower-case letters, digits and dashes")
    elif _RESERVED.search(name):
        yield Fault("bucket_name", name, "has a beginning or end that S3 keeps for itself", "choose another name")


def repository_name(name: str) -> Iterable[Fault]:
    """ "CreateRepository" (Amazon ECR API Reference), repositoryName."""
    if not (2 <= len(name) <= 256 and _REPOSITORY.match(name)):
        fix = "write 2 to 256 lower-case letters and digits, with ., _, - and / between them"
        yield Fault("repository_name", name, "is no name of a repository", fix)


def _days(field: str, days: int) -> Iterable[Fault]:
    """Days count from 1 ("NoncurrentVersionExpiration", Amazon S3 API Reference; "Lifecycle policy properties in Amazon ECR",
    Amazon ECR User Guide)."""
    if days < 1:
        yield Fault(field, days, "is no number of days", "write 1 or more")


def bucket_policy(bucket_arn: str, key_arn: str) -> dict[str, Any]:
    """Nobody reaches the bucket without TLS of today, and nothing in it is encrypted otherwise than by its default.

    "Security best practices for Amazon S3" (Enforce encryption of data in transit), "Bucket policy examples using condition
    keys" (s3:TlsVersion), and "Using server-side encryption with AWS KMS keys (SSE-KMS)", Amazon S3 User Guide. An upload that
    names no encryption gets the default: a negated operator is true where the key is missing, so `Null` asks for it first."""
    everything, objects = [bucket_arn, f"{bucket_arn}/*"], [f"{bucket_arn}/*"]
    algorithm, key = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"
    return {
        "Version": "2012-10-17",
        "Statement": [
            _deny("TlsOnly", "s3:*", everything, {"Bool": {"aws:SecureTransport": "false"}}),
            _deny("NoOldTls", "s3:*", everything, {"NumericLessThan": {"s3:TlsVersion": OLDEST_TLS}}),
            _deny("KmsOnly", "s3:PutObject", objects, _present_but_not(algorithm, "StringNotEquals", "aws:kms")),
            _deny("OwnKeyOnly", "s3:PutObject", objects, _present_but_not(key, "ArnNotEquals", key_arn)),
        ],
    }


def _present_but_not(key: str, operator: str, value: str) -> dict[str, Any]:
    return {"Null": {key: "false"}, operator: {key: value}}


def _deny(sid: str, action: str, resources: list[str], condition: dict[str, Any]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resources,
        "Condition": condition,
    }


def image_lifecycle(untagged_days: int) -> dict[str, Any]:
    """Images without a tag go after so many days. A release's image has one, and no other image can take it ("Preventing image
    tags from being overwritten in Amazon ECR", Amazon ECR User Guide)."""
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": untagged_days}
    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": f"Images without a tag go after {untagged_days} days",
                "selection": selection,
                "action": {"type": "expire"},
            }
        ]
    }
