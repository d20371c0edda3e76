"""Which mirrors the account asks for: Systems Manager's parameters, as the nodes of each group would read them."""

import json
import logging
from collections.abc import Mapping

from moto.ec2.models import ec2_backends
from moto.ssm.models import ssm_backends
from turnout_components.mirror import Mirror
from turnout_components.mirror_setting import parameter

from turnout.cloud import lifecycle
from turnout.cloud.envoy_config import Address
from turnout.cloud.moto_state import ACCOUNT, api_lock
from turnout.cloud.world import Group, World

logger = logging.getLogger(__name__)


def wanted(world: World, direct: Mapping[str, Address]) -> dict[str, Mirror]:
    """The mirror of each instance that serves or drains whose group asks for one, with targets where servers really listen."""
    found: dict[str, Mirror] = {}
    for group in world.groups:
        mirror = _asked(group)
        if mirror is not None:
            local = _localised(mirror, group.region, direct)
            found |= {m.id: local for m in group.machines if m.state == lifecycle.IN_SERVICE or m.server == lifecycle.KEEP}
    return found


def _asked(group: Group) -> Mirror | None:
    with api_lock:
        held = ssm_backends[ACCOUNT][group.region].get_parameter(parameter(group.name))
    if held is None:
        return None
    try:
        return Mirror.from_storage(json.loads(held.value))
    except (KeyError, ValueError, TypeError) as error:
        logger.warning("parameter %s is no mirror: %s", parameter(group.name), error)
        return None


def _localised(mirror: Mirror, region: str, direct: Mapping[str, Address]) -> Mirror:
    """Its targets' private addresses as the loopback ports of the same instances; what has none is left out."""
    with api_lock:
        instances = [i for r in ec2_backends[ACCOUNT][region].reservations.values() for i in r.instances]
    ids = {instance.private_ip: instance.id for instance in instances if instance.state != "terminated"}
    named = (ids.get(host) for host, _ in mirror.targets)
    targets = tuple(direct[name] for name in named if name is not None and name in direct)
    return Mirror(mirror.share, targets, mirror.prefix, mirror.timeout)
