"""What an operator needs of resources: tags, alarms, protection against deletion, time to go back. Pure checks."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from turnout_components.checks import Fault
from turnout_components.policy_encryption import BUCKETS
from turnout_components.policy_pools import GROUP, TEMPLATE, Pool, pools
from turnout_components.policy_resources import (
    UNKNOWN,
    Found,
    Resource,
    Stack,
    StackFound,
    Undecided,
    at,
    each,
    leads_to,
    of,
    whole,
    yes,
)
from turnout_components.policy_traffic import BALANCERS, SWITCH, TARGET_GROUPS

_REPOSITORY, _TABLE = "aws:ecr/repository:Repository", "aws:dynamodb/table:Table"
_SECRET, _CLUSTER = "aws:secretsmanager/secret:Secret", "aws:eks/cluster:Cluster"
_ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
_NAT, _SUBNET = "aws:ec2/natGateway:NatGateway", "aws:ec2/subnet:Subnet"
PROTECTED = (*BALANCERS, *BUCKETS, _REPOSITORY, _TABLE, _SECRET, _CLUSTER)
TAGGED = (
    *PROTECTED,
    *TARGET_GROUPS,
    *(GROUP, TEMPLATE, "aws:ec2/instance:Instance", "aws:ebs/volume:Volume", "aws:eks/nodeGroup:NodeGroup"),
    *("aws:ec2/vpc:Vpc", _SUBNET, _NAT, "aws:ec2/eip:Eip", "aws:ec2/vpcEndpoint:VpcEndpoint"),
    *("aws:ec2/securityGroup:SecurityGroup", "aws:cloudwatch/logGroup:LogGroup", _ALARM),
    *("aws:iam/role:Role", "aws:kms/key:Key", "aws:lambda/function:Function"),
    *("aws:sqs/queue:Queue", "aws:sns/topic:Topic"),
)
"""What costs money, holds data or grants rights, and takes tags."""


def tags(resource: Resource, given: Mapping[str, Any]) -> Found:
    """Its own tags and its provider's. An auto scaling group has its own only ("Default Tags in the Terraform AWS
    Provider")."""
    own = resource.tags()
    if own is UNKNOWN:
        yield Undecided("tags")
        return
    default = {} if resource.type == GROUP else _default_tags(resource)
    for key in given["required"]:
        if key in own or (default is not UNKNOWN and key in default):
            continue
        if default is UNKNOWN:
            yield Undecided("defaultTags of the provider")
        else:
            yield Fault(f"tags.{key}", None, "is missing", f"write it, or give the provider defaultTags with {key}")


def _default_tags(resource: Resource) -> Any:
    """Structured inputs of a provider are JSON text."""
    found = resource.provider.get("defaultTags")
    try:
        found = json.loads(found) if isinstance(found, str) else found
    except ValueError:
        return {}
    given = at(found, "tags") or {}
    return given if isinstance(given, Mapping) or given is UNKNOWN else {}


def watched(stack: Stack, given: Mapping[str, Any]) -> StackFound:
    """Each environment has its alarms: no gate and no rollback watches what nobody measures."""
    alarms = list(of(stack, _ALARM))
    for pool in pools(stack):
        if pool.environment is UNKNOWN:
            yield pool.group, Undecided("tags")
        elif pool.environment is not None:
            metrics = {alarm.get("metricName") for alarm in alarms if _watches(alarm, pool, stack)}
            missing = [metric for metric in given["metrics"] if metric not in metrics]
            if missing and UNKNOWN in metrics:
                yield pool.group, Undecided("metricName")
            elif missing:
                reason = f"has no alarm on {', '.join(missing)}"
                fix = "make one with a component `Environment`, or a MetricAlarm on the group or its target group"
                yield pool.group, Fault("environment", pool.environment, reason, fix)


def heard(stack: Stack, _: Mapping[str, Any]) -> StackFound:
    """Somebody is told of an environment's alarms. EventBridge may do it too, which no alarm shows: so this only advises."""
    watching = [pool for pool in pools(stack) if isinstance(pool.environment, str)]
    for alarm in of(stack, _ALARM):
        if not any(_watches(alarm, pool, stack) for pool in watching):
            continue
        actions = alarm.get("alarmActions")
        if actions is UNKNOWN:
            yield alarm, Undecided("alarmActions")
        elif not actions or alarm.get("actionsEnabled") is False:
            yield alarm, Fault("alarmActions", actions, "tells nobody", "list topics in turnout:health.alarm_topics")


