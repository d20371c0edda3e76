"""The way of the function that drives rollouts to the API server of an EKS cluster: its network, and its rights there."""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi_aws import ec2, eks, vpc

from turnout_components.cluster_rights import WORKLOADS
from turnout_components.naming import shorten

OBJECT_NAME_LIMIT = 63


class RunnerVpcArgs(TypedDict):
    """Where the function stands, so that it reaches a private API server."""

    vpc_id: pulumi.Input[str]
    """The cluster's VPC."""
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Private subnets with a way to AWS's APIs, such as a NAT gateway."""
    cluster_security_group_id: pulumi.Input[str]
    """The cluster's security group, which lets the function in (`EksCluster.security_group_id`)."""


class RunnerClusterArgs(TypedDict):
    """The EKS cluster of the service's workloads. Objects in it are made with the Kubernetes provider in `opts.providers`."""

    name: pulumi.Input[str]
    """Its name."""
    namespace: pulumi.Input[str]
    """The workloads' namespace, the only one in which the function has rights."""
    vpc: NotRequired[RunnerVpcArgs | None]
    """Default: none, for an API server that the internet reaches."""
    step_down_image: NotRequired[pulumi.Input[str] | None]
    """As the switch has it."""
    step_down_account: NotRequired[pulumi.Input[str] | None]
    """As the switch has it."""


def admitted(
    parent: pulumi.Resource, name: str, service: pulumi.Input[str], cluster: RunnerClusterArgs, principal: pulumi.Output[str]
) -> list[pulumi.Resource]:
    """An access entry for the function's role, and what its group may do in the service's namespace ("Create an access entry
    using Kubernetes groups with the AWS CLI", Amazon EKS User Guide)."""
    from pulumi_kubernetes import rbac  # a second's import, which stacks on instances are spared

    child = pulumi.ResourceOptions(parent=parent)
    called = pulumi.Output.from_input(service).apply(_called)
    metadata: Any = {"name": called, "namespace": cluster["namespace"]}
    rules: list[Any] = [
        {"api_groups": [right.group], "resources": [right.resource], "verbs": list(right.verbs)} for right in WORKLOADS
    ]
    role = rbac.v1.Role(f"{name}-cluster-role", metadata=metadata, rules=rules, opts=child)
    group = "rbac.authorization.k8s.io"
    binding = rbac.v1.RoleBinding(
        f"{name}-cluster-binding",
        metadata=metadata,
        role_ref={"api_group": group, "kind": "Role", "name": called},
        subjects=[{"api_group": group, "kind": "Group", "name": called}],
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[role]),
    )
    entry = eks.AccessEntry(
        f"{name}-cluster-entry",
        cluster_name=cluster["name"],
        principal_arn=principal,
        kubernetes_groups=[called],
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
    )
    return [binding, entry]


def connected(
    parent: pulumi.Resource, name: str, place: RunnerVpcArgs, tags: pulumi.Output[dict[str, str]]
) -> tuple[dict[str, Any], list[pulumi.Resource]]:
    """What the function's `vpc_config` is, and the rules after which it reaches the API server."""
    child = pulumi.ResourceOptions(parent=parent)
    own = ec2.SecurityGroup(
        f"{name}-runner",
        description="The function that drives rollouts: HTTPS out",
        vpc_id=place["vpc_id"],
        tags=tags,
        opts=child,
    )
    https: Any = {"ip_protocol": "tcp", "from_port": 443, "to_port": 443, "opts": child}
    rules: list[pulumi.Resource] = [
        vpc.SecurityGroupEgressRule(
            f"{name}-runner-out",
            security_group_id=own.id,
            cidr_ipv4="0.0.0.0/0",
            description="AWS APIs, the cluster, the webhook",
            **https,
        ),
        vpc.SecurityGroupIngressRule(
            f"{name}-runner-to-cluster",
            security_group_id=place["cluster_security_group_id"],
            referenced_security_group_id=own.id,
            description="The function that drives rollouts",
            **https,
        ),
    ]
    return {"subnet_ids": place["subnet_ids"], "security_group_ids": [own.id]}, rules


def _called(service: str) -> str:
    """Of Role, RoleBinding and group."""
    return shorten(f"{service}-{pulumi.get_stack()}-rollout-runner", OBJECT_NAME_LIMIT)
