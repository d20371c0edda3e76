"""An EKS cluster that is private, logged and encrypted, with its add-ons and the nodes of its system pods."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict, cast

import pulumi
from pulumi_aws import cloudwatch, eks, iam, kms

from turnout_components import arguments, checks, eks_rules
from turnout_components.eks_roles import NODE_POLICIES, aws_role
from turnout_components.naming import arn_partition

ACCESS_POLICY = "eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
SERVICE_ACCOUNTS = {
    "vpc-cni": ("aws-node", "AmazonEKS_CNI_Policy"),
    "aws-ebs-csi-driver": ("ebs-csi-controller-sa", "service-role/AmazonEBSCSIDriverPolicy"),
}
"""Add-ons that call AWS: service account and managed policy ("IAM roles for Amazon EKS add-ons")."""


class SystemNodesArgs(TypedDict):
    """CPU nodes for CoreDNS and other pods of the cluster's own, which GPU nodes do not take."""

    instance_types: NotRequired[Sequence[str]]
    """Default m7i.large."""
    minimum: NotRequired[int]
    """Fewest nodes. Default 2."""
    maximum: NotRequired[int]
    """Most nodes. Default 3."""


class EksClusterArgs(TypedDict):
    """Of a new cluster its version, network and administrators; of one that exists what AWS tells of it."""

    name: str
    """Of the cluster."""
    region: str
    """AWS region."""
    version: NotRequired[str]
    """Minor version of Kubernetes, such as 1.34."""
    vpc_id: NotRequired[pulumi.Input[str]]
    """The VPC of its subnets."""
    subnet_ids: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Private subnets in two zones or more, for the control plane's interfaces and the system nodes."""
    admins: NotRequired[Mapping[str, pulumi.Input[str]]]
    """ARNs of the roles that administer the cluster, by a name of your own; whoever made it is no administrator by that."""
    public_access_cidrs: NotRequired[Sequence[str]]
    """Networks that reach the API server over the internet. Default none: the endpoint is private."""
    log_retention_days: NotRequired[int]
    """Days that the control plane's logs are kept. Default 90."""
    deletion_protection: NotRequired[bool]
    """Whether the cluster cannot be deleted. Default true."""
    service_cidr: NotRequired[str]
    """Block of the Services' addresses. Default AWS's choice."""
    system_nodes: NotRequired[SystemNodesArgs]
    """Default two to three m7i.large."""
    addon_versions: NotRequired[Mapping[str, str]]
    """Version by add-on. Default: the newest that AWS recommends for the cluster's version, when the add-on is made."""
    exists: NotRequired[bool]
    """Take the cluster `name` as it is, and make nothing. Default false."""
    endpoint: NotRequired[pulumi.Input[str]]
    """Of a cluster that exists: its API server's URL (`eks_lookup.look_up` reads these three)."""
    certificate_authority: NotRequired[pulumi.Input[str]]
    """Its certificate authority, in base64."""
    security_group_id: NotRequired[pulumi.Input[str]]
    """Its cluster security group."""


