"""GPU nodes of one release in one environment: launch template, role, security group, auto scaling group."""

import base64
import json
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi_aws import autoscaling, ec2, iam, vpc

from turnout_components.naming import group_name, shorten
from turnout_components.node_policy import ASSUME_BY_EC2, fetches_with_node_role, node_policy
from turnout_components.user_data import render

ROLE_NAME_ROOM = 64 - 8
"""What a role's logical name may take of IAM's 64 characters beside auto-naming's suffix ("IAM and AWS STS quotas")."""
GPU_IMAGE = "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
"""Amazon Linux 2023 with NVIDIA's driver and container runtime ("Retrieving Amazon ECS-optimized Linux AMI metadata")."""
DELETE_SLACK = 600
"""Seconds that a group's deletion may take beside the drain: instances shut down one after the other."""


class MachineArgs(TypedDict):
    """What nodes are and how many."""

    instance_type: NotRequired[pulumi.Input[str]]
    """A type with a GPU. Default g5.xlarge."""
    image_id: NotRequired[pulumi.Input[str]]
    """AMI, or `resolve:ssm:<parameter>`. Default: the GPU variant of Amazon Linux 2023 for containers."""
    root_device: NotRequired[pulumi.Input[str]]
    """The AMI's root device. Default /dev/xvda (Amazon Linux)."""
    disk_gib: NotRequired[pulumi.Input[int]]
    """Size of the root volume in GiB. Default 100."""
    minimum: NotRequired[pulumi.Input[int]]
    """Fewest instances. Default 1."""
    maximum: NotRequired[pulumi.Input[int]]
    """Most instances. Default: `minimum`."""
    port: NotRequired[pulumi.Input[int]]
    """Port on which the server answers. Default 8000."""
    drain: NotRequired[pulumi.Input[int]]
    """Seconds that a stopping server may take for what is in flight. Default 30."""


class NodeArgs(MachineArgs):
    """What nodes are and where they stand, whatever they run."""

    service: pulumi.Input[str]
    """The service's name, at most 40 characters."""
    environment: pulumi.Input[str]
    """`blue` or `green`."""
    region: pulumi.Input[str]
    """AWS region, for the role's policy."""
    vpc_id: pulumi.Input[str]
    """The VPC of load balancer and nodes."""
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Private subnets."""
    target_group_arn: pulumi.Input[str]
    """The environment's target group."""
    balancer_security_group_id: pulumi.Input[str]
    """The load balancer's security group: the only one that reaches the nodes."""


class GpuNodePoolArgs(NodeArgs):
    """Nodes and the release that they run."""

    release: pulumi.Input[dict[str, Any]]
    """The release's manifest with its digest (`Release.for_storage()`)."""


