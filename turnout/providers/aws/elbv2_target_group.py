"""Target group of application and network load balancers (terraform-provider-aws internal/service/elbv2/target_group.go)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, NotFound, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.base import Deadline, changed, known
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.elbv2_balancer import (
    APPLICATION,
    IN_USE,
    NAME,
    NAME_MEANING,
    NETWORK,
    Attribute,
    Elbv2Type,
    attribute_changes,
    attribute_values,
    attributes_of,
)
from turnout.providers.aws.mapping import tag_list

TARGET_ATTRIBUTES = {
    "deregistrationDelay": Attribute("deregistration_delay.timeout_seconds", 300),
    "slowStart": Attribute("slow_start.duration_seconds", 0, APPLICATION),
    "loadBalancingAlgorithmType": Attribute("load_balancing.algorithm.type", "round_robin", APPLICATION),
    "preserveClientIp": Attribute("preserve_client_ip.enabled", "true", NETWORK),
    "connectionTermination": Attribute("deregistration_delay.connection_termination.enabled", False, NETWORK),
    "proxyProtocolV2": Attribute("proxy_protocol_v2.enabled", False, NETWORK),
    "loadBalancingCrossZoneEnabled": Attribute("load_balancing.cross_zone.enabled", "use_load_balancer_configuration"),
}
"""AWS "TargetGroupAttribute" with the defaults written there; client addresses are kept for targets that are instances."""
PROTOCOLS = {"HTTP": APPLICATION, "HTTPS": APPLICATION, "TCP": NETWORK, "TLS": NETWORK}
"""A target group's protocol -> the load balancers that it is for ("Routing configuration" of both User Guides)."""


def kind_of(protocol: Any) -> str:
    """The kind of load balancer that a target group of this protocol is for."""
    return PROTOCOLS.get(str(protocol), APPLICATION)


