"""Which mirror the instances of an auto scaling group are to run: a parameter of Systems Manager that their nodes read.

Whoever drives a rollout writes it; the nodes take it up by themselves, and the local cloud does in their place.
"""

import json
from collections.abc import Iterable
from typing import Any

from turnout_components.checks import refuse
from turnout_components.mirror import Address, Mirror, faults

_PREFIX = "/turnout/mirror/"
_AT_ONCE = 100


def parameter(group: str) -> str:
    """The parameter's name for an auto scaling group."""
    return _PREFIX + group


class MirrorSetting:
    """The mirror of one group's instances. `ssm` is boto3's client. What is written last holds; all may be repeated."""

    def __init__(self, ssm: Any, group: str) -> None:
        self._ssm = ssm
        self._name = parameter(group)

    def put(self, mirror: Mirror) -> None:
        """Asks for this mirror.

        Raises `ValueError` for one that cannot be."""
        refuse(faults(mirror))
        self._ssm.put_parameter(Name=self._name, Type="String", Value=json.dumps(mirror.for_storage()), Overwrite=True)

    def read(self) -> Mirror | None:
        """The mirror that is asked for, or None."""
        try:
            return Mirror.from_storage(json.loads(self._ssm.get_parameter(Name=self._name)["Parameter"]["Value"]))
        except self._ssm.exceptions.ParameterNotFound:
            return None

    def clear(self) -> None:
        """Asks for none."""
        try:
            self._ssm.delete_parameter(Name=self._name)
        except self._ssm.exceptions.ParameterNotFound:
            return


def instances(autoscaling: Any, ec2: Any, group: str, port: int) -> tuple[Address, ...]:
    """Where the servers of the group's instances in service listen: the targets of a mirror, which a target group is not."""
    found = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    ids = sorted(i["InstanceId"] for each in found for i in each["Instances"] if i["LifecycleState"] == "InService")
    return tuple((address, port) for part in _parts(ids) for address in _addresses(ec2, part))


def _parts(ids: list[str]) -> Iterable[list[str]]:
    return (ids[at : at + _AT_ONCE] for at in range(0, len(ids), _AT_ONCE))


def _addresses(ec2: Any, ids: list[str]) -> list[str]:
    reservations = ec2.describe_instances(InstanceIds=ids)["Reservations"]
    return sorted(i["PrivateIpAddress"] for r in reservations for i in r["Instances"] if i.get("PrivateIpAddress"))
