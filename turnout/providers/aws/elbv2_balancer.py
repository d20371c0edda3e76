"""Application and network load balancers (terraform-provider-aws internal/service/elbv2/load_balancer.go)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, NotFound, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import AwsType, Deadline, changed
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
    of: str = ""
    """The kind of load balancer that has it; "" for both."""

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


APPLICATION, NETWORK = "application", "network"
BALANCER_ATTRIBUTES = {
    "idleTimeout": Attribute("idle_timeout.timeout_seconds", 60, APPLICATION),
    "clientKeepAlive": Attribute("client_keep_alive.seconds", 3600, APPLICATION),
    "dropInvalidHeaderFields": Attribute("routing.http.drop_invalid_header_fields.enabled", False, APPLICATION),
    "enableCrossZoneLoadBalancing": Attribute("load_balancing.cross_zone.enabled", False, NETWORK),
    "enableDeletionProtection": Attribute("deletion_protection.enabled", False),
    "enableHttp2": Attribute("routing.http2.enabled", True, APPLICATION),
    "desyncMitigationMode": Attribute("routing.http.desync_mitigation_mode", "defensive", APPLICATION),
    "preserveHostHeader": Attribute("routing.http.preserve_host_header.enabled", False, APPLICATION),
    "xffHeaderProcessingMode": Attribute("routing.http.xff_header_processing.mode", "append", APPLICATION),
}
"""AWS "LoadBalancerAttribute" with the defaults written there."""
ACCESS_LOGS = {
    "enabled": Attribute("access_logs.s3.enabled", False),
    "bucket": Attribute("access_logs.s3.bucket", ""),
    "prefix": Attribute("access_logs.s3.prefix", ""),
}


def kind_of(inputs: Properties) -> str:
    """A load balancer is an application load balancer unless it says otherwise."""
    return str(inputs.get("loadBalancerType") or APPLICATION)


def attributes_of(attributes: Mapping[str, Attribute], kind: str) -> dict[str, Attribute]:
    """The attributes that a kind of load balancer has."""
    return {name: attribute for name, attribute in attributes.items() if attribute.of in ("", kind)}


class LoadBalancer(Elbv2Type):
    """aws_lb of type application or network."""

    token = "aws:lb/loadBalancer:LoadBalancer"
    inputs = frozenset(
        {
            "name",
            "internal",
            "loadBalancerType",
            "ipAddressType",
            "securityGroups",
            "subnets",
            "accessLogs",
            "tags",
            *BALANCER_ATTRIBUTES,
        }
    )
    replace_on = frozenset({"name", "internal", "loadBalancerType"})
    auto_name = AutoName("name", 32)
    defaults: ClassVar[Mapping[str, Any]] = {name: attribute.default for name, attribute in BALANCER_ATTRIBUTES.items()} | {
        "internal": False,
        "accessLogs": {"enabled": False},
    }

    def check(self, inputs: Properties) -> list[Fault]:
        source = "CreateLoadBalancer"
        faults = rules.required(inputs, "subnets")
        faults += rules.matches(inputs, "name", "(?!internal-)" + NAME, NAME_MEANING + ", nor beginning with internal-", source)
        kind = kind_of(inputs)
        faults += rules.one_of(inputs, "loadBalancerType", {APPLICATION, NETWORK}, "the local cloud's load balancers")
        faults += _check_kind(inputs, kind) + _check_access_logs(inputs)
        faults += rules.one_of(inputs, "ipAddressType", {"ipv4"}, "the local cloud has no IPv6")
        faults += rules.between(inputs, "idleTimeout", 1, 4000, "LoadBalancerAttribute")
        faults += rules.between(inputs, "clientKeepAlive", 60, 604800, "LoadBalancerAttribute")
        faults += rules.one_of(inputs, "desyncMitigationMode", {"monitor", "defensive", "strictest"}, "LoadBalancerAttribute")
        faults += rules.one_of(inputs, "xffHeaderProcessingMode", {"append", "preserve", "remove"}, "LoadBalancerAttribute")
        subnets = inputs.get("subnets")
        if isinstance(subnets, list) and len(subnets) < 2 and kind == APPLICATION:
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
            Type=kind_of(inputs),
            IpAddressType=inputs.get("ipAddressType"),
            SecurityGroups=inputs.get("securityGroups"),
            Subnets=inputs["subnets"],
            Tags=tag_list(tags),
        )
        return str(made["LoadBalancers"][0]["LoadBalancerArn"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old:
            _check_subnets(id, kind_of(new), old, new)
            _check_groups(id, kind_of(new), old, new)
        attributes = attribute_changes(attributes_of(BALANCER_ATTRIBUTES, kind_of(new)), old, new)
        if changed(old, new, "accessLogs"):
            attributes += _access_logs(cloud, new.get("accessLogs") or {})
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
        kind, logs = balancer.get("Type", APPLICATION), attribute_values(ACCESS_LOGS, attributes)
        cross_zone = {"enableCrossZoneLoadBalancing": True} if inputs.get("enableCrossZoneLoadBalancing") else {}
        return {
            **(cross_zone if kind == APPLICATION else {}),
            **attribute_values(attributes_of(BALANCER_ATTRIBUTES, kind), attributes),
            "accessLogs": logs if logs["enabled"] else {**(inputs.get("accessLogs") or {}), "enabled": False},
            "name": balancer["LoadBalancerName"],
            "internal": balancer["Scheme"] == "internal",
            "loadBalancerType": kind,
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


def _check_kind(inputs: Properties, kind: str) -> list[Fault]:
    """ "LoadBalancerAttribute": which kind has which; the provider would leave the others out. An application load balancer
    always crosses zones."""
    source = "LoadBalancerAttribute"
    if kind == APPLICATION and inputs.get("enableCrossZoneLoadBalancing") is False:
        reason = f"an application load balancer always crosses zones; turn it off at its target groups ({source})"
        return [Fault("enableCrossZoneLoadBalancing", reason)]
    foreign = [name for name, attribute in BALANCER_ATTRIBUTES.items() if attribute.of == APPLICATION != kind]
    return [
        Fault(name, f"is of application load balancers only ({source})")
        for name in foreign
        if kind == NETWORK and inputs.get(name) is not None
    ]


def _check_access_logs(inputs: Properties) -> list[Fault]:
    """ "Enable access logs for your Application Load Balancer": no AWSLogs in the prefix. What else a prefix may hold is said
    by ModifyLoadBalancerAttributes' ValidationError."""
    source = "Enable access logs for your Application Load Balancer"
    faults = []
    if isinstance(inputs.get("accessLogs"), dict) and not inputs["accessLogs"].get("bucket"):
        faults.append(Fault("accessLogs.bucket", f"is required ({source})"))
    meaning = "letters, digits and . - _ / without AWSLogs and without a slash first or last"
    pattern = r"(?!/)(?!.*AWSLogs)(?!.*/$)[A-Za-z0-9._/-]*"
    return faults + rules.matches(inputs, "accessLogs.prefix", pattern, meaning, source)


