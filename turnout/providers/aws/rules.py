"""Rules that several types' inputs share. Each passes what is unknown yet."""

import json
import re
from collections.abc import Collection
from ipaddress import IPv4Network
from typing import Any

from turnout.engine.provider import Fault, Properties
from turnout.providers.aws.base import known


def between(inputs: Properties, property: str, low: float, high: float, source: str) -> list[Fault]:
    """A number within bounds. `property` may be a dotted path of blocks."""
    value = at(inputs, property)
    if not known(value) or not _is_number(value) or low <= float(value) <= high:
        return []
    return [Fault(property, f"{value} is outside {low:g}..{high:g} ({source})")]


def one_of(inputs: Properties, property: str, allowed: Collection[str], source: str) -> list[Fault]:
    value = at(inputs, property)
    if not isinstance(value, str) or value in allowed:
        return []
    return [Fault(property, f"{value!r} is none of {', '.join(sorted(allowed))} ({source})")]


def matches(inputs: Properties, property: str, pattern: str, meaning: str, source: str) -> list[Fault]:
    value = at(inputs, property)
    if not isinstance(value, str) or re.fullmatch(pattern, value):
        return []
    return [Fault(property, f"{value!r} is refused: {meaning} ({source})")]


def ipv4_network(
    inputs: Properties,
    property: str,
    source: str = "terraform-provider-aws verify.ValidateIPv4CIDRBlock",
    prefixes: range = range(33),
) -> list[Fault]:
    """A CIDR block without host bits and with a prefix length in range."""
    value = at(inputs, property)
    if not isinstance(value, str):
        return []
    try:
        network = IPv4Network(value)
    except ValueError as error:
        return [Fault(property, f"{value!r} is not a CIDR block: {error} ({source})")]
    if "/" not in value or network.prefixlen not in prefixes:
        return [Fault(property, f"{value!r}: the prefix length must be {prefixes[0]}..{prefixes[-1]} ({source})")]
    return []


def document(inputs: Properties, property: str, source: str) -> list[Fault]:
    """A policy: a JSON object with statements."""
    value = at(inputs, property)
    if not isinstance(value, str):
        return []
    try:
        policy = json.loads(value)
    except ValueError as error:
        return [Fault(property, f"is not JSON: {error} ({source}: MalformedPolicyDocument)")]
    if not isinstance(policy, dict) or "Statement" not in policy:
        return [Fault(property, f"has no Statement ({source}: MalformedPolicyDocument)")]
    return []


def required(inputs: Properties, *properties: str) -> list[Fault]:
    return [Fault(name, "is required") for name in properties if inputs.get(name) is None]


def at(inputs: Properties, path: str) -> Any:
    node: Any = inputs
    for name in path.split("."):
        node = node.get(name) if isinstance(node, dict) else None
    return node


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
