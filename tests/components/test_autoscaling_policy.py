"""What the component registers, with recording mocks."""

from typing import Any

import pytest
from component_args import BALANCER, SERVICE, target_group
from recording import ACCOUNT, Recording, record
from turnout_components.autoscaling_policy import IDLE, AutoscalingPolicy

NAME = f"{SERVICE}-green-scaling"
LABEL = "app/svc/50dc6c495c0c9188/targetgroup/svc-green/73e2d6bc24d8a067"
ALB = {"target_group_arn": target_group("green"), "load_balancer_arn": BALANCER}
GROUP = [{"name": "AutoScalingGroupName", "value": "group-1"}]


def made(**changes: Any) -> Recording:
    args: Any = {"service": SERVICE, "environment": "green", "group_name": "group-1", **changes}
    return record(lambda: {"names": AutoscalingPolicy(NAME, args).policy_names})


def policy(found: Recording, suffix: str) -> Any:
    return found.one(":Policy", suffix).inputs


def alarm(found: Recording, suffix: str) -> Any:
    return found.one(":MetricAlarm", suffix).inputs


def test_three_inputs_make_the_seeds_rule() -> None:
    found = made()
    out, inward = policy(found, "-out"), policy(found, "-in")
    assert len(found.all(":Policy")) == 2
    assert len(found.all(":MetricAlarm")) == 3
    assert out["autoscalingGroupName"] == inward["autoscalingGroupName"] == "group-1"
    assert (out["policyType"], out["adjustmentType"]) == ("StepScaling", "ChangeInCapacity")
    assert out["stepAdjustments"] == [{"scalingAdjustment": 2, "metricIntervalLowerBound": "0"}]
    assert inward["stepAdjustments"] == [{"scalingAdjustment": -1, "metricIntervalLowerBound": "0"}]
    assert "estimatedInstanceWarmup" not in out, "the group's default instance warm-up holds"


def test_either_of_two_alarms_adds() -> None:
    found = made()
    for suffix, metric, statistic, threshold in (
        ("-pending", "PendingRequests", "Sum", 50),
        ("-busy", "GPUUtilization", "Average", 80),
    ):
        inputs = alarm(found, suffix)
        assert (inputs["namespace"], inputs["metricName"], inputs["statistic"]) == ("Turnout", metric, statistic)
        assert (inputs["comparisonOperator"], inputs["threshold"]) == ("GreaterThanThreshold", threshold)
        assert (inputs["period"], inputs["evaluationPeriods"], inputs["datapointsToAlarm"]) == (60, 1, 1)
        assert inputs["dimensions"] == {"AutoScalingGroupName": "group-1"}
        assert inputs["treatMissingData"] == "notBreaching"
        assert inputs["alarmActions"] == [arn(f"{NAME}-out")]


def arn(name: str) -> str:
    return f"arn:aws:autoscaling:us-east-1:{ACCOUNT}:scalingPolicy:1:autoScalingGroupName/group-1:policyName/{name}"


