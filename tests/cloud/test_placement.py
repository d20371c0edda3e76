"""Where instances go, what they are bought as, who leaves, how many are warm."""

from collections import Counter
from random import Random

import pytest

from turnout.cloud.placement import ON_DEMAND, SPOT, Placed, Shares, to_leave, warm_size, zone_for_next


def test_instances_go_to_the_zone_that_has_the_fewest() -> None:
    present: list[str] = []
    for _ in range(7):
        present.append(zone_for_next(["a", "b", "c"], present))
    assert present == ["a", "b", "c", "a", "b", "c", "a"]
    assert zone_for_next(["a", "b"], ["a", "b", "b"]) == "a"


@pytest.mark.parametrize(
    ("base", "percent", "total", "on_demand"),
    [(0, 100, 5, 5), (0, 0, 5, 0), (1, 0, 5, 1), (2, 50, 6, 4), (1, 50, 4, 3), (10, 0, 3, 3)],
)
def test_the_base_is_on_demand_and_the_percentage_is_of_what_is_above_rounded_up(
    base: int, percent: int, total: int, on_demand: int
) -> None:
    shares = Shares(base, percent)
    present: list[str] = []
    for _ in range(total):
        present.append(shares.market_for_next(present))
    assert present.count(ON_DEMAND) == shares.on_demand(total) == on_demand
    assert shares.spot == (percent < 100)


def placed(name: str, zone: str = "a", **changes: object) -> Placed:
    return Placed(name, zone, **changes)  # type: ignore[arg-type]


def test_scale_in_takes_from_the_fullest_zone_then_the_oldest_version_then_the_oldest() -> None:
    group = [
        placed("new", "a", version=2, launched=1.0),
        placed("young", "a", version=1, launched=9.0),
        placed("old", "a", version=1, launched=5.0),
        placed("other", "b", version=1, launched=0.0),
    ]
    assert to_leave(group, 1, ["Default"], Shares()) == ["old"]
    assert to_leave(group, 3, ["Default"], Shares()) == ["old", "young", "other"]
    assert to_leave(group, 1, ["NewestInstance"], Shares()) == ["young"]
    assert to_leave(group, 1, ["OldestInstance"], Shares()) == ["new"]
    assert to_leave(group, 1, ["OldestLaunchTemplate", "NewestInstance"], Shares()) == ["young"]


def test_scale_in_keeps_the_shares_of_on_demand_and_spot() -> None:
    group = [placed("spot", market=SPOT, launched=0.0), placed("first", launched=1.0), placed("second", launched=2.0)]
    assert to_leave(group, 1, ["Default"], Shares(1, 0)) == ["first"]
    assert to_leave(group, 1, ["Default"], Shares(2, 0)) == ["spot"]


def test_protected_instances_never_leave_and_the_zones_stay_even() -> None:
    for seed in range(200):
        chance = Random(seed)
        group = [
            placed(f"i{n}", chance.choice("abc"), launched=chance.random(), protected=chance.random() < 0.3)
            for n in range(chance.randint(0, 12))
        ]
        count = chance.randint(0, 12)
        gone = to_leave(group, count, ["Default"], Shares())
        free = [item for item in group if not item.protected]
        assert len(gone) == len(set(gone)) == min(count, len(free))
        assert not {item.id for item in group if item.protected} & set(gone)
        left = Counter(item.zone for item in group if item.id not in gone)
        for item in free:
            if item.id in gone:
                assert left[item.zone] + 1 >= max((left[other.zone] for other in free if other.id not in gone), default=0), (
                    "never from a zone that has fewer while a fuller one has somebody to give"
                )


@pytest.mark.parametrize(
    ("minimum", "prepared", "maximum", "desired", "size"),
    [
        (0, None, 10, 4, 6),
        (0, -1, 10, 4, 6),
        (0, 6, 10, 4, 2),
        (3, 6, 10, 5, 3),
        (2, 2, 10, 8, 2),
        (0, 3, 10, 5, 0),
        (0, None, 5, 5, 0),
    ],
)
def test_the_warm_pool_is_what_is_prepared_less_what_is_desired_but_its_minimum(
    minimum: int, prepared: int | None, maximum: int, desired: int, size: int
) -> None:
    assert warm_size(minimum, prepared, maximum, desired) == size
