"""The GPU pools among a stack's resources: group, launch template, what its nodes are told, and which instances it may take."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from turnout_components import user_data
from turnout_components.gpus import Gpus, gpus
from turnout_components.policy_resources import UNKNOWN, Resource, Stack, at, each, leads_to, of, whole

GROUP = "aws:autoscaling/group:Group"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
MOST_GPUS = 8
"""GPUs of the largest instance types (`gpus`): what attributes without an upper bound may bring."""


@dataclass(frozen=True)
class Pool:
    """An auto scaling group with its launch template, where that is in the same stack."""

    group: Resource
    template: Resource | None
    document: Any
    """What its nodes are told (`user_data.document`); None of other user data, UNKNOWN where it is not known yet."""

    @property
    def environment(self) -> Any:
        """`blue` or `green`, by its tag; None of a group that is no environment's."""
        tags = self.group.tags()
        return UNKNOWN if tags is UNKNOWN else tags.get("turnout:environment")

    @property
    def types(self) -> Any:
        """Its instance types; none where attributes choose, UNKNOWN where they are not known yet."""
        return types_of(self.group, self.template)

    @property
    def requirements(self) -> list[Any]:
        """Attributes by which AWS chooses types."""
        overrides = each(self.group.get("mixedInstancesPolicy.launchTemplate.overrides"))
        own = [self.template.get("instanceRequirements")] if self.template is not None and not overrides else []
        return [found for found in (*(at(each, "instanceRequirements") for each in overrides), *own) if found is not None]

    @property
    def spot_only(self) -> bool | None:
        """Whether no instance is On-Demand; None where that is not known yet."""
        of_mix = self.group.get("mixedInstancesPolicy.instancesDistribution")
        base, percent = at(of_mix, "onDemandBaseCapacity"), at(of_mix, "onDemandPercentageAboveBaseCapacity")
        if UNKNOWN in (of_mix, base, percent):
            return None
        return percent is not None and whole(percent) == 0 and not whole(base or 0)

    @property
    def has_spot(self) -> bool:
        """Whether some instances are Spot Instances, as far as is known."""
        percent = self.group.get("mixedInstancesPolicy.instancesDistribution.onDemandPercentageAboveBaseCapacity")
        return percent is not None and percent is not UNKNOWN and (whole(percent) or 0) < 100


def pools(stack: Stack) -> Iterator[Pool]:
    """Auto scaling groups, with the templates of theirs that are in the stack."""
    templates = list(of(stack, TEMPLATE))
    for group in of(stack, GROUP):
        template = next((one for one in templates if _is_of(group, one)), None)
        yield Pool(group, template, document(template) if template is not None else None)


def _is_of(group: Resource, template: Resource) -> bool:
    specification = "mixedInstancesPolicy.launchTemplate.launchTemplateSpecification.launchTemplateId"
    return any(leads_to(group, path, template, "id") for path in ("launchTemplate.id", specification))


def document(template: Resource) -> Any:
    """What a launch template's nodes are told; None of other user data, UNKNOWN where it is not known yet."""
    script = script_of(template)
    return script if script is None or script is UNKNOWN else user_data.read_release(script)


def script_of(template: Resource) -> Any:
    """User data as text; None where there is none."""
    packed = template.get("userData") or template.get("userDataBase64")
    if packed is None or packed is UNKNOWN:
        return packed
    try:
        return base64.b64decode(packed, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return str(packed)


def types_of(group: Resource, template: Resource | None) -> Any:
    """Instance types that a group may launch."""
    overrides = group.get("mixedInstancesPolicy.launchTemplate.overrides")
    if overrides is UNKNOWN:
        return UNKNOWN
    named = [at(each, "instanceType") for each in each(overrides)] if overrides else []
    named = [name for name in named if name is not None]
    if not overrides and template is not None:
        named = [name for name in [template.get("instanceType")] if name]
    return UNKNOWN if UNKNOWN in named else named


def most(types: list[str]) -> Gpus:
    """The most GPUs that one instance of these types has, and the most memory that its GPUs have together."""
    known = [found for found in map(gpus, types) if found is not None]
    return Gpus(max((one.count for one in known), default=0), max((one.mib for one in known), default=0))
