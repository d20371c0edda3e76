"""GPU nodes of an EKS cluster: a managed node group with its launch template, role, taint and warm pool."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict, cast

import pulumi
from pulumi_aws import ec2, eks
from pulumi_aws import vpc as rules

from turnout_components import arguments, eks_capacity
from turnout_components.eks_roles import NODE_POLICIES, aws_role


class EksWarmPoolArgs(TypedDict):
    """Nodes that have booted once and wait beside the group."""

    state: NotRequired[str]
    """`stopped` or `running`. Default stopped: only their volumes cost."""
    minimum: NotRequired[int]
    """Fewest nodes that wait. Default 0."""
    maximum_prepared: NotRequired[int]
    """Most nodes in warm pool and group together. Default: the group's maximum."""
    reuse: NotRequired[bool]
    """Return nodes to the warm pool on scale-in. Default false."""


class EksUpdateArgs(TypedDict):
    """How nodes are replaced when the group's version or template changes."""

    max_unavailable: NotRequired[int]
    """Most nodes that are away at a time. Default 1."""
    max_unavailable_percent: NotRequired[int]
    """The same as a percentage."""
    strategy: NotRequired[str]
    """`default` (new nodes first) or `minimal` (old ones first: where there is no room for more GPUs). Default default."""


class EksNodeGroupArgs(TypedDict):
    """What nodes are and how many. What AWS refuses of it is refused (`turnout_components.eks_capacity`)."""

    cluster_name: pulumi.Input[str]
    """The cluster."""
    region: str
    """AWS region."""
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Private subnets: of one zone with EFA or a Capacity Block."""
    security_group_id: pulumi.Input[str]
    """The cluster security group, which nodes and control plane share."""
    vpc_id: NotRequired[pulumi.Input[str]]
    """The VPC, with EFA: its traffic has a security group of its own."""
    instance_types: NotRequired[Sequence[str]]
    """Types with GPUs, in order of preference. Default g5.xlarge."""
    image: NotRequired[str]
    """`al2023`, `bottlerocket`, or either with `-arm`: with NVIDIA's driver. Default al2023."""
    capacity: NotRequired[str]
    """`on-demand`, `spot` or `capacity-block`. Default on-demand."""
    capacity_block_id: NotRequired[str]
    """Capacity Block for ML to launch into, in one zone."""
    efa: NotRequired[bool]
    """Elastic Fabric Adapters and a cluster placement group, in one zone. Default false."""
    minimum: NotRequired[int]
    """Fewest nodes. Default 1."""
    maximum: NotRequired[int]
    """Most nodes. Default: `minimum`."""
    disk_gib: NotRequired[int]
    """GiB for images and models. Default 100."""
    instance_store: NotRequired[bool]
    """Put images and pods onto the type's NVMe disks, on AL2023. Default false."""
    labels: NotRequired[Mapping[str, str]]
    """Labels of the nodes beside those that say that they have GPUs."""
    warm_pool: NotRequired[EksWarmPoolArgs | None]
    """Default none."""
    update: NotRequired[EksUpdateArgs]
    """Default one node at a time, new ones first."""
    repair: NotRequired[bool]
    """Whether EKS replaces nodes whose GPUs or kubelets fail (with the node monitoring agent). Default true."""


