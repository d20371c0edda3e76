"""What AWS refuses of a mixed instances policy, and of attributes that choose instance types (Amazon EC2 Auto Scaling API
Reference; the attributes are the same in launch templates, Amazon EC2 API Reference)."""

from collections.abc import Iterable
from typing import Any

from turnout.engine.provider import Fault, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.base import known

AT = "mixedInstancesPolicy"
ON_DEMAND = {"lowest-price", "prioritized"}
SPOT = {"lowest-price", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized"}
TYPES_AT_MOST, REQUIREMENTS_AT_MOST, TEMPLATES_AT_MOST = 40, 4, 20
SPANS = (
    "vcpuCount",
    "memoryMib",
    "acceleratorCount",
    "acceleratorTotalMemoryMib",
    "baselineEbsBandwidthMbps",
    "memoryGibPerVcpu",
    "networkBandwidthGbps",
    "networkInterfaceCount",
    "totalLocalStorageGb",
)

REQUIREMENT_NAMES = {
    "vcpuCount": "VCpuCount",
    "memoryMib": "MemoryMiB",
    "memoryGibPerVcpu": "MemoryGiBPerVCpu",
    "acceleratorTotalMemoryMib": "AcceleratorTotalMemoryMiB",
    "totalLocalStorageGb": "TotalLocalStorageGB",
}
"""Pulumi's names of attributes that differ from the API's."""


def has_spot(inputs: Properties) -> bool:
    """Whether the group's policy surely requests Spot Instances."""
    percent = rules.at(inputs, f"{AT}.instancesDistribution.onDemandPercentageAboveBaseCapacity")
    return known(percent) and float(percent) < 100


def overrides(inputs: Properties) -> list[Properties]:
    """The policy's overrides, as far as they are known."""
    found = rules.at(inputs, f"{AT}.launchTemplate.overrides")
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def weighted(inputs: Properties) -> bool:
    """Whether instance types have weights."""
    return any(item.get("weightedCapacity") is not None for item in overrides(inputs))


def mixed_faults(inputs: Properties) -> Iterable[Fault]:
    """Every rule that the policy breaks."""
    policy = inputs.get(AT)
    if not isinstance(policy, dict):
        return
    if policy.get("launchTemplate") is None:
        yield Fault(f"{AT}.launchTemplate", "is required (MixedInstancesPolicy)")
    template = rules.at(policy, "launchTemplate.launchTemplateSpecification")
    if isinstance(policy.get("launchTemplate"), dict) and template is None:
        yield Fault(f"{AT}.launchTemplate.launchTemplateSpecification", "is required (LaunchTemplate)")
    yield from _specification(template, f"{AT}.launchTemplate.launchTemplateSpecification")
    yield from _distribution(inputs)
    yield from _overrides(inputs)


def _specification(block: Any, at: str) -> Iterable[Fault]:
    names = ("launchTemplateId", "launchTemplateName")
    if isinstance(block, dict) and sum(block.get(name) is not None for name in names) != 1:
        yield Fault(at, f"needs exactly one of {', '.join(names)} (LaunchTemplateSpecification)")


def _distribution(inputs: Properties) -> Iterable[Fault]:
    at, source = f"{AT}.instancesDistribution", "InstancesDistribution"
    yield from rules.one_of(inputs, f"{at}.onDemandAllocationStrategy", ON_DEMAND, source)
    yield from rules.one_of(inputs, f"{at}.spotAllocationStrategy", SPOT, source)
    yield from rules.between(inputs, f"{at}.onDemandBaseCapacity", 0, float("inf"), source)
    yield from rules.between(inputs, f"{at}.onDemandPercentageAboveBaseCapacity", 0, 100, source)
    yield from rules.between(inputs, f"{at}.spotInstancePools", 1, 20, source)
    block = rules.at(inputs, at)
    if not isinstance(block, dict):
        return
    strategy = block.get("spotAllocationStrategy")
    if block.get("spotInstancePools") is not None and isinstance(strategy, str) and strategy != "lowest-price":
        yield Fault(f"{at}.spotInstancePools", f"goes with the strategy lowest-price only, not with {strategy} ({source})")
    price = block.get("spotMaxPrice")
    if isinstance(price, str) and price:
        try:
            wrong = float(price) < 0.001
        except ValueError:
            wrong = True
        if wrong:
            yield Fault(f"{at}.spotMaxPrice", f"{price!r} is no price from 0.001 ({source})")


def _overrides(inputs: Properties) -> Iterable[Fault]:
    """ "LaunchTemplateOverrides": a type or requirements; at most 40 types, 4 sets of requirements and 20 launch templates;
    weights from 1 to 999 for all types or for none."""
    source, found = "LaunchTemplateOverrides", overrides(inputs)
    types: list[str] = []
    for index, item in enumerate(found):
        at = f"{AT}.launchTemplate.overrides[{index}]"
        if item.get("instanceType") is not None and item.get("instanceRequirements") is not None:
            yield Fault(f"{at}.instanceType", f"and instanceRequirements exclude each other ({source})")
        for fault in rules.matches(item, "weightedCapacity", r"[1-9]\d{0,2}", "a number from 1 to 999", source):
            yield Fault(f"{at}.{fault.property}", fault.reason)
        yield from _specification(item.get("launchTemplateSpecification"), f"{at}.launchTemplateSpecification")
        yield from requirement_faults(item.get("instanceRequirements"), f"{at}.instanceRequirements")
        if isinstance(item.get("instanceType"), str):
            if item["instanceType"] in types:
                yield Fault(f"{at}.instanceType", f"{item['instanceType']} is there twice ({source})")
            types.append(item["instanceType"])
    at = f"{AT}.launchTemplate.overrides"
    required = [item for item in found if item.get("instanceRequirements") is not None]
    templates = 1 + sum(item.get("launchTemplateSpecification") is not None for item in found)
    for count, most, what in (
        (len(types), TYPES_AT_MOST, "instance types"),
        (len(required), REQUIREMENTS_AT_MOST, "sets of instance requirements"),
        (templates, TEMPLATES_AT_MOST, "launch templates"),
    ):
        if count > most:
            yield Fault(at, f"{count} {what} are more than {most} ({source})")
    if types and required:
        yield Fault(at, f"instance types and instance requirements exclude each other ({source})")
    weights = sum(item.get("weightedCapacity") is not None for item in found)
    if 0 < weights < len(found):
        yield Fault(at, f"{weights} of {len(found)} have a weight: give all of them one, or none ({source})")


def requirement_faults(wanted: Any, at: str) -> Iterable[Fault]:
    """ "InstanceRequirements": least vCPUs and memory must be said; allowed and excluded types exclude each other."""
    source = "InstanceRequirements"
    if not isinstance(wanted, dict):
        return
    for name in ("vcpuCount", "memoryMib"):
        block = wanted.get(name)
        if block is None or (isinstance(block, dict) and block.get("min") is None):
            yield Fault(f"{at}.{name}.min", f"is required ({source})")
    if wanted.get("allowedInstanceTypes") and wanted.get("excludedInstanceTypes"):
        yield Fault(f"{at}.excludedInstanceTypes", f"and allowedInstanceTypes exclude each other ({source})")
    for name in SPANS:
        low, high = rules.at(wanted, f"{name}.min"), rules.at(wanted, f"{name}.max")
        if known(low) and float(low) < 0:
            yield Fault(f"{at}.{name}.min", f"{low} is below 0 ({source})")
        if known(low) and known(high) and float(low) > float(high):
            yield Fault(f"{at}.{name}.min", f"{low} is above the maximum {high} ({source})")
