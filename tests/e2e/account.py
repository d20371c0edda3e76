"""What exists in the local cloud's account, counted: orphans show. (moto keeps the network interfaces of ended instances.)"""

from collections.abc import Callable
from typing import Any

from benchmarks.service import Service

EC2 = {
    "describe_vpcs": "Vpcs",
    "describe_subnets": "Subnets",
    "describe_internet_gateways": "InternetGateways",
    "describe_route_tables": "RouteTables",
    "describe_nat_gateways": "NatGateways",
    "describe_addresses": "Addresses",
    "describe_security_groups": "SecurityGroups",
    "describe_security_group_rules": "SecurityGroupRules",
    "describe_launch_templates": "LaunchTemplates",
    "describe_placement_groups": "PlacementGroups",
}


def inventory(service: Service) -> dict[str, int]:
    """How many objects there are of each kind."""
    ec2, elb, iam = service.api("ec2"), service.api("elbv2"), service.api("iam")
    counts = {result: len(_all(getattr(ec2, operation), result)) for operation, result in EC2.items()}
    tables = _all(ec2.describe_route_tables, "RouteTables")
    counts["Routes"] = sum(len(table["Routes"]) for table in tables)
    counts["RouteTableAssociations"] = sum(len(table["Associations"]) for table in tables)
    counts["Instances"] = sum(
        instance["State"]["Name"] not in ("terminated", "shutting-down")
        for reservation in _all(ec2.describe_instances, "Reservations")
        for instance in reservation["Instances"]
    )
    balancers = _all(elb.describe_load_balancers, "LoadBalancers")
    listeners = [one for b in balancers for one in elb.describe_listeners(LoadBalancerArn=b["LoadBalancerArn"])["Listeners"]]
    counts["LoadBalancers"], counts["Listeners"] = len(balancers), len(listeners)
    counts["ListenerRules"] = sum(len(elb.describe_rules(ListenerArn=one["ListenerArn"])["Rules"]) for one in listeners)
    counts["TargetGroups"] = len(_all(elb.describe_target_groups, "TargetGroups"))
    roles = [role["RoleName"] for role in _all(iam.list_roles, "Roles")]
    counts["Roles"] = len(roles)
    counts["RolePolicies"] = sum(len(iam.list_role_policies(RoleName=name)["PolicyNames"]) for name in roles)
    counts["Attachments"] = sum(len(iam.list_attached_role_policies(RoleName=n)["AttachedPolicies"]) for n in roles)
    counts["InstanceProfiles"] = len(_all(iam.list_instance_profiles, "InstanceProfiles"))
    scaling = service.api("autoscaling")
    counts["Groups"] = len(_all(scaling.describe_auto_scaling_groups, "AutoScalingGroups"))
    counts["ScalingPolicies"] = len(_all(scaling.describe_policies, "ScalingPolicies"))
    counts["ScheduledActions"] = len(_all(scaling.describe_scheduled_actions, "ScheduledUpdateGroupActions"))
    counts["Alarms"] = len(_all(service.api("cloudwatch").describe_alarms, "MetricAlarms"))
    return counts


def _all(call: Callable[..., dict[str, Any]], result: str) -> list[Any]:
    """Every page of a listing."""
    answer = call()
    found = list(answer[result])
    while token := answer.get("NextToken"):
        answer = call(NextToken=token)
        found += answer[result]
    return found
