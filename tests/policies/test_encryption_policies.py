"""Policies on encryption, each broken and satisfied."""

import json
from typing import Any

import pytest
from turnout_components import store_rules

from tests.policies.judging import UNKNOWN, Given, judge

TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
INSTANCE = "aws:ec2/instance:Instance"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
CONFIGURATION = "aws:ec2/launchConfiguration:LaunchConfiguration"
KEY = "arn:aws:kms:us-east-1:123456789012:key/k"


def algorithm(name: Any) -> dict[str, Any]:
    return {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": name}}]}


def own_algorithm(name: Any) -> dict[str, Any]:
    return {"serverSideEncryptionConfiguration": {"rule": algorithm(name)["rules"][0]}}


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (TEMPLATE, {"blockDeviceMappings": [{"ebs": {"encrypted": "true"}}]}, {"blockDeviceMappings": [{"ebs": {}}]}),
        (TEMPLATE, {"blockDeviceMappings": [{"ebs": {"encrypted": True}}]}, {"blockDeviceMappings": []}),
        (INSTANCE, {"rootBlockDevice": {"encrypted": True}}, {"rootBlockDevice": {"encrypted": False}}),
        (INSTANCE, {"rootBlockDevice": {"encrypted": True}}, {}),
        ("aws:ebs/volume:Volume", {"encrypted": True}, {"size": 10}),
        ("aws:efs/fileSystem:FileSystem", {"encrypted": True}, {"encrypted": False}),
        ("aws:sns/topic:Topic", {"kmsMasterKeyId": KEY}, {"kmsMasterKeyId": ""}),
        ("aws:sns/topic:Topic", {"kmsMasterKeyId": UNKNOWN}, {}),
        ("aws:sqs/queue:Queue", {}, {"sqsManagedSseEnabled": False}),
        ("aws:sqs/queue:Queue", {"kmsMasterKeyId": KEY, "sqsManagedSseEnabled": False}, {"sqsManagedSseEnabled": False}),
        ("aws:secretsmanager/secret:Secret", {"kmsKeyId": UNKNOWN}, {"kmsKeyId": None}),
        (
            "aws:ecr/repository:Repository",
            {"encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": KEY}]},
            {"encryptionConfigurations": [{"encryptionType": "AES256"}]},
        ),
        (ENCRYPTION, algorithm("aws:kms"), algorithm("AES256")),
        ("aws:s3/bucket:Bucket", own_algorithm("aws:kms"), own_algorithm("AES256")),
        ("aws:rds/instance:Instance", {"storageEncrypted": True}, {"instanceClass": "db.t4g.small"}),
        ("aws:rds/instance:Instance", {"replicateSourceDb": "main"}, {"storageEncrypted": False}),
        (CONFIGURATION, {"rootBlockDevice": {"encrypted": True}}, {"rootBlockDevice": {}}),
        (
            INSTANCE,
            {"launchTemplate": {"id": "lt-1"}},
            {"launchTemplate": {"id": "lt-1"}, "rootBlockDevice": {"volumeSize": 9}},
        ),
    ],
)
def test_what_is_stored_is_encrypted(kind: str, good: dict[str, Any], bad: dict[str, Any]) -> None:
    assert judge("encrypted-at-rest", Given(kind, good)).passed
    said = judge("encrypted-at-rest", Given(kind, bad, "thing")).said
    assert said.startswith(f"thing ({kind})")


@pytest.mark.parametrize(
    ("kind", "props"),
    [
        (TEMPLATE, {"blockDeviceMappings": UNKNOWN}),
        (TEMPLATE, {"blockDeviceMappings": [{"ebs": {"encrypted": UNKNOWN}}]}),
        ("aws:ebs/volume:Volume", {"encrypted": UNKNOWN}),
        (ENCRYPTION, algorithm(UNKNOWN)),
        (ENCRYPTION, {"rules": UNKNOWN}),
    ],
)
def test_encryption_that_is_not_known_yet_is_undecided(kind: str, props: dict[str, Any]) -> None:
    found = judge("encrypted-at-rest", Given(kind, props))
    assert (found.violations, len(found.undecided)) == ([], 1)


