"""What of an environment's scaling is refused, and with which words."""

from datetime import UTC, datetime
from typing import Any

import pytest
from component_args import BALANCER, target_group
from turnout_components import cron
from turnout_components.scaling_rules import STEP_DEFAULTS, bounds_now, faults, missing_data, refuse, uses_step

ALB = {"target_group_arn": target_group("green"), "load_balancer_arn": BALANCER}


def schedule(**changes: Any) -> dict[str, Any]:
    return {"name": "morning", "cron": "0 8 * * MON-FRI", "minimum": 2, **changes}


def found(**scaling: Any) -> list[tuple[str, str]]:
    return [(fault.field, fault.reason) for fault in faults(scaling)]


@pytest.mark.parametrize(
    "scaling",
    [
        {},
        {"step": {}},
        {"step": {"pending": 0, "gpu": 99, "idle_gpu": 98, "idle_minutes": 1440, "add": 1, "remove": 3}},
        {"step": {"missing_data": "ignore"}},
        {"target_tracking": {"gpu_utilization": 70, "queue_length": 4}},
        {"target_tracking": {"requests_per_target": 600}, "step": {}, **ALB},
        {"schedules": [schedule(), schedule(name="evening", cron="0 20 * * *", minimum=1, maximum=1, desired=1)]},
        {"predictive": {"gpu_utilization": 60, "mode": "forecast_and_scale", "launch_ahead": 0}},
        {"predictive": {"requests_per_target": 600}, **ALB},
    ],
)
def test_rules_that_hold_together_pass(scaling: dict[str, Any]) -> None:
    assert faults(scaling, 1, 6) == []
    refuse(scaling)


@pytest.mark.parametrize(
    ("scaling", "field", "reason"),
    [
        ({"target_tracking": {"cpu": 3}}, "target_tracking.cpu", "no metric that can be tracked"),
        ({"target_tracking": {"queue_length": 0}}, "target_tracking.queue_length", "is no target"),
        ({"target_tracking": {"gpu_utilization": 100}}, "target_tracking.gpu_utilization", "never exceeded"),
        (
            {"target_tracking": {"gpu_utilization": 70}, "step": {}},
            "target_tracking.gpu_utilization",
            "step.gpu follow the same",
        ),
        ({"target_tracking": {"queue_length": 5}, "step": {}}, "target_tracking.queue_length", "step.pending follow"),
        ({"target_tracking": {"requests_per_target": 9}}, "target_tracking.requests_per_target", "load balancer"),
        ({"step": {"gpus": 3}}, "step.gpus", "no part of the rule"),
        ({"step": {"idle_gpu": 80}}, "step.idle_gpu", "overlaps step.gpu of 80"),
        ({"step": {"gpu": 100}}, "step.gpu", "from 1 to 99"),
        ({"step": {"add": 0}}, "step.add", "of 1 or more"),
        ({"step": {"remove": 0}}, "step.remove", "of 1 or more"),
        ({"step": {"pending": -1}}, "step.pending", "of 0 or more"),
        ({"step": {"idle_minutes": 1441}}, "step.idle_minutes", "from 1 to 1440"),
        ({"step": {"missing_data": "breaching"}}, "step.missing_data", "lets minutes without data scale in"),
        ({"step": {"missing_data": "fine"}}, "step.missing_data", "is no treatment"),
        ({"schedules": [schedule(), schedule(cron="1 8 * * *")]}, "schedules[1].name", "earlier schedule"),
        ({"schedules": [schedule(name="")]}, "schedules[0].name", "names no schedule"),
        ({"schedules": [schedule(name="turnout-step-down")]}, "schedules[0].name", "a flip's own"),
        ({"schedules": [schedule(cron="0 25 * * *")]}, "schedules[0].cron", "the hour 25 is not from 0 to 23"),
        ({"schedules": [schedule(), schedule(name="b")]}, "schedules[1].cron", "the time of morning too"),
        ({"schedules": [schedule(time_zone="Mars/Base")]}, "schedules[0].time_zone", "no time zone"),
        ({"schedules": [schedule(minimum=None)]}, "schedules[0]", "changes nothing"),
        ({"schedules": [schedule(minimum=3, maximum=2)]}, "schedules[0].minimum", "above the maximum of 2"),
        ({"schedules": [schedule(minimum=3, desired=2)]}, "schedules[0].desired", "below the minimum of 3"),
        ({"schedules": [schedule(maximum=3, desired=4)]}, "schedules[0].desired", "above the maximum of 3"),
        ({"schedules": [schedule(minimum=-1)]}, "schedules[0].minimum", "no number of instances"),
        ({"predictive": {}}, "predictive", "has no metric to forecast"),
        ({"predictive": {"cpu_utilization": 5, "gpu_utilization": 5}}, "predictive", "names 2 metrics"),
        ({"predictive": {"cpu_utilization": 0}}, "predictive.cpu_utilization", "is no target"),
        ({"predictive": {"requests_per_target": 5}}, "predictive.requests_per_target", "load balancer"),
        ({"predictive": {"cpu_utilization": 5, "mode": "scale"}}, "predictive.mode", "is no mode"),
        ({"predictive": {"cpu_utilization": 5, "launch_ahead": 3600}}, "predictive.launch_ahead", "not below an hour"),
    ],
)
def test_what_aws_refuses_or_would_fight_itself_is_refused(scaling: dict[str, Any], field: str, reason: str) -> None:
    ((at, why),) = found(**scaling)
    assert at == field
    assert reason in why
    with pytest.raises(ValueError, match="; "):
        refuse(scaling)


