"""Application load balancer and target group (terraform-provider-aws internal/service/elbv2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, NotFound, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import AwsType, Deadline, changed, known
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.mapping import tag_list, tag_map

NAME = r"(?!-)(?!.*-$)[A-Za-z0-9-]{1,32}"
NAME_MEANING = "at most 32 letters, digits and hyphens, not beginning or ending with a hyphen"
IN_USE = frozenset({"ResourceInUse"})


@dataclass(frozen=True)
class Attribute:
    """One key of ModifyLoadBalancerAttributes or ModifyTargetGroupAttributes, and AWS's default of it."""

    key: str
    default: Any

    def text(self, value: Any) -> str:
        wanted = self.default if value is None else value
        return str(wanted).lower() if isinstance(wanted, bool) else str(wanted)

    def value(self, text: str | None) -> Any:
        if text is None:
            return self.default
        if isinstance(self.default, bool):
            return str(text).lower() == "true"
        return int(text) if isinstance(self.default, int) else text


class Elbv2Type(AwsType):
    """An ELBv2 object: the id is the ARN, tags are AddTags and RemoveTags."""

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        if add:
            cloud.call("elbv2", "add_tags", ResourceArns=[id], Tags=tag_list(add))
        if drop:
            cloud.call("elbv2", "remove_tags", ResourceArns=[id], TagKeys=drop)

    @staticmethod
    def tags_of(cloud: Cloud, id: str) -> dict[str, str]:
        return tag_map(cloud.call("elbv2", "describe_tags", ResourceArns=[id])["TagDescriptions"][0]["Tags"])


def attribute_changes(attributes: Mapping[str, Attribute], old: Properties, new: Properties) -> list[dict[str, str]]:
    """What to modify: after a create every declared attribute, later each one that differs."""
    return [
        {"Key": attribute.key, "Value": attribute.text(new.get(name))}
        for name, attribute in attributes.items()
        if old.get(name) != new.get(name)
    ]


def attribute_values(attributes: Mapping[str, Attribute], found: list[dict[str, str]]) -> Properties:
    live = {item["Key"]: item["Value"] for item in found}
    return {name: attribute.value(live.get(attribute.key)) for name, attribute in attributes.items()}


BALANCER_ATTRIBUTES = {
    "idleTimeout": Attribute("idle_timeout.timeout_seconds", 60),
    "clientKeepAlive": Attribute("client_keep_alive.seconds", 3600),
    "dropInvalidHeaderFields": Attribute("routing.http.drop_invalid_header_fields.enabled", False),
    "enableDeletionProtection": Attribute("deletion_protection.enabled", False),
    "enableHttp2": Attribute("routing.http2.enabled", True),
    "desyncMitigationMode": Attribute("routing.http.desync_mitigation_mode", "defensive"),
    "preserveHostHeader": Attribute("routing.http.preserve_host_header.enabled", False),
    "xffHeaderProcessingMode": Attribute("routing.http.xff_header_processing.mode", "append"),
}
"""AWS "LoadBalancerAttribute" with the defaults written there."""


