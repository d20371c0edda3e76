"""Extends moto's EC2 with placement groups, capacity reservations and Capacity Blocks: they are kept, tagged and described.
What they do for instances is not acted out.

Sources: Amazon EC2 API Reference, "CreatePlacementGroup", "DescribePlacementGroups", "DeletePlacementGroup",
"CreateCapacityReservation", "DescribeCapacityReservations", "CancelCapacityReservation", "DescribeCapacityBlockOfferings",
"PurchaseCapacityBlock".
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from moto.autoscaling.models import autoscaling_backends
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.responses import EC2Response
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, EC2_RESOURCE_TO_PREFIX, generic_filter
from moto.moto_api._internal import mock_random

from turnout.cloud.fleet import everyone
from turnout.cloud.moto_state import ACCOUNT

_STRATEGIES = ("cluster", "spread", "partition")
_PARTITIONS = 7
_PREFIXES = {"placement-group": "pg", "capacity-reservation": "cr"}
_BLOCK_HOURS = 24
"""Capacity Blocks are whole days ("Capacity Blocks for ML", Amazon EC2 User Guide)."""


def _id(prefix: str) -> str:
    return f"{prefix}-{mock_random.get_random_hex(17)}"


class PlacementGroup(TaggedEC2Resource):
    """A placement group, with the API's members."""

    def __init__(self, backend: EC2Backend, name: str, strategy: str, partitions: int | None, spread: str | None) -> None:
        self.ec2_backend = backend
        self.id = self.group_id = _id("pg")
        self.group_name = name
        self.strategy = strategy
        self.state = "available"
        self.partition_count = partitions
        self.spread_level = spread
        self.group_arn = f"arn:aws:ec2:{backend.region_name}:{backend.account_id}:placement-group/{name}"

    @property
    def tags(self) -> list[dict[str, str]]:
        """As the API lists them."""
        return self.get_tags()


class Reservation(TaggedEC2Resource):
    """A capacity reservation or Capacity Block, with the API's members."""

    def __init__(self, backend: EC2Backend, **members: Any) -> None:
        self.ec2_backend = backend
        self.id = self.capacity_reservation_id = _id("cr")
        self.owner_id = backend.account_id
        self.capacity_reservation_arn = f"arn:aws:ec2:{backend.region_name}:{backend.account_id}:capacity-reservation/{self.id}"
        self.state = "active"
        self.create_date = self.start_date = utcnow()
        self.end_date: datetime | None = None
        self.reservation_type = "default"
        self.tenancy = "default"
        self.__dict__.update(members)

    @property
    def tags(self) -> list[dict[str, str]]:
        """As the API lists them."""
        return self.get_tags()


_groups: WeakKeyDictionary[EC2Backend, dict[str, PlacementGroup]] = WeakKeyDictionary()
_reservations: WeakKeyDictionary[EC2Backend, dict[str, Reservation]] = WeakKeyDictionary()


def groups_of(backend: EC2Backend) -> dict[str, PlacementGroup]:
    """A region's placement groups by name."""
    return _groups.setdefault(backend, {})


def reservations_of(backend: EC2Backend) -> dict[str, Reservation]:
    """A region's capacity reservations by id."""
    return _reservations.setdefault(backend, {})


def extend_ec2() -> None:
    """Lets the API answer these calls, and tags be put on what they make."""
    EC2_RESOURCE_TO_PREFIX.update(_PREFIXES)
    EC2_PREFIX_TO_RESOURCE.update({prefix: kind for kind, prefix in _PREFIXES.items()})
    for method in (
        create_placement_group,
        describe_placement_groups,
        delete_placement_group,
        create_capacity_reservation,
        describe_capacity_reservations,
        cancel_capacity_reservation,
        describe_capacity_block_offerings,
        purchase_capacity_block,
    ):
        setattr(EC2Response, method.__name__, method)


def _tagged(self: EC2Response, made: TaggedEC2Resource, kind: str) -> None:
    made.add_tags(self._parse_tag_specification(kind).get(kind, {}))


def _int(self: EC2Response, name: str) -> int | None:
    given = self._get_param(name)
    return None if given is None else int(given)


def create_placement_group(self: EC2Response) -> ActionResult:
    """ "CreatePlacementGroup"."""
    name, strategy = str(self._get_param("GroupName") or ""), str(self._get_param("Strategy") or "cluster")
    partitions, spread = _int(self, "PartitionCount"), self._get_param("SpreadLevel")
    held = groups_of(self.ec2_backend)
    if not name:
        raise EC2ClientError("MissingParameter", "The request must contain the parameter GroupName")
    if name in held:
        raise EC2ClientError("InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists.")
    if strategy not in _STRATEGIES:
        raise EC2ClientError("InvalidParameterValue", f"Value ({strategy}) for parameter strategy is invalid.")
    if partitions and (strategy != "partition" or not 1 <= partitions <= _PARTITIONS):
        message = f"PartitionCount {partitions} goes with the strategy partition only, from 1 to {_PARTITIONS}"
        raise EC2ClientError("InvalidParameterCombination", message)
    if strategy == "partition":
        partitions = partitions or 2
    group = PlacementGroup(self.ec2_backend, name, strategy, partitions, spread or ("rack" if strategy == "spread" else None))
    _tagged(self, group, "placement-group")
    held[name] = group
    return ActionResult({"PlacementGroup": group})


