"""Who reaches a pool's nodes and what they may reach: role, instance profile and security group as children of the pool."""

import json
from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_aws import ec2, iam, vpc

from turnout_components.naming import ROLE_NAME_ROOM, shorten
from turnout_components.node_policy import ASSUME_BY_EC2, node_policy

Tags = pulumi.Output[dict[str, str]]


def identity(
    parent: pulumi.Resource,
    name: str,
    node: pulumi.Output[dict[str, Any]],
    buckets: pulumi.Input[Sequence[pulumi.Input[str]] | None],
    secrets_key: pulumi.Input[str | None],
    own_secrets: pulumi.Input[str],
    tags: Tags,
) -> tuple[iam.RolePolicy, iam.Role, iam.InstanceProfile]:
    """The nodes' role with its one policy (`node_policy`), and the profile by which instances take it on."""
    child = pulumi.ResourceOptions(parent=parent)
    role = iam.Role(
        shorten(f"{name}-role", ROLE_NAME_ROOM),
        description="Nodes of one Turnout environment",
        assume_role_policy=json.dumps(ASSUME_BY_EC2),
        tags=tags,
        opts=child,
    )
    policy = iam.RolePolicy(
        f"{name}-policy",
        role=role.name,
        policy=pulumi.Output.all(node, buckets, secrets_key, own_secrets).apply(lambda known: json.dumps(node_policy(*known))),
        opts=child,
    )
    profile = iam.InstanceProfile(f"{name}-profile", role=role.name, tags=tags, opts=child)
    return policy, role, profile


def security_group(
    parent: pulumi.Resource,
    name: str,
    vpc_id: pulumi.Input[str],
    balancer: pulumi.Input[str],
    port: pulumi.Input[int],
    tags: Tags,
    efa: bool,
) -> tuple[ec2.SecurityGroup, list[pulumi.Resource]]:
    """Requests from the load balancer's security group in, HTTPS out; with EFA everything between the nodes ("Get started with
    EFA and MPI for HPC workloads on Amazon EC2": all traffic to and from the security group itself)."""
    child = pulumi.ResourceOptions(parent=parent)
    nodes = ec2.SecurityGroup(
        f"{name}-nodes",
        description="GPU nodes: requests from the load balancer in, HTTPS out",
        vpc_id=vpc_id,
        tags=tags,
        opts=child,
    )
    rules: list[pulumi.Resource] = [
        vpc.SecurityGroupIngressRule(
            f"{name}-from-balancer",
            security_group_id=nodes.id,
            description="Requests and health checks",
            referenced_security_group_id=balancer,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            opts=child,
        ),
        vpc.SecurityGroupEgressRule(
            f"{name}-to-nodes",
            security_group_id=balancer,
            description=f"Requests to {name}",
            referenced_security_group_id=nodes.id,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            opts=child,
        ),
        vpc.SecurityGroupEgressRule(
            f"{name}-https-out",
            security_group_id=nodes.id,
            description="Image, model and AWS APIs",
            cidr_ipv4="0.0.0.0/0",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            opts=child,
        ),
    ]
    if efa:
        between: dict[str, Any] = {
            "security_group_id": nodes.id,
            "description": "EFA between the nodes",
            "referenced_security_group_id": nodes.id,
            "ip_protocol": "-1",
            "opts": child,
        }
        rules.append(vpc.SecurityGroupIngressRule(f"{name}-from-nodes", **between))
        rules.append(vpc.SecurityGroupEgressRule(f"{name}-between-nodes", **between))
    return nodes, rules
