"""Reads moto's backends into a `World`.

`api_lock` is held by every call that changes load balancers, groups or instances and while the world is read: moto's
backends are plain dictionaries that a threaded server would otherwise change under the reader.
"""

import threading
from collections.abc import Mapping
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.elbv2.models import elbv2_backends

from turnout.cloud.fleet import Member, everyone, pool_state
from turnout.cloud.lifecycle import server_of
from turnout.cloud.world import (
    Action,
    Balancer,
    Check,
    FixedResponse,
    Forward,
    Group,
    Listener,
    Machine,
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
            config = last["ForwardConfig"]
            weights = tuple((group["TargetGroupArn"], int(group.get("Weight", 1))) for group in config.get("TargetGroups", []))
            return Forward(weights, _sticky(config.get("TargetGroupStickinessConfig") or {}))
        case "fixed-response":
            config = last["FixedResponseConfig"]
            return FixedResponse(
                int(config["StatusCode"]), config.get("ContentType") or "text/plain", config.get("MessageBody") or ""
            )
        case "redirect":
            return Redirect(last["RedirectConfig"])
        case other:
            return Unsupported(str(other))


def _sticky(config: Mapping[str, Any]) -> int | None:
    return int(config.get("DurationSeconds") or 0) if str(config.get("Enabled")).lower() == "true" else None


def _target_group(group: Any, region: str, backend: Any) -> TargetGroup:
    by_address = group.target_type == "ip"
    states = {target: "running" if by_address else _instance_state(backend, target) for target in group.targets}
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
        instances={instance.id: _user_data(instance) for instance in running},
        metrics=tuple(group.metrics),
        machines=tuple(_machine(member, group, region) for member in everyone(group)),
    )


def _machine(member: Member, group: Any, region: str) -> Machine:
    return Machine(
        id=member.instance_id,
        group=group.name,
        region=region,
        state=member.step.state,
        server=server_of(member.step, pool_state(group)),
        user_data=_user_data(member.instance),
        waits=tuple((action.hook.name, action.hook.timeout) for action in member.step.actions),
    )


def _user_data(instance: Any) -> str:
    return instance.user_data.decode() if instance.user_data else ""