def test_logs_tables_and_clusters_need_a_key_of_their_own_where_config_says_so() -> None:
    log = Given("aws:cloudwatch/logGroup:LogGroup", {"name": "x"})
    assert judge("encrypted-at-rest", log).passed
    assert "kmsKeyId" in judge("encrypted-at-rest", log, own_key=["logs"]).said
    assert judge("encrypted-at-rest", Given("aws:secretsmanager/secret:Secret", {}), own_key=[]).passed
    assert judge("encrypted-at-rest", Given("aws:dynamodb/table:Table", {}), own_key=["tables"]).violations


LISTENER = "aws:lb/listener:Listener"


@pytest.mark.parametrize(
    "props",
    [
        {"protocol": "HTTPS", "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"},
        {"protocol": "TLS", "sslPolicy": "ELBSecurityPolicy-TLS13-1-3-2021-06"},
        {"protocol": "HTTP", "defaultActions": [{"type": "redirect", "redirect": {"protocol": "HTTPS"}}]},
        {"protocol": "HTTP", "defaultActions": [{"type": "fixed-response", "fixedResponse": {"statusCode": "404"}}]},
    ],
)
def test_listeners_that_speak_tls_or_send_there_pass(props: dict[str, Any]) -> None:
    assert judge("encrypted-in-transit", Given(LISTENER, props)).passed


@pytest.mark.parametrize(
    "props",
    [
        {"protocol": "HTTP", "defaultActions": [{"type": "forward"}]},
        {"protocol": "HTTP", "defaultActions": [{"type": "redirect", "redirect": {"protocol": "HTTP"}}]},
        {"protocol": "TCP"},
        {"protocol": "HTTPS"},
        {"protocol": "HTTPS", "sslPolicy": "ELBSecurityPolicy-2016-08"},
        {"protocol": "HTTPS", "sslPolicy": "ELBSecurityPolicy-TLS13-1-0-2021-06"},
    ],
)
def test_listeners_in_plain_text_or_with_old_tls_are_told(props: dict[str, Any]) -> None:
    assert judge("encrypted-in-transit", Given(LISTENER, props)).said
    assert judge("encrypted-in-transit", Given(LISTENER, props, stack="local")).passed
    assert judge("encrypted-in-transit", Given(LISTENER, props, stack="local"), rehearsals=["mine"]).violations


@pytest.mark.parametrize(("protocol", "holds"), [("HTTP", False), ("HTTPS", True), (UNKNOWN, True)])
def test_no_rule_of_a_plain_listener_forwards(protocol: str, holds: bool) -> None:
    def judged(action: dict[str, Any], stack: str = "prod") -> bool:
        listener = Given(LISTENER, {"protocol": protocol, "arn": UNKNOWN}, "web", stack)
        other = Given(LISTENER, {"protocol": "TLS", "arn": UNKNOWN}, "other", stack)
        of = {"listenerArn": (listener,)}
        rule = Given("aws:lb/listenerRule:ListenerRule", {"actions": [action]}, "rule", stack, needs=of)
        return judge("no-plain-text-rule", listener, other, rule).passed

    assert judged({"type": "forward", "targetGroupArn": "arn:blue"}) is holds
    assert judged({"type": "forward", "targetGroupArn": "arn:blue"}, "local")
    assert judged({"type": "redirect", "redirect": {"protocol": "HTTPS"}})
    assert judged({"type": "fixed-response"})


def test_protocols_that_are_not_known_yet_are_undecided() -> None:
    hidden = {"protocol": "HTTP", "defaultActions": [{"redirect": {"protocol": UNKNOWN}}]}
    for props in ({"protocol": UNKNOWN}, {"protocol": "HTTPS", "sslPolicy": UNKNOWN}, hidden):
        found = judge("encrypted-in-transit", Given(LISTENER, props))
        assert (found.violations, len(found.undecided)) == ([], 1)


