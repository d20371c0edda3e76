"""What AWS refuses of VPC endpoints and flow logs."""

import pytest

from tests.providers.cases_network import ENDPOINT, FLOW_LOG, group, interface, named_vpc, subnet, table
from tests.providers.conftest import TYPES, World
from turnout.engine.provider import Properties, ProviderError

SERVICE = "com.amazonaws.us-east-1.ecr.api"
GATEWAY: Properties = {"vpcId": "vpc-1", "serviceName": "com.amazonaws.us-east-1.s3", "routeTableIds": ["rtb-1"]}
INTERFACE: Properties = {"vpcId": "vpc-1", "serviceName": SERVICE, "vpcEndpointType": "Interface", "subnetIds": ["subnet-1"]}
LOGGED: Properties = {"vpcId": "vpc-1", "trafficType": "ALL", "logDestination": "arn:group", "iamRoleArn": "arn:role"}


@pytest.mark.parametrize(
    ("token", "good", "changes", "property"),
    [
        (ENDPOINT, GATEWAY, {"serviceName": None}, "serviceName"),
        (ENDPOINT, GATEWAY, {"serviceName": "s3"}, "serviceName"),
        (ENDPOINT, GATEWAY, {"serviceName": SERVICE}, "vpcEndpointType"),
        (ENDPOINT, GATEWAY, {"vpcEndpointType": "GatewayLoadBalancer"}, "vpcEndpointType"),
        (ENDPOINT, GATEWAY, {"subnetIds": ["subnet-1"]}, "subnetIds"),
        (ENDPOINT, GATEWAY, {"securityGroupIds": ["sg-1"]}, "securityGroupIds"),
        (ENDPOINT, GATEWAY, {"privateDnsEnabled": True}, "privateDnsEnabled"),
        (ENDPOINT, GATEWAY, {"policy": "{}"}, "policy"),
        (ENDPOINT, INTERFACE, {"routeTableIds": ["rtb-1"]}, "routeTableIds"),
        (FLOW_LOG, LOGGED, {"trafficType": None}, "trafficType"),
        (FLOW_LOG, LOGGED, {"trafficType": "SOME"}, "trafficType"),
        (FLOW_LOG, LOGGED, {"subnetId": "subnet-1"}, "vpcId"),
        (FLOW_LOG, LOGGED, {"vpcId": None}, "vpcId"),
        (FLOW_LOG, LOGGED, {"maxAggregationInterval": 300}, "maxAggregationInterval"),
        (FLOW_LOG, LOGGED, {"iamRoleArn": None}, "iamRoleArn"),
        (FLOW_LOG, LOGGED, {"logDestinationType": "s3"}, "iamRoleArn"),
        (FLOW_LOG, LOGGED, {"logDestinationType": "tape"}, "logDestinationType"),
    ],
)
def test_what_the_inputs_show_is_refused_before_any_call(token, good, changes, property) -> None:
    assert TYPES[token].check(good) == []
    wanted = {name: value for name, value in {**good, **changes}.items() if value is not None}
    assert [fault.property for fault in TYPES[token].check(wanted)] == [property]


def test_an_interface_endpoint_has_one_subnet_a_zone(world: World) -> None:
    inputs = interface(world)
    other = world.make(
        "aws:ec2/subnet:Subnet", vpcId=inputs["vpcId"], cidrBlock="10.40.9.0/24", availabilityZone="us-east-1a"
    ).id
    with pytest.raises(ProviderError, match="DuplicateSubnetsInSameZone"):
        world.make(ENDPOINT, **{**inputs, "subnetIds": [*inputs["subnetIds"], other]})


def test_private_dns_needs_a_vpc_with_dns_host_names(world: World) -> None:
    inputs = {**INTERFACE, "vpcId": world.vpc, "subnetIds": world.subnets[:1], "privateDnsEnabled": True}
    with pytest.raises(ProviderError, match="enableDnsHostnames"):
        world.make(ENDPOINT, **inputs)


def test_a_service_has_one_private_name_in_a_vpc(world: World) -> None:
    vpc = named_vpc(world)
    first = {**INTERFACE, "vpcId": vpc, "subnetIds": [subnet(world, vpc, 0)], "securityGroupIds": [group(world, vpc)]}
    world.make(ENDPOINT, **first, privateDnsEnabled=True)
    with pytest.raises(ProviderError, match="conflicting DNS domain"):
        world.make(ENDPOINT, **first, privateDnsEnabled=True)
    world.make(ENDPOINT, **first)


def test_a_vpc_is_logged_once_to_one_place(world: World) -> None:
    place = world.make("aws:cloudwatch/logGroup:LogGroup", name=f"/turnout/{world.name('flow')}").outputs["arn"]
    inputs = {**LOGGED, "vpcId": world.vpc, "logDestination": place}
    made = world.make(FLOW_LOG, **inputs)
    (log,) = world.api("ec2").describe_flow_logs(FlowLogIds=[made.id])["FlowLogs"]
    assert log["DeliverLogsStatus"] == "SUCCESS"
    with pytest.raises(ProviderError, match="FlowLogAlreadyExists"):
        world.make(FLOW_LOG, **inputs)


def test_a_gateway_endpoint_routes_the_tables_that_it_names(world: World) -> None:
    def gateways(id: str) -> list[str]:
        (found,) = world.api("ec2").describe_route_tables(RouteTableIds=[id])["RouteTables"]
        return [route["GatewayId"] for route in found["Routes"] if route.get("DestinationPrefixListId")]

    first, second = table(world), table(world)
    made = world.make(ENDPOINT, **{**GATEWAY, "vpcId": world.vpc, "routeTableIds": [first]})
    assert (gateways(first), gateways(second)) == ([made.id], [])
    before = {**GATEWAY, "vpcId": world.vpc, "routeTableIds": [first]}
    TYPES[ENDPOINT].update(world.config, made.id, before, {**before, "routeTableIds": [second]}, made.outputs)
    assert (gateways(first), gateways(second)) == ([], [made.id])
    TYPES[ENDPOINT].delete(world.config, made.id, before, made.outputs, 20)
    assert gateways(second) == []
