"""What is encrypted: disks, topics, queues, secrets, buckets; and connections. Pure checks."""

import re
from collections.abc import Mapping
from typing import Any

from turnout_components.checks import Fault
from turnout_components.policy_nodes import INSTANCE, INSTANCES
from turnout_components.policy_pools import TEMPLATE
from turnout_components.policy_resources import (
    UNKNOWN,
    Found,
    Resource,
    Stack,
    StackFound,
    Undecided,
    at,
    document,
    each,
    leads_to,
    of,
    yes,
)
from turnout_components.policy_traffic import LISTENERS, actions_of, rules_of

BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
_ENCRYPTED = (
    *("aws:ebs/volume:Volume", "aws:efs/fileSystem:FileSystem"),
    *("aws:rds/cluster:Cluster", "aws:rds/instance:Instance"),
)
"""What `encrypted` encrypts. AWS's default is no, unless the account says otherwise ("Amazon EBS encryption")."""
_BUCKET_ENCRYPTION = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
)
TOPIC, QUEUE = "aws:sns/topic:Topic", "aws:sqs/queue:Queue"
OWN_KEYS = {
    "aws:secretsmanager/secret:Secret": ("secrets", "kmsKeyId"),
    "aws:ecr/repository:Repository": ("images", "encryptionConfigurations.0.kmsKey"),
    "aws:cloudwatch/logGroup:LogGroup": ("logs", "kmsKeyId"),
    "aws:dynamodb/table:Table": ("tables", "serverSideEncryption.kmsKeyArn"),
    "aws:eks/cluster:Cluster": ("clusters", "encryptionConfig.provider.keyArn"),
}
"""What AWS encrypts anyway: where a key of one's own is named, which alone can be taken from somebody."""
AT_REST = (*INSTANCES, *_ENCRYPTED, *_BUCKET_ENCRYPTION, *BUCKETS, TOPIC, QUEUE, *OWN_KEYS)
_TLS = re.compile(r"^ELBSecurityPolicy-(TLS13-1-[23]|TLS-1-2|FS-1-2)-")
"""Policies without TLS 1.0 and 1.1 ("Security policies for your Application Load Balancer")."""


def at_rest(resource: Resource, given: Mapping[str, Any]) -> Found:
    """Disks, file systems and topics say that they are encrypted, queues do not switch it off, and buckets, secrets and images
    have a key of their own, as does what `own_key` adds."""
    if resource.type in INSTANCES:
        yield from _disks(resource)
    elif resource.type in BUCKETS:
        yield from _algorithms(resource, given["algorithms"], _OWN_RULE)
    elif resource.type in _ENCRYPTED:
        if resource.get("replicateSourceDb") is not None:
            return  # encrypted as its source is
        key = "storageEncrypted" if "rds" in resource.type else "encrypted"
        yield from _said(key, resource.get(key))
    elif resource.type in _BUCKET_ENCRYPTION:
        yield from _algorithms(resource, given["algorithms"], "rules")
    elif resource.type == TOPIC:
        yield from _key("kmsMasterKeyId", resource.get("kmsMasterKeyId"))
    elif resource.type == QUEUE:
        if not resource.get("kmsMasterKeyId") and resource.get("sqsManagedSseEnabled") is False:
            yield Fault("sqsManagedSseEnabled", False, "stores messages in plain text", "write true, or give kmsMasterKeyId")
    else:
        kind, path = OWN_KEYS[resource.type]
        if kind in given["own_key"]:
            yield from _key(path, resource.get(path))


def _disks(resource: Resource) -> Found:
    mappings = [
        *(("blockDeviceMappings", at(one, "ebs")) for one in _listed(resource, "blockDeviceMappings") if at(one, "ebs")),
        *(("rootBlockDevice", one) for one in _listed(resource, "rootBlockDevice")),
        *(("ebsBlockDevices", one) for one in _listed(resource, "ebsBlockDevices")),
    ]
    by_template = resource.type == INSTANCE and resource.get("launchTemplate")
    if not mappings and not by_template:
        path = "blockDeviceMappings" if resource.type == TEMPLATE else "rootBlockDevice"
        yield Fault(path, None, "leaves the disk as its image says", f"write {path} with encrypted true")
    for path, disk in mappings:
        yield from _said(f"{path}.encrypted", UNKNOWN if disk is UNKNOWN else at(disk, "encrypted"))


def _listed(resource: Resource, key: str) -> list[Any]:
    return each(resource.get(key))


def _said(path: str, value: Any) -> Found:
    if value is UNKNOWN:
        yield Undecided(path)
    elif not yes(value):
        yield Fault(path, value, "leaves the disk in plain text", f"write {path} true")


def _key(path: str, value: Any) -> Found:
    """A key that is not known yet is one all the same."""
    if not value:
        yield Fault(path, value, "names no key of your own", f"give the ARN of a KMS key in {path}")


_OWN_RULE = "serverSideEncryptionConfiguration.rule"
"""Where a bucket itself says it, instead of a resource beside it."""


