"""GPU nodes of one release in one environment: launch template, role, security group, auto scaling group."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict, cast

import pulumi
from pulumi_aws import autoscaling, cloudwatch, ec2

from turnout_components import arguments, capacity, launch_template, node_document, node_policy
from turnout_components.naming import secret_prefix
from turnout_components.node_access import identity, security_group

DELETE_SLACK = 600
"""Seconds that a group's deletion may take beside the drain: instances shut down one after the other."""
INSTANCE_WARMUP = 60
"""Seconds until a new instance's metrics count: it serves before it is in service, and then its first minute is reported."""
GROUP_METRICS = (
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupTotalInstances",
)
LOG_RETENTION_DAYS = 30
MADE_BESIDE = {"secrets", "secrets_key_arn", "vault", "artifact_buckets", "log_key_arn"}
"""Arguments that are often outputs of the same update: capacity, names and tags are known without them."""


class WarmPoolArgs(TypedDict):
    """Instances that are kept initialised beside the group."""

    state: NotRequired[pulumi.Input[str]]
    """`stopped` or `running`. Default stopped: only their volumes cost."""
    minimum: NotRequired[pulumi.Input[int]]
    """Fewest instances in the warm pool. Default 0."""
    maximum_prepared: NotRequired[pulumi.Input[int]]
    """Most instances in warm pool and group together. Default: the group's maximum."""
    reuse: NotRequired[pulumi.Input[bool]]
    """Return instances to the warm pool on scale-in. Default false: they are terminated and new ones prepared."""


class RequirementsArgs(TypedDict):
    """Attributes by which AWS chooses instance types with NVIDIA GPUs."""

    gpus_min: NotRequired[pulumi.Input[int]]
    """Fewest GPUs. Default 1."""
    gpu_memory_gib_min: NotRequired[pulumi.Input[int]]
    """Least memory of all GPUs together in GiB."""
    gpu_names: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Kinds of GPU such as a10g, l4, h100. Default any."""
    vcpus_min: NotRequired[pulumi.Input[int]]
    """Fewest vCPUs. Default 1."""
    memory_gib_min: NotRequired[pulumi.Input[int]]
    """Least memory in GiB. Default 1."""


class VaultArgs(TypedDict):
    """The Vault of `vault:` references. Nodes leave by port 443 only."""

    address: pulumi.Input[str]
    """Such as https://vault.example.com."""
    role: pulumi.Input[str]
    """Role of Vault's auth method `aws`, type ec2."""


