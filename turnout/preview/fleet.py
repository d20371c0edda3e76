"""Which pools a plan makes larger or smaller: instances, GPUs and their memory, before and after. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from turnout_components.gpus import gpus

from turnout.preview.changes import Resource

GROUP = "aws:autoscaling/group:Group"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"


@dataclass(frozen=True)
class Size:
    """A pool at its `minimum` and `maximum` of instances. `gpus` and `gib` are of one instance of the pool's first type, None
    where its types are not known."""

    minimum: int
    maximum: int
    type: str = ""
    gpus: float | None = 0
    gib: float | None = 0

    def told(self, of: str) -> str:
        """`3 to 12` of `instances`, `gpus` or `gib`."""
        each = {"instances": 1, "gpus": self.gpus, "gib": self.gib}[of]
        if each is None:
            return "?"
        low, high = (_number(count * each) for count in (self.minimum, self.maximum))
        return low if low == high else f"{low} to {high}"


@dataclass(frozen=True)
class Pool:
    """A pool's size before and after; none where there is none."""

    name: str
    before: Size
    after: Size


def _number(found: float) -> str:
    return f"{found:.0f}" if found >= 10 else f"{found:.3g}"


NONE = Size(0, 0)


def pools(before: Iterable[Resource], after: Iterable[Resource]) -> tuple[Pool, ...]:
    """The pools whose size or type changes, by name."""
    sizes = [_sizes(list(side)) for side in (before, after)]
    names = sorted(sizes[0].keys() | sizes[1].keys())
    found = (Pool(name, sizes[0].get(name, NONE), sizes[1].get(name, NONE)) for name in names)
    return tuple(pool for pool in found if pool.before != pool.after)


def _sizes(resources: list[Resource]) -> dict[str, Size]:
    templates = {each.parent: each.inputs for each in resources if each.type == TEMPLATE}
    groups = [each for each in resources if each.type == GROUP]
    return {each.pool: _size(each.inputs, templates.get(each.parent, {})) for each in groups}


def _size(group: Mapping[str, Any], template: Mapping[str, Any]) -> Size:
    kind = _instance_type(group, template)
    found = gpus(kind)
    limits = int(group.get("minSize") or 0), int(group.get("maxSize") or 0)
    if found is None:
        return Size(*limits, kind, None, None)
    return Size(*limits, kind, found.count, found.mib / 1024)


def _instance_type(group: Mapping[str, Any], template: Mapping[str, Any]) -> str:
    """The type that is preferred; "" where attributes choose it."""
    mixed = (group.get("mixedInstancesPolicy") or {}).get("launchTemplate") or {}
    types = [each["instanceType"] for each in mixed.get("overrides") or () if each.get("instanceType")]
    return str(types[0] if types else template.get("instanceType") or "")
