"""Which pools a plan makes larger or smaller: instances or pods, GPUs and their memory, before and after. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from turnout_components.gpus import gpus
from turnout_components.policy_resources import at

from turnout.preview import workloads
from turnout.preview.changes import Resource

GROUP = "aws:autoscaling/group:Group"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
POD = "pod"
"""The type of a workload's pods."""


@dataclass(frozen=True)
class Size:
    """A pool at its `minimum` and `maximum` of instances or pods, None where not known. `gpus` and `gib` are of one instance of
    the pool's first type, None where its types are not known; a pod's GPUs have memory that its node knows."""

    minimum: int | None
    maximum: int | None
    type: str = ""
    gpus: float | None = 0
    gib: float | None = 0

    def told(self, of: str) -> str:
        """`3 to 12` of `instances`, `gpus` or `gib`."""
        each = {"instances": 1, "gpus": self.gpus, "gib": self.gib}[of]
        if each is None:
            return "–" if self.type == POD and of == "gib" else "?"
        low, high = ("?" if count is None else _number(count * each) for count in (self.minimum, self.maximum))
        return low if low == high else f"{low} to {high}"


@dataclass(frozen=True)
class Pool:
    """A pool's size before and after; none where there is none."""

    name: str
    before: Size
    after: Size

    @property
    def unit(self) -> str:
        """What is counted."""
        return "pods" if POD in (self.before.type, self.after.type) else "instances"


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
    templates = [each for each in resources if each.type == TEMPLATE]
    groups = [each for each in resources if each.type == GROUP]
    named = Counter(each.pool for each in groups)
    found = {
        each.pool if named[each.pool] == 1 else each.name: _size(each.inputs, _template(each, templates)) for each in groups
    }
    found |= {each.name: _nodes(each.inputs) for each in resources if each.type == NODE_GROUP}
    for each, low, high, gpus_each in workloads.counted(resources):
        found[each.pool] = Size(low, high, POD, gpus_each, None)
    return found


def _nodes(group: Mapping[str, Any]) -> Size:
    """A managed node group's size."""
    bounds = {"minSize": at(group, "scalingConfig.minSize"), "maxSize": at(group, "scalingConfig.maxSize")}
    return _size({**group, **bounds}, {"instanceType": next(iter(group.get("instanceTypes") or ()), "")})


def _template(group: Resource, templates: list[Resource]) -> Mapping[str, Any]:
    """Of several beside the group the one that it names; none where that is not known."""
    beside = [each for each in templates if each.parent == group.parent]
    named = str(group.inputs.get("launchTemplate") or group.inputs.get("mixedInstancesPolicy"))
    found = [each for each in beside if f"${{{each.name}." in named] or beside
    return found[0].inputs if len(found) == 1 else {}


def _size(group: Mapping[str, Any], template: Mapping[str, Any]) -> Size:
    kind = _instance_type(group, template)
    found = gpus(kind)
    limits = _count(group.get("minSize")), _count(group.get("maxSize"))
    if found is None:
        return Size(*limits, kind, None, None)
    return Size(*limits, kind, found.count, found.mib / 1024)


def _count(found: Any) -> int | None:
    try:
        return int(found or 0)
    except (TypeError, ValueError):  # known after the update, or a secret
        return None


def _instance_type(group: Mapping[str, Any], template: Mapping[str, Any]) -> str:
    """The type that is preferred; "" where attributes choose it."""
    mixed = at(group, "mixedInstancesPolicy.launchTemplate.overrides")
    types = [found for each in mixed or () if (found := at(each, "instanceType"))]
    return str(types[0] if types else template.get("instanceType") or "")