class MachineArgs(TypedDict):
    """What nodes are and how many. What AWS refuses of it is refused (`turnout_components.capacity`)."""

    instance_type: NotRequired[pulumi.Input[str]]
    """A type with a GPU. Default g5.xlarge."""
    instance_types: NotRequired[pulumi.Input[Sequence[str]]]
    """Types in order of preference, in place of `instance_type`."""
    requirements: NotRequired[RequirementsArgs]
    """Attributes that choose the types, in place of `instance_type`."""
    on_demand_base: NotRequired[pulumi.Input[int]]
    """Instances that are On-Demand whatever the percentage. Default 0."""
    on_demand_percent: NotRequired[pulumi.Input[int]]
    """Percentage of On-Demand above the base; the rest is Spot. Default 100."""
    capacity_block_id: NotRequired[pulumi.Input[str]]
    """Capacity Block for ML to launch into, in one zone."""
    capacity_reservation_id: NotRequired[pulumi.Input[str]]
    """On-Demand Capacity Reservation that is filled first."""
    efa: NotRequired[bool]
    """Elastic Fabric Adapters and a cluster placement group, in one zone. Default false."""
    image_id: NotRequired[pulumi.Input[str]]
    """AMI, or `ssm:<public parameter>`. Default: the GPU variant of Amazon Linux 2023 for containers."""
    root_device: NotRequired[pulumi.Input[str]]
    """The AMI's root device. Default /dev/xvda (Amazon Linux)."""
    disk_gib: NotRequired[pulumi.Input[int]]
    """Size of the root volume in GiB. Default 100."""
    minimum: NotRequired[pulumi.Input[int]]
    """Fewest instances. Default 1."""
    maximum: NotRequired[pulumi.Input[int]]
    """Most instances. Default: `minimum`."""
    warm_pool: NotRequired[WarmPoolArgs | None]
    """Default none."""
    port: NotRequired[pulumi.Input[int]]
    """Port on which the server answers. Default 8000."""
    health_path: NotRequired[pulumi.Input[str]]
    """Path that answers 200 when the server serves, asked by the node itself. Default /ready."""
    drain: NotRequired[pulumi.Input[int]]
    """Seconds that a stopping server may take for what is in flight. Default 30."""
    launch_timeout: NotRequired[pulumi.Input[int]]
    """Seconds after which an instance that does not serve is given up and replaced. Default 1800."""
    protect_streams: NotRequired[pulumi.Input[bool]]
    """Protect an instance from scale-in while requests run on it. Default false."""
    secrets: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Reference by the name of the environment variable: a Secrets Manager ARN (with `#key` for a JSON field), `ssm:/path`
    or `vault:<path>#<field>`; never a value."""
    secrets_key_arn: NotRequired[pulumi.Input[str | None]]
    """KMS key of the secrets that `ServiceSecrets` made: no other decrypts those. Default: any, for just these secrets."""
    vault: NotRequired[VaultArgs]
    """Where a reference is Vault's."""
    artifact_buckets: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """The only buckets from which a model in S3 may come. Default any."""
    log_key_arn: NotRequired[pulumi.Input[str]]
    """KMS key for the log group. Default: CloudWatch Logs' own."""
    mirror_image: NotRequired[pulumi.Input[str]]
    """Envoy's image by digest, with which nodes run a mirror when one is asked for (`mirror_setting`). Default none."""
    boot: NotRequired[pulumi.Input[Mapping[str, float]]]
    """Seconds that `machine`, `image`, `model` and `resume` take in the local cloud; unused on AWS."""


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
    """GPU instances that run one release and take requests from one load balancer only.

    An instance is in service when its release answers, and ends when it has drained: it completes the group's two lifecycle
    hooks by itself. A new release is a new auto scaling group under a new name: the old one is deleted first, for it carries
    no traffic (`TrafficSwitch` refuses otherwise, unless downtime is accepted). Resources in `opts.depends_on`, such as the
    environment's test rule, come before the group. Raises `ValueError` for capacity that AWS refuses.
    """

    group_name: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    role_name: pulumi.Output[str]
    log_group: pulumi.Output[str]

    def __init__(self, name: str, args: GpuNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:GpuNodePool", name, {}, opts)
        args = arguments.taken(name, args, GpuNodePoolArgs)
        _refuse_plain(args)
        after: Any = (opts.depends_on if opts is not None else None) or []
        stack = pulumi.get_stack()
        machine = _known(args, set(MachineArgs.__annotations__) - MADE_BESIDE).apply(capacity.with_defaults)
        named = _known(args, {"service", "environment", "region", "release"}).apply(
            lambda known: node_document.named(stack, known)
        )
        beside = _known(args, {"secrets", "vault"})
        node = pulumi.Output.all(named, machine, beside).apply(lambda known: node_document.node(*known))
        tags = named.apply(lambda n: _tags(n, stack))
        child = pulumi.ResourceOptions(parent=self)
        log = cloudwatch.LogGroup(
            f"{name}-log",
            name=named.apply(lambda n: n["log_group"]),
            retention_in_days=LOG_RETENTION_DAYS,
            kms_key_id=args.get("log_key_arn"),
            tags=tags,
            opts=child,
        )
        own_secrets = named.apply(lambda n: secret_prefix(n["service"], stack, n["environment"]))
        policy, role, profile = identity(
            self, name, node, args.get("artifact_buckets"), args.get("secrets_key_arn"), own_secrets, tags
        )
        efa = bool(args.get("efa", False))
        security, rules = security_group(
            self, name, args["vpc_id"], args["balancer_security_group_id"], machine.apply(lambda m: m["port"]), tags, efa
        )
        placement = ec2.PlacementGroup(f"{name}-placement", strategy="cluster", tags=tags, opts=child) if efa else None
        template = _template(self, name, node, machine, tags, profile, security)
        version = template.latest_version.apply(str)
        mix = _known(args, set(capacity.MIX))
        mixed = mix.apply(lambda m: launch_template.mixed_instances(m, template.id, version))
        alone = mix.apply(lambda m: None if capacity.is_mixed(m) else {"id": template.id, "version": version})
        group = autoscaling.Group(
            f"{name}-group",
            name=named.apply(lambda n: n["group"]),
            min_size=machine.apply(lambda m: m["minimum"]),
            max_size=machine.apply(lambda m: m["maximum"]),
            vpc_zone_identifiers=args["subnet_ids"],
            target_group_arns=[args["target_group_arn"]],
            launch_template=cast(Any, alone),
            mixed_instances_policy=cast(Any, mixed),
            capacity_rebalance=machine.apply(lambda m: True if capacity.has_spot(m) else None),
            capacity_reservation_specification=cast(Any, machine.apply(launch_template.reservation)),
            placement_group=placement.name if placement else None,
            warm_pool=cast(Any, machine.apply(launch_template.warm_pool)),
            force_delete_warm_pool=True,
            initial_lifecycle_hooks=cast(Any, launch_template.HOOKS),
            default_instance_warmup=INSTANCE_WARMUP,
            enabled_metrics=list(GROUP_METRICS),
            # Readiness at the load balancer must not make the group replace overloaded GPU nodes.
            health_check_type="EC2",
            # On an update the provider would wait only when a size changed, and then for exact equality: the gate waits.
            wait_for_capacity_timeout="0",
            tags=tags.apply(_propagated),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*(after if isinstance(after, Sequence) else [after]), policy, log, *rules],
                delete_before_replace=True,
                custom_timeouts=pulumi.CustomTimeouts(delete=f"{_drain(args) + DELETE_SLACK}s"),
            ),
        )
        self.group_name = group.name
        self.security_group_id = security.id
        self.role_name = role.name
        self.log_group = log.name
        outputs = ("group_name", "security_group_id", "role_name", "log_group")
        self.register_outputs({key: getattr(self, key) for key in outputs})


