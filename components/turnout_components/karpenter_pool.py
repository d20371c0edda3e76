"""GPU nodes that Karpenter starts and takes away: NodePool, EC2NodeClass, and the nodes' role."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
from pulumi_aws import eks, iam
from pulumi_kubernetes.apiextensions import CustomResource

from turnout_components import arguments, checks, karpenter_rules
from turnout_components.eks_roles import NODE_POLICIES, aws_role


class KarpenterPoolArgs(TypedDict):
    """What nodes are, how many, and when Karpenter may take them (`turnout_components.karpenter_rules`)."""

    name: str
    """Of the NodePool and the EC2NodeClass, which are the cluster's own: unique there."""
    cluster_name: pulumi.Input[str]
    """The EKS cluster."""
    region: str
    """AWS region."""
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Private subnets."""
    security_group_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """The cluster security group first."""
    gpus_at_most: int
    """GPUs of all its nodes together, beyond which none is started."""
    instance_types: NotRequired[Sequence[str]]
    """Types with GPUs. Default g5.xlarge."""
    capacities: NotRequired[Sequence[str]]
    """Some of `reserved`, `on-demand` and `spot`. Default on-demand."""
    reservation_ids: NotRequired[Sequence[str]]
    """Capacity reservations, or Capacity Blocks, that `reserved` takes."""
    zones: NotRequired[Sequence[str]]
    """Availability zones. Default those of the subnets."""
    image: NotRequired[str]
    """`al2023` or `bottlerocket`. Karpenter takes the variant with NVIDIA's driver for types with GPUs. Default al2023."""
    image_version: NotRequired[str]
    """Of the image. Default latest: new nodes take the newest."""
    disk_gib: NotRequired[int]
    """GiB for images and models. Default 100."""
    instance_store: NotRequired[bool]
    """Put images and pods onto the type's NVMe disks. Default false."""
    labels: NotRequired[Mapping[str, str]]
    """Labels of the nodes beside those that say that they have GPUs."""
    empty_for: NotRequired[str]
    """How long a node is empty before it goes, or Never. Default 10m; with `reserved` Never."""
    replace_drifted: NotRequired[bool]
    """Let Karpenter replace nodes of an older image or template while pods run on them. Default false."""
    disruptions: NotRequired[str]
    """Nodes that go at a time, such as 1 or 10%. Default 1."""
    expire_after: NotRequired[str]
    """Age at which a node goes, whatever runs on it. Default Never."""
    termination_grace: NotRequired[str]
    """Time after which pods of a node that goes are ended, whatever protects them. Default none: they are waited for."""
    drain: NotRequired[int]
    """Seconds of the longest answer. Default 3600."""
    weight: NotRequired[int]
    """1 to 100: pools with more are tried first."""
    controller_role: NotRequired[pulumi.Input[str]]
    """Name of the role of Karpenter's controller, which may start instances with the nodes' role then. Default: it is given no
    right, and needs `iam:PassRole` for `node_role_arn` from elsewhere."""


class KarpenterPool(pulumi.ComponentResource):
    """A pool whose nodes go when they are empty, and not before.

    Karpenter itself and its definitions are in the cluster already (docs/eks.md). Raises `ValueError` with a line for each
    fault."""

    name: pulumi.Output[str]
    node_role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: KarpenterPoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:KarpenterPool", name, {}, opts)
        args = arguments.taken(name, args, KarpenterPoolArgs)
        checks.refuse(karpenter_rules.faults(args))
        tags = {"Name": args["name"], "turnout:pool": args["name"]}
        child = pulumi.ResourceOptions(parent=self)
        role, attached = aws_role(self, f"{name}-node", args["region"], "ec2.amazonaws.com", NODE_POLICIES, tags)
        profile = iam.InstanceProfile(f"{name}-profile", role=role.name, tags=tags, opts=child)
        entry = eks.AccessEntry(
            f"{name}-nodes",
            cluster_name=args["cluster_name"],
            principal_arn=role.arn,
            type="EC2_LINUX",
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        if args.get("controller_role") is not None:
            passes = iam.RolePolicy(
                f"{name}-pass", role=args["controller_role"], policy=role.arn.apply(karpenter_rules.pass_role), opts=child
            )
            attached = [*attached, passes]
        spec = pulumi.Output.all(profile.name, args["subnet_ids"], args["security_group_ids"]).apply(
            lambda known: karpenter_rules.node_class(args, known[0], known[1], known[2], tags)
        )
        nodes = CustomResource(
            f"{name}-class",
            api_version=karpenter_rules.NODE_CLASS[0],
            kind=karpenter_rules.NODE_CLASS[1],
            metadata={"name": args["name"]},
            spec=spec,
            # Nodes of a class that is gone could not be ended: the role outlives it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[entry, *attached]),
        )
        pool = CustomResource(
            f"{name}-pool",
            api_version=karpenter_rules.NODE_POOL[0],
            kind=karpenter_rules.NODE_POOL[1],
            metadata={"name": args["name"]},
            spec=karpenter_rules.node_pool(args),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[nodes]),
        )
        self.name = pool.id.apply(lambda _: args["name"])
        self.node_role_arn = role.arn
        self.register_outputs({"name": self.name, "node_role_arn": self.node_role_arn})
