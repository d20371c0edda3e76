"""Roles of an EKS cluster, its nodes and its pods, with managed policies of AWS."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_aws import iam

from turnout_components import eks_rules
from turnout_components.naming import ROLE_NAME_ROOM, arn_partition, shorten

NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
""" "Amazon EKS node IAM role", Amazon EKS User Guide: the CNI's rights are its own, by pod identity."""


def aws_role(
    parent: pulumi.Resource,
    name: str,
    region: str,
    service: str | None,
    policies: Sequence[str],
    tags: Mapping[str, str],
) -> tuple[iam.Role, list[pulumi.Resource]]:
    """A role that one service of AWS takes on, or (None) pods by their identity; and its managed policies, after which comes
    what uses the role."""
    child = pulumi.ResourceOptions(parent=parent)
    role = iam.Role(
        shorten(f"{name}-role", ROLE_NAME_ROOM),
        assume_role_policy=eks_rules.trust(service) if service else eks_rules.POD_IDENTITY_TRUST,
        tags=tags,
        opts=child,
    )
    attached: list[pulumi.Resource] = [
        iam.RolePolicyAttachment(
            f"{name}-{policy.rpartition('/')[2]}",
            role=role.name,
            policy_arn=f"arn:{arn_partition(region)}:iam::aws:policy/{policy}",
            opts=child,
        )
        for policy in policies
    ]
    return role, attached
