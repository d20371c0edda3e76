"""What AWS refuses of a network's endpoints and flow logs, as pure functions (`checks.Fault`).

`network` holds the plain values of `NetworkArgs`. docs/aws-rules.md has the pages.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from turnout_components import checks
from turnout_components.checks import Fault

Network = Mapping[str, Any]

GATEWAYS = frozenset({"s3", "dynamodb"})
"""Services that a route reaches, without interfaces and for nothing ("Gateway endpoints", AWS PrivateLink)."""
RETENTION_DAYS = 30
RETENTIONS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""Days ("PutRetentionPolicy", Amazon CloudWatch Logs API Reference)."""
NEW = ("cidr", "zones")
EXISTING = ("vpc_id", "public_subnet_ids", "private_subnet_ids")
NATS = ("none", "single", "per_zone")
_EITHER = f"give {' and '.join(NEW)} of a new VPC, or {', '.join(EXISTING)} of one that exists"
_SERVICE = re.compile(r"^[a-z0-9][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)*$")


def faults(network: Network) -> list[Fault]:
    """Every rule that the network's endpoints and flow logs break."""
    return [*_endpoints(network), *_flow_logs(network)]


def refuse(network: Network) -> None:
    """Raises `ValueError` with a line for each fault."""
    checks.refuse([*_place(network), *faults(network)])


def _place(network: Network) -> Iterable[Fault]:
    """Either a new VPC or one that exists, whole. What is an output is not judged."""
    given = {key for key, value in network.items() if value is not None}
    existing = given & set(EXISTING)
    wanted = set(EXISTING) if existing else set(NEW)
    for key in sorted(wanted - given):
        yield Fault(key, None, f"is missing beside {' and '.join(sorted(given & wanted)) or 'nothing'}", _EITHER)
    for key in sorted(given & set(NEW) if existing else ()):
        yield Fault(key, network[key], "is of a new VPC, and this one exists", _EITHER)
    zones, cidr, nat = network.get("zones"), network.get("cidr"), network.get("nat")
    if isinstance(cidr, str) and not existing:
        yield from checks.below("cidr", checks.vpc_cidr(cidr))
    if zones is not None and not existing and not 2 <= len(set(zones)) == len(zones) <= checks.ZONES_AT_MOST:
        yield Fault("zones", list(zones), "are not two zones or more, each once", f"name two to {checks.ZONES_AT_MOST}")
    if nat is not None and nat not in NATS:
        yield Fault("nat", nat, "is no number of NAT gateways", f"write {' or '.join(NATS)}")


def _endpoints(network: Network) -> Iterable[Fault]:
    """A VPC has one private name of a service ("CreateVpcEndpoint", Amazon EC2 API Reference, PrivateDnsEnabled)."""
    names = network.get("endpoints") or ()
    if names and network.get("vpc_id") is not None:
        reason = "would stand beside the endpoints of a VPC that exists, which may have one private name of each service"
        yield Fault("endpoints", list(names), reason, "leave them out, and make them where that VPC is made")
        return
    for name in names:
        if not _SERVICE.match(name) or name.startswith(("com.", "cn.")):
            fix = "write what follows com.amazonaws.<region>, such as s3 or ecr.api"
            yield Fault("endpoints", name, "is no service's short name", fix)
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        yield Fault("endpoints", list(names), f"name {' and '.join(twice)} twice", "name each once")


def _flow_logs(network: Network) -> Iterable[Fault]:
    days = retention(network)
    if days is not None and days not in RETENTIONS:
        fix = f"write one of {', '.join(map(str, RETENTIONS))}"
        yield Fault("flow_logs.retention_days", days, "is no time for which logs are kept", fix)


def retention(network: Network) -> int | None:
    """Days for which flow logs are kept; None without flow logs. They are on unless `flow_logs` is or says false."""
    wanted = network.get("flow_logs", True)
    if not isinstance(wanted, Mapping):
        wanted = {"enabled": wanted}
    return int(wanted.get("retention_days", RETENTION_DAYS)) if wanted.get("enabled", True) else None


def service_name(service: str, zone: str) -> str:
    """`ecr.api` near us-east-1a is com.amazonaws.us-east-1.ecr.api."""
    return f"com.amazonaws.{zone[:-1]}.{service}"


def flow_log_trust(log_group_arn: str) -> str:
    """Flow logs of this account and region only may assume the role ("IAM role for publishing flow logs to CloudWatch Logs",
    Amazon VPC User Guide: against the confused deputy)."""
    _, partition, _, region, account, _ = log_group_arn.split(":", 5)
    condition = {
        "StringEquals": {"aws:SourceAccount": account},
        "ArnLike": {"aws:SourceArn": f"arn:{partition}:ec2:{region}:{account}:vpc-flow-log/*"},
    }
    return _document(Principal={"Service": "vpc-flow-logs.amazonaws.com"}, Action="sts:AssumeRole", Condition=condition)


def flow_log_policy(log_group_arn: str) -> str:
    """What that page names, of one log group; not logs:CreateLogGroup, for the group exists already."""
    actions = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    described, _ = log_group_arn.split(":log-group:", 1)
    statement = {"Effect": "Allow", "Action": actions, "Resource": [log_group_arn, f"{log_group_arn}:*"]}
    groups = {"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": f"{described}:log-group:*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement, groups]})


def _document(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