def test_only_five_idle_minutes_that_were_reported_take_one_away() -> None:
    inputs = alarm(made(), "-idle")
    assert inputs["alarmActions"] == [arn(f"{NAME}-in")]
    assert (inputs["evaluationPeriods"], inputs["datapointsToAlarm"]) == (5, 5)
    assert (inputs["comparisonOperator"], inputs["threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert inputs["treatMissingData"] == "notBreaching"
    queries = {query["id"]: query for query in inputs["metricQueries"]}
    assert queries["idle"]["expression"] == IDLE.format(gpu="30")
    assert [name for name, query in queries.items() if query["returnData"]] == ["idle"]
    watched = {name: query["metric"] for name, query in queries.items() if "metric" in query}
    assert {name: (metric["metricName"], metric["stat"]) for name, metric in watched.items()} == {
        "waiting": ("PendingRequests", "Sum"),
        "gpu": ("GPUUtilization", "Average"),
        "waiting_reports": ("PendingRequests", "SampleCount"),
        "gpu_reports": ("GPUUtilization", "SampleCount"),
    }
    assert {metric["period"] for metric in watched.values()} == {60}


def test_the_rules_numbers_can_be_changed() -> None:
    found = made(step={"pending": 7, "gpu": 65, "add": 1, "idle_gpu": 12.5, "idle_minutes": 10, "remove": 2}, warmup=120)
    assert (alarm(found, "-pending")["threshold"], alarm(found, "-busy")["threshold"]) == (7, 65)
    assert policy(found, "-out")["stepAdjustments"][0]["scalingAdjustment"] == 1
    assert policy(found, "-in")["stepAdjustments"][0]["scalingAdjustment"] == -2
    assert policy(found, "-out")["estimatedInstanceWarmup"] == 120
    assert "gpu < 12.5" in alarm(found, "-idle")["metricQueries"][0]["expression"]
    assert alarm(found, "-idle")["evaluationPeriods"] == 10


def test_tracking_replaces_the_step_rule_and_scales_both_ways() -> None:
    found = made(target_tracking={"requests_per_target": 600, "gpu_utilization": 70, "queue_length": 4}, **ALB)
    assert found.all(":MetricAlarm") == [], "AWS makes them"
    requests = policy(found, "-requests")
    assert requests["policyType"] == "TargetTrackingScaling"
    assert requests["targetTrackingConfiguration"] == {
        "targetValue": 600,
        "predefinedMetricSpecification": {"predefinedMetricType": "ALBRequestCountPerTarget", "resourceLabel": LABEL},
    }
    for suffix, metric, target, unit in (("-gpu", "GPUUtilization", 70, "Percent"), ("-queue", "PendingRequests", 4, "Count")):
        config = policy(found, suffix)["targetTrackingConfiguration"]
        named = {"namespace": "Turnout", "metricName": metric, "statistic": "Average", "unit": unit, "metricDimensions": GROUP}
        assert config == {"targetValue": target, "customizedMetricSpecification": named}


def test_beside_the_step_rule_tracking_only_adds() -> None:
    found = made(target_tracking={"requests_per_target": 600}, step={}, **ALB)
    assert policy(found, "-requests")["targetTrackingConfiguration"]["disableScaleIn"] is True
    assert len(found.all(":Policy")) == 3


def test_schedules_leave_alone_what_they_do_not_name() -> None:
    morning = {"name": "morning", "cron": "0 8 * * MON-FRI", "minimum": 4, "time_zone": "Europe/Berlin"}
    evening = {"name": "evening", "cron": "0 20 * * *", "minimum": 1, "maximum": 3, "desired": 1}
    found = made(schedules=[morning, evening])
    first, second = (found.one(":Schedule", name).inputs for name in ("-morning", "-evening"))
    assert (first["recurrence"], first["timeZone"]) == ("0 8 * * MON-FRI", "Europe/Berlin")
    assert (first["minSize"], first["maxSize"], first["desiredCapacity"]) == (4, -1, -1)
    assert (second["minSize"], second["maxSize"], second["desiredCapacity"], second["timeZone"]) == (1, 3, 1, "Etc/UTC")
    assert first["scheduledActionName"] == "morning"


def test_a_forecast_is_looked_at_before_it_scales() -> None:
    config = policy(made(predictive={"cpu_utilization": 50}), "-predictive")["predictiveScalingConfiguration"]
    assert config["mode"] == "ForecastOnly"
    assert config["schedulingBufferTime"] == "300"
    assert config["metricSpecification"] == {
        "targetValue": 50,
        "predefinedMetricPairSpecification": {"predefinedMetricType": "ASGCPUUtilization"},
    }


def test_a_forecast_of_requests_and_of_gpus() -> None:
    found = made(predictive={"requests_per_target": 600, "mode": "forecast_and_scale", "launch_ahead": 900}, **ALB)
    config = policy(found, "-predictive")["predictiveScalingConfiguration"]
    assert (config["mode"], config["schedulingBufferTime"]) == ("ForecastAndScale", "900")
    pair = config["metricSpecification"]["predefinedMetricPairSpecification"]
    assert pair == {"predefinedMetricType": "ALBRequestCount", "resourceLabel": LABEL}
    own = policy(made(predictive={"gpu_utilization": 60}, warmup=30), "-predictive")
    specification = own["predictiveScalingConfiguration"]["metricSpecification"]
    load, use = (specification[f"customized{end}MetricSpecification"]["metricDataQueries"][0] for end in ("Load", "Scaling"))
    assert (load["metricStat"]["stat"], use["metricStat"]["stat"]) == ("Sum", "Average")
    assert load["metricStat"]["metric"] == {"namespace": "Turnout", "metricName": "GPUUtilization", "dimensions": GROUP}
    assert "estimatedInstanceWarmup" not in own


def test_rules_that_fight_are_refused_before_anything_is_registered() -> None:
    with pytest.raises(ValueError, match=r"step\.idle_gpu = 90: overlaps step\.gpu of 80"):
        made(step={"idle_gpu": 90})


def test_every_child_has_the_component_as_parent() -> None:
    found = made(schedules=[{"name": "a", "cron": "0 8 * * *", "desired": 2}], predictive={"cpu_utilization": 5})
    assert {item.parent for item in found.registrations[1:]} == {NAME}
    assert found.outputs["names"] == [f"{NAME}-{suffix}-0a1b2c3" for suffix in ("out", "in", "predictive")]
