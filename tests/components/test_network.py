import ipaddress

import pytest
from recording import Recording, record
from turnout_components.network import Nat, Network, NetworkArgs, subnet_block

ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]


def network(nat: Nat = Nat.PER_ZONE, zones: list[str] = ZONES) -> Recording:
    args: NetworkArgs = {"cidr": "10.20.0.0/16", "zones": zones, "nat": nat}

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
