"""Bucket policies in the local cloud: judged where they have no condition."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.s3.models import FakeBucket
from turnout_components.store_rules import bucket_policy

from tests.access.conftest import Deployed
from turnout.cloud.moto_s3 import extend_s3

NAME = "turnout-policies"
ARN = f"arn:aws:s3:::{NAME}"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
NO_WRITES = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"{ARN}/kept/*"}


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """moto's S3 as the local cloud extends it."""
    monkeypatch.setattr(FakeBucket, "get_permission", FakeBucket.get_permission)
    extend_s3()
    api = Deployed(endpoint, {}).api("s3")
    api.create_bucket(Bucket=NAME)
    yield api
    api.delete_bucket_policy(Bucket=NAME)
    for item in api.list_objects_v2(Bucket=NAME).get("Contents", []):
        api.delete_object(Bucket=NAME, Key=item["Key"])
    api.delete_bucket(Bucket=NAME)


def test_a_bucket_for_tls_only_takes_and_gives_objects_in_the_local_cloud(s3: Any) -> None:
    s3.put_bucket_policy(Bucket=NAME, Policy=json.dumps(bucket_policy(ARN, KEY)))
    s3.put_object(Bucket=NAME, Key="llm/SHA256SUMS", Body=b"sums")
    assert s3.get_object(Bucket=NAME, Key="llm/SHA256SUMS")["Body"].read() == b"sums"


@pytest.mark.parametrize("statements", [NO_WRITES, [NO_WRITES], [*bucket_policy(ARN, KEY)["Statement"], NO_WRITES]], ids=len)
def test_what_is_denied_to_everybody_is_denied(s3: Any, statements: Any) -> None:
    s3.put_bucket_policy(Bucket=NAME, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    with pytest.raises(ClientError, match="403"):
        s3.put_object(Bucket=NAME, Key="kept/x", Body=b"")
    s3.put_object(Bucket=NAME, Key="other/x", Body=b"")