def _watches(alarm: Resource, pool: Pool, stack: Stack) -> bool:
    """By what it measures, or by the tags that the components write."""
    if leads_to(alarm, "dimensions", pool.group, "name") or alarm.get("dimensions.AutoScalingGroupName") == pool.group.get(
        "name"
    ):
        return True
    groups = [one for one in of(stack, *TARGET_GROUPS) if leads_to(pool.group, "targetGroupArns", one, "arn")]
    if any(leads_to(alarm, "dimensions", one, "arn") for one in groups):
        return True
    own, theirs = alarm.tags(), pool.group.tags()
    keys = ("turnout:service", "turnout:environment")
    return own is not UNKNOWN and theirs is not UNKNOWN and all(key in own and own[key] == theirs.get(key) for key in keys)


def protected(resource: Resource, _: Mapping[str, Any]) -> Found:
    """What takes users' requests or holds what cannot be made again is not deleted by a slip."""
    if resource.type in BALANCERS:
        yield from _demand(resource, "enableDeletionProtection", "turnout:ingress.deletion_protection")
    elif resource.type == _TABLE:
        yield from _demand(resource, "deletionProtectionEnabled", "deletionProtectionEnabled")
    elif resource.type == _CLUSTER:
        yield from _demand(resource, "deletionProtection", "deletionProtection")
    elif resource.type == _SECRET:
        days = resource.get("recoveryWindowInDays")
        if days is UNKNOWN:
            yield Undecided("recoveryWindowInDays")
        elif days is not None and (whole(days) or 0) < 7:
            fix = "write turnout:secrets.recovery_window_days of 7 or more"
            yield Fault("recoveryWindowInDays", days, "deletes the secret for good at once", fix)
    else:
        yield from _kept(resource)


def _demand(resource: Resource, key: str, setting: str) -> Found:
    value = resource.get(key)
    if value is UNKNOWN:
        yield Undecided(key)
    elif not yes(value):
        yield Fault(key, value, "lets it be deleted", f"write {setting} true")


def _kept(resource: Resource) -> Found:
    """A bucket or repository: not deleted with what is in it, and not by Pulumi either."""
    key = "forceDelete" if resource.type == _REPOSITORY else "forceDestroy"
    if yes(resource.get(key)):
        yield Fault(key, True, "deletes what is in it too", f"leave {key} out")
    if not resource.protect:
        yield Fault("protect", False, "lets Pulumi delete it", "write protect=True in its ResourceOptions")


def retained(stack: Stack, given: Mapping[str, Any]) -> StackFound:
    """How long the way back is kept. No resource of AWS says it: the switch shows it as its output `standby`."""
    for switch in of(stack, SWITCH):
        keep, seconds = switch.get("standby.keep"), switch.get("standby.retain_for")
        if keep == "cold":
            seconds = switch.get("standby.bake")
        if UNKNOWN in (keep, seconds):
            yield switch, Undecided("standby.retain_for")
        elif seconds is not None and seconds < given["seconds"]:
            reason = f"keeps the standby's instances for less than {given['seconds']} s after a flip"
            fix = "write a longer turnout:traffic.standby.retain_for, and keep full or warm"
            field = "standby.bake, with keep cold" if keep == "cold" else "standby.retain_for"
            yield switch, Fault(field, f"{seconds:g} s", reason, fix)


def one_way_out(stack: Stack, _: Mapping[str, Any]) -> StackFound:
    """A NAT gateway is of one zone: the others lose their way out with it ("NAT gateway basics": one in each zone)."""
    gateways = list(of(stack, _NAT))
    zones = {zone for subnet in of(stack, _SUBNET) for zone in _known(subnet.get("availabilityZone"))}
    if gateways and len(gateways) < len(zones):
        reason = f"serves nodes in {len(zones)} zones"
        fix = "write turnout:network.nat per_zone"
        yield gateways[0], Fault("NAT gateways", len(gateways), reason, fix)


def _known(value: Any) -> Iterable[Any]:
    return () if value is UNKNOWN else each(value)
