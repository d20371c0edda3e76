"""The network of a service: a VPC over several zones, or one that exists."""

import ipaddress
from collections.abc import Sequence
from enum import StrEnum
from typing import NotRequired, TypedDict

import pulumi
from pulumi_aws import cloudwatch, ec2, iam
from pulumi_aws import vpc as rules

from turnout_components import arguments, network_rules
from turnout_components.naming import ROLE_NAME_ROOM, shorten
from turnout_components.network_rules import GATEWAYS, service_name

EVERYWHERE = "0.0.0.0/0"
ZONES_AT_MOST = 8
"""Zones that the address plan has room for."""


class Nat(StrEnum):
    """How nodes in private subnets reach the internet."""

    NONE = "none"
    SINGLE = "single"
    PER_ZONE = "per_zone"


class FlowLogsArgs(TypedDict):
    """Whether there are flow logs, and how they are kept."""

    enabled: NotRequired[bool]
    """Log the traffic. Default true."""
    retention_days: NotRequired[int]
    """Days in CloudWatch Logs, of those that it offers. Default 30."""


class NetworkArgs(TypedDict):
    """Either `cidr` and `zones` of a new VPC, or the three ids of an existing one."""

    cidr: NotRequired[pulumi.Input[str]]
    """IPv4 block of a new VPC, /16 to /23. Every subnet takes a sixteenth of it."""
    zones: NotRequired[Sequence[str]]
    """Availability zones of a new VPC, two to eight, in a lasting order: a subnet's addresses follow its place."""
    nat: NotRequired[Nat]
    """NAT gateways of a new VPC: none, single (one zone's failure cuts all off) or per_zone. Default per_zone."""
    endpoints: NotRequired[Sequence[str]]
    """AWS services that nodes of a new VPC reach without the internet, by their short names: `s3` and `dynamodb` by a route,
    others (`ecr.api`, `ecr.dkr`, `secretsmanager`, `kms`, `logs`, `ssm`, `sts`, `autoscaling`, `monitoring`, …) by an interface
    in each private subnet and the service's usual name. Default none."""
    flow_logs: NotRequired[FlowLogsArgs]
    """Of a new VPC. Default: its traffic is logged."""
    vpc_id: NotRequired[pulumi.Input[str]]
    """An existing VPC."""
    public_subnet_ids: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Its subnets for the load balancer, in two zones or more."""
    private_subnet_ids: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Its subnets for the nodes."""


