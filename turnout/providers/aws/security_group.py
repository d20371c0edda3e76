"""Security group and its rules (terraform-provider-aws vpc_security_group*.go)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.base import Deadline, Ec2Type, changed, known
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.ec2_network import IN_USE
from turnout.providers.aws.mapping import tag_map

TEXT = r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}"
"""AWS CreateSecurityGroup: what a name or description may hold."""
_PORTS, _SOURCES = ("fromPort", "toPort"), ("cidrIpv4", "referencedSecurityGroupId")


class SecurityGroup(Ec2Type):
    """aws_security_group without inline rules. AWS gives a new group an egress rule that allows everything;
    resourceSecurityGroupCreate revokes it, and so does this."""

    token = "aws:ec2/securityGroup:SecurityGroup"
    inputs = frozenset({"name", "description", "vpcId", "revokeRulesOnDelete", "tags"})
    replace_on = frozenset({"name", "description", "vpcId"})
    auto_name = AutoName("name", 255)
    defaults: ClassVar[Mapping[str, Any]] = {"description": "Managed by Pulumi"}
    kind = "security-group"
    describe = ("describe_security_groups", "GroupIds", "SecurityGroups", "GroupId")

    def check(self, inputs: Properties) -> list[Fault]:
        source = "CreateSecurityGroup"
        return [
            *rules.matches(inputs, "name", "(?!sg-)" + TEXT, "255 plain characters, not beginning with sg-", source),
            *rules.matches(inputs, "description", TEXT, "at most 255 plain characters", source),
        ]

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        made = cloud.call(
            "ec2",
            "create_security_group",
            GroupName=inputs["name"],
            Description=inputs.get("description") or self.defaults["description"],
            VpcId=inputs.get("vpcId"),
            TagSpecifications=self.tag_specifications(tags),
        )
        return str(made["GroupId"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old:
            return
        group = self.described(cloud, id) or {}
        if group.get("IpPermissionsEgress"):
            cloud.call("ec2", "revoke_security_group_egress", GroupId=id, IpPermissions=group["IpPermissionsEgress"])

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        group = self.described(cloud, id)
        if group is None:
            return None
        return {
            "name": group["GroupName"],
            "description": group["Description"],
            "vpcId": group.get("VpcId"),
            "ownerId": group.get("OwnerId", ""),
            "arn": self.arn(cloud, id, group.get("OwnerId")),
            "tagsAll": tag_map(group.get("Tags")),
        }

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        deadline.retry(lambda: cloud.call("ec2", "delete_security_group", GroupId=id), IN_USE)


def _meant(value: Any) -> Any:
    """Port -1 and no port are the same ("IpPermission": every port, every type of ICMP)."""
    return None if value == -1 else value


class SecurityGroupRule(Ec2Type):
    """aws_vpc_security_group_{ingress,egress}_rule: one source or destination; the rest changes in place by
    ModifySecurityGroupRules. A referenced group replaces the rule, unlike there: moto keeps the old one on a change."""

    inputs = frozenset(
        {
            "securityGroupId",
            "ipProtocol",
            "fromPort",
            "toPort",
            "cidrIpv4",
            "referencedSecurityGroupId",
            "description",
            "tags",
        }
    )
    replace_on = frozenset({"securityGroupId", "referencedSecurityGroupId"})
    defaults: ClassVar[Mapping[str, Any]] = {"description": "", **dict.fromkeys((*_PORTS, *_SOURCES))}
    kind = "security-group-rule"
    describe = ("describe_security_group_rules", "SecurityGroupRuleIds", "SecurityGroupRules", "SecurityGroupRuleId")
    egress: ClassVar[bool]

    def check(self, inputs: Properties) -> list[Fault]:
        faults = rules.required(inputs, "securityGroupId", "ipProtocol")
        faults += rules.ipv4_network(inputs, "cidrIpv4")
        faults += rules.matches(inputs, "description", TEXT, "at most 255 plain characters", "IpRange")
        sources = [name for name in _SOURCES if inputs.get(name) is not None]
        if len(sources) != 1:
            faults.append(Fault("", "needs exactly one of cidrIpv4, referencedSecurityGroupId (ExactlyOneOf of the provider)"))
        return faults + self._check_ports(inputs)

    @staticmethod
    def _check_ports(inputs: Properties) -> list[Fault]:
        protocol, low, high = inputs.get("ipProtocol"), inputs.get("fromPort"), inputs.get("toPort")
        if protocol == "-1" and (low is not None or high is not None):
            return [Fault("fromPort", "ipProtocol -1 means every port: leave fromPort and toPort out (IpPermission)")]
        if protocol not in ("tcp", "udp", "6", "17"):
            return []
        faults = [*rules.required(inputs, "fromPort", "toPort")]
        for name in _PORTS:
            faults += rules.between(inputs, name, 0, 65535, "IpPermission: InvalidParameterValue")
        if known(low) and known(high) and low > high:
            faults.append(Fault("fromPort", f"{low} is above toPort {high} (IpPermission: InvalidParameterValue)"))
        return faults

    @staticmethod
    def _ports(inputs: Properties) -> dict[str, Any]:
        return {"FromPort": inputs.get("fromPort", -1), "ToPort": inputs.get("toPort", -1)}

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        text = {"Description": inputs["description"]} if inputs.get("description") else {}
        permission: dict[str, Any] = {"IpProtocol": inputs["ipProtocol"]}
        if inputs.get("fromPort") is not None:
            permission |= self._ports(inputs)
        if inputs.get("cidrIpv4"):
            permission["IpRanges"] = [{"CidrIp": inputs["cidrIpv4"], **text}]
        else:
            permission["UserIdGroupPairs"] = [{"GroupId": inputs["referencedSecurityGroupId"], **text}]
        operation = f"authorize_security_group_{'egress' if self.egress else 'ingress'}"
        made = cloud.call(
            "ec2",
            operation,
            GroupId=inputs["securityGroupId"],
            IpPermissions=[permission],
            TagSpecifications=self.tag_specifications(tags),
        )
        return str(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if not old or not changed(old, new, *(self.inputs - {"tags"})):
            return
        rule: dict[str, Any] = {
            "IpProtocol": new["ipProtocol"],
            "Description": new.get("description") or "",
            **self._ports(new),
        }
        if new.get("cidrIpv4"):
            rule["CidrIpv4"] = new["cidrIpv4"]
        else:
            rule["ReferencedGroupId"] = new["referencedSecurityGroupId"]
        cloud.call(
            "ec2",
            "modify_security_group_rules",
            GroupId=new["securityGroupId"],
            SecurityGroupRules=[{"SecurityGroupRuleId": id, "SecurityGroupRule": rule}],
        )

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        rule = self.described(cloud, id)
        if rule is None:
            return None
        every = {name: -1 for name in _PORTS if rule.get(self._member(name)) == -1 == inputs.get(name)}
        return {
            **self._properties(rule),
            **every,
            "securityGroupRuleId": id,
            "arn": self.arn(cloud, id, rule.get("GroupOwnerId")),
        }

    @staticmethod
    def _member(name: str) -> str:
        return name[:1].upper() + name[1:]

    @staticmethod
    def _properties(rule: Mapping[str, Any]) -> Properties:
        low, high = rule.get("FromPort"), rule.get("ToPort")
        return {
            "securityGroupId": rule["GroupId"],
            "ipProtocol": rule["IpProtocol"],
            "fromPort": None if low == -1 else low,
            "toPort": None if high == -1 else high,
            "cidrIpv4": rule.get("CidrIpv4") or None,
            "referencedSecurityGroupId": (rule.get("ReferencedGroupInfo") or {}).get("GroupId") or None,
            "description": rule.get("Description") or "",
            "tagsAll": tag_map(rule.get("Tags")),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        """By what the rule allows: AWS has no two equal rules in a group (InvalidPermission.Duplicate)."""
        filters = [{"Name": "group-id", "Values": [inputs["securityGroupId"]]}]
        keys = ("ipProtocol", "fromPort", "toPort", "cidrIpv4", "referencedSecurityGroupId")
        for rule in cloud.pages("ec2", "describe_security_group_rules", "SecurityGroupRules", Filters=filters):
            live = self._properties(rule)
            if bool(rule.get("IsEgress")) == self.egress and all(live[key] == _meant(inputs.get(key)) for key in keys):
                return str(rule["SecurityGroupRuleId"])
        return None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        operation = f"revoke_security_group_{'egress' if self.egress else 'ingress'}"
        if self.described(cloud, id):
            cloud.call("ec2", operation, GroupId=inputs["securityGroupId"], SecurityGroupRuleIds=[id])


class SecurityGroupIngressRule(SecurityGroupRule):
    token = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    egress = False


class SecurityGroupEgressRule(SecurityGroupRule):
    token = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    egress = True


TYPES = (SecurityGroup(), SecurityGroupIngressRule(), SecurityGroupEgressRule())
