import ipaddress
import json
from typing import Any

import pytest
from recording import ACCOUNT, Recording, record
from turnout_components.network import Nat, Network, NetworkArgs, subnet_block

ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]


def network(nat: Nat = Nat.PER_ZONE, zones: list[str] = ZONES, **changes: Any) -> Recording:
    return make_network({"cidr": "10.20.0.0/16", "zones": zones, "nat": nat, **changes})


def make_network(args: Any) -> Recording:
    def program():
        made = Network("svc", args)
        return {"vpc": made.vpc_id, "public": made.public_subnet_ids, "private": made.private_subnet_ids}

    return record(program)


def test_a_public_and_a_private_subnet_stand_in_every_zone():
    subnets = network().all(":Subnet")
    found = sorted((s.name, s.inputs["availabilityZone"]) for s in subnets)
    assert found == sorted((f"svc-{kind}-{zone}", zone) for kind in ("public", "private") for zone in ZONES)


def test_no_subnet_gives_public_addresses_by_itself():
    assert {s.inputs["mapPublicIpOnLaunch"] for s in network().all(":Subnet")} == {False}


def test_subnets_do_not_overlap_and_stay_in_the_block():
    blocks = [ipaddress.ip_network(s.inputs["cidrBlock"]) for s in network().all(":Subnet")]
    assert all(b.subnet_of(ipaddress.ip_network("10.20.0.0/16")) for b in blocks)
    assert not any(a.overlaps(b) for i, a in enumerate(blocks) for b in blocks[i + 1 :])


def test_a_further_zone_moves_no_subnet_that_exists():
    two = {s.name: s.inputs["cidrBlock"] for s in network(zones=ZONES[:2]).all(":Subnet")}
    three = {s.name: s.inputs["cidrBlock"] for s in network().all(":Subnet")}
    assert two.items() <= three.items()


@pytest.mark.parametrize(("nat", "gateways"), [(Nat.NONE, 0), (Nat.SINGLE, 1), (Nat.PER_ZONE, 3)])
def test_private_subnets_leave_by_the_nat_gateways_that_are_asked_for(nat, gateways):
    made = network(nat)
    assert len(made.all(":NatGateway")) == len(made.all(":Eip")) == gateways
    routes = {r.name: r.inputs for r in made.all(":Route")}
    assert routes.pop("svc-public-default")["gatewayId"] == "svc-internet-id"
    assert len(routes) == (3 if gateways else 0)
    assert len({r["natGatewayId"] for r in routes.values()}) == gateways


def test_every_zone_leaves_by_its_own_gateway():
    routes = {r.name: r.inputs["natGatewayId"] for r in network().all(":Route") if "private" in r.name}
    assert routes == {f"svc-private-{zone}-default": f"svc-nat-{zone}-id" for zone in ZONES}


def test_each_subnet_has_one_route_table():
    made = network()
    pairs = {a.inputs["subnetId"]: a.inputs["routeTableId"] for a in made.all(":RouteTableAssociation")}
    assert len(made.all(":RouteTableAssociation")) == len(pairs) == 6
    assert {pairs[f"svc-public-{zone}-id"] for zone in ZONES} == {"svc-public-routes-id"}
    assert [pairs[f"svc-private-{zone}-id"] for zone in ZONES] == [f"svc-private-{zone}-routes-id" for zone in ZONES]


def test_outputs_name_the_new_network():
    assert network().outputs == {
        "vpc": "svc-vpc-id",
        "public": [f"svc-public-{zone}-id" for zone in ZONES],
        "private": [f"svc-private-{zone}-id" for zone in ZONES],
    }


def test_an_existing_network_is_passed_on_and_nothing_is_made():
    args: NetworkArgs = {"vpc_id": "vpc-1", "public_subnet_ids": ["a", "b"], "private_subnet_ids": ["c", "d"]}

    def program():
        made = Network("svc", args)
        return {"vpc": made.vpc_id, "public": made.public_subnet_ids, "private": made.private_subnet_ids}

    made = record(program)
    assert made.names() == ["svc"]
    assert made.outputs == {"vpc": "vpc-1", "public": ["a", "b"], "private": ["c", "d"]}


def test_sixteenths_are_private_first():
    assert [subnet_block("10.0.0.0/16", i) for i in (0, 1, 8, 15)] == [
        "10.0.0.0/20",
        "10.0.16.0/20",
        "10.0.128.0/20",
        "10.0.240.0/20",
    ]


