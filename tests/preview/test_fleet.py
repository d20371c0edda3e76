"""Instances, GPUs and their memory that a plan gains and loses."""

from typing import Any

from tests.preview.plans import GROUP, TEMPLATE, planned, step
from turnout.preview.fleet import Pool, Size

PARENT = "urn:pulumi:prod::shop::turnout:index:GpuNodePool::blue-pool"


def group(minimum: int, maximum: int, **more: Any) -> dict[str, Any]:
    return {"minSize": minimum, "maxSize": maximum, **more}


def template(kind: str) -> dict[str, Any]:
    return step("same", "t", TEMPLATE, old={"instanceType": kind}, new={"instanceType": kind}, parent=PARENT)


def found(*steps: dict[str, Any]) -> tuple[Pool, ...]:
    return planned(*steps).pools


def test_a_pool_that_grows_is_told_in_instances_gpus_and_memory() -> None:
    grown = step("update", "g", GROUP, old=group(1, 2), new=group(2, 4), parent=PARENT)
    (pool,) = found(template("g5.12xlarge"), grown)
    assert pool.name == "blue-pool"
    assert [pool.before.told(of) for of in ("instances", "gpus", "gib")] == ["1 to 2", "4 to 8", "89 to 179"]
    assert [pool.after.told(of) for of in ("instances", "gpus", "gib")] == ["2 to 4", "8 to 16", "179 to 358"]


def test_a_pool_of_another_type_is_told_and_an_unchanged_one_not() -> None:
    same = step("same", "g", GROUP, old=group(1, 1), new=group(1, 1), parent=PARENT)
    assert found(template("g5.xlarge"), same) == ()
    other = step("update", "t", TEMPLATE, old={"instanceType": "g5.xlarge"}, new={"instanceType": "p5.48xlarge"}, parent=PARENT)
    (pool,) = found(other, same)
    assert (pool.before.told("gpus"), pool.after.told("gpus")) == ("1", "8")


def test_a_pool_that_goes_has_nothing_left() -> None:
    (pool,) = found(template("g5.xlarge"), step("delete", "g", GROUP, old=group(3, 3), parent=PARENT))
    assert pool.after == Size(0, 0)


def test_the_first_of_several_types_counts_and_of_unknown_ones_nothing_is_claimed() -> None:
    mixed = {"launchTemplate": {"overrides": [{"instanceType": "g6e.2xlarge"}, {"instanceType": "g5.xlarge"}]}}
    made = step("create", "g", GROUP, new=group(2, 2, mixedInstancesPolicy=mixed), parent=PARENT)
    (pool,) = found(made)
    assert (pool.after.type, pool.after.told("gib")) == ("g6e.2xlarge", "89")
    by_attributes = {"launchTemplate": {"overrides": [{"instanceRequirements": {"acceleratorCount": {"min": 1}}}]}}
    (pool,) = found(step("create", "g", GROUP, new=group(2, 2, mixedInstancesPolicy=by_attributes), parent=PARENT))
    assert (pool.after.told("instances"), pool.after.told("gpus")) == ("2", "?")