class Network(pulumi.ComponentResource):
    """A VPC with a public and a private subnet in each zone. Nothing in a subnet gets a public address by itself."""

    vpc_id: pulumi.Output[str]
    public_subnet_ids: pulumi.Output[list[str]]
    private_subnet_ids: pulumi.Output[list[str]]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:Network", name, {}, opts)
        args = arguments.taken(name, args, NetworkArgs)
        network_rules.refuse(args)
        if "vpc_id" in args:
            self.vpc_id = pulumi.Output.from_input(args["vpc_id"])
            self.public_subnet_ids = _ids(args["public_subnet_ids"])
            self.private_subnet_ids = _ids(args["private_subnet_ids"])
        else:
            self._build(name, args)
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "public_subnet_ids": self.public_subnet_ids,
                "private_subnet_ids": self.private_subnet_ids,
            }
        )

    def _build(self, name: str, args: NetworkArgs) -> None:
        zones, nat = args["zones"], Nat(args.get("nat", Nat.PER_ZONE))
        cidr = pulumi.Output.from_input(args["cidr"])
        vpc = ec2.Vpc(
            f"{name}-vpc",
            cidr_block=cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={"Name": name},
            opts=pulumi.ResourceOptions(parent=self),
        )
        gateway = ec2.InternetGateway(
            f"{name}-internet", vpc_id=vpc.id, tags={"Name": name}, opts=pulumi.ResourceOptions(parent=self)
        )
        public = [self._subnet(name, "public", zone, vpc, cidr, i + ZONES_AT_MOST) for i, zone in enumerate(zones)]
        private = [self._subnet(name, "private", zone, vpc, cidr, i) for i, zone in enumerate(zones)]
        gateways = self._nat(name, nat, public, zones, gateway)
        outward = self._table(f"{name}-public", vpc)
        self._route(f"{name}-public", outward, gateway_id=gateway.id)
        tables = []
        for index, zone in enumerate(zones):
            inward = self._table(f"{name}-private-{zone}", vpc)
            tables.append(inward)
            if gateways:
                self._route(f"{name}-private-{zone}", inward, nat_gateway_id=gateways[index % len(gateways)].id)
            self._associate(f"{name}-public-{zone}", outward, public[index])
            self._associate(f"{name}-private-{zone}", inward, private[index])
        self._endpoints(name, args, vpc, cidr, private, tables)
        days = network_rules.retention(args)
        if days is not None:
            self._flow_logs(name, vpc, days)
        self.vpc_id = vpc.id
        self.public_subnet_ids = pulumi.Output.all(*[subnet.id for subnet in public])
        self.private_subnet_ids = pulumi.Output.all(*[subnet.id for subnet in private])

    def _subnet(self, name: str, kind: str, zone: str, vpc: ec2.Vpc, cidr: pulumi.Output[str], index: int) -> ec2.Subnet:
        return ec2.Subnet(
            f"{name}-{kind}-{zone}",
            vpc_id=vpc.id,
            availability_zone=zone,
            cidr_block=cidr.apply(lambda block: subnet_block(block, index)),
            map_public_ip_on_launch=False,
            tags={"Name": f"{name}-{kind}-{zone}"},
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _table(self, name: str, vpc: ec2.Vpc) -> ec2.RouteTable:
        return ec2.RouteTable(f"{name}-routes", vpc_id=vpc.id, tags={"Name": name}, opts=pulumi.ResourceOptions(parent=self))

    def _associate(self, name: str, table: ec2.RouteTable, subnet: ec2.Subnet) -> None:
        ec2.RouteTableAssociation(
            f"{name}-association",
            route_table_id=table.id,
            subnet_id=subnet.id,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _route(self, name: str, table: ec2.RouteTable, **target: pulumi.Input[str]) -> None:
        ec2.Route(
            f"{name}-default",
            route_table_id=table.id,
            destination_cidr_block=EVERYWHERE,
            opts=pulumi.ResourceOptions(parent=self),
            **target,
        )

    def _nat(
        self, name: str, nat: Nat, public: list[ec2.Subnet], zones: Sequence[str], gateway: ec2.InternetGateway
    ) -> list[ec2.NatGateway]:
        count = {Nat.NONE: 0, Nat.SINGLE: 1, Nat.PER_ZONE: len(zones)}[nat]
        gateways = []
        for subnet, zone in list(zip(public, zones, strict=True))[:count]:
            address = ec2.Eip(
                f"{name}-nat-{zone}-address",
                domain="vpc",
                tags={"Name": f"{name}-nat-{zone}"},
                opts=pulumi.ResourceOptions(parent=self, depends_on=[gateway]),
            )
            gateways.append(
                ec2.NatGateway(
                    f"{name}-nat-{zone}",
                    allocation_id=address.allocation_id,
                    subnet_id=subnet.id,
                    tags={"Name": f"{name}-nat-{zone}"},
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[gateway]),
                )
            )
        return gateways

    def _endpoints(
        self,
        name: str,
        args: NetworkArgs,
        vpc: ec2.Vpc,
        cidr: pulumi.Output[str],
        subnets: list[ec2.Subnet],
        tables: list[ec2.RouteTable],
    ) -> None:
        services = args.get("endpoints", ())
        group = self._endpoint_group(name, vpc, cidr) if set(services) - GATEWAYS else None
        for service in services:
            ec2.VpcEndpoint(
                f"{name}-{service}",
                vpc_id=vpc.id,
                service_name=service_name(service, args["zones"][0]),
                vpc_endpoint_type="Gateway" if service in GATEWAYS else "Interface",
                route_table_ids=[table.id for table in tables] if service in GATEWAYS else None,
                subnet_ids=None if service in GATEWAYS else [subnet.id for subnet in subnets],
                security_group_ids=[group.id] if group and service not in GATEWAYS else None,
                private_dns_enabled=None if service in GATEWAYS else True,
                tags={"Name": f"{name}-{service}"},
                opts=pulumi.ResourceOptions(parent=self),
            )

    def _endpoint_group(self, name: str, vpc: ec2.Vpc, cidr: pulumi.Output[str]) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            f"{name}-endpoints",
            description="Interface endpoints: HTTPS from the VPC",
            vpc_id=vpc.id,
            tags={"Name": f"{name}-endpoints"},
            opts=pulumi.ResourceOptions(parent=self),
        )
        rules.SecurityGroupIngressRule(
            f"{name}-endpoints-https",
            security_group_id=group.id,
            description="HTTPS from the VPC",
            cidr_ipv4=cidr,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return group

    def _flow_logs(self, name: str, vpc: ec2.Vpc, days: int) -> None:
        log = cloudwatch.LogGroup(
            f"{name}-flow-logs",
            retention_in_days=days,
            tags={"Name": f"{name}-flow-logs"},
            opts=pulumi.ResourceOptions(parent=self),
        )
        role = iam.Role(
            shorten(f"{name}-flow-logs", ROLE_NAME_ROOM),
            description="VPC flow logs: write to one log group",
            assume_role_policy=log.arn.apply(network_rules.flow_log_trust),
            opts=pulumi.ResourceOptions(parent=self),
        )
        policy = iam.RolePolicy(
            f"{name}-flow-logs-policy",
            role=role.name,
            policy=log.arn.apply(network_rules.flow_log_policy),
            opts=pulumi.ResourceOptions(parent=self),
        )
        ec2.FlowLog(
            f"{name}-flow-logs",
            vpc_id=vpc.id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=log.arn,
            iam_role_arn=role.arn,
            tags={"Name": f"{name}-flow-logs"},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )


def _ids(given: pulumi.Input[Sequence[pulumi.Input[str]]]) -> pulumi.Output[list[str]]:
    return pulumi.Output.from_input(given).apply(lambda ids: [str(id) for id in ids])


def subnet_block(cidr: str, index: int) -> str:
    """The `index`-th sixteenth of a block: 0–7 are private, 8–15 public, whatever the number of zones."""
    return str(list(ipaddress.ip_network(cidr).subnets(prefixlen_diff=4))[index])