def test_the_pools_own_bounds_are_looked_at() -> None:
    assert [fault.field for fault in faults({}, 3, 2)] == ["minimum"]


def test_a_schedules_minimum_above_the_pools_maximum_is_refused() -> None:
    (fault,) = faults({"schedules": [schedule(minimum=7)]}, 1, 6)
    assert (fault.field, fault.reason) == ("schedules[0].minimum", "is above the pool's maximum 6")
    (fault,) = faults({"schedules": [schedule(minimum=None, maximum=1)]}, 2, 6)
    assert (fault.field, fault.reason) == ("schedules[0].maximum", "is below the pool's minimum 2")


def test_the_bounds_of_now_are_those_of_the_schedule_that_came_last() -> None:
    day = {"cron": "0 7 * * MON-FRI", "time_zone": "Europe/Berlin", "minimum": 6}
    night = {"cron": "0 20 * * MON-FRI", "time_zone": "Europe/Berlin", "minimum": 3, "maximum": 9}

    def at(text: str) -> tuple[int, int]:
        return bounds_now([day, night], 1, 12, datetime.fromisoformat(text).replace(tzinfo=UTC))

    assert at("2026-11-20T06:00:00") == (6, 9), "Friday, eight in Berlin: since seven"
    assert at("2026-11-20T19:00:00") == (3, 9), "at the minute itself"
    assert at("2026-11-22T12:00:00") == (3, 9), "Sunday: as Friday evening left it"
    assert bounds_now([], 1, 12, datetime.now(UTC)) == (1, 12)


def test_the_seeds_rule_is_the_default_where_nothing_else_follows_the_load() -> None:
    assert uses_step({})
    assert uses_step({"schedules": [schedule()]})
    assert not uses_step({"target_tracking": {"gpu_utilization": 70}})
    assert (STEP_DEFAULTS["pending"], STEP_DEFAULTS["gpu"], STEP_DEFAULTS["add"]) == (50, 80, 2)
    assert (STEP_DEFAULTS["idle_gpu"], STEP_DEFAULTS["idle_minutes"], STEP_DEFAULTS["remove"]) == (30, 5, 1)


def test_silence_may_raise_an_alarm_that_only_adds() -> None:
    assert missing_data("breaching", removes=False) == []
    assert len(missing_data("breaching", removes=True)) == 1


@pytest.mark.parametrize(
    "expression",
    [
        "0 8 * * MON-FRI",
        "*/15 * * * *",
        "30 6 1,15 * *",
        "0 0 29 FEB *",
        "0 0 31 1-3 *",
        "5 4 * * sun",
        "0 0 31 2 1",
        "0 22/2 * * 7",
    ],
)
def test_recurrences_that_come(expression: str) -> None:
    assert cron.fault(expression) is None


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 8 * *", "has 4 fields"),
        ("0 8 ? * MON *", "has 6 fields"),
        ("60 8 * * *", "the minute 60 is not from 0 to 59"),
        ("0 8 * * FUNDAY", "day of the week FUNDAY"),
        ("0 8 0 * *", "the day of the month 0"),
        ("0 8 * 13 *", "the month 13"),
        ("0 18-8 * * *", "names nothing"),
        ("*/0 8 * * *", "names nothing"),
        ("0 8 L * *", "the day of the month L"),
        ("0 8, * * *", "cannot be read"),
        ("0 0 30 2 *", "names a day that none of its months has"),
        ("0 0 31 4,6,9,11 *", "names a day that none of its months has"),
    ],
)
def test_recurrences_that_cannot_be(expression: str, reason: str) -> None:
    assert reason in (cron.fault(expression) or "")
