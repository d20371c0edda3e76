"""Route table, route and association (terraform-provider-aws internal/service/ec2, vpc_route*.go)."""

from collections.abc import Mapping
from typing import Any, ClassVar
from zlib import crc32

from turnout.engine.provider import Fault, NotFound, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import AwsType, Deadline, Ec2Type, changed
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.ec2_network import IN_USE
from turnout.providers.aws.mapping import tag_map


class RouteTable(Ec2Type):
    """aws_route_table without inline routes: routes are `ec2.Route`."""

    token = "aws:ec2/routeTable:RouteTable"
    inputs = frozenset({"vpcId", "tags"})
    replace_on = frozenset({"vpcId"})
    kind = "route-table"
    describe = ("describe_route_tables", "RouteTableIds", "RouteTables", "RouteTableId")

    def check(self, inputs: Properties) -> list[Fault]:
        return rules.required(inputs, "vpcId")

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        made = cloud.call("ec2", "create_route_table", VpcId=inputs["vpcId"], TagSpecifications=self.tag_specifications(tags))
        return str(made["RouteTable"]["RouteTableId"])

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        table = self.described(cloud, id)
        if table is None:
            return None
        return {
            "vpcId": table["VpcId"],
            "arn": self.arn(cloud, id, table.get("OwnerId")),
            "ownerId": table.get("OwnerId", ""),
            "tagsAll": tag_map(table.get("Tags")),
        }

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        deadline.retry(lambda: cloud.call("ec2", "delete_route_table", RouteTableId=id), IN_USE)


TARGETS = {"gatewayId": "GatewayId", "natGatewayId": "NatGatewayId"}


def _table(cloud: Cloud, id: str) -> dict[str, Any] | None:
    try:
        tables = cloud.call("ec2", "describe_route_tables", RouteTableIds=[id])["RouteTables"]
    except NotFound:
        return None
    return tables[0] if tables else None


class Route(AwsType):
    """aws_route: natural key (table, destination); the id is routeCreateID's `r-<table><crc32 of the destination>`."""

    token = "aws:ec2/route:Route"
    inputs = frozenset({"routeTableId", "destinationCidrBlock", *TARGETS})
    replace_on = frozenset({"routeTableId", "destinationCidrBlock"})
    defaults: ClassVar[Mapping[str, Any]] = {"gatewayId": None, "natGatewayId": None}

    def check(self, inputs: Properties) -> list[Fault]:
        faults = rules.required(inputs, "routeTableId", "destinationCidrBlock")
        faults += rules.ipv4_network(inputs, "destinationCidrBlock")
        if len([name for name in TARGETS if inputs.get(name) is not None]) != 1:
            faults.append(Fault("", f"needs exactly one of {', '.join(TARGETS)} (CreateRoute: InvalidParameterCombination)"))
        return faults

    def _call(self, cloud: Cloud, operation: str, inputs: Properties) -> None:
        cloud.call(
            "ec2",
            operation,
            RouteTableId=inputs["routeTableId"],
            DestinationCidrBlock=inputs["destinationCidrBlock"],
            **{member: inputs.get(name) for name, member in TARGETS.items()},
        )

    @staticmethod
    def _id(inputs: Properties) -> str:
        return f"r-{inputs['routeTableId']}{crc32(inputs['destinationCidrBlock'].encode())}"

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        """CreateRoute: RouteAlreadyExists for a destination that the table has (moto overwrites it)."""
        if self._live(cloud, inputs):
            raise ProviderError(
                f"ec2 create_route: RouteAlreadyExists: {inputs['routeTableId']} routes {inputs['destinationCidrBlock']}"
            )
        self._call(cloud, "create_route", inputs)
        return self._id(inputs)

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old and changed(old, new, *TARGETS):
            self._call(cloud, "replace_route", new)

    def _live(self, cloud: Cloud, inputs: Properties) -> dict[str, Any] | None:
        table = _table(cloud, inputs["routeTableId"]) or {}
        for route in table.get("Routes", []):
            if route.get("DestinationCidrBlock") == inputs["destinationCidrBlock"]:
                return dict(route)
        return None

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        route = self._live(cloud, inputs)
        if route is None:
            return None
        return {
            "routeTableId": inputs["routeTableId"],
            "destinationCidrBlock": route["DestinationCidrBlock"],
            **{name: route.get(member) for name, member in TARGETS.items()},
            "state": route.get("State", ""),
            "origin": route.get("Origin", ""),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        return self._id(inputs) if self._live(cloud, inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        if self._live(cloud, inputs):
            cloud.call(
                "ec2",
                "delete_route",
                RouteTableId=inputs["routeTableId"],
                DestinationCidrBlock=inputs["destinationCidrBlock"],
            )


class RouteTableAssociation(AwsType):
    """aws_route_table_association of a subnet: natural key the subnet, which has one table at a time.

    terraform-provider-aws moves it in place, which changes its id; here a new table replaces the association."""

    token = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    inputs = frozenset({"subnetId", "routeTableId"})
    replace_on = inputs
    delete_before_replace = True

    def check(self, inputs: Properties) -> list[Fault]:
        return rules.required(inputs, "subnetId", "routeTableId")

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        """AssociateRouteTable: Resource.AlreadyAssociated for a subnet that has a table."""
        held = self._live(cloud, inputs)
        if held:
            raise ProviderError(
                f"ec2 associate_route_table: Resource.AlreadyAssociated: {inputs['subnetId']} has {held['RouteTableId']}"
            )
        made = cloud.call("ec2", "associate_route_table", SubnetId=inputs["subnetId"], RouteTableId=inputs["routeTableId"])
        return str(made["AssociationId"])

    @staticmethod
    def _live(cloud: Cloud, inputs: Properties) -> dict[str, Any] | None:
        filters = [{"Name": "association.subnet-id", "Values": [inputs["subnetId"]]}]
        for table in cloud.pages("ec2", "describe_route_tables", "RouteTables", Filters=filters):
            for association in table.get("Associations", []):
                if association.get("SubnetId") == inputs["subnetId"]:
                    return {"RouteTableId": table["RouteTableId"], **association}
        return None

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        association = self._live(cloud, inputs)
        if association is None:
            return None
        return {"subnetId": association["SubnetId"], "routeTableId": association["RouteTableId"]}

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        association = self._live(cloud, inputs)
        if association is None or association["RouteTableId"] != inputs["routeTableId"]:
            return None
        return str(association["RouteTableAssociationId"])

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        association = self._live(cloud, inputs)
        if association:
            cloud.call("ec2", "disassociate_route_table", AssociationId=association["RouteTableAssociationId"])


TYPES = (RouteTable(), Route(), RouteTableAssociation())
