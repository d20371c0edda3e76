"""Extends moto's warm pools: they hold instances.

Sources: Amazon EC2 Auto Scaling API Reference, "PutWarmPool", "DescribeWarmPool", "DeleteWarmPool", "WarmPoolConfiguration".
"""

from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult
from moto.ec2.models.instance_types import INSTANCE_TYPES

from turnout.cloud import machines
from turnout.cloud.activities import stamp
from turnout.cloud.fleet import WarmPool, fleet_of, pool_of
from turnout.cloud.fleets import Fleets
from turnout.cloud.lifecycle import END
from turnout.cloud.moto_groups import group_of

_STATES = ("Stopped", "Running", "Hibernated")
_NO_SPOT = (
    "You can't add a warm pool to an Auto Scaling group that has a mixed instances policy or a launch template or launch "
    "configuration that requests Spot Instances."
)


def extend_warm_pools(fleets: Fleets) -> None:
    """Lets a group have a warm pool with instances in it."""
    put, delete = _putter(fleets), _deleter(fleets)

    def describe_warm_pool(self: AutoScalingResponse) -> Any:
        group = group_of(self)
        fleet = fleet_of(group)
        held = [*fleet.warm, *(item for item in fleet.leaving if item.step.warm)]
        return ActionResult({"WarmPoolConfiguration": group.warm_pool, "Instances": held})

    def warm_pool_size(self: FakeAutoScalingGroup) -> int | None:
        return None if pool_of(self) is None else len(fleet_of(self).warm)

    FakeAutoScalingGroup.warm_pool_size = property(warm_pool_size)  # type: ignore[attr-defined]
    AutoScalingResponse.put_warm_pool = put  # type: ignore[method-assign]
    AutoScalingResponse.describe_warm_pool = describe_warm_pool  # type: ignore[method-assign]
    AutoScalingResponse.delete_warm_pool = delete  # type: ignore[method-assign]


def _putter(fleets: Fleets) -> Any:
    def put_warm_pool(self: AutoScalingResponse) -> Any:
        group = group_of(self)
        held, given = pool_of(group), self._get_params()
        if held is not None and held.status:
            raise ValidationError("You can't update a warm pool that is being deleted.")
        state = given.get("PoolState") or (held.pool_state if held else "Stopped")
        prepared = given.get("MaxGroupPreparedCapacity", held.max_group_prepared_capacity if held else None)
        prepared = None if prepared is None or int(prepared) < 0 else int(prepared)
        minimum = int(given.get("MinSize", held.min_size if held else 0) or 0)
        reuse = given.get("InstanceReusePolicy") or (held.instance_reuse_policy if held else None)
        _check(group, state, minimum, prepared)
        group.warm_pool = WarmPool(prepared, minimum, state, reuse)  # type: ignore[assignment]
        fleets.balance(group)
        return ActionResult({})

    return put_warm_pool


def _check(group: FakeAutoScalingGroup, state: str, minimum: int, prepared: int | None) -> None:
    if state not in _STATES:
        raise ValidationError(f"PoolState must be one of {', '.join(_STATES)}, not {state}")
    if machines.wants_spot(group):
        raise ValidationError(_NO_SPOT)
    if prepared is not None and minimum > prepared:
        raise ValidationError(f"MinSize {minimum} of the warm pool is above its MaxGroupPreparedCapacity {prepared}")
    if state == "Hibernated" and not INSTANCE_TYPES.get(str(group.instance_type), {}).get("HibernationSupported"):
        raise ValidationError(f"Instance type {group.instance_type} does not support hibernation; use Stopped or Running")


def _deleter(fleets: Fleets) -> Any:
    def delete_warm_pool(self: AutoScalingResponse) -> Any:
        delete_pool(fleets, group_of(self), force=bool(self._get_bool_param("ForceDelete", False)))
        return ActionResult({})

    return delete_warm_pool


def delete_pool(fleets: Fleets, group: FakeAutoScalingGroup, *, force: bool) -> None:
    """Deletes the group's warm pool: at once with `force`, else when its instances have ended.

    Raises `ValidationError` where there is none."""
    pool = pool_of(group)
    if pool is None:
        raise ValidationError(f"No warm pool found for Auto Scaling group {group.name}")
    if force:
        fleets.remove(group, pool_only=True)
        group.warm_pool = None
        return
    pool.status = "PendingDelete"
    for member in fleet_of(group).warm[:]:
        fleets.take_out(group, member, END, f"At {stamp(fleets.now())} the warm pool was deleted by a user request.")
    fleets.progress()