class LoadBalancer(Elbv2Type):
    """aws_lb of type application."""

    token = "aws:lb/loadBalancer:LoadBalancer"
    inputs = frozenset(
        {
            "name",
            "internal",
            "loadBalancerType",
            "ipAddressType",
            "securityGroups",
            "subnets",
            "tags",
            *BALANCER_ATTRIBUTES,
        }
    )
    replace_on = frozenset({"name", "internal", "loadBalancerType"})
    auto_name = AutoName("name", 32)
    defaults: ClassVar[Mapping[str, Any]] = {name: attribute.default for name, attribute in BALANCER_ATTRIBUTES.items()} | {
        "internal": False
    }

    def check(self, inputs: Properties) -> list[Fault]:
        source = "CreateLoadBalancer"
        faults = rules.required(inputs, "subnets")
        faults += rules.matches(inputs, "name", "(?!internal-)" + NAME, NAME_MEANING + ", nor beginning with internal-", source)
        faults += rules.one_of(
            inputs, "loadBalancerType", {"application"}, "the local cloud has application load balancers only"
        )
        faults += rules.one_of(inputs, "ipAddressType", {"ipv4"}, "the local cloud has no IPv6")
        faults += rules.between(inputs, "idleTimeout", 1, 4000, "LoadBalancerAttribute")
        faults += rules.between(inputs, "clientKeepAlive", 60, 604800, "LoadBalancerAttribute")
        faults += rules.one_of(inputs, "desyncMitigationMode", {"monitor", "defensive", "strictest"}, "LoadBalancerAttribute")
        faults += rules.one_of(inputs, "xffHeaderProcessingMode", {"append", "preserve", "remove"}, "LoadBalancerAttribute")
        subnets = inputs.get("subnets")
        if isinstance(subnets, list) and len(subnets) < 2:
            faults.append(Fault("subnets", f"{len(subnets)} subnet: an application load balancer needs two zones ({source})"))
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        """CreateLoadBalancer: DuplicateLoadBalancerName for a name in use (moto would hand out the same one)."""
        if self._named(cloud, inputs["name"]):
            raise ProviderError(f"elbv2 create_load_balancer: DuplicateLoadBalancerName: {inputs['name']} is in use")
        _check_zones(cloud, inputs["subnets"])
        made = cloud.call(
            "elbv2",
            "create_load_balancer",
            Name=inputs["name"],
            Scheme="internal" if inputs.get("internal") else "internet-facing",
            Type="application",
            IpAddressType=inputs.get("ipAddressType"),
            SecurityGroups=inputs.get("securityGroups"),
            Subnets=inputs["subnets"],
            Tags=tag_list(tags),
        )
        return str(made["LoadBalancers"][0]["LoadBalancerArn"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        attributes = attribute_changes(BALANCER_ATTRIBUTES, old, new)
        if attributes:
            cloud.call("elbv2", "modify_load_balancer_attributes", LoadBalancerArn=id, Attributes=attributes)
        if not old:
            return
        if changed(old, new, "subnets"):
            _check_zones(cloud, new["subnets"])
            cloud.call("elbv2", "set_subnets", LoadBalancerArn=id, Subnets=new["subnets"])
        if changed(old, new, "securityGroups"):
            cloud.call("elbv2", "set_security_groups", LoadBalancerArn=id, SecurityGroups=new.get("securityGroups") or [])
        if changed(old, new, "ipAddressType"):
            cloud.call("elbv2", "set_ip_address_type", LoadBalancerArn=id, IpAddressType=new.get("ipAddressType") or "ipv4")

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        balancer = cloud.call("elbv2", "describe_load_balancers", LoadBalancerArns=[id])["LoadBalancers"][0]
        attributes = cloud.call("elbv2", "describe_load_balancer_attributes", LoadBalancerArn=id)["Attributes"]
        return {
            **attribute_values(BALANCER_ATTRIBUTES, attributes),
            "name": balancer["LoadBalancerName"],
            "internal": balancer["Scheme"] == "internal",
            "loadBalancerType": balancer.get("Type", "application"),
            "ipAddressType": balancer.get("IpAddressType", "ipv4"),
            "securityGroups": balancer.get("SecurityGroups") or [],
            "subnets": [zone["SubnetId"] for zone in balancer.get("AvailabilityZones") or []],
            "arn": id,
            "arnSuffix": id.split(":loadbalancer/", 1)[1],
            "dnsName": balancer["DNSName"],
            "zoneId": balancer.get("CanonicalHostedZoneId", ""),
            "vpcId": balancer["VpcId"],
            "tagsAll": self.tags_of(cloud, id),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        return self._named(cloud, inputs["name"])

    @staticmethod
    def _named(cloud: Cloud, name: str) -> str | None:
        try:
            return str(cloud.call("elbv2", "describe_load_balancers", Names=[name])["LoadBalancers"][0]["LoadBalancerArn"])
        except NotFound:
            return None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """DeleteLoadBalancer: OperationNotPermitted under deletion protection (moto ignores it)."""
        live = self.look(cloud, id, inputs) or {}
        if live.get("enableDeletionProtection"):
            raise ProviderError(
                f"elbv2 delete_load_balancer: OperationNotPermitted: {id} has deletion protection; "
                "set enableDeletionProtection to false and update first"
            )
        cloud.call("elbv2", "delete_load_balancer", LoadBalancerArn=id)


def _check_zones(cloud: Cloud, subnets: list[str]) -> None:
    """AWS "Subnets for your load balancer": at least two zones, one subnet in each."""
    found = cloud.call("ec2", "describe_subnets", SubnetIds=subnets)["Subnets"]
    zones = [subnet["AvailabilityZone"] for subnet in found]
    if len(set(zones)) < len(zones):
        raise ProviderError(
            "elbv2: InvalidConfigurationRequest: a load balancer cannot be attached to multiple subnets in one zone: "
            + ", ".join(zones)
        )


TARGET_ATTRIBUTES = {
    "deregistrationDelay": Attribute("deregistration_delay.timeout_seconds", 300),
    "slowStart": Attribute("slow_start.duration_seconds", 0),
    "loadBalancingAlgorithmType": Attribute("load_balancing.algorithm.type", "round_robin"),
    "loadBalancingCrossZoneEnabled": Attribute("load_balancing.cross_zone.enabled", "use_load_balancer_configuration"),
}
"""AWS "TargetGroupAttribute" with the defaults written there."""

STICKINESS = {
    "enabled": Attribute("stickiness.enabled", False),
    "type": Attribute("stickiness.type", "lb_cookie"),
    "cookieDuration": Attribute("stickiness.lb_cookie.duration_seconds", 86400),
}
HEALTH = {
    "enabled": "HealthCheckEnabled",
    "interval": "HealthCheckIntervalSeconds",
    "path": "HealthCheckPath",
    "port": "HealthCheckPort",
    "protocol": "HealthCheckProtocol",
    "timeout": "HealthCheckTimeoutSeconds",
    "healthyThreshold": "HealthyThresholdCount",
    "unhealthyThreshold": "UnhealthyThresholdCount",
}


class TargetGroup(Elbv2Type):
    """aws_lb_target_group of instances or addresses behind an application load balancer."""

    token = "aws:lb/targetGroup:TargetGroup"
    inputs = frozenset(
        {
            "name",
            "port",
            "protocol",
            "protocolVersion",
            "vpcId",
            "targetType",
            "healthCheck",
            "stickiness",
            "tags",
            *TARGET_ATTRIBUTES,
        }
    )
    replace_on = frozenset({"name", "port", "protocol", "protocolVersion", "vpcId", "targetType"})
    auto_name = AutoName("name", 32)
    defaults: ClassVar[Mapping[str, Any]] = {
        **{name: attribute.default for name, attribute in TARGET_ATTRIBUTES.items()},
        "stickiness": {"enabled": False},
    }

    def check(self, inputs: Properties) -> list[Fault]:
        source = "CreateTargetGroup"
        faults = rules.required(inputs, "port", "protocol", "vpcId")
        faults += rules.matches(inputs, "name", NAME, NAME_MEANING, source)
        faults += rules.one_of(inputs, "protocol", {"HTTP", "HTTPS"}, "an application load balancer's target group")
        faults += rules.one_of(inputs, "protocolVersion", {"HTTP1", "HTTP2", "GRPC"}, source)
        faults += rules.one_of(inputs, "targetType", {"instance", "ip"}, "the local cloud's targets")
        faults += rules.between(inputs, "port", 1, 65535, source)
        faults += rules.between(inputs, "deregistrationDelay", 0, 3600, "TargetGroupAttribute")
        faults += rules.one_of(
            inputs,
            "loadBalancingAlgorithmType",
            {"round_robin", "least_outstanding_requests", "weighted_random"},
            "TargetGroupAttribute",
        )
        return faults + _check_slow_start(inputs) + _check_health(inputs)

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        """CreateTargetGroup: DuplicateTargetGroupName for a name in use."""
        made = cloud.call(
            "elbv2",
            "create_target_group",
            Name=inputs["name"],
            Port=inputs["port"],
            Protocol=inputs["protocol"],
            ProtocolVersion=inputs.get("protocolVersion"),
            VpcId=inputs["vpcId"],
            TargetType=inputs.get("targetType"),
            Tags=tag_list(tags),
            **_health_members(inputs.get("healthCheck") or {}),
        )
        return str(made["TargetGroups"][0]["TargetGroupArn"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        attributes = attribute_changes(TARGET_ATTRIBUTES, old, new)
        if changed(old, new, "stickiness"):
            attributes += attribute_changes(STICKINESS, {}, new.get("stickiness") or {"enabled": False})
        if attributes:
            cloud.call("elbv2", "modify_target_group_attributes", TargetGroupArn=id, Attributes=attributes)
        if old and changed(old, new, "healthCheck"):
            cloud.call("elbv2", "modify_target_group", TargetGroupArn=id, **_health_members(new.get("healthCheck") or {}))

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        group = cloud.call("elbv2", "describe_target_groups", TargetGroupArns=[id])["TargetGroups"][0]
        attributes = cloud.call("elbv2", "describe_target_group_attributes", TargetGroupArn=id)["Attributes"]
        health = {name: group.get(member) for name, member in HEALTH.items()}
        return {
            **attribute_values(TARGET_ATTRIBUTES, attributes),
            "stickiness": attribute_values(STICKINESS, attributes),
            "healthCheck": {**health, "matcher": _matcher(group.get("Matcher") or {})},
            "name": group["TargetGroupName"],
            "port": group.get("Port"),
            "protocol": group.get("Protocol"),
            "protocolVersion": group.get("ProtocolVersion") or "HTTP1",
            "vpcId": group.get("VpcId"),
            "targetType": group.get("TargetType", "instance"),
            "loadBalancerArns": group.get("LoadBalancerArns") or [],
            "arn": id,
            "arnSuffix": id.rsplit(":", 1)[1],
            "tagsAll": self.tags_of(cloud, id),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        found = cloud.call("elbv2", "describe_target_groups", Names=[inputs["name"]])["TargetGroups"]
        return str(found[0]["TargetGroupArn"]) if found else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """DeleteTargetGroup: ResourceInUse while a listener or rule names it; tried again as resourceTargetGroupDelete does."""
        if self._exists(cloud, id):
            deadline.retry(lambda: cloud.call("elbv2", "delete_target_group", TargetGroupArn=id), IN_USE)

    @staticmethod
    def _exists(cloud: Cloud, id: str) -> bool:
        try:
            return bool(cloud.call("elbv2", "describe_target_groups", TargetGroupArns=[id])["TargetGroups"])
        except NotFound:
            return False


def _matcher(matcher: Mapping[str, str]) -> str | None:
    return matcher.get("HttpCode") or matcher.get("GrpcCode")


def _health_members(block: Properties) -> dict[str, Any]:
    members = {member: block[name] for name, member in HEALTH.items() if block.get(name) is not None}
    if "HealthCheckPort" in members:
        members["HealthCheckPort"] = str(members["HealthCheckPort"])
    if block.get("matcher"):
        members["Matcher"] = {"HttpCode": block["matcher"]}
    return members


def _check_slow_start(inputs: Properties) -> list[Fault]:
    """AWS "Edit target group attributes", slow start: 30..900 s or 0, and round robin only."""
    seconds, algorithm = inputs.get("slowStart"), inputs.get("loadBalancingAlgorithmType")
    if not known(seconds) or seconds == 0:
        return []
    faults = rules.between(inputs, "slowStart", 30, 900, "TargetGroupAttribute")
    if isinstance(algorithm, str) and algorithm != "round_robin":
        faults.append(Fault("slowStart", f"slow start and {algorithm} exclude each other (TargetGroupAttribute)"))
    return faults


def _check_health(inputs: Properties) -> list[Fault]:
    """AWS "Health checks for Application Load Balancer target groups", the settings' table."""
    source = "CreateTargetGroup"
    faults = [
        *rules.between(inputs, "healthCheck.interval", 5, 300, source),
        *rules.between(inputs, "healthCheck.timeout", 2, 120, source),
        *rules.between(inputs, "healthCheck.healthyThreshold", 2, 10, source),
        *rules.between(inputs, "healthCheck.unhealthyThreshold", 2, 10, source),
        *rules.one_of(inputs, "healthCheck.protocol", {"HTTP", "HTTPS"}, source),
        *rules.matches(
            inputs, "healthCheck.path", r"/.{0,1023}", "a path begins with / and has at most 1024 characters", source
        ),
        *rules.matches(
            inputs,
            "healthCheck.matcher",
            r"[2-4]\d\d(-[2-4]\d\d)?(,[2-4]\d\d(-[2-4]\d\d)?)*",
            "codes between 200 and 499",
            "Matcher",
        ),
    ]
    interval, timeout = rules.at(inputs, "healthCheck.interval"), rules.at(inputs, "healthCheck.timeout")
    if known(interval) and known(timeout) and timeout >= interval:
        faults.append(Fault("healthCheck.timeout", f"{timeout} is not below the interval {interval} ({source})"))
    return faults


TYPES = (LoadBalancer(), TargetGroup())