def _template(
    pool: GpuNodePool,
    name: str,
    node: pulumi.Output[dict[str, Any]],
    machine: pulumi.Output[dict[str, Any]],
    tags: pulumi.Output[dict[str, str]],
    profile: Any,
    security: ec2.SecurityGroup,
) -> ec2.LaunchTemplate:
    interfaces = pulumi.Output.all(machine, security.id).apply(lambda known: launch_template.network_interfaces(*known))
    return ec2.LaunchTemplate(
        f"{name}-template",
        image_id=machine.apply(launch_template.image_id),
        instance_type=machine.apply(launch_template.instance_type),
        instance_market_options=cast(Any, machine.apply(launch_template.market_options)),
        capacity_reservation_specification=cast(Any, machine.apply(launch_template.block_target)),
        user_data=node.apply(node_document.user_data),
        iam_instance_profile={"arn": profile.arn},
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            "http_put_response_hop_limit": node.apply(lambda n: launch_template.metadata_hops(n["release"])),
            "instance_metadata_tags": "enabled",
        },
        network_interfaces=cast(Any, interfaces),
        block_device_mappings=[
            {
                "device_name": machine.apply(lambda m: m["root_device"]),
                "ebs": {
                    "volume_type": "gp3",
                    "volume_size": machine.apply(lambda m: m["disk_gib"]),
                    "encrypted": "true",
                    "delete_on_termination": "true",
                },
            }
        ],
        tag_specifications=[{"resource_type": kind, "tags": tags} for kind in ("instance", "volume", "network-interface")],
        tags=tags,
        opts=pulumi.ResourceOptions(parent=pool),
    )


def _known(args: GpuNodePoolArgs, keys: set[str]) -> pulumi.Output[dict[str, Any]]:
    """Those of the arguments that are set, together: they are known when each of them is."""
    return pulumi.Output.from_input({key: value for key, value in args.items() if key in keys and value is not None})


def _refuse_plain(args: GpuNodePoolArgs) -> None:
    """Refuses at once what is known at once; outputs are looked at when they are known."""
    plain: dict[str, Any] = {key: value for key, value in args.items() if not arguments.holds_output(value)}
    secrets = args.get("secrets")
    if arguments.holds_output(args.get("vault")):
        plain.pop("secrets", None)
    elif isinstance(secrets, Mapping):
        plain["secrets"] = {key: value for key, value in secrets.items() if isinstance(value, str)}
    capacity.refuse(plain)
    if "release" in plain:
        node_policy.refuse_elsewhere(plain["release"]["model"]["uri"], plain.get("artifact_buckets"))


def _drain(args: GpuNodePoolArgs) -> int:
    """A timeout is no input: where the drain is an output, the longest that AWS allows stands for it."""
    drain = args.get("drain", 30)
    return drain if isinstance(drain, int) else 3600


def _tags(node: dict[str, Any], stack: str) -> dict[str, str]:
    release = node["release"]
    return {
        "Name": f"{node['service']}-{node['environment']}",
        "turnout:service": node["service"],
        "turnout:stack": stack,
        "turnout:environment": node["environment"],
        "turnout:release": f"{release['name']}@{release['digest']}",
    }


def _propagated(tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value, "propagate_at_launch": True} for key, value in sorted(tags.items())]
