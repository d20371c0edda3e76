"""Endpoints and flow logs of a VPC."""

from functools import partial
from typing import Any

from tests.providers.conftest import World
from tests.providers.samples import RETAG, TAGS, Case, policy, tag
from turnout.engine.provider import Created, Properties

ENDPOINT, FLOW_LOG = "aws:ec2/vpcEndpoint:VpcEndpoint", "aws:ec2/flowLog:FlowLog"


def table(world: World) -> str:
    return world.make("aws:ec2/routeTable:RouteTable", vpcId=world.vpc).id


def named_vpc(world: World) -> str:
    return world.make("aws:ec2/vpc:Vpc", cidrBlock="10.40.0.0/16", enableDnsHostnames=True).id


def subnet(world: World, vpc: str, index: int) -> str:
    zone = f"us-east-1{'abc'[index]}"
    return world.make("aws:ec2/subnet:Subnet", vpcId=vpc, cidrBlock=f"10.40.{index}.0/24", availabilityZone=zone).id


def group(world: World, vpc: str) -> str:
    return world.make("aws:ec2/securityGroup:SecurityGroup", name=world.name("endpoints"), vpcId=vpc).id


def interface(world: World) -> Properties:
    vpc = named_vpc(world)
    return {
        "vpcId": vpc,
        "serviceName": "com.amazonaws.us-east-1.ecr.api",
        "vpcEndpointType": "Interface",
        "privateDnsEnabled": True,
        "subnetIds": [subnet(world, vpc, 0), subnet(world, vpc, 1)],
        "securityGroupIds": [group(world, vpc)],
        "tags": TAGS,
    }


def interface_updates(world: World) -> list[Properties]:
    vpc = next(made.id for kind, made, given in world.made if given.get("cidrBlock") == "10.40.0.0/16")
    return [
        {"subnetIds": [subnet(world, vpc, 2)]},
        {"securityGroupIds": [group(world, vpc), group(world, vpc)]},
        {"privateDnsEnabled": None},
        {"privateDnsEnabled": True, "policy": policy("ecr:*")},
        *RETAG,
    ]


def change(world: World, made: Created, **members: Any) -> None:
    world.api("ec2").modify_vpc_endpoint(VpcEndpointId=made.id, **members)


def log_group(world: World) -> str:
    made = world.make("aws:cloudwatch/logGroup:LogGroup", name=f"/turnout/{world.name('flow')}")
    return str(made.outputs["arn"])


def role(world: World) -> str:
    return f"arn:aws:iam::123456789012:role/{world.role()}"


NETWORK = (
    Case(
        ENDPOINT,
        lambda w: {
            "vpcId": w.vpc,
            "serviceName": "com.amazonaws.us-east-1.s3",
            "routeTableIds": [table(w), table(w)],
            "policy": policy("s3:GetObject"),
            "tags": TAGS,
        },
        lambda w: [
            {"routeTableIds": [table(w)]},
            {"routeTableIds": [table(w), table(w)], "policy": policy("s3:*")},
            *RETAG,
        ],
        {
            "tags": tag,
            "routeTableIds": lambda w, m: change(w, m, AddRouteTableIds=[table(w)]),
            "policy": partial(change, PolicyDocument=policy("s3:Put*")),
        },
        ("arn", "state", "ownerId"),
    ),
    Case(
        ENDPOINT,
        interface,
        interface_updates,
        {
            "privateDnsEnabled": partial(change, PrivateDnsEnabled=False),
            "subnetIds": lambda w, m: change(w, m, RemoveSubnetIds=m.outputs["subnetIds"][:1]),
            "securityGroupIds": lambda w, m: change(w, m, AddSecurityGroupIds=[group(w, m.outputs["vpcId"])]),
        },
        ("arn", "networkInterfaceIds", "dnsEntries"),
        computed=frozenset({"policy"}),
    ),
    Case(
        FLOW_LOG,
        lambda w: {
            "vpcId": w.vpc,
            "trafficType": "ALL",
            "logDestination": log_group(w),
            "iamRoleArn": role(w),
            "maxAggregationInterval": 60,
            "tags": TAGS,
        },
        lambda _: RETAG,
        {"tags": tag},
        ("arn",),
    ),
    Case(
        FLOW_LOG,
        lambda w: {
            "subnetId": w.subnets[0],
            "trafficType": "REJECT",
            "logDestination": log_group(w),
            "logDestinationType": "cloud-watch-logs",
            "iamRoleArn": role(w),
        },
        lambda _: RETAG,
        {"tags": tag},
        ("arn",),
    ),
)
