"""The program that `benchmarks.engine` measures: as many resources as its config's `size`, mixed as a platform's stack is.

A network, then services of ten resources each (a component with a security group and its rule, a role with its policies, a
profile, a target group, a log group and an alarm, wired by outputs and tagged); what is left of the size are log groups.
"""

import json

import pulumi
import pulumi_aws as aws

SERVICES = ("cloudwatch", "ec2", "elbv2", "iam", "logs", "sts")
BASE = 3
"""The stack, the provider, the network."""
EACH = 10
"""Resources of a service, its component among them."""


class Service(pulumi.ComponentResource):
    """What one of many services has, but for its pool."""

    def __init__(self, name: str, number: int, vpc: aws.ec2.Vpc, opts: pulumi.ResourceOptions) -> None:
        super().__init__("bench:index:Service", name, None, opts)
        here = pulumi.ResourceOptions(parent=self)
        tags = {"service": name, "team": f"team-{number % 7}"}
        group = aws.ec2.SecurityGroup(f"{name}-sg", vpc_id=vpc.id, description=name, tags=tags, opts=here)
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-in",
            security_group_id=group.id,
            ip_protocol="tcp",
            from_port=8080,
            to_port=8080,
            cidr_ipv4=vpc.cidr_block,
            opts=here,
        )
        role = aws.iam.Role(f"{name}-role", assume_role_policy=trust(), tags=tags, opts=here)
        logs = aws.cloudwatch.LogGroup(f"{name}-logs", retention_in_days=30, tags=tags, opts=here)
        writes = logs.arn.apply(lambda arn: policy("logs:PutLogEvents", f"{arn}:*"))
        aws.iam.RolePolicy(f"{name}-policy", role=role.name, policy=writes, opts=here)
        managed = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
        aws.iam.RolePolicyAttachment(f"{name}-managed", role=role.name, policy_arn=managed, opts=here)
        profile = aws.iam.InstanceProfile(f"{name}-profile", role=role.name, tags=tags, opts=here)
        check = {"path": "/ready", "interval": 10, "timeout": 5}
        target = aws.lb.TargetGroup(
            f"tg-{number}", port=8080, protocol="HTTP", vpc_id=vpc.id, health_check=check, tags=tags, opts=here
        )
        aws.cloudwatch.MetricAlarm(
            f"{name}-errors",
            namespace="AWS/ApplicationELB",
            metric_name="HTTPCode_Target_5XX_Count",
            dimensions={"TargetGroup": target.arn_suffix},
            statistic="Sum",
            period=60,
            evaluation_periods=2,
            threshold=10,
            comparison_operator="GreaterThanThreshold",
            tags=tags,
            opts=here,
        )
        self.register_outputs({"profile": profile.arn, "target": target.arn})


def declare(size: int, endpoint: str) -> None:
    """Declares `size` resources, the stack's own among them. `endpoint` serves AWS's API."""
    provider = aws.Provider(
        "aws",
        region="us-east-1",
        access_key="test",
        secret_key="test",
        skip_credentials_validation=True,
        skip_metadata_api_check=True,
        skip_region_validation=True,
        skip_requesting_account_id=True,
        endpoints=[dict.fromkeys(SERVICES, endpoint)],
        default_tags={"tags": {"stack": "bench"}},
    )
    on = pulumi.ResourceOptions(provider=provider)
    vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16", opts=on)
    services, rest = divmod(size - BASE, EACH)
    for number in range(services):
        Service(f"service-{number}", number, vpc, pulumi.ResourceOptions(providers=[provider]))
    for number in range(rest):
        aws.cloudwatch.LogGroup(f"log-{number}", retention_in_days=7, opts=on)


def trust() -> str:
    """Lets EC2's instances take a role."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def policy(action: str, resource: str) -> str:
    """A policy of one statement."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]})


if __name__ == "__main__":
    config = pulumi.Config("bench")
    declare(config.require_int("size"), config.require("endpoint"))