class GpuNodePool(pulumi.ComponentResource):
    """On-demand GPU instances that run one release and take requests from one load balancer only.

    A new release is a new auto scaling group under a new name: the old one is deleted first, for it carries no traffic
    (`TrafficSwitch` refuses otherwise). Resources in `opts.depends_on`, such as the environment's test rule, come before
    the group.
    """

    group_name: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    role_name: pulumi.Output[str]

    def __init__(self, name: str, args: GpuNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:GpuNodePool", name, {}, opts)
        after: Any = (opts.depends_on if opts is not None else None) or []
        node = pulumi.Output.all(
            service=args["service"],
            environment=args["environment"],
            region=args["region"],
            release=args["release"],
            port=args.get("port", 8000),
            drain=args.get("drain", 30),
        )
        tags = node.apply(_tags)
        policy, role, profile = self._identity(name, node, tags)
        security, rules = self._security_group(name, args, tags)
        template = self._template(name, args, node, tags, profile, security)
        group = autoscaling.Group(
            f"{name}-group",
            name=node.apply(lambda n: group_name(n["service"], pulumi.get_stack(), n["environment"], n["release"]["digest"])),
            min_size=args.get("minimum", 1),
            max_size=args.get("maximum", args.get("minimum", 1)),
            vpc_zone_identifiers=args["subnet_ids"],
            target_group_arns=[args["target_group_arn"]],
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            # Readiness at the load balancer must not make the group replace overloaded GPU nodes.
            health_check_type="EC2",
            # On an update the provider would wait only when a size changed, and then for exact equality: the gate waits.
            wait_for_capacity_timeout="0",
            tags=tags.apply(_propagated),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*(after if isinstance(after, Sequence) else [after]), policy, *rules],
                delete_before_replace=True,
                custom_timeouts=pulumi.CustomTimeouts(delete=f"{self._drain(args) + DELETE_SLACK}s"),
            ),
        )
        self.group_name = group.name
        self.security_group_id = security.id
        self.role_name = role.name
        self.register_outputs(
            {"group_name": self.group_name, "security_group_id": self.security_group_id, "role_name": self.role_name}
        )

    @staticmethod
    def _drain(args: GpuNodePoolArgs) -> int:
        """A timeout is no input: where the drain is an output, the longest that AWS allows stands for it."""
        drain = args.get("drain", 30)
        return drain if isinstance(drain, int) else 3600

    def _identity(
        self, name: str, node: pulumi.Output[dict[str, Any]], tags: pulumi.Output[dict[str, str]]
    ) -> tuple[iam.RolePolicy, iam.Role, iam.InstanceProfile]:
        role = iam.Role(
            shorten(f"{name}-role", ROLE_NAME_ROOM),
            description="Nodes of one Turnout environment",
            assume_role_policy=json.dumps(ASSUME_BY_EC2),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        policy = iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=node.apply(lambda n: json.dumps(node_policy(n["release"], n["service"], n["environment"], n["region"]))),
            opts=pulumi.ResourceOptions(parent=self),
        )
        profile = iam.InstanceProfile(f"{name}-profile", role=role.name, tags=tags, opts=pulumi.ResourceOptions(parent=self))
        return policy, role, profile

    def _security_group(
        self, name: str, args: GpuNodePoolArgs, tags: pulumi.Output[dict[str, str]]
    ) -> tuple[ec2.SecurityGroup, list[pulumi.Resource]]:
        port, balancer = args.get("port", 8000), args["balancer_security_group_id"]
        nodes = ec2.SecurityGroup(
            f"{name}-nodes",
            description="GPU nodes: requests from the load balancer in, HTTPS out",
            vpc_id=args["vpc_id"],
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        child = pulumi.ResourceOptions(parent=self)
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
        return nodes, rules

    def _template(
        self,
        name: str,
        args: GpuNodePoolArgs,
        node: pulumi.Output[dict[str, Any]],
        tags: pulumi.Output[dict[str, str]],
        profile: iam.InstanceProfile,
        security: ec2.SecurityGroup,
    ) -> ec2.LaunchTemplate:
        return ec2.LaunchTemplate(
            f"{name}-template",
            image_id=args.get("image_id", GPU_IMAGE),
            instance_type=args.get("instance_type", "g5.xlarge"),
            user_data=node.apply(_user_data),
            iam_instance_profile={"arn": profile.arn},
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": node.apply(metadata_hops),
                "instance_metadata_tags": "enabled",
            },
            network_interfaces=[
                {
                    "device_index": 0,
                    "associate_public_ip_address": "false",
                    "delete_on_termination": "true",
                    "security_groups": [security.id],
                }
            ],
            block_device_mappings=[
                {
                    "device_name": args.get("root_device", "/dev/xvda"),
                    "ebs": {
                        "volume_type": "gp3",
                        "volume_size": args.get("disk_gib", 100),
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            tag_specifications=[{"resource_type": kind, "tags": tags} for kind in ("instance", "volume", "network-interface")],
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )


def metadata_hops(node: dict[str, Any]) -> int:
    """Hop limit of the metadata service's answers: 1, so that the role's keys do not leave the host's own network.

    A container behind Docker's bridge is one hop further ("Use IMDS", Amazon EC2 User Guide): 2 for a release whose
    container itself fetches the model from S3 with the node's role."""
    return 2 if fetches_with_node_role(node["release"]) else 1


def _user_data(node: dict[str, Any]) -> str:
    script = render(node["service"], node["environment"], node["release"], int(node["port"]), int(node["drain"]))
    return base64.b64encode(script.encode()).decode()


def _tags(node: dict[str, Any]) -> dict[str, str]:
    release = node["release"]
    return {
        "Name": f"{node['service']}-{node['environment']}",
        "turnout:service": node["service"],
        "turnout:environment": node["environment"],
        "turnout:release": f"{release['name']}@{release['digest']}",
    }


def _propagated(tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value, "propagate_at_launch": True} for key, value in sorted(tags.items())]
