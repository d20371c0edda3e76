"""Extends moto's lifecycle hooks: they hold instances up, with timeouts, heartbeats and results.

Sources: Amazon EC2 Auto Scaling API Reference, "PutLifecycleHook", "LifecycleHookSpecification", "CompleteLifecycleAction",
"RecordLifecycleActionHeartbeat".
"""

from collections.abc import Mapping
from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, LifecycleHook
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult

from turnout.cloud.fleet import Member, everyone
from turnout.cloud.fleets import Fleets
from turnout.cloud.lifecycle import ABANDON, CONTINUE, LAUNCHING, TERMINATING
from turnout.cloud.moto_groups import group_of

_SHORTEST, _LONGEST = 30, 7200
_NAMES = {
    "RoleARN": "role_arn",
    "NotificationTargetARN": "notification_target_arn",
    "NotificationMetadata": "notification_metadata",
}


def extend_hooks(fleets: Fleets) -> None:
    """Lets hooks be declared with the group, put, and answered."""
    _extend_declarations()
    _extend_answers(fleets)


def _extend_declarations() -> None:
    create = AutoScalingResponse.create_auto_scaling_group

    def create_auto_scaling_group(self: AutoScalingResponse) -> Any:
        name, backend = self._get_param("AutoScalingGroupName"), self.autoscaling_backend
        given = self._get_param("LifecycleHookSpecificationList", []) or []
        for item in given:
            _put(backend, name, item)
        try:
            return create(self)
        except Exception:
            for item in given:
                backend.delete_lifecycle_hook(name, str(item["LifecycleHookName"]))
            raise

    def put_lifecycle_hook(self: AutoScalingResponse) -> Any:
        group = group_of(self)
        params = {**dict.fromkeys(_NAMES), **self._get_params()}
        _put(self.autoscaling_backend, group.name, params)
        return ActionResult({})

    AutoScalingResponse.create_auto_scaling_group = create_auto_scaling_group  # type: ignore[method-assign]
    AutoScalingResponse.put_lifecycle_hook = put_lifecycle_hook  # type: ignore[method-assign]


def _put(backend: AutoScalingBackend, group: str, given: Mapping[str, Any]) -> None:
    """Creates or updates; what is not given of an existing hook stays."""
    name = str(given["LifecycleHookName"])
    held = backend.lifecycle_hooks.get(f"{group}_{name}")
    transition = given.get("LifecycleTransition") or (held.lifecycle_transition if held else None)
    timeout = int(given.get("HeartbeatTimeout") or (held.heartbeat_timeout if held else 3600))
    result = given.get("DefaultResult") or (held.default_result if held else ABANDON)
    if transition not in (LAUNCHING, TERMINATING):
        raise ValidationError(f"LifecycleTransition of hook {name} must be {LAUNCHING} or {TERMINATING}, not {transition}")
    if not _SHORTEST <= timeout <= _LONGEST:
        raise ValidationError(f"HeartbeatTimeout of hook {name} must be from {_SHORTEST} to {_LONGEST} seconds, not {timeout}")
    if result not in (CONTINUE, ABANDON):
        raise ValidationError(f"DefaultResult of hook {name} must be {CONTINUE} or {ABANDON}, not {result}")
    hook: LifecycleHook = backend.create_lifecycle_hook(name, group, transition, timeout, result)
    hook.global_timeout = min(hook.global_timeout, 100 * timeout)
    for key, attribute in _NAMES.items():
        setattr(hook, attribute, given.get(key) or (getattr(held, attribute, None) if held else None))


def _extend_answers(fleets: Fleets) -> None:
    def complete_lifecycle_action(self: AutoScalingResponse) -> Any:
        result = self._get_param("LifecycleActionResult")
        if result not in (CONTINUE, ABANDON):
            raise ValidationError(f"LifecycleActionResult must be {CONTINUE} or {ABANDON}, not {result}")
        group, member, hook = _waiting(self)
        fleets.complete(group, member, hook, result)
        return ActionResult({})

    def record_lifecycle_action_heartbeat(self: AutoScalingResponse) -> Any:
        _, member, hook = _waiting(self)
        fleets.beat(member, hook)
        return ActionResult({})

    AutoScalingResponse.complete_lifecycle_action = complete_lifecycle_action  # type: ignore[attr-defined]
    AutoScalingResponse.record_lifecycle_action_heartbeat = record_lifecycle_action_heartbeat  # type: ignore[attr-defined]


def _waiting(self: AutoScalingResponse) -> tuple[FakeAutoScalingGroup, Member, str]:
    group, hook = group_of(self), str(self._get_param("LifecycleHookName"))
    instance, token = self._get_param("InstanceId"), self._get_param("LifecycleActionToken")
    for member in everyone(group):
        for action in member.step.actions:
            if action.hook.name == hook and (action.token == token or (not token and member.instance_id == instance)):
                return group, member, hook
    raise ValidationError(f"No active Lifecycle Action found with {f'token {token}' if token else f'instance ID {instance}'}")
