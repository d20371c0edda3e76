"""Reads moto's backends into a `World`, and extends moto where its groups and targets differ from AWS's.

`api_lock` is held by every call that changes load balancers, groups or instances and while the world is read: moto's
backends are plain dictionaries that a threaded server would otherwise change under the reader.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, autoscaling_backends
from moto.autoscaling.responses import AutoScalingResponse
from moto.cloudwatch.models import MetricDatumBase
from moto.elbv2.exceptions import TargetGroupNotFoundError, TargetNotRunning
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, elbv2_backends

from turnout.cloud.health import Target
from turnout.cloud.world import (
    Action,
    Balancer,
    Check,
    FixedResponse,
    Forward,
    Group,
    Listener,
    Redirect,
    Rule,
    TargetGroup,
    Unsupported,
    World,
)

ACCOUNT = "123456789012"
_DEFAULT_IDLE_TIMEOUT = 60

api_lock = threading.RLock()


def read_world() -> World:
    """The account as it is now."""
    with api_lock:
        balancing = list(elbv2_backends[ACCOUNT].items())
        scaling = list(autoscaling_backends[ACCOUNT].items())
        return World(
            tuple(_balancer(lb, region) for region, b in balancing for lb in b.load_balancers.values()),
            tuple(_target_group(tg, region, b) for region, b in balancing for tg in b.target_groups.values()),
            tuple(_group(group, region) for region, b in scaling for group in b.autoscaling_groups.values()),
        )


def _balancer(balancer: Any, region: str) -> Balancer:
    idle = int(balancer.attrs.get("idle_timeout.timeout_seconds", _DEFAULT_IDLE_TIMEOUT))
    return Balancer(balancer.arn, balancer.name, region, idle, tuple(_listener(item) for item in balancer.listeners.values()))


def _listener(listener: Any) -> Listener:
    default = [rule for rule in listener.rules.values() if rule.is_default]
    others = sorted((r for r in listener.rules.values() if not r.is_default), key=lambda rule: int(rule.priority))
    return Listener(listener.arn, int(listener.port), listener.protocol, tuple(_rule(rule) for rule in (*others, *default)))


def _rule(rule: Any) -> Rule:
    return Rule(rule.arn, tuple(rule.conditions or ()), _action([action.data for action in rule.actions]))


def _action(actions: list[Mapping[str, Any]]) -> Action:
    last = max(actions, key=lambda action: int(action.get("Order", 0)))
    match last.get("Type"):
        case "forward" if "TargetGroupArn" in last and "ForwardConfig" not in last:
            return Forward(((last["TargetGroupArn"], 1),))
        case "forward":
            groups = last["ForwardConfig"].get("TargetGroups", [])
            return Forward(tuple((group["TargetGroupArn"], int(group.get("Weight", 1))) for group in groups))
        case "fixed-response":
            config = last["FixedResponseConfig"]
            return FixedResponse(
                int(config["StatusCode"]), config.get("ContentType") or "text/plain", config.get("MessageBody") or ""
            )
        case "redirect":
            return Redirect(last["RedirectConfig"])
        case other:
            return Unsupported(str(other))


def _target_group(group: Any, region: str, backend: Any) -> TargetGroup:
    states = {target: _instance_state(backend, target) for target in group.targets}
    matcher = getattr(group, "matcher", None) or {}
    return TargetGroup(
        arn=group.arn,
        name=group.name,
        region=region,
        port=int(group.port or 0),
        check=Check(
            path=group.health_check_path or "/",
            interval=float(group.health_check_interval_seconds),
            timeout=float(group.health_check_timeout_seconds),
            healthy_threshold=int(group.healthy_threshold_count),
            unhealthy_threshold=int(group.unhealthy_threshold_count),
            matcher=str(matcher.get("HttpCode") or "200"),
        ),
        delay=float(group.attributes.get("deregistration_delay.timeout_seconds", 300)),
        algorithm=str(group.attributes.get("load_balancing.algorithm.type", "round_robin")),
        targets=tuple(target for target, state in states.items() if state in ("pending", "running", "stopped")),
        stopped=frozenset(target for target, state in states.items() if state == "stopped"),
    )


def _instance_state(backend: Any, target: str) -> str | None:
    instance = backend.ec2_backend.get_instance_by_id(target)
    return None if instance is None else str(instance.state)


def _group(group: Any, region: str) -> Group:
    running = [state.instance for state in group.active_instances() if state.instance.state == "running"]
    return Group(
        name=group.name,
        region=region,
        minimum=int(group.min_size or 0),
        maximum=int(group.max_size or 0),
        desired=int(group.desired_capacity or 0),
        instances={instance.id: instance.user_data.decode() if instance.user_data else "" for instance in running},
        metrics=tuple(group.metrics),
    )


def extend_moto(health_of: Callable[[str], Mapping[str, Target]]) -> None:
    """Lets moto's API answer as AWS does; `health_of` gives the states of a target group's targets by its ARN."""
    _extend_target_health(health_of)
    _extend_replacement()
    _extend_desired_capacity()
    _extend_statistics()


def _extend_target_health(health_of: Callable[[str], Mapping[str, Target]]) -> None:
    """DescribeTargetHealth (Elastic Load Balancing API Reference): real states, and draining targets among them."""

    def describe_target_health(
        self: ELBv2Backend, target_group_arn: str, targets: list[dict[str, Any]]
    ) -> list[FakeHealthStatus]:
        group = self.target_groups.get(target_group_arn)
        if group is None:
            raise TargetGroupNotFoundError()
        states = health_of(target_group_arn)
        wanted = [target["Id"] for target in targets] or list(states)
        return [
            FakeHealthStatus(name, group.port, group.health_check_port, found.state, found.reason, found.description)
            for name in wanted
            for found in [states.get(name) or Target.not_registered()]
        ]

    ELBv2Backend.describe_target_health = describe_target_health  # type: ignore[method-assign]


def _extend_replacement() -> None:
    """A replacement registers with the group's target groups ("Use Elastic Load Balancing to distribute incoming
    application traffic in your Auto Scaling group", Amazon EC2 Auto Scaling User Guide); moto only launches it."""
    launch = AutoScalingBackend.notify_terminate_instances

    def notify_terminate_instances(self: AutoScalingBackend, instance_ids: list[str]) -> None:
        launch(self, instance_ids)
        for name in self.autoscaling_groups:
            with contextlib.suppress(TargetGroupNotFoundError, TargetNotRunning):
                self.update_attached_target_groups(name)

    AutoScalingBackend.notify_terminate_instances = notify_terminate_instances  # type: ignore[method-assign]