class EksNodeGroup(pulumi.ComponentResource):
    """Nodes that take only pods that ask for GPUs. Resources in `opts.depends_on`, such as the cluster's add-ons, come before.

    An autoscaler may change the desired size between `minimum` and `maximum`; no update puts it back. Raises `ValueError` with
    a line for each fault."""

    node_group_name: pulumi.Output[str]
    node_role_arn: pulumi.Output[str]
    group_names: pulumi.Output[list[str]]

    def __init__(self, name: str, args: EksNodeGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:EksNodeGroup", name, {}, opts)
        args = arguments.taken(name, args, EksNodeGroupArgs)
        subnets = args["subnet_ids"]
        eks_capacity.refuse(args, len(subnets) if isinstance(subnets, Sequence) else None)
        after: Any = (opts.depends_on if opts is not None else None) or []
        tags = {"Name": name}
        role, attached = aws_role(self, f"{name}-node", args["region"], "ec2.amazonaws.com", NODE_POLICIES, tags)
        template = self._template(name, args, tags)
        least = args.get("minimum", 1)
        block = eks_capacity.capacity_of(args) == "capacity-block"
        group = eks.NodeGroup(
            f"{name}-group",
            cluster_name=args["cluster_name"],
            node_role_arn=role.arn,
            subnet_ids=subnets,
            ami_type=eks_capacity.IMAGES[eks_capacity.image_of(args)],
            capacity_type=eks_capacity.CAPACITIES[eks_capacity.capacity_of(args)],
            instance_types=None if block else eks_capacity.types_of(args),
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            scaling_config={
                "min_size": least,
                "desired_size": least,
                "max_size": args.get("maximum", max(least, 1)),
            },
            labels={f"{eks_capacity.TAINT}.present": "true", "turnout.dev/pool": "gpu", **args.get("labels", {})},
            taints=[{"key": eks_capacity.TAINT, "value": "present", "effect": "NO_SCHEDULE"}],
            update_config=cast(Any, _update(args.get("update", {}))),
            node_repair_config={"enabled": args.get("repair", True)},
            warm_pool_config=cast(Any, eks_capacity.warm_pool(args)),
            tags=tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*(after if isinstance(after, Sequence) else [after]), *attached],
                ignore_changes=["scalingConfig.desiredSize"],
            ),
        )
        self.node_group_name = group.node_group_name
        self.node_role_arn = role.arn
        self.group_names = group.resources.apply(
            lambda held: [str(one.name) for each in held for one in each.autoscaling_groups or []]
        )
        outputs = ("node_group_name", "node_role_arn", "group_names")
        self.register_outputs({key: getattr(self, key) for key in outputs})

    def _template(self, name: str, args: EksNodeGroupArgs, tags: dict[str, str]) -> ec2.LaunchTemplate:
        child = pulumi.ResourceOptions(parent=self)
        block = args.get("capacity_block_id")
        efa = self._between(name, args, tags) if args.get("efa") else None
        placement = ec2.PlacementGroup(f"{name}-placement", strategy="cluster", tags=tags, opts=child) if efa else None
        groups = [args["security_group_id"], *([efa.id] if efa else [])]
        interfaces = pulumi.Output.all(*groups).apply(lambda known: eks_capacity.network_interfaces(args, known))
        script = eks_capacity.user_data(args)
        return ec2.LaunchTemplate(
            f"{name}-template",
            instance_type=eks_capacity.types_of(args)[0] if block else None,
            instance_market_options={"market_type": "capacity-block"} if block else None,
            capacity_reservation_specification=(
                {"capacity_reservation_target": {"capacity_reservation_id": block}} if block else None
            ),
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": eks_capacity.HOPS,
            },
            network_interfaces=cast(Any, interfaces) if efa else None,
            placement={"group_name": placement.name} if placement else None,
            block_device_mappings=cast(Any, eks_capacity.disks(args)),
            user_data=pulumi.Output.from_input(script).apply(_base64) if script else None,
            tag_specifications=[{"resource_type": kind, "tags": tags} for kind in ("instance", "volume")],
            tags=tags,
            opts=child,
        )

    def _between(self, name: str, args: EksNodeGroupArgs, tags: dict[str, str]) -> ec2.SecurityGroup:
        """EFA: everything among the nodes ("Get started with EFA and MPI for HPC workloads on Amazon EC2")."""
        child = pulumi.ResourceOptions(parent=self)
        group = ec2.SecurityGroup(
            f"{name}-efa", description="EFA among GPU nodes", vpc_id=args["vpc_id"], tags=tags, opts=child
        )
        between: dict[str, Any] = {
            "security_group_id": group.id,
            "description": "EFA between the nodes",
            "referenced_security_group_id": group.id,
            "ip_protocol": "-1",
            "opts": child,
        }
        rules.SecurityGroupIngressRule(f"{name}-efa-in", **between)
        rules.SecurityGroupEgressRule(f"{name}-efa-out", **between)
        return group


def _update(update: Mapping[str, Any]) -> dict[str, Any]:
    percent, strategy = update.get("max_unavailable_percent"), update.get("strategy") or "default"
    away = {"max_unavailable_percentage": percent} if percent else {"max_unavailable": update.get("max_unavailable") or 1}
    return {**away, "update_strategy": eks_capacity.STRATEGIES[strategy]}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
