"""Instances, GPUs and their memory that a plan gains and loses."""

from typing import Any

from tests.preview.plans import GROUP, TEMPLATE, planned, step
from turnout.preview.changes import UNKNOWN
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


def test_of_a_program_without_components_each_group_is_a_pool_of_the_template_that_it_names() -> None:
    stack = "urn:pulumi:prod::shop::pulumi:pulumi:Stack::shop-prod"
    kinds = {"small": "g5.xlarge", "large": "g5.12xlarge"}
    templates = [
        step("create", f"{name}-t", TEMPLATE, new={"instanceType": kind}, parent=stack) for name, kind in kinds.items()
    ]
    groups = [
        step("create", name, GROUP, new=group(1, 1, launchTemplate={"id": f"${{{name}-t.id}}"}), parent=stack) for name in kinds
    ]
    assert [(pool.name, pool.after.told("gpus")) for pool in found(*templates, *groups)] == [("large", "4"), ("small", "1")]


def test_what_is_not_known_yet_ends_no_preview_and_two_pools_of_a_component_are_two() -> None:
    hidden = step("create", "g", GROUP, new=group(1, 2, maxSize=UNKNOWN, mixedInstancesPolicy=UNKNOWN), parent=PARENT)
    (pool,) = found(hidden)
    assert (pool.after.told("instances"), pool.after.told("gpus")) == ("1 to ?", "?")
    both = [step("create", name, GROUP, new=group(1, 1), parent=PARENT) for name in ("g1", "g2")]
    assert [pool.name for pool in found(template("g5.xlarge"), *both)] == ["g1", "g2"]


def test_of_several_templates_none_is_claimed_where_it_is_not_known_which() -> None:
    templates = [step("create", f"t{n}", TEMPLATE, new={"instanceType": "g5.xlarge"}, parent=PARENT) for n in range(2)]
    hidden = step("create", "g", GROUP, new=group(1, 1, launchTemplate={"id": UNKNOWN}), parent=PARENT)
    assert [pool.after.told("gpus") for pool in found(*templates, hidden)] == ["?"]