def _algorithms(resource: Resource, accepted: list[str], key: str) -> Found:
    for index, rule in enumerate(_listed(resource, key)):
        path = f"{key}[{index}].applyServerSideEncryptionByDefault.sseAlgorithm"
        algorithm = UNKNOWN if rule is UNKNOWN else at(rule, "applyServerSideEncryptionByDefault.sseAlgorithm")
        if algorithm is UNKNOWN:
            yield Undecided(path)
        elif algorithm not in accepted:
            yield Fault(path, algorithm, "is not accepted for objects at rest", f"write {' or '.join(accepted)}")


def in_transit(resource: Resource, _: Mapping[str, Any]) -> Found:
    """A load balancer speaks TLS 1.2 or newer to its users; what speaks HTTP only sends them there."""
    protocol = resource.get("protocol")
    if protocol is UNKNOWN:
        yield Undecided("protocol")
    elif protocol in ("HTTPS", "TLS"):
        policy = resource.get("sslPolicy")
        if policy is UNKNOWN:
            yield Undecided("sslPolicy")
        elif not _TLS.match(str(policy)):
            reason = "offers TLS older than 1.2" if policy else "leaves AWS's default, which offers TLS older than 1.2"
            yield Fault("sslPolicy", policy, reason, "write ELBSecurityPolicy-TLS13-1-2-2021-06")
    else:
        yield from _redirects(protocol, actions_of(resource))


def _redirects(protocol: Any, actions: Any) -> Found:
    """What is not encrypted only sends its users to what is, or away."""
    asked = [action for action in each(actions) if at(action, "type") != "fixed-response"]
    protocols = [at(action, "redirect.protocol") for action in asked] if asked or not each(actions) else ["HTTPS"]
    if any(said not in ("HTTPS", UNKNOWN) for said in protocols) or not protocols:
        fix = "give turnout:ingress.certificate_arn"
        yield Fault("protocol", protocol, "carries prompts and answers in plain text", fix)
    elif UNKNOWN in protocols:
        yield Undecided("defaultActions.redirect.protocol")


def plain_rules(stack: Stack, _: Mapping[str, Any]) -> StackFound:
    """The same of the rules of a listener that speaks no TLS: they come before what it does with everything else."""
    for listener in of(stack, *LISTENERS):
        protocol = listener.get("protocol")
        if protocol in ("HTTPS", "TLS", UNKNOWN):
            continue
        for rule in rules_of(stack, listener):
            yield from ((rule, found) for found in _redirects(protocol, actions_of(rule)))


_GUARDS = (
    (
        ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",),
        "is not closed to the public",
        "add a BucketPublicAccessBlock with all four settings true",
    ),
    (_BUCKET_ENCRYPTION, "says nothing of encryption", "add a BucketServerSideEncryptionConfiguration with aws:kms"),
)
_POLICIES = ("aws:s3/bucketPolicy:BucketPolicy",)


def guarded_buckets(stack: Stack, _: Mapping[str, Any]) -> StackFound:
    """Each bucket is closed to the public, encrypted by a key, and reached by TLS only ("Security best practices for Amazon
    S3": block public access, encryption of data at rest, enforce encryption of data in transit)."""
    for bucket in of(stack, *BUCKETS):
        for types, reason, fix in _GUARDS:
            guarded = any(_guards(one, bucket) for one in of(stack, *types))
            if not guarded and not (types == _BUCKET_ENCRYPTION and _has_own_key(bucket)):
                yield bucket, Fault("bucket", bucket.name, reason, fix)
        policies = [document(one.get("policy")) for one in of(stack, *_POLICIES) if _guards(one, bucket)]
        if UNKNOWN in policies:
            yield bucket, Undecided("policy")
        elif not any(map(_demands_tls, policies)):
            fix = "add a BucketPolicy that denies s3:* where aws:SecureTransport is false"
            yield bucket, Fault("bucket", bucket.name, "answers without TLS", fix)


def _has_own_key(bucket: Resource) -> bool:
    return str(bucket.get(f"{_OWN_RULE}.applyServerSideEncryptionByDefault.sseAlgorithm")).startswith("aws:kms")


def _guards(guard: Resource, bucket: Resource) -> bool:
    return any(leads_to(guard, "bucket", bucket, output) for output in ("bucket", "id"))


def _demands_tls(policy: Any) -> bool:
    return any(
        at(one, "Effect") == "Deny"
        and at(one, "Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        and any(action in ("*", "s3:*") for action in each(at(one, "Action")))
        and any(str(named).endswith("*") for named in each(at(one, "Resource")))  # its objects
        and _of_transport(one) == "false"
        for one in each(at(policy, "Statement"))
    )


def _of_transport(statement: Any) -> str:
    """What a statement's one condition asks of aws:SecureTransport; "" where it asks other things too, or of nothing."""
    tests = [
        (key.lower(), [str(one).lower() for one in each(value)])
        for operator, test in (at(statement, "Condition") or {}).items()
        for key, value in (test.items() if operator in ("Bool", "BoolIfExists") else [(operator, None)])
    ]
    return tests[0][1][0] if len(tests) == 1 and tests[0][0] == "aws:securetransport" and len(tests[0][1]) == 1 else ""
