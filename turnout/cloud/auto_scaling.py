"""What changes the size of an auto scaling group: one way in for the API, scheduled actions and scaling policies."""

from moto.autoscaling.models import FakeAutoScalingGroup, autoscaling_backends

from turnout.cloud.fleet import because
from turnout.cloud.moto_state import ACCOUNT, api_lock


class UnknownGroup(LookupError):
    """No auto scaling group of this name is in the region."""


def find_group(region: str, name: str) -> FakeAutoScalingGroup:
    """The group `name`.

    Raises `UnknownGroup` where there is none (any more)."""
    group = autoscaling_backends[ACCOUNT][region].autoscaling_groups.get(name)
    if group is None:
        raise UnknownGroup(f"no auto scaling group {name} in {region}")
    return group


def set_desired(region: str, group: str, desired: int, cause: str) -> None:
    """Sets the desired capacity, within the group's minimum and maximum, and launches or terminates.

    Protected instances are not chosen for scale-in. `cause` completes "At <time> …" in the activities, such as
    "a monitor alarm high in state ALARM triggered policy grow". No cooldown is kept: who decides keeps it.
    Raises `UnknownGroup` where there is no such group (any more)."""
    with api_lock:
        found = find_group(region, group)
        size = min(max(desired, int(found.min_size or 0)), int(found.max_size or 0))
        if size != found.desired_capacity:
            with because(cause):
                found.set_desired_capacity(size)