def _access_logs(cloud: Cloud, block: Properties) -> list[dict[str, str]]:
    """What to modify, as expandLoadBalancerAccessLogsAttributes does. A bucket that ELB may not write to is refused with
    InvalidConfigurationRequest (moto takes any name)."""
    enabled = ACCESS_LOGS["enabled"]
    if not block.get("enabled"):
        return [{"Key": enabled.key, "Value": "false"}]
    try:
        policy = cloud.call("s3", "get_bucket_policy", Bucket=block["bucket"])["Policy"]
    except ProviderError as error:
        policy = str(error)
    if "PutObject" not in policy and "s3:*" not in policy:
        raise ProviderError(
            f"elbv2 modify_load_balancer_attributes: InvalidConfigurationRequest: Access Denied for bucket: {block['bucket']}. "
            "Please check S3bucket permission: its policy must let Elastic Load Balancing put objects"
        )
    return [{"Key": attribute.key, "Value": attribute.text(block.get(name))} for name, attribute in ACCESS_LOGS.items()]


def _check_groups(id: str, kind: str, old: Properties, new: Properties) -> None:
    """ "Update the security groups for your Network Load Balancer": one that was made without them never gets any, and one
    that has some keeps at least one."""
    if kind == NETWORK and bool(old.get("securityGroups")) != bool(new.get("securityGroups")):
        raise ProviderError(
            f"elbv2 set_security_groups: InvalidConfigurationRequest: {id} was made "
            f"{'with' if old.get('securityGroups') else 'without'} security groups and stays so; make another load balancer"
        )


def _check_subnets(id: str, kind: str, old: Properties, new: Properties) -> None:
    """customizeDiffLoadBalancerNLB: the subnets of a network load balancer change in place only where they become more."""
    if kind == NETWORK and changed(old, new, "subnets") and len(new["subnets"]) <= len(old["subnets"]):
        raise ProviderError(
            f"elbv2 set_subnets: {id} is a network load balancer, to which subnets are only added; make another load balancer "
            "under another name (Pulumi would replace it), or add subnets and keep these"
        )


def _check_zones(cloud: Cloud, subnets: list[str]) -> None:
    """AWS "Subnets for your load balancer": at least two zones, one subnet in each."""
    found = cloud.call("ec2", "describe_subnets", SubnetIds=subnets)["Subnets"]
    zones = [subnet["AvailabilityZone"] for subnet in found]
    if len(set(zones)) < len(zones):
        raise ProviderError(
            "elbv2: InvalidConfigurationRequest: a load balancer cannot be attached to multiple subnets in one zone: "
            + ", ".join(zones)
        )


TYPES = (LoadBalancer(),)