def test_an_s3_endpoint_is_a_route_of_every_private_table():
    endpoint = network(endpoints=["s3"]).one(":VpcEndpoint").inputs
    assert endpoint["serviceName"] == "com.amazonaws.us-east-1.s3"
    assert endpoint["vpcEndpointType"] == "Gateway"
    assert endpoint["routeTableIds"] == [f"svc-private-{zone}-routes-id" for zone in ZONES]
    assert not {"subnetIds", "securityGroupIds", "privateDnsEnabled"} & set(endpoint)


def test_other_endpoints_are_interfaces_of_every_private_subnet_under_the_usual_name():
    made = network(endpoints=["s3", "ecr.api", "secretsmanager"])
    endpoints = {e.inputs["serviceName"]: e.inputs for e in made.all(":VpcEndpoint")}
    assert set(endpoints) == {f"com.amazonaws.us-east-1.{name}" for name in ("s3", "ecr.api", "secretsmanager")}
    for name in ("ecr.api", "secretsmanager"):
        endpoint = endpoints[f"com.amazonaws.us-east-1.{name}"]
        assert (endpoint["vpcEndpointType"], endpoint["privateDnsEnabled"]) == ("Interface", True)
        assert endpoint["subnetIds"] == [f"svc-private-{zone}-id" for zone in ZONES]
        assert endpoint["securityGroupIds"] == ["svc-endpoints-id"]
        assert "routeTableIds" not in endpoint


def test_endpoints_admit_https_from_the_vpc_and_nothing_else():
    made = network(endpoints=["sts", "kms"])
    (rule,) = made.all(":SecurityGroupIngressRule")
    wanted = {"securityGroupId": "svc-endpoints-id", "cidrIpv4": "10.20.0.0/16", "fromPort": 443, "toPort": 443}
    assert {key: rule.inputs[key] for key in wanted} == wanted
    assert made.all(":SecurityGroupEgressRule") == []


@pytest.mark.parametrize("endpoints", [[], ["s3", "dynamodb"]])
def test_without_interfaces_there_is_no_security_group(endpoints):
    assert network(endpoints=endpoints).all(":SecurityGroup") == []


def test_a_new_vpc_logs_its_traffic_to_its_own_group():
    made = network()
    log, flow = made.one(":LogGroup"), made.one(":FlowLog").inputs
    assert log.inputs["retentionInDays"] == 30
    assert (flow["vpcId"], flow["trafficType"]) == ("svc-vpc-id", "ALL")
    assert flow["logDestination"] == f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:svc-flow-logs"
    assert flow["iamRoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/svc-flow-logs"
    assert "svc-flow-logs-policy" in made.one(":FlowLog").dependencies


def test_the_role_of_flow_logs_writes_to_that_group_only_and_is_for_this_accounts_flow_logs():
    made = network()
    group = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:svc-flow-logs"
    write, look = json.loads(made.one(":RolePolicy").inputs["policy"])["Statement"]
    assert write["Resource"] == [group, f"{group}:*"]
    assert set(write["Action"]) == {"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"}
    assert (look["Action"], look["Resource"]) == ("logs:DescribeLogGroups", f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:*")
    (trust,) = json.loads(made.one(":Role").inputs["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:us-east-1:{ACCOUNT}:vpc-flow-log/*"},
    }


@pytest.mark.parametrize(("flow_logs", "days"), [(True, 30), ({}, 30), ({"retention_days": 365}, 365)])
def test_flow_logs_are_kept_as_long_as_is_said(flow_logs, days):
    assert network(flow_logs=flow_logs).one(":LogGroup").inputs["retentionInDays"] == days


def test_flow_logs_may_be_off():
    assert {r.type for r in network(flow_logs=False).registrations} & {"aws:ec2/flowLog:FlowLog", "aws:iam/role:Role"} == set()


EXISTING = {"vpc_id": "vpc-1", "public_subnet_ids": ["a", "b"], "private_subnet_ids": ["c", "d"]}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"endpoints": ["com.amazonaws.us-east-1.s3"]}, "endpoints"),
        ({"endpoints": ["ECR"]}, "endpoints"),
        ({"endpoints": ["s3", "s3"]}, "endpoints"),
        ({"endpoints": ["s3"], **EXISTING}, "endpoints"),
        ({"flow_logs": {"retention_days": 31}}, "flow_logs.retention_days"),
    ],
)
def test_what_aws_refuses_is_refused_before_anything_is_made(changes, field):
    with pytest.raises(ValueError, match=f"^{field} = "):
        make_network(changes if "vpc_id" in changes else {"cidr": "10.20.0.0/16", "zones": ZONES, **changes})
