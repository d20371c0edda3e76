"""VPC, subnet, internet gateway, elastic IP and NAT gateway (terraform-provider-aws internal/service/ec2)."""

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any, ClassVar

from turnout.engine.provider import Fault, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import Deadline, Ec2Type, changed
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.mapping import tag_map

IN_USE = frozenset({"DependencyViolation"})


class Vpc(Ec2Type):
    """aws_vpc. The CIDR rules: AWS "VPC CIDR blocks" (a /16 to a /28) and verify.ValidateIPv4CIDRBlock (no host bits)."""

    token = "aws:ec2/vpc:Vpc"
    inputs = frozenset({"cidrBlock", "enableDnsHostnames", "enableDnsSupport", "instanceTenancy", "tags"})
    replace_on = frozenset({"cidrBlock", "instanceTenancy"})
    defaults: ClassVar[Mapping[str, Any]] = {"enableDnsHostnames": False, "enableDnsSupport": True}
    kind = "vpc"
    describe = ("describe_vpcs", "VpcIds", "Vpcs", "VpcId")

    def check(self, inputs: Properties) -> list[Fault]:
        return [
            *rules.required(inputs, "cidrBlock"),
            *rules.ipv4_network(inputs, "cidrBlock", prefixes=range(16, 29), source='AWS "VPC CIDR blocks"'),
            *rules.one_of(inputs, "instanceTenancy", {"default", "dedicated"}, "CreateVpc"),
        ]

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        made = cloud.call(
            "ec2",
            "create_vpc",
            CidrBlock=inputs["cidrBlock"],
            InstanceTenancy=inputs.get("instanceTenancy"),
            TagSpecifications=self.tag_specifications(tags),
        )
        return str(made["Vpc"]["VpcId"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        for name, member in (("enableDnsSupport", "EnableDnsSupport"), ("enableDnsHostnames", "EnableDnsHostnames")):
            wanted = new.get(name, self.defaults[name])
            if wanted != old.get(name, self.defaults[name]):
                cloud.call("ec2", "modify_vpc_attribute", VpcId=id, **{member: {"Value": wanted}})

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        vpc = self.described(cloud, id)
        if vpc is None:
            return None
        main = {"Filters": [{"Name": "vpc-id", "Values": [id]}, {"Name": "association.main", "Values": ["true"]}]}
        tables = cloud.pages("ec2", "describe_route_tables", "RouteTables", **main)
        named = {"Filters": [{"Name": "vpc-id", "Values": [id]}, {"Name": "group-name", "Values": ["default"]}]}
        groups = cloud.pages("ec2", "describe_security_groups", "SecurityGroups", **named)
        acls = cloud.pages(
            "ec2",
            "describe_network_acls",
            "NetworkAcls",
            Filters=[{"Name": "vpc-id", "Values": [id]}, {"Name": "default", "Values": ["true"]}],
        )
        table = tables[0]["RouteTableId"] if tables else ""
        return {
            "cidrBlock": vpc["CidrBlock"],
            "instanceTenancy": vpc.get("InstanceTenancy", "default"),
            "enableDnsSupport": self._attribute(cloud, id, "enableDnsSupport"),
            "enableDnsHostnames": self._attribute(cloud, id, "enableDnsHostnames"),
            "arn": self.arn(cloud, id, vpc.get("OwnerId")),
            "ownerId": vpc.get("OwnerId", ""),
            "dhcpOptionsId": vpc.get("DhcpOptionsId", ""),
            "mainRouteTableId": table,
            "defaultRouteTableId": table,
            "defaultSecurityGroupId": groups[0]["GroupId"] if groups else "",
            "defaultNetworkAclId": acls[0]["NetworkAclId"] if acls else "",
            "tagsAll": tag_map(vpc.get("Tags")),
        }

    @staticmethod
    def _attribute(cloud: Cloud, id: str, name: str) -> bool:
        answer = cloud.call("ec2", "describe_vpc_attribute", VpcId=id, Attribute=name)
        return bool(answer[name[0].upper() + name[1:]]["Value"])

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        deadline.retry(lambda: self._remove_unused(cloud, id), IN_USE)

    @staticmethod
    def _remove_unused(cloud: Cloud, id: str) -> None:
        """AWS refuses to delete a VPC that has subnets (DeleteVpc: DependencyViolation)."""
        held = cloud.pages("ec2", "describe_subnets", "Subnets", Filters=[{"Name": "vpc-id", "Values": [id]}])
        if held:
            names = ", ".join(subnet["SubnetId"] for subnet in held)
            raise ProviderError(f"ec2 delete_vpc: DependencyViolation: {id} still has the subnets {names}")
        cloud.call("ec2", "delete_vpc", VpcId=id)


class Subnet(Ec2Type):
    """aws_subnet. AWS "Subnet sizing": a /16 to a /28, inside the VPC's block (InvalidSubnet.Range)."""

    token = "aws:ec2/subnet:Subnet"
    inputs = frozenset({"vpcId", "cidrBlock", "availabilityZone", "mapPublicIpOnLaunch", "tags"})
    replace_on = frozenset({"vpcId", "cidrBlock", "availabilityZone"})
    defaults: ClassVar[Mapping[str, Any]] = {"mapPublicIpOnLaunch": False}
    kind = "subnet"
    describe = ("describe_subnets", "SubnetIds", "Subnets", "SubnetId")

    def check(self, inputs: Properties) -> list[Fault]:
        return [
            *rules.required(inputs, "vpcId", "cidrBlock"),
            *rules.ipv4_network(inputs, "cidrBlock", prefixes=range(16, 29), source='AWS "Subnet sizing"'),
        ]

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        vpcs = cloud.call("ec2", "describe_vpcs", VpcIds=[inputs["vpcId"]])["Vpcs"]
        if not IPv4Network(inputs["cidrBlock"]).subnet_of(IPv4Network(vpcs[0]["CidrBlock"])):
            raise ProviderError(
                f"ec2 create_subnet: InvalidSubnet.Range: {inputs['cidrBlock']} is outside the VPC's {vpcs[0]['CidrBlock']}"
            )
        made = cloud.call(
            "ec2",
            "create_subnet",
            VpcId=inputs["vpcId"],
            CidrBlock=inputs["cidrBlock"],
            AvailabilityZone=inputs.get("availabilityZone"),
            TagSpecifications=self.tag_specifications(tags),
        )
        return str(made["Subnet"]["SubnetId"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        wanted = bool(new.get("mapPublicIpOnLaunch"))
        if wanted != bool(old.get("mapPublicIpOnLaunch")):
            cloud.call("ec2", "modify_subnet_attribute", SubnetId=id, MapPublicIpOnLaunch={"Value": wanted})

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        subnet = self.described(cloud, id)
        if subnet is None:
            return None
        return {
            "vpcId": subnet["VpcId"],
            "cidrBlock": subnet["CidrBlock"],
            "availabilityZone": subnet["AvailabilityZone"],
            "availabilityZoneId": subnet.get("AvailabilityZoneId", ""),
            "mapPublicIpOnLaunch": subnet.get("MapPublicIpOnLaunch", False),
            "arn": self.arn(cloud, id, subnet.get("OwnerId")),
            "ownerId": subnet.get("OwnerId", ""),
            "tagsAll": tag_map(subnet.get("Tags")),
        }

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        deadline.retry(lambda: cloud.call("ec2", "delete_subnet", SubnetId=id), IN_USE)


class InternetGateway(Ec2Type):
    """aws_internet_gateway: attached to its VPC after it is made, moved by detach and attach."""

    token = "aws:ec2/internetGateway:InternetGateway"
    inputs = frozenset({"vpcId", "tags"})
    kind = "internet-gateway"
    describe = ("describe_internet_gateways", "InternetGatewayIds", "InternetGateways", "InternetGatewayId")

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        made = cloud.call("ec2", "create_internet_gateway", TagSpecifications=self.tag_specifications(tags))
        return str(made["InternetGateway"]["InternetGatewayId"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        attached, wanted = self._vpc(self.described(cloud, id) or {}), new.get("vpcId")
        if attached and attached != wanted:
            cloud.call("ec2", "detach_internet_gateway", InternetGatewayId=id, VpcId=attached)
        if wanted and attached != wanted:
            cloud.call("ec2", "attach_internet_gateway", InternetGatewayId=id, VpcId=wanted)

    @staticmethod
    def _vpc(gateway: Mapping[str, Any]) -> str | None:
        attachments = gateway.get("Attachments") or []
        return attachments[0]["VpcId"] if attachments else None

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        gateway = self.described(cloud, id)
        if gateway is None:
            return None
        return {
            "vpcId": self._vpc(gateway),
            "arn": self.arn(cloud, id, gateway.get("OwnerId")),
            "ownerId": gateway.get("OwnerId", ""),
            "tagsAll": tag_map(gateway.get("Tags")),
        }

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        self.configure(cloud, id, inputs, {}, {})
        deadline.retry(lambda: cloud.call("ec2", "delete_internet_gateway", InternetGatewayId=id), IN_USE)


class Eip(Ec2Type):
    """aws_eip: an address of the VPC pool, unattached (a NAT gateway takes it)."""

    token = "aws:ec2/eip:Eip"
    inputs = frozenset({"domain", "tags"})
    replace_on = frozenset({"domain"})
    kind = "elastic-ip"
    describe = ("describe_addresses", "AllocationIds", "Addresses", "AllocationId")

    def check(self, inputs: Properties) -> list[Fault]:
        return rules.one_of(inputs, "domain", {"vpc"}, "AllocateAddress; EC2-Classic is gone")

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        made = cloud.call("ec2", "allocate_address", Domain="vpc", TagSpecifications=self.tag_specifications(tags))
        return str(made["AllocationId"])

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        address = self.described(cloud, id)
        if address is None:
            return None
        dashed = address["PublicIp"].replace(".", "-")
        return {
            "domain": address.get("Domain", "vpc"),
            "allocationId": id,
            "associationId": address.get("AssociationId") or "",
            "publicIp": address["PublicIp"],
            "publicDns": f"ec2-{dashed}.compute-1.amazonaws.com",
            "privateIp": address.get("PrivateIpAddress") or "",
            "arn": self.arn(cloud, id, None),
            "tagsAll": tag_map(address.get("Tags")),
        }

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        deadline.retry(
            lambda: cloud.call("ec2", "release_address", AllocationId=id),
            frozenset({"AuthFailure", "InvalidIPAddress.InUse"}),
        )


class NatGateway(Ec2Type):
    """aws_nat_gateway: public, one address; only its tags change in place. Waits as waitNATGatewayCreated and -Deleted do."""

    token = "aws:ec2/natGateway:NatGateway"
    inputs = frozenset({"allocationId", "subnetId", "connectivityType", "tags"})
    replace_on = frozenset({"allocationId", "subnetId", "connectivityType"})
    kind = "natgateway"
    describe = ("describe_nat_gateways", "NatGatewayIds", "NatGateways", "NatGatewayId")
    filter_parameter = "Filter"

    def check(self, inputs: Properties) -> list[Fault]:
        faults = rules.required(inputs, "subnetId")
        faults += rules.one_of(inputs, "connectivityType", {"public", "private"}, "CreateNatGateway")
        public = inputs.get("connectivityType") in (None, "public")
        if public and inputs.get("allocationId") is None:
            faults.append(Fault("allocationId", "is required for a public NAT gateway (CreateNatGateway: MissingParameter)"))
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        made = cloud.call(
            "ec2",
            "create_nat_gateway",
            SubnetId=inputs["subnetId"],
            AllocationId=inputs.get("allocationId"),
            ConnectivityType=inputs.get("connectivityType"),
            TagSpecifications=self.tag_specifications(tags),
        )
        return str(made["NatGateway"]["NatGatewayId"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if not changed(old, new, *self.replace_on):
            return
        Deadline(300, f"NAT gateway {id}").until(lambda: self._state(cloud, id) != "pending", "is still pending")
        if self._state(cloud, id) == "failed":
            raise ProviderError(f"ec2 create_nat_gateway: NAT gateway {id} failed; see its FailureMessage")

    def _state(self, cloud: Cloud, id: str) -> str:
        gateway = self.described(cloud, id)
        return str(gateway["State"]) if gateway else "deleted"

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        found = super().locate(cloud, inputs, token)
        return found if found and self._state(cloud, found) in ("pending", "available") else None

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        gateway = self.described(cloud, id)
        if gateway is None or gateway["State"] in ("deleted", "failed"):
            return None
        addresses = gateway.get("NatGatewayAddresses") or [{}]
        return {
            "subnetId": gateway["SubnetId"],
            "connectivityType": gateway.get("ConnectivityType", "public"),
            "allocationId": addresses[0].get("AllocationId"),
            "associationId": addresses[0].get("AssociationId", ""),
            "publicIp": addresses[0].get("PublicIp", ""),
            "privateIp": addresses[0].get("PrivateIp", ""),
            "networkInterfaceId": addresses[0].get("NetworkInterfaceId", ""),
            "tagsAll": tag_map(gateway.get("Tags")),
        }

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        cloud.call("ec2", "delete_nat_gateway", NatGatewayId=id)


TYPES = (Vpc(), Subnet(), InternetGateway(), Eip(), NatGateway())