BUCKET = Given("aws:s3/bucket:Bucket", {"bucket": UNKNOWN}, "models")
BY = {"bucket": (BUCKET,)}
CLOSED = Given("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", {}, "closed", needs=BY)
ENCRYPTED = Given(ENCRYPTION, algorithm("aws:kms"), "encrypted", needs=BY)


def policy(text: Any) -> Given:
    return Given("aws:s3/bucketPolicy:BucketPolicy", {"policy": text}, "policy", needs=BY)


TLS_ONLY = policy(json.dumps(store_rules.bucket_policy("arn:aws:s3:::b", KEY)))


def test_a_bucket_with_its_guards_passes() -> None:
    assert judge("guarded-buckets", BUCKET, CLOSED, ENCRYPTED, TLS_ONLY).passed
    known = Given(BUCKET.type, {"bucket": "b"}, "models")
    literal = [Given(one.type, {**one.props, "bucket": "b"}, one.name) for one in (CLOSED, ENCRYPTED, TLS_ONLY)]
    assert judge("guarded-buckets", known, *literal).passed


@pytest.mark.parametrize("missing", [CLOSED, ENCRYPTED, TLS_ONLY], ids=lambda one: one.name)
def test_a_bucket_without_one_of_its_guards_is_told(missing: Given) -> None:
    guards = [one for one in (CLOSED, ENCRYPTED, TLS_ONLY) if one is not missing]
    said = judge("guarded-buckets", BUCKET, *guards).said
    assert said.startswith("models (aws:s3/bucket:Bucket)")
    assert "; add a Bucket" in said
    others = Given(missing.type, missing.props, missing.name, needs={"bucket": ()})
    assert judge("guarded-buckets", BUCKET, *guards, others).violations


def test_a_bucket_may_name_its_key_itself_but_what_aws_does_anyway_is_not_enough() -> None:
    """After an update a bucket's outputs tell AWS's default encryption too."""
    keyed, default = (Given(BUCKET.type, own_algorithm(name), "models") for name in ("aws:kms", "AES256"))
    guards = [Given(one.type, one.props, one.name, needs={"bucket": (keyed,)}) for one in (CLOSED, TLS_ONLY)]
    assert judge("guarded-buckets", keyed, *guards).passed
    assert "says nothing of encryption" in judge("guarded-buckets", default, *guards).said


def test_a_bucket_policy_must_deny_what_comes_without_tls() -> None:
    other = {"Statement": [{"Effect": "Deny", "Action": "s3:*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}]}
    assert judge("guarded-buckets", BUCKET, CLOSED, ENCRYPTED, policy(json.dumps(other))).violations
    denial: dict[str, Any] = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::b/*"]}
    denial |= {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    both = {**denial["Condition"], "StringEquals": {"aws:PrincipalOrgID": "o-1"}}
    by_other_words = {"Condition": {"BoolIfExists": {"aws:securetransport": [False]}}, "Action": ["*"]}
    for good in ({}, {"Principal": {"AWS": "*"}}, by_other_words):
        assert judge("guarded-buckets", BUCKET, CLOSED, ENCRYPTED, policy({"Statement": {**denial, **good}})).passed
    for bad in ({"Principal": {"AWS": KEY}}, {"Resource": "arn:aws:s3:::b"}, {"Condition": both}, {"Action": "s3:GetObject"}):
        text = json.dumps({"Statement": [{**denial, **bad}]})
        assert judge("guarded-buckets", BUCKET, CLOSED, ENCRYPTED, policy(text)).violations
    unknown = judge("guarded-buckets", BUCKET, CLOSED, ENCRYPTED, policy(UNKNOWN))
    assert (unknown.violations, len(unknown.undecided)) == ([], 1)
