from typing import Any

import pulumi
from component_args import BALANCER, RELEASE_ID, SERVICE, pool_args, target_group
from pulumi_aws import ec2
from recording import Recording, record
from turnout_components.environment import Environment
from turnout_components.target_alarms import metric_dimension

NAME = f"{SERVICE}-green"


def environment(**changes: Any) -> Recording:
    args = {**pool_args(), "load_balancer_arn": BALANCER, **changes}

    def program():
        rule = ec2.SecurityGroup("stand-in-for-a-rule")
        made = Environment(NAME, args, pulumi.ResourceOptions(depends_on=[rule]))
        return {"group": made.group_name, "release": made.release, "target_group": made.target_group_arn}

    return record(program)


def test_an_environment_without_release_has_no_pool_and_no_alarm():
    made = environment(release=None)
    assert made.names() == ["stand-in-for-a-rule", NAME]
    assert made.outputs == {"group": None, "release": None, "target_group": target_group("green")}


def test_an_environment_with_release_runs_it_in_a_pool():
    made = environment()
    assert made.outputs["release"] == RELEASE_ID
    assert made.outputs["group"] == made.one(":Group").inputs["name"]
    assert made.one(":GpuNodePool").parent == NAME


def test_the_pools_group_comes_after_what_the_environment_comes_after():
    assert "stand-in-for-a-rule" in environment().one(":Group").dependencies


def test_alarms_watch_targets_answers_and_liveness():
    made = environment()
    alarms = {a.inputs["metricName"]: a.inputs for a in made.all(":MetricAlarm")}
    assert set(alarms) == {"UnHealthyHostCount", "HTTPCode_Target_5XX_Count", "StatusCheckFailed"}
    target = {"LoadBalancer": "app/svc/50dc6c495c0c9188", "TargetGroup": "targetgroup/svc-green/73e2d6bc24d8a067"}
    assert alarms["UnHealthyHostCount"]["dimensions"] == target
    assert alarms["HTTPCode_Target_5XX_Count"]["dimensions"] == target
    assert alarms["StatusCheckFailed"]["dimensions"] == {"AutoScalingGroupName": made.outputs["group"]}
    assert alarms["StatusCheckFailed"]["namespace"] == "AWS/EC2"
    assert {a["treatMissingData"] for a in alarms.values()} == {"notBreaching"}
    assert {a["comparisonOperator"] for a in alarms.values()} == {"GreaterThanOrEqualToThreshold"}


def test_behind_a_network_load_balancer_its_own_count_of_unhealthy_targets_is_watched_and_no_status_codes():
    alarms = {a.inputs["metricName"]: a.inputs for a in environment(protocol="TCP").all(":MetricAlarm")}
    assert set(alarms) == {"UnHealthyHostCount", "StatusCheckFailed"}
    assert alarms["UnHealthyHostCount"]["namespace"] == "AWS/NetworkELB"


def test_alarms_tell_the_topics_that_are_given():
    topic = "arn:aws:sns:us-east-1:123456789012:oncall"
    assert {tuple(a.inputs["alarmActions"]) for a in environment(alarm_topic_arns=[topic]).all(":MetricAlarm")} == {(topic,)}


def test_metric_dimensions_are_the_tails_of_arns():
    assert metric_dimension(BALANCER) == "app/svc/50dc6c495c0c9188"
    assert metric_dimension(target_group("blue")) == "targetgroup/svc-blue/73e2d6bc24d8a067"