class EksCluster(pulumi.ComponentResource):
    """A cluster for GPU services, or one that exists.

    What it stores is encrypted by a key of its own, whose policy is AWS's default: who may use it, IAM's policies say. Add-ons
    that nodes need come before the first node, and those that need a node after it. Raises `ValueError` with a line for each
    fault."""

    name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate_authority: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    node_role_arn: pulumi.Output[str | None]

    def __init__(self, name: str, args: EksClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:EksCluster", name, {}, opts)
        args = arguments.taken(name, args, EksClusterArgs)
        checks.refuse(eks_rules.faults(args))
        if args.get("exists"):
            self._take(args)
        else:
            self._make(name, args)
        self.kubeconfig = pulumi.Output.all(self.name, self.endpoint, self.certificate_authority).apply(
            lambda known: eks_rules.kubeconfig(known[0], known[1], known[2], args["region"])
        )
        outputs = ("name", "endpoint", "certificate_authority", "kubeconfig", "security_group_id", "node_role_arn")
        self.register_outputs({key: getattr(self, key) for key in outputs})

    def _take(self, args: EksClusterArgs) -> None:
        self.name = pulumi.Output.from_input(args["name"])
        self.endpoint = pulumi.Output.from_input(args["endpoint"])
        self.certificate_authority = pulumi.Output.from_input(args["certificate_authority"])
        self.security_group_id = pulumi.Output.from_input(args["security_group_id"])
        self.node_role_arn = pulumi.Output.from_input(None)

    def _make(self, name: str, args: EksClusterArgs) -> None:
        tags = {"Name": args["name"]}
        key = kms.Key(
            f"{name}-key",
            description=f"What the EKS cluster {args['name']} stores",
            enable_key_rotation=True,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        log = cloudwatch.LogGroup(
            f"{name}-log",
            name=f"/aws/eks/{args['name']}/cluster",
            retention_in_days=args.get("log_retention_days", 90),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        role, attached = aws_role(
            self, f"{name}-cluster", args["region"], "eks.amazonaws.com", ["AmazonEKSClusterPolicy"], tags
        )
        cidrs = list(args.get("public_access_cidrs", ()))
        cluster = eks.Cluster(
            f"{name}-cluster",
            name=args["name"],
            role_arn=role.arn,
            version=args["version"],
            vpc_config={
                "subnet_ids": args["subnet_ids"],
                "endpoint_private_access": True,
                "endpoint_public_access": bool(cidrs),
                "public_access_cidrs": cidrs or None,
            },
            access_config={"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": False},
            bootstrap_self_managed_addons=False,
            encryption_config={"resources": ["secrets"], "provider": {"key_arn": key.arn}},
            enabled_cluster_log_types=list(eks_rules.LOG_TYPES),
            deletion_protection=args.get("deletion_protection", True),
            kubernetes_network_config={"service_ipv4_cidr": args["service_cidr"]} if "service_cidr" in args else None,
            tags=tags,
            # The log group comes first: the cluster would make its own, which keeps everything for ever.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[log, *attached]),
        )
        self._admins(name, cluster, args, tags)
        daemons: list[pulumi.Resource] = [
            self._addon(name, cluster, args, addon, tags, [cluster]) for addon in eks_rules.DAEMONS
        ]
        node_role, nodes = self._system_nodes(name, cluster, args, daemons, tags)
        for addon in eks_rules.WORKLOADS:
            self._addon(name, cluster, args, addon, tags, [nodes])
        self.name = cluster.name
        self.endpoint = cluster.endpoint
        self.certificate_authority = cluster.certificate_authority.apply(lambda held: str(held.data))
        self.security_group_id = cluster.vpc_config.apply(lambda held: str(held.cluster_security_group_id))
        self.node_role_arn = node_role.arn.apply(lambda arn: arn)

    def _admins(self, name: str, cluster: eks.Cluster, args: EksClusterArgs, tags: dict[str, str]) -> None:
        """An association keeps its identity when its scope changes, so what replaces it comes after the old one is gone."""
        options = pulumi.ResourceOptions(parent=self, delete_before_replace=True)
        for admin, principal in args["admins"].items():
            entry = eks.AccessEntry(
                f"{name}-{admin}", cluster_name=cluster.name, principal_arn=principal, tags=tags, opts=options
            )
            eks.AccessPolicyAssociation(
                f"{name}-{admin}-admin",
                cluster_name=cluster.name,
                principal_arn=entry.principal_arn,
                policy_arn=f"arn:{arn_partition(args['region'])}:{ACCESS_POLICY}",
                access_scope={"type": "cluster"},
                opts=options,
            )

    def _addon(
        self,
        name: str,
        cluster: eks.Cluster,
        args: EksClusterArgs,
        addon: str,
        tags: dict[str, str],
        after: list[pulumi.Resource],
    ) -> eks.Addon:
        associations: list[dict[str, Any]] = []
        if addon in SERVICE_ACCOUNTS:
            account, policy = SERVICE_ACCOUNTS[addon]
            role, attached = aws_role(self, f"{name}-{addon}", args["region"], None, [policy], tags)
            associations, after = [{"role_arn": role.arn, "service_account": account}], [*after, *attached]
        return eks.Addon(
            f"{name}-{addon}",
            cluster_name=cluster.name,
            addon_name=addon,
            addon_version=args.get("addon_versions", {}).get(addon),
            configuration_values=eks_rules.cni_values() if addon == "vpc-cni" else None,
            pod_identity_associations=cast(Any, associations) or None,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )

    def _system_nodes(
        self, name: str, cluster: eks.Cluster, args: EksClusterArgs, after: list[pulumi.Resource], tags: dict[str, str]
    ) -> tuple[iam.Role, eks.NodeGroup]:
        wanted: Mapping[str, Any] = args.get("system_nodes", {})
        least = wanted.get("minimum", 2)
        role, attached = aws_role(self, f"{name}-node", args["region"], "ec2.amazonaws.com", NODE_POLICIES, tags)
        nodes = eks.NodeGroup(
            f"{name}-system",
            cluster_name=cluster.name,
            node_role_arn=role.arn,
            subnet_ids=args["subnet_ids"],
            ami_type="AL2023_x86_64_STANDARD",
            instance_types=list(wanted.get("instance_types", ("m7i.large",))),
            scaling_config={"min_size": least, "desired_size": least, "max_size": max(least, wanted.get("maximum", 3))},
            update_config={"max_unavailable": 1},
            node_repair_config={"enabled": True},
            labels={"turnout.dev/pool": "system"},
            tags=tags,
            # An autoscaler moves the desired size; a change of the minimum is AWS's to follow.
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*after, *attached], ignore_changes=["scalingConfig.desiredSize"]
            ),
        )
        return role, nodes
