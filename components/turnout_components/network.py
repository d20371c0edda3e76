"""The network of a service: a VPC over several zones, or one that exists."""

import ipaddress
from collections.abc import Sequence
from enum import StrEnum
from typing import NotRequired, TypedDict

import pulumi
from pulumi_aws import ec2

EVERYWHERE = "0.0.0.0/0"
ZONES_AT_MOST = 8
"""Zones that the address plan has room for."""


class Nat(StrEnum):
    """How nodes in private subnets reach the internet."""

    NONE = "none"
    SINGLE = "single"
    PER_ZONE = "per_zone"


class NetworkArgs(TypedDict):
    """Either `cidr` and `zones` of a new VPC, or the three ids of an existing one."""

    cidr: NotRequired[pulumi.Input[str]]
    """IPv4 block of a new VPC, /16 to /23. Every subnet takes a sixteenth of it."""
    zones: NotRequired[Sequence[str]]
    """Availability zones of a new VPC, two to eight, in a lasting order: a subnet's addresses follow its place."""
    nat: NotRequired[Nat]
    """NAT gateways of a new VPC: none, single (one zone's failure cuts all off) or per_zone. Default per_zone."""
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
        for index, zone in enumerate(zones):
            inward = self._table(f"{name}-private-{zone}", vpc)
            if gateways:
                self._route(f"{name}-private-{zone}", inward, nat_gateway_id=gateways[index % len(gateways)].id)
            self._associate(f"{name}-public-{zone}", outward, public[index])
            self._associate(f"{name}-private-{zone}", inward, private[index])
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


def _ids(given: pulumi.Input[Sequence[pulumi.Input[str]]]) -> pulumi.Output[list[str]]:
    return pulumi.Output.from_input(given).apply(lambda ids: [str(id) for id in ids])


def subnet_block(cidr: str, index: int) -> str:
    """The `index`-th sixteenth of a block: 0–7 are private, 8–15 public, whatever the number of zones."""
    return str(list(ipaddress.ip_network(cidr).subnets(prefixlen_diff=4))[index])
