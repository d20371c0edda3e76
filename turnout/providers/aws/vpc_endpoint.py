"""VPC endpoint (terraform-provider-aws internal/service/ec2/vpc_endpoint.go)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import Fault, NotFound, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import Deadline, Ec2Type, changed
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.mapping import tag_map

KINDS = ("Gateway", "Interface")
LISTS = {"routeTableIds": "RouteTableIds", "subnetIds": "SubnetIds", "securityGroupIds": "SecurityGroupIds"}
ONLY_OF = {
    "routeTableIds": "Gateway",
    "subnetIds": "Interface",
    "securityGroupIds": "Interface",
    "privateDnsEnabled": "Interface",
}
"""Which inputs a kind of endpoint takes ("CreateVpcEndpoint", Amazon EC2 API Reference)."""


def kind_of(inputs: Properties) -> str:
    """An endpoint is a gateway unless it says otherwise."""
    return str(inputs.get("vpcEndpointType") or "Gateway")


class VpcEndpoint(Ec2Type):
    """aws_vpc_endpoint of kind Gateway or Interface."""

    token = "aws:ec2/vpcEndpoint:VpcEndpoint"
    inputs = frozenset({"vpcId", "serviceName", "vpcEndpointType", "policy", "privateDnsEnabled", "tags", *LISTS})
    replace_on = frozenset({"vpcId", "serviceName", "vpcEndpointType"})
    documents = frozenset({"policy"})
    defaults: ClassVar[Mapping[str, Any]] = {"privateDnsEnabled": False}
    kind = "vpc-endpoint"
    describe = ("describe_vpc_endpoints", "VpcEndpointIds", "VpcEndpoints", "VpcEndpointId")

    def check(self, inputs: Properties) -> list[Fault]:
        source = "CreateVpcEndpoint"
        faults = rules.required(inputs, "vpcId", "serviceName")
        faults += rules.one_of(inputs, "vpcEndpointType", KINDS, "the local cloud's kinds of endpoints")
        faults += rules.matches(
            inputs,
            "serviceName",
            r"(cn\.)?com\.amazonaws\.[a-z0-9-]+(\.[a-z0-9-]+)+",
            "com.amazonaws.<region>.<service>",
            source,
        )
        faults += rules.document(inputs, "policy", source)
        kind = kind_of(inputs)
        for name, only in ONLY_OF.items():
            if inputs.get(name) and kind in KINDS and kind != only:
                faults.append(Fault(name, f"is of {only} endpoints only ({source}: InvalidParameter)"))
        service = str(inputs.get("serviceName") or "")
        if service.count(".") > 2 and kind == "Gateway" and service.rsplit(".", 1)[1:] not in (["s3"], ["dynamodb"]):
            faults.append(Fault("vpcEndpointType", f'{service} has no gateway endpoint (AWS PrivateLink, "Gateway endpoints")'))
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        self._check_live(cloud, None, inputs)
        made = cloud.call(
            "ec2",
            "create_vpc_endpoint",
            VpcId=inputs["vpcId"],
            ServiceName=inputs["serviceName"],
            VpcEndpointType=kind_of(inputs),
            PolicyDocument=inputs.get("policy"),
            PrivateDnsEnabled=bool(inputs.get("privateDnsEnabled")),
            TagSpecifications=self.tag_specifications(tags),
            **{member: inputs.get(name) for name, member in LISTS.items()},
        )
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def _check_live(self, cloud: Cloud, id: str | None, inputs: Properties) -> None:
        """What CreateVpcEndpoint and ModifyVpcEndpoint refuse and moto takes: subnets that share a zone, private DNS in a VPC
        without DNS of its own, and a second private name of one service."""
        if inputs.get("subnetIds"):
            found = cloud.call("ec2", "describe_subnets", SubnetIds=inputs["subnetIds"])["Subnets"]
            zones = [subnet["AvailabilityZone"] for subnet in found]
            if len(set(zones)) < len(zones):
                raise ProviderError(
                    f"ec2: DuplicateSubnetsInSameZone: an endpoint has one subnet a zone, not {', '.join(zones)}"
                )
        if not inputs.get("privateDnsEnabled"):
            return
        for name in ("enableDnsSupport", "enableDnsHostnames"):
            answer = cloud.call("ec2", "describe_vpc_attribute", VpcId=inputs["vpcId"], Attribute=name)
            if not answer[name[0].upper() + name[1:]]["Value"]:
                raise ProviderError(f"ec2: InvalidParameter: private DNS needs {name} of {inputs['vpcId']}")
        for other in cloud.pages("ec2", "describe_vpc_endpoints", "VpcEndpoints"):
            same = (other["VpcId"], other["ServiceName"]) == (inputs["vpcId"], inputs["serviceName"])
            if (
                same
                and other["VpcEndpointId"] != id
                and other.get("PrivateDnsEnabled")
                and other["VpcEndpointType"] == "Interface"
            ):
                raise ProviderError(
                    "ec2: InvalidParameter: private-dns-enabled cannot be set because there is already a conflicting DNS "
                    f"domain for {inputs['serviceName']} in the VPC: {other['VpcEndpointId']}"
                )

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if not old or not changed(old, new, "policy", "privateDnsEnabled", *LISTS):
            return
        self._check_live(cloud, id, new)
        members: dict[str, Any] = {}
        for name, member in LISTS.items():
            before, after = set(old.get(name) or ()), set(new.get(name) or ())
            members[f"Add{member}"] = sorted(after - before) or None
            members[f"Remove{member}"] = sorted(before - after) or None
        if changed(old, new, "policy"):
            members["ResetPolicy" if new.get("policy") is None else "PolicyDocument"] = new.get("policy") or True
        if changed(old, new, "privateDnsEnabled"):
            members["PrivateDnsEnabled"] = bool(new.get("privateDnsEnabled"))
        cloud.call("ec2", "modify_vpc_endpoint", VpcEndpointId=id, **members)

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        endpoint = self.described(cloud, id)
        if endpoint is None or endpoint["State"].lower() == "deleted":
            return None
        interface = endpoint["VpcEndpointType"] == "Interface"
        return {
            "vpcId": endpoint["VpcId"],
            "serviceName": endpoint["ServiceName"],
            "vpcEndpointType": endpoint["VpcEndpointType"],
            "policy": endpoint.get("PolicyDocument"),
            "privateDnsEnabled": bool(endpoint.get("PrivateDnsEnabled")) if interface else False,
            "routeTableIds": endpoint.get("RouteTableIds") or [],
            "subnetIds": endpoint.get("SubnetIds") or [],
            "securityGroupIds": [group["GroupId"] for group in endpoint.get("Groups") or []],
            "networkInterfaceIds": endpoint.get("NetworkInterfaceIds") or [],
            "dnsEntries": [
                {"dnsName": entry.get("DnsName"), "hostedZoneId": entry.get("HostedZoneId")}
                for entry in endpoint.get("DnsEntries") or []
            ],
            "state": endpoint["State"].lower(),
            "ownerId": endpoint.get("OwnerId", ""),
            "arn": self.arn(cloud, id, endpoint.get("OwnerId")),
            "tagsAll": tag_map(endpoint.get("Tags")),
        }

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        failed = cloud.call("ec2", "delete_vpc_endpoints", VpcEndpointIds=[id]).get("Unsuccessful") or []
        if failed and "NotFound" not in failed[0]["Error"]["Code"]:
            raise ProviderError(f"ec2 delete_vpc_endpoints: {failed[0]['Error']['Code']}: {failed[0]['Error']['Message']}")
        if failed:
            raise NotFound(f"{id} is gone")


TYPES = (VpcEndpoint(),)
