"""Extends moto, in its own shape, where its groups, targets and metrics differ from AWS's in what a flip depends on."""

from collections.abc import Callable, Mapping
from typing import Any

from moto.core.types import Base64EncodedString
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.utils import parse_user_data
from moto.elbv2.exceptions import TargetGroupNotFoundError
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus

from turnout.cloud.fleets import Fleets
from turnout.cloud.health import Target
from turnout.cloud.metrics import PERIOD
from turnout.cloud.moto_balancing import extend_balancing
from turnout.cloud.moto_certificates import extend_certificates
from turnout.cloud.moto_cloudwatch import extend_cloudwatch
from turnout.cloud.moto_ec2 import extend_ec2
from turnout.cloud.moto_eks import extend_clusters
from turnout.cloud.moto_eks_access import extend_access
from turnout.cloud.moto_eks_addons import extend_addons
from turnout.cloud.moto_eks_groups import extend_node_groups
from turnout.cloud.moto_functions import extend_functions
from turnout.cloud.moto_group_attributes import extend_group_attributes
from turnout.cloud.moto_groups import extend_groups
from turnout.cloud.moto_hooks import extend_hooks
from turnout.cloud.moto_network import extend_network
from turnout.cloud.moto_quotas import extend_quotas
from turnout.cloud.moto_s3 import extend_s3
from turnout.cloud.moto_scaling import extend_scaling
from turnout.cloud.moto_schedules import extend_schedules
from turnout.cloud.moto_secrets import extend_secrets
from turnout.cloud.moto_waf import extend_waf
from turnout.cloud.moto_warm_pools import extend_warm_pools


def extend_moto(health_of: Callable[[str], Mapping[str, Target]], fleets: Fleets, speed: float = 1.0) -> None:
    """Lets moto's API answer as AWS does. `health_of` gives the states of a target group's targets by its ARN; `fleets` leads
    the instances of auto scaling groups; `speed` divides the minute between two reports of metrics."""
    _extend_target_health(health_of)
    extend_groups(fleets)
    extend_hooks(fleets)
    extend_warm_pools(fleets)
    extend_schedules()
    extend_group_attributes()
    extend_ec2()
    extend_quotas()
    extend_secrets()
    extend_functions()
    extend_certificates()
    extend_waf()
    extend_s3()
    extend_network()
    extend_balancing()
    extend_clusters()
    extend_node_groups()
    extend_access()
    extend_addons()
    _extend_template_versions()
    _extend_rule_descriptions()
    extend_scaling()
    extend_cloudwatch(PERIOD / speed)


def _extend_target_health(health_of: Callable[[str], Mapping[str, Target]]) -> None:
    """DescribeTargetHealth (Elastic Load Balancing API Reference): real states, and draining targets among them."""

    def describe_target_health(
        self: ELBv2Backend, target_group_arn: str, targets: list[dict[str, Any]]
    ) -> list[FakeHealthStatus]:
        group = self.target_groups.get(target_group_arn)
        if group is None:
            raise TargetGroupNotFoundError()
        states = health_of(target_group_arn)
        ports = {name: held["Port"] for name, held in {**group.deregistered_targets, **group.targets}.items()}
        wanted = [target["Id"] for target in targets] or list(states)
        return [
            FakeHealthStatus(
                name, ports.get(name) or group.port, group.health_check_port, found.state, found.reason, found.description
            )
            for name in wanted
            for found in [states.get(name) or Target.not_registered()]
        ]

    ELBv2Backend.describe_target_health = describe_target_health  # type: ignore[method-assign]


def _extend_template_versions() -> None:
    """CreateLaunchTemplateVersion (Amazon EC2 API Reference) takes user data as CreateLaunchTemplate does; moto 5.2.5 reads
    the first version's only, and a group of a later version fails."""
    create = LaunchTemplate.create_version

    def create_version(self: LaunchTemplate, data: dict[str, Any], description: str) -> LaunchTemplateVersion:
        given = data.get("UserData")
        user_data = given if isinstance(given, Base64EncodedString) else parse_user_data(given)
        return create(self, {**data, "UserData": user_data}, description)

    LaunchTemplate.create_version = create_version  # type: ignore[method-assign]


def _extend_rule_descriptions() -> None:
    """A rule keeps its description whatever its source is (SecurityGroupRule, Amazon EC2 API Reference); moto shows only
    that of an address range."""

    def description(self: SecurityGroupRule) -> str | None:
        return self.ip_range.get("Description") or self.source_group.get("Description")

    SecurityGroupRule.description = property(description)  # type: ignore[assignment]
