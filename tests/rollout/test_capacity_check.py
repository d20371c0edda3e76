"""How many nodes a candidate cannot have, and why: each rule by a pool that just fits and one that just does not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from turnout.rollout.capacity import Capacity, Market, Pool, Quota, QuotaName, Reservation, check, quota_of
from turnout.rollout.capacity_reader import read

NOW = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
G = QuotaName("L-DB2E81BA", "Running On-Demand G and VT instances")
G_SPOT = QuotaName("L-3819A6DF", "All G and VT Spot Instance Requests")


def pool(limit: float | None = 64, used: int = 0, **more: Any) -> Pool:
    quota = Quota(G, Market.ON_DEMAND, limit, used, 4, "" if limit is not None else "AccessDenied")
    plain = {"group": "green", "serving": 0, "maximum": 20, "types": ("g5.xlarge",), "quotas": (quota,)}
    return Pool(**{**plain, **more})


def asked(found: Pool, wanted: int, lasts: timedelta = HOUR, active_missing: int = 0) -> Capacity:
    return check(found, wanted, NOW, lasts, active_missing)


@pytest.mark.parametrize(
    ("name", "on_demand", "spot"),
    [
        ("g4dn.xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("g6e.48xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("gr6.4xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("vt1.3xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("p4de.24xlarge", "L-417A185B", "L-7212CCBC"),
        ("p5en.48xlarge", "L-417A185B", "L-C4BD4855"),
        ("p6-b200.48xlarge", "L-417A185B", None),
        ("m5.large", None, None),
    ],
)
def test_each_family_has_its_quota(name: str, on_demand: str | None, spot: str | None) -> None:
    found = [quota_of(name, market) for market in (Market.ON_DEMAND, Market.SPOT)]
    assert [quota and quota.code for quota in found] == [on_demand, spot]


def test_a_quota_that_is_enough_by_one_vcpu_and_one_that_is_not() -> None:
    assert asked(pool(64, used=48), 4).missing == 0
    short = asked(pool(64, used=49), 4)
    assert (short.missing, short.possible) == (1, 3)
    (shortage,) = short.shortages
    assert shortage.said == (
        "Running On-Demand G and VT instances (L-DB2E81BA): 15 of 64 vCPUs are free, and 4 nodes of 4 vCPUs need 16: ask for "
        "65 by `aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-DB2E81BA --desired-value "
        "65`, or set max_surge and swap nodes"
    )


def test_a_new_account_has_no_quota_at_all() -> None:
    short = asked(pool(0), 3)
    assert (short.missing, "ask for 12 by" in short.shortages[0].said) == (3, True)


def test_nodes_that_run_already_need_no_more() -> None:
    assert asked(pool(64, used=64, serving=4), 4).missing == 0
    assert asked(pool(64, used=64, serving=4), 6).missing == 2


def test_the_active_side_keeps_what_it_needs() -> None:
    assert asked(pool(64, used=48), 4, active_missing=0).missing == 0
    assert asked(pool(64, used=48), 4, active_missing=3).missing == 3


def test_a_stopped_warm_pool_takes_vcpus_when_it_starts_and_a_running_one_has_them() -> None:
    stopped = asked(pool(64, used=56, warm=3), 4)
    assert (stopped.missing, stopped.told) == (2, ("3 of 4 new nodes come from the warm pool",))
    assert asked(pool(64, used=56, warm=3, warm_runs=True), 4).missing == 0


def test_a_maximum_below_the_need_is_said_with_the_setting() -> None:
    short = asked(pool(640, maximum=3), 5)
    assert short.missing == 2
    assert short.shortages[0].said == "green may have 3 nodes and needs 5: raise turnout:pool.maximum to 5 or more"


def test_the_tightest_of_several_shortages_counts() -> None:
    short = asked(pool(64, used=60, maximum=3), 5)
    assert (short.missing, len(short.shortages)) == (4, 2)


def test_a_reservation_is_filled_first_and_on_demand_goes_on() -> None:
    """Its free places are in `used` already: with all vCPUs used, only they are left."""
    held = Reservation("cr-1", False, "active", 2)
    assert asked(pool(64, used=64, reservation=held), 2).missing == 0
    assert asked(pool(64, used=64, reservation=held), 3).missing == 1
    assert asked(pool(64, used=60, reservation=held), 3).missing == 0
    gone = asked(pool(64, used=64, reservation=replace(held, state="expired")), 1)
    assert (gone.missing, gone.told) == (1, ("Capacity Reservation cr-1 is expired: nodes are On-Demand without it",))


def test_a_block_bounds_its_nodes_whatever_the_quota() -> None:
    held = Reservation("cr-2", True, "active", 2, NOW + timedelta(hours=24))
    assert asked(pool(0, serving=1, reservation=held), 3).missing == 0
    short = asked(pool(0, serving=1, reservation=held), 5)
    assert short.missing == 2
    assert "has 2 free places and the candidate needs 4 more nodes" in short.shortages[0].said
    assert asked(pool(0, reservation=replace(held, state="scheduled")), 1).missing == 1
    assert asked(pool(None, reservation=held), 2).unknown == ()


def test_a_block_that_ends_within_the_rollout_is_of_no_use() -> None:
    """ "…30 minutes before the end time": a rollout that is over by then fits."""
    held = Reservation("cr-2", True, "active", 4, NOW + timedelta(minutes=90))
    assert asked(pool(0, reservation=held), 4, HOUR).missing == 0
    short = asked(pool(0, reservation=held), 4, HOUR + timedelta(seconds=1))
    assert short.missing == 4
    assert "Capacity Block cr-2 ends its instances from 2026-01-02 04:00 UTC on" in short.shortages[0].said
    assert "extend the block" in short.shortages[0].said


def spot(limit: float, used: int, **more: Any) -> Pool:
    quotas = (Quota(G, Market.ON_DEMAND, 64, 0, 4), Quota(G_SPOT, Market.SPOT, limit, used, 4))
    return pool(**{"quotas": quotas, "base": 1, "percent": 50, "types": ("g5.xlarge", "g6.xlarge", "g6e.xlarge"), **more})


def test_spot_and_on_demand_have_quotas_of_their_own() -> None:
    """Of 5 nodes 1 + 2 are On-Demand and 2 Spot; with 1 Spot node of room it is 4 (1 + 2, 1)."""
    assert asked(spot(8, 0), 5).missing == 0
    short = asked(spot(8, 4), 5)
    assert (short.missing, short.shortages[0].said.partition(":")[0]) == (1, "All G and VT Spot Instance Requests (L-3819A6DF)")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"score": 9}, "Spot placement score 9 of 10"),
        ({"score": 4}, "Spot placement score 4 of 10: Spot may not give them; name more types, or raise on_demand_base"),
        (
            {"score": 3, "types": ("g5.xlarge",)},
            "Spot placement score 3 of 10; with fewer than 3 types it is always low: name more types",
        ),
    ],
)
def test_a_placement_score_is_told_and_takes_no_node_away(more: dict[str, Any], told: str) -> None:
    found = asked(spot(640, 0, **more), 5)
    assert (found.told, found.missing) == ((told,), 0)


def test_a_score_is_not_told_of_a_pool_without_spot() -> None:
    assert asked(pool(640, score=1), 2).told == ()


def test_what_cannot_be_read_is_said_and_refuses_nothing() -> None:
    found = asked(pool(None, unknown=("the warm pool of green cannot be read: AccessDenied",)), 4)
    assert found.missing == 0
    assert found.unknown == (
        "the warm pool of green cannot be read: AccessDenied",
        "Running On-Demand G and VT instances (L-DB2E81BA) cannot be read: AccessDenied",
    )


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 8), st.integers(1, 30), st.integers(0, 100), st.integers(0, 5))
def test_what_is_possible_fits_and_one_more_does_not(
    limit: int, used: int, serving: int, wanted: int, percent: int, base: int
) -> None:
    quotas = (Quota(G, Market.ON_DEMAND, limit, used, 4), Quota(G_SPOT, Market.SPOT, limit, used, 4))
    found = pool(quotas=quotas, serving=serving, maximum=99, percent=percent, base=base)
    possible = asked(found, wanted).possible

    def fits(nodes: int) -> bool:
        new = (found.bought(market, nodes) - found.bought(market, serving) for market in Market)
        return all(4 * each <= max(0, limit - used) for each in new)

    assert min(serving, wanted) <= possible <= wanted
    assert possible <= serving or fits(possible)
    assert possible == wanted or not fits(possible + 1)


RUNNING = (("p6-b200.48xlarge", ""), ("p6-b200.48xlarge", "capacity-block"), ("p6-b200.48xlarge", "spot"), ("m5.large", ""))


class Refusing:
    """A role that may describe its group and nothing else."""

    class exceptions:
        class NoSuchResourceException(Exception):
            pass

    class meta:
        region_name = "us-east-1"

    def describe_auto_scaling_groups(self, **_: Any) -> Any:
        named = {"LaunchTemplateId": "lt-1", "Version": "1"}
        states = ("InService", "Pending:Wait", "Terminating:Wait", "Terminated", "Standby", "Warmed:Running")
        held = [{"LifecycleState": state} for state in states]
        group = {"AutoScalingGroupName": "green", "MaxSize": 4, "Instances": held, "LaunchTemplate": named}
        return {"AutoScalingGroups": [group]}

    def describe_launch_template_versions(self, **_: Any) -> Any:
        return {"LaunchTemplateVersions": [{"LaunchTemplateData": {"InstanceType": "p6-b200.48xlarge"}}]}

    def describe_instance_types(self, **_: Any) -> Any:
        return {"InstanceTypes": [{"InstanceType": "p6-b200.48xlarge", "VCpuInfo": {"DefaultVCpus": 192}}]}

    def __getattr__(self, name: str) -> Any:
        def refuse(**_: Any) -> Any:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, name)

        return refuse

    def get_paginator(self, _: str) -> Any:
        class Pages:
            def paginate(self, **_: Any) -> Any:
                found = [{"InstanceType": name, **({"InstanceLifecycle": kind} if kind else {})} for name, kind in RUNNING]
                block = {"State": "active", "ReservationType": "capacity-block", "AvailableInstanceCount": 5}
                held = {"State": "expired", "ReservationType": "default", "AvailableInstanceCount": 5}
                kinds = [{**each, "InstanceType": "p6-b200.48xlarge"} for each in (block, held)]
                return [{"Reservations": [{"Instances": found}], "CapacityReservations": kinds}]

        return Pages()


def test_a_role_without_rights_leaves_lines_and_no_error() -> None:
    found = read(lambda service: Refusing(), "green", 2)
    assert (found.types, found.maximum, found.serving) == (("p6-b200.48xlarge",), 4, 2)
    answer = asked(found, 2)
    assert answer.missing == 0
    assert [line.partition(" cannot be read: ")[0] for line in answer.unknown] == [
        "the warm pool of green",
        "Running On-Demand P instances (L-417A185B)",
    ]
    assert all("AccessDenied" in line for line in answer.unknown)


def test_spot_and_blocks_and_other_families_are_not_counted_as_on_demand() -> None:
    (quota,) = read(lambda service: Refusing(), "green", 2).quotas
    assert (quota.of.code, quota.used) == ("L-417A185B", 192)


def test_a_family_without_a_known_quota_is_said() -> None:
    class Spot(Refusing):
        def describe_launch_template_versions(self, **_: Any) -> Any:
            data = {"InstanceType": "p6-b200.48xlarge", "InstanceMarketOptions": {"MarketType": "spot"}}
            return {"LaunchTemplateVersions": [{"LaunchTemplateData": data}]}

    unknown = read(lambda service: Spot(), "green", 2).unknown
    assert any(line.startswith("p6-b200.48xlarge Spot: no vCPU quota is known to Turnout") for line in unknown)