def _extend_desired_capacity() -> None:
    """SetDesiredCapacity (Amazon EC2 Auto Scaling API Reference) refuses a number outside minimum and maximum."""
    accept = AutoScalingResponse.set_desired_capacity

    def set_desired_capacity(self: AutoScalingResponse) -> Any:
        name, desired = self._get_param("AutoScalingGroupName"), self._get_int_param("DesiredCapacity")
        group = self.autoscaling_backend.autoscaling_groups.get(name)
        if group is None:
            raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
        if desired > int(group.max_size or 0):
            raise ValidationError(f"New SetDesiredCapacity value {desired} is above max value {group.max_size} ...")
        if desired < int(group.min_size or 0):
            raise ValidationError(f"New SetDesiredCapacity value {desired} is below min value {group.min_size} ...")
        return accept(self)

    AutoScalingResponse.set_desired_capacity = set_desired_capacity  # type: ignore[method-assign]


def _extend_statistics() -> None:
    """A metric is its name and all of its dimensions ("Metrics concepts", Amazon CloudWatch User Guide); moto's
    GetMetricStatistics for a load balancer would also add up what is filed under its target groups."""
    subset = MetricDatumBase.filter

    def matches(
        self: MetricDatumBase,
        namespace: str | None,
        name: str | None,
        dimensions: list[dict[str, str]],
        already_present_metrics: list[MetricDatumBase] | None = None,
    ) -> bool:
        statistics = already_present_metrics is None
        if statistics and dimensions and len(dimensions) != len(self.dimensions):
            return False
        return subset(self, namespace, name, dimensions, already_present_metrics)

    MetricDatumBase.filter = matches  # type: ignore[method-assign]
