"""Policies on encryption, at rest and in transit."""

from pulumi_policy import Severity
from turnout_components import policy_encryption
from turnout_components.policy_traffic import LISTENERS

from policies.making import Rule, Scope, on_resources, on_stack, texts

POLICIES = [
    on_resources(
        Rule(
            "encrypted-at-rest",
            "Disks, topics and queues are encrypted; buckets, secrets and images with a key of their own",
            "whoever gets hold of a copy would read weights, prompts and keys",
            "write encrypted, kmsMasterKeyId or kmsKeyId as the message says",
            Severity.HIGH,
            parameters={
                **texts("own_key", ["secrets", "images"], "Of secrets, images, logs, tables and clusters: who names a KMS key"),
                **texts("algorithms", ["aws:kms", "aws:kms:dsse"], "Accepted default encryption of buckets"),
            },
        ),
        policy_encryption.AT_REST,
        policy_encryption.at_rest,
    ),
    on_resources(
        Rule(
            "encrypted-in-transit",
            "Users reach a load balancer by TLS 1.2 or newer",
            "prompts, answers and keys would cross networks in plain text",
            "give turnout:ingress.certificate_arn",
            Severity.CRITICAL,
            scope=Scope.NOT_REHEARSALS,
        ),
        LISTENERS,
        policy_encryption.in_transit,
    ),
    on_stack(
        Rule(
            "no-plain-text-rule",
            "No rule of a listener without TLS forwards",
            "its requests would go around the redirect that everything else gets",
            "move the rule to the listener with TLS",
            Severity.CRITICAL,
            scope=Scope.NOT_REHEARSALS,
        ),
        policy_encryption.plain_rules,
    ),
    on_stack(
        Rule(
            "guarded-buckets",
            "Each bucket has its public access block, its encryption, and a policy that demands TLS",
            "one of them alone leaves a way to its objects, and a bucket without them says nothing of it",
            "compose an ArtifactStore, or add what the message names",
            Severity.HIGH,
        ),
        policy_encryption.guarded_buckets,
    ),
]
