"""A component's own KMS key: it rotates, serves only the services that it is for, and has a name."""

import json
from collections.abc import Mapping, Sequence

import pulumi
from pulumi_aws import kms

from turnout_components.access_policies import key_policy

SHORTEST_WINDOW = 7
"""Days that a deleted key waits at least ("ScheduleKeyDeletion", AWS KMS API Reference)."""


def own_key(
    parent: pulumi.Resource,
    name: str,
    description: str,
    alias: pulumi.Input[str],
    services: Sequence[str],
    tags: pulumi.Input[Mapping[str, pulumi.Input[str]]],
    *,
    window: int = 30,
    grants: bool = False,
    protect: bool = False,
) -> tuple[kms.Key, kms.KeyPolicy]:
    """The key, and its policy: what is encrypted with the key comes after the policy.

    The policy is a resource of its own, because it names the account, which only the key's ARN tells. `window`: days until a
    deleted key is gone, within which its deletion can be cancelled."""
    child = pulumi.ResourceOptions(parent=parent)
    key = kms.Key(
        f"{name}-key",
        description=description,
        enable_key_rotation=True,
        deletion_window_in_days=max(window, SHORTEST_WINDOW),
        tags=tags,
        opts=pulumi.ResourceOptions(parent=parent, protect=protect),
    )
    policy = kms.KeyPolicy(
        f"{name}-key-policy",
        key_id=key.key_id,
        policy=key.arn.apply(lambda arn: json.dumps(key_policy(arn, services, grants=grants))),
        opts=child,
    )
    kms.Alias(f"{name}-key-alias", name=alias, target_key_id=key.key_id, opts=child)
    return key, policy