def describe_placement_groups(self: EC2Response) -> ActionResult:
    """ "DescribePlacementGroups"."""
    names, ids = self._get_param("GroupNames", []), self._get_param("GroupIds", [])
    found: Sequence[PlacementGroup] = list(groups_of(self.ec2_backend).values())
    for name in {*names, *ids} - {key for group in found for key in (group.group_name, group.id)}:
        raise EC2ClientError("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    chosen = [group for group in found if not (names or ids) or group.group_name in names or group.id in ids]
    return ActionResult({"PlacementGroups": generic_filter(self._filters_from_querystring(), chosen)})


def delete_placement_group(self: EC2Response) -> ActionResult:
    """ "DeletePlacementGroup": its instances must have ended."""
    name = str(self._get_param("GroupName"))
    if name not in groups_of(self.ec2_backend):
        raise EC2ClientError("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    scaling = autoscaling_backends[ACCOUNT][self.region].autoscaling_groups.values()
    if any(getattr(group, "placement_group", None) == name and everyone(group) for group in scaling):
        raise EC2ClientError("InvalidPlacementGroup.InUse", f"The placement group '{name}' is in use and may not be deleted.")
    del groups_of(self.ec2_backend)[name]
    return ActionResult({})


def create_capacity_reservation(self: EC2Response) -> ActionResult:
    """ "CreateCapacityReservation"."""
    count = _int(self, "InstanceCount") or 0
    reservation = Reservation(
        self.ec2_backend,
        instance_type=self._get_param("InstanceType"),
        instance_platform=self._get_param("InstancePlatform"),
        availability_zone=self._get_param("AvailabilityZone"),
        total_instance_count=count,
        available_instance_count=count,
        instance_match_criteria=self._get_param("InstanceMatchCriteria") or "open",
        end_date_type=self._get_param("EndDateType") or "unlimited",
        placement_group_arn=self._get_param("PlacementGroupArn"),
    )
    _tagged(self, reservation, "capacity-reservation")
    reservations_of(self.ec2_backend)[reservation.id] = reservation
    return ActionResult({"CapacityReservation": reservation})


def describe_capacity_reservations(self: EC2Response) -> ActionResult:
    """ "DescribeCapacityReservations"."""
    ids, held = self._get_param("CapacityReservationIds", []), reservations_of(self.ec2_backend)
    for name in ids:
        _reservation(self, name)
    chosen = [item for item in held.values() if not ids or item.id in ids]
    return ActionResult({"CapacityReservations": generic_filter(self._filters_from_querystring(), chosen)})


def cancel_capacity_reservation(self: EC2Response) -> ActionResult:
    """ "CancelCapacityReservation": a cancelled one is still described; a Capacity Block cannot be cancelled."""
    reservation = _reservation(self, str(self._get_param("CapacityReservationId")))
    if reservation.reservation_type == "capacity-block":
        raise EC2ClientError("Unsupported", "Capacity Blocks can't be cancelled.")
    reservation.state, reservation.end_date = "cancelled", utcnow()
    return ActionResult({"Return": True})


def _reservation(self: EC2Response, name: str) -> Reservation:
    found = reservations_of(self.ec2_backend).get(name)
    if found is None:
        raise EC2ClientError("InvalidCapacityReservationId.NotFound", f"The capacity reservation '{name}' was not found")
    return found


def describe_capacity_block_offerings(self: EC2Response) -> ActionResult:
    """ "DescribeCapacityBlockOfferings": one, in the region's first zone, from now on. Its id says what is bought."""
    kind, count = str(self._get_param("InstanceType")), _int(self, "InstanceCount") or 1
    hours = _int(self, "CapacityDurationHours") or _BLOCK_HOURS
    now = utcnow()
    offering = {
        "CapacityBlockOfferingId": f"cb-{kind}-{count}-{hours}",
        "InstanceType": kind,
        "InstanceCount": count,
        "AvailabilityZone": f"{self.region}a",
        "CapacityBlockDurationHours": hours,
        "StartDate": now,
        "EndDate": now + timedelta(hours=hours),
        "Tenancy": "default",
    }
    return ActionResult({"CapacityBlockOfferings": [offering]})


def purchase_capacity_block(self: EC2Response) -> ActionResult:
    """ "PurchaseCapacityBlock"."""
    offering = str(self._get_param("CapacityBlockOfferingId"))
    kind, _, rest = offering.removeprefix("cb-").rpartition("-")[0].rpartition("-")
    hours = offering.rpartition("-")[2]
    if not (kind and rest.isdigit() and hours.isdigit()):
        raise EC2ClientError("InvalidCapacityBlockOfferingId.NotFound", f"The offering '{offering}' was not found")
    block = Reservation(
        self.ec2_backend,
        instance_type=kind,
        instance_platform=self._get_param("InstancePlatform"),
        availability_zone=f"{self.region}a",
        total_instance_count=int(rest),
        available_instance_count=int(rest),
        instance_match_criteria="targeted",
        end_date_type="limited",
        end_date=utcnow() + timedelta(hours=int(hours)),
        reservation_type="capacity-block",
    )
    _tagged(self, block, "capacity-reservation")
    reservations_of(self.ec2_backend)[block.id] = block
    return ActionResult({"CapacityReservation": block})
