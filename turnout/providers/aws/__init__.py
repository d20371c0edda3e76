"""AWS as the local cloud serves it: one module a service, the rules of AWS that moto does not keep among them."""

from turnout.providers.aws import (
    autoscaling,
    autoscaling_hook,
    autoscaling_policy,
    autoscaling_schedule,
    cloudwatch,
    ec2_network,
    ec2_routes,
    elbv2_balancer,
    elbv2_listener,
    flow_log,
    iam,
    kms,
    launch_template,
    logs,
    placement_group,
    secretsmanager,
    security_group,
    vpc_endpoint,
)
from turnout.providers.aws.base import AwsType

TYPES: tuple[AwsType, ...] = (
    *ec2_network.TYPES,
    *ec2_routes.TYPES,
    *vpc_endpoint.TYPES,
    *flow_log.TYPES,
    *security_group.TYPES,
    *launch_template.TYPES,
    *elbv2_balancer.TYPES,
    *elbv2_listener.TYPES,
    *autoscaling.TYPES,
    *autoscaling_hook.TYPES,
    *autoscaling_policy.TYPES,
    *autoscaling_schedule.TYPES,
    *placement_group.TYPES,
    *iam.TYPES,
    *cloudwatch.TYPES,
    *logs.TYPES,
    *kms.TYPES,
    *secretsmanager.TYPES,
)