STICKINESS = {
    "enabled": Attribute("stickiness.enabled", False),
    "type": Attribute("stickiness.type", "lb_cookie"),
    "cookieDuration": Attribute("stickiness.lb_cookie.duration_seconds", 86400, APPLICATION),
}
STICKINESS_TYPES = {APPLICATION: {"lb_cookie", "app_cookie"}, NETWORK: {"source_ip"}}
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
    """aws_lb_target_group of instances or addresses behind an application or network load balancer."""

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
        faults += rules.one_of(inputs, "protocol", PROTOCOLS, "the local cloud's target groups")
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
        faults += rules.one_of(
            inputs,
            "loadBalancingCrossZoneEnabled",
            {"true", "false", "use_load_balancer_configuration"},
            "TargetGroupAttribute",
        )
        return faults + _check_kind(inputs) + _check_slow_start(inputs) + _check_health(inputs)

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
        kind = kind_of(new.get("protocol"))
        attributes = attribute_changes(attributes_of(TARGET_ATTRIBUTES, kind), old, new)
        if changed(old, new, "stickiness"):
            attributes += attribute_changes(attributes_of(STICKINESS, kind), {}, new.get("stickiness") or {"enabled": False})
        if attributes:
            cloud.call("elbv2", "modify_target_group_attributes", TargetGroupArn=id, Attributes=attributes)
        if old and changed(old, new, "healthCheck"):
            cloud.call("elbv2", "modify_target_group", TargetGroupArn=id, **_health_members(new.get("healthCheck") or {}))

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        group = cloud.call("elbv2", "describe_target_groups", TargetGroupArns=[id])["TargetGroups"][0]
        attributes = cloud.call("elbv2", "describe_target_group_attributes", TargetGroupArn=id)["Attributes"]
        health = {name: group.get(member) for name, member in HEALTH.items()}
        kind = kind_of(group.get("Protocol"))
        return {
            **attribute_values(attributes_of(TARGET_ATTRIBUTES, kind), attributes),
            "stickiness": attribute_values(attributes_of(STICKINESS, kind), attributes),
            "healthCheck": {**health, "matcher": _matcher(group.get("Matcher") or {})},
            "name": group["TargetGroupName"],
            "port": group.get("Port"),
            "protocol": group.get("Protocol"),
            "protocolVersion": group.get("ProtocolVersion") or ("HTTP1" if kind == APPLICATION else None),
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


def _check_kind(inputs: Properties) -> list[Fault]:
    """ "TargetGroupAttribute": which kind of load balancer has which; "Cross-zone load balancing for target groups" (User Guide
    for Application Load Balancers): no target stickiness without it; "Edit target group attributes for your Network Load
    Balancer": no stickiness of TLS."""
    source, protocol = "TargetGroupAttribute", inputs.get("protocol")
    if protocol not in PROTOCOLS:
        return []
    kind = kind_of(protocol)
    faults = [
        Fault(name, f"is of target groups of {attribute.of} load balancers only ({source})")
        for name, attribute in TARGET_ATTRIBUTES.items()
        if attribute.of not in ("", kind) and inputs.get(name) is not None
    ]
    if kind == NETWORK and inputs.get("protocolVersion") is not None:
        faults.append(Fault("protocolVersion", "is of HTTP and HTTPS only (CreateTargetGroup)"))
    faults += rules.one_of(inputs, "preserveClientIp", {"true", "false"}, source)
    faults += rules.one_of(inputs, "stickiness.type", STICKINESS_TYPES[kind], f"{source}, {kind} load balancers")
    sticky = rules.at(inputs, "stickiness.enabled") is True
    if sticky and protocol == "TLS":
        faults.append(Fault("stickiness.enabled", "a TLS target group has no stickiness (InvalidConfigurationRequest)"))
    if sticky and kind == APPLICATION and inputs.get("loadBalancingCrossZoneEnabled") == "false":
        reason = 'excludes target stickiness ("Cross-zone load balancing for target groups")'
        faults.append(Fault("loadBalancingCrossZoneEnabled", reason))
    return faults


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
    """AWS "Health checks for Application Load Balancer target groups" and "Health checks for Network Load Balancer target
    groups", the settings' tables; "Matcher" for the codes."""
    source, kind = "CreateTargetGroup", kind_of(inputs.get("protocol"))
    checks = {"HTTP", "HTTPS"} if kind == APPLICATION else {"HTTP", "HTTPS", "TCP"}
    last = 4 if kind == APPLICATION else 5
    code = rf"[2-{last}]\d\d(-[2-{last}]\d\d)?"
    faults = [
        *rules.between(inputs, "healthCheck.interval", 5, 300, source),
        *rules.between(inputs, "healthCheck.timeout", 2, 120, source),
        *rules.between(inputs, "healthCheck.healthyThreshold", 2, 10, source),
        *rules.between(inputs, "healthCheck.unhealthyThreshold", 2, 10, source),
        *rules.one_of(inputs, "healthCheck.protocol", checks, source),
        *rules.matches(
            inputs, "healthCheck.path", r"/.{0,1023}", "a path begins with / and has at most 1024 characters", source
        ),
        *rules.matches(
            inputs,
            "healthCheck.matcher",
            f"{code}(,{code})*",
            f"codes between 200 and {last}99",
            "Matcher",
        ),
    ]
    if kind == NETWORK and rules.at(inputs, "healthCheck.protocol") in (None, "TCP"):
        for name in ("path", "matcher"):
            if rules.at(inputs, f"healthCheck.{name}") is not None:
                faults.append(Fault(f"healthCheck.{name}", f"is of checks by HTTP or HTTPS only ({source})"))
    interval, timeout = rules.at(inputs, "healthCheck.interval"), rules.at(inputs, "healthCheck.timeout")
    if known(interval) and known(timeout) and (timeout > interval or (timeout == interval and kind == APPLICATION)):
        faults.append(Fault("healthCheck.timeout", f"{timeout} is not below the interval {interval} ({source})"))
    return faults


TYPES = (TargetGroup(),)
