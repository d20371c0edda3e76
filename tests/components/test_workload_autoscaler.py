"""What the component registers, with recording mocks, and what it refuses."""

from typing import Any

import pulumi
import pytest
from recording import Recording, record
from turnout_components.workload_autoscaler import WorkloadAutoscaler
from turnout_components.workload_scaling_rules import faults

WORKLOAD = "assistant-blue-1a2b3c4d"
PROMETHEUS = {"address": "http://prometheus.monitoring.svc:9090"}
QUEUE = {"url": "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs", "region": "eu-west-1"}
SCALED = "keda.sh/v1alpha1:ScaledObject"
AUTOSCALER = "autoscaling/v2:HorizontalPodAutoscaler"


def arguments(**changes: Any) -> Any:
    given = {"namespace": "assistant", "workload": WORKLOAD, "minimum": 2, "maximum": 10, "prometheus": PROMETHEUS, **changes}
    return {name: value for name, value in given.items() if value is not None}


def made(**changes: Any) -> Recording:
    def program() -> dict[str, Any]:
        component = WorkloadAutoscaler("svc-blue-scaling", arguments(**changes))
        return {"scaler": component.scaler, "query": component.demand_query}

    return record(program)


def spec(**changes: Any) -> Any:
    return made(**changes).one(SCALED).inputs["spec"]


def morning(**changes: Any) -> dict[str, Any]:
    return {"name": "day", "cron": "0 8 * * MON-FRI", "until": "0 18 * * MON-FRI", "minimum": 4, **changes}


def test_five_inputs_make_the_documents_rule_as_one_scaled_object_called_as_the_workload() -> None:
    found = made()
    assert [each.type for each in found.registrations] == [
        "turnout-components:index:WorkloadAutoscaler",
        f"kubernetes:{SCALED}",
    ]
    scaler = found.one(SCALED)
    assert scaler.inputs["metadata"] == {
        "name": WORKLOAD,
        "namespace": "assistant",
        "annotations": {"pulumi.com/patchForce": "true"},
    }
    assert scaler.inputs["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": WORKLOAD},
        "minReplicaCount": 2,
        "maxReplicaCount": 10,
        "advanced": {
            "horizontalPodAutoscalerConfig": {
                "name": WORKLOAD,
                "behavior": {
                    "scaleUp": {
                        "stabilizationWindowSeconds": 0,
                        "selectPolicy": "Max",
                        "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}],
                    },
                    "scaleDown": {
                        "stabilizationWindowSeconds": 300,
                        "selectPolicy": "Min",
                        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
                    },
                },
            }
        },
        "triggers": [
            {
                "type": "prometheus",
                "name": "demand",
                "metricType": "Value",
                "metadata": {
                    "serverAddress": "http://prometheus.monitoring.svc:9090",
                    "query": found.outputs["query"],
                    "threshold": "1",
                    "ignoreNullValues": "false",
                },
            }
        ],
    }
    assert found.outputs["scaler"] == f"ScaledObject/assistant/{WORKLOAD}"


def test_by_hpa_the_rule_follows_a_metric_that_an_adapter_serves() -> None:
    found = made(by="hpa", prometheus=None)
    scaler = found.one(AUTOSCALER)
    assert not found.all(SCALED), "one scaler, never both"
    assert scaler.inputs["metadata"]["name"] == WORKLOAD
    assert scaler.inputs["metadata"]["annotations"] == {"pulumi.com/patchForce": "true"}
    assert scaler.inputs["spec"]["metrics"] == [
        {
            "type": "External",
            "external": {
                "metric": {"name": "turnout_demand", "selector": {"matchLabels": {"workload": WORKLOAD}}},
                "target": {"type": "Value", "value": "1"},
            },
        }
    ]
    assert (scaler.inputs["spec"]["minReplicas"], scaler.inputs["spec"]["maxReplicas"]) == (2, 10)


def test_by_hpa_pods_and_cpu_are_tracked_with_a_gradual_pace() -> None:
    tracked = {"queue_length": 4.5, "gpu_utilization": 70, "cpu_utilization": 60}
    names = {"waiting": "vllm_waiting"}
    inputs = made(by="hpa", prometheus=None, target_tracking=tracked, pod_metrics=names).one(AUTOSCALER).inputs["spec"]
    assert [metric[metric["type"].lower()] for metric in inputs["metrics"]] == [
        {"metric": {"name": "vllm_waiting"}, "target": {"type": "AverageValue", "averageValue": "4.5"}},
        {"metric": {"name": "turnout_gpu_utilization"}, "target": {"type": "AverageValue", "averageValue": "70"}},
        {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
    ]
    assert inputs["behavior"]["scaleUp"]["policies"] == [
        {"type": "Pods", "value": 2, "periodSeconds": 60},
        {"type": "Percent", "value": 50, "periodSeconds": 60},
    ]
    assert inputs["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300


def test_a_queue_is_asked_by_pod_identity_and_no_credential_stands_anywhere() -> None:
    role = "arn:aws:iam::123456789012:role/asks"
    found = made(target_tracking={"messages": 5, "gpu_utilization": 70}, queue=QUEUE, role_arn=role)
    identity = found.one("TriggerAuthentication")
    assert identity.inputs["spec"] == {"podIdentity": {"provider": "aws", "roleArn": role}}
    messages = found.one(SCALED).inputs["spec"]["triggers"][1]
    assert messages == {
        "type": "aws-sqs-queue",
        "name": "messages",
        "metricType": "AverageValue",
        "metadata": {"queueURL": QUEUE["url"], "awsRegion": "eu-west-1", "queueLength": "5"},
        "authenticationRef": {"name": identity.inputs["metadata"]["name"]},
    }
    assert identity.name in found.one(SCALED).dependencies


def test_amazons_prometheus_is_asked_by_pod_identity_too() -> None:
    found = made(prometheus={"address": "https://aps.example/workspaces/ws-1", "region": "eu-west-1"})
    assert found.one("TriggerAuthentication").inputs["spec"] == {"podIdentity": {"provider": "aws"}}
    trigger = found.one(SCALED).inputs["spec"]["triggers"][0]
    assert trigger["metadata"]["awsRegion"] == "eu-west-1"
    assert trigger["authenticationRef"] == {"name": WORKLOAD}


def test_what_pods_have_together_is_divided_by_their_number_and_a_mean_is_not() -> None:
    tracked = {"queue_length": 4, "running_requests": 16, "gpu_utilization": 70, "cpu_utilization": 60}
    own = {**PROMETHEUS, "gpu": "vector(0)", "running": "sum(busy)"}
    triggers = spec(target_tracking=tracked, prometheus=own, warmup=300)["triggers"]
    assert [(each["name"], each["metricType"], each["metadata"].get("threshold")) for each in triggers] == [
        ("queue-length", "AverageValue", "4"),
        ("running-requests", "AverageValue", "16"),
        ("gpu-utilization", "Value", "70"),
        ("cpu-utilization", "Utilization", None),
    ]
    assert [each["metadata"].get("query") for each in triggers[1:3]] == ["sum(busy)", "vector(0)"]


def test_schedules_are_triggers_that_only_raise_and_fallback_never_lowers() -> None:
    found = spec(schedules=[morning(), morning(name="us", time_zone="America/New_York")], fallback={"minimum": 4})
    assert [(each["name"], each["metadata"]) for each in found["triggers"][1:]] == [
        (
            f"schedule-{name}",
            {"timezone": zone, "start": "0 8 * * MON-FRI", "end": "0 18 * * MON-FRI", "desiredReplicas": "4"},
        )
        for name, zone in (("day", "Etc/UTC"), ("us", "America/New_York"))
    ]
    assert found["fallback"] == {"behavior": "currentReplicasIfHigher", "replicas": 4, "failureThreshold": 3}


def test_a_cold_standby_sleeps_and_a_minimum_of_one_is_an_autoscalers_least() -> None:
    scaler = made(minimum=0, maximum=0).one(SCALED)
    assert scaler.inputs["metadata"]["annotations"]["autoscaling.keda.sh/paused-replicas"] == "0"
    assert (scaler.inputs["spec"]["minReplicaCount"], scaler.inputs["spec"]["maxReplicaCount"]) == (0, 1)
    by_hpa = made(minimum=0, maximum=0, by="hpa", prometheus=None).one(AUTOSCALER).inputs["spec"]
    assert (by_hpa["minReplicas"], by_hpa["maxReplicas"]) == (1, 1)


def test_the_switchs_decision_may_be_an_output() -> None:
    decided = pulumi.Output.from_input
    assert spec(minimum=decided(6), workload=decided(WORKLOAD))["minReplicaCount"] == 6
    with pytest.raises(ValueError, match="minimum = 12: is above the maximum of 10"):
        made(minimum=pulumi.Output.from_input(12))


def test_a_leader_worker_set_is_scaled_by_its_groups() -> None:
    target = spec(kind="LeaderWorkerSet")["scaleTargetRef"]
    assert target == {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet", "name": WORKLOAD}


def test_what_is_wrong_is_refused_all_at_once_with_field_value_and_fix() -> None:
    with pytest.raises(ValueError) as error:
        made(by="both", minimum=12, prometheus=None)
    lines = str(error.value).splitlines()
    assert lines == [
        "by = 'both': scales nothing; write keda or hpa: one of them scales a workload, never both",
        "minimum = 12: is above the maximum of 10; write 10 or less",
        "prometheus.address = None: is missing, and the step rule or target_tracking measures by it; "
        "write such as http://prometheus.monitoring.svc:9090",
    ]


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"workload": "Blue"}, "workload", "no name that a label can hold"),
        ({"workload": "a" * 64}, "workload", "no name that a label can hold"),
        ({"namespace": "a_b"}, "namespace", "no name that a label can hold"),
        ({"kind": "StatefulSet"}, "kind", "no workload that the switch knows"),
        ({"minimum": -1}, "minimum", "no number of pods"),
        ({"by": "hpa"}, "prometheus", "asks the cluster's metrics APIs"),
        ({"by": "hpa", "prometheus": None, "schedules": [morning()]}, "schedules", "knows no times"),
        ({"by": "hpa", "prometheus": None, "fallback": {"minimum": 2}}, "fallback", "holds the size"),
        ({"by": "hpa", "prometheus": None, "target_tracking": {"messages": 5}}, "target_tracking.messages", "by KEDA only"),
        ({"pod_metrics": {"gpu": "x"}}, "pod_metrics", "KEDA asks Prometheus itself"),
        ({"demand_metric": "x"}, "demand_metric", "KEDA asks Prometheus itself"),
        ({"prometheus": {"address": "http://user:secret@host"}}, "prometheus.address", "holds a credential"),
        ({"prometheus": {"address": "prometheus:9090"}}, "prometheus.address", "is no URL"),
        ({"target_tracking": {"messages": 5}}, "queue", "whose messages"),
        (
            {"target_tracking": {"messages": 5}, "queue": {"url": "jobs", "region": "eu-west-1"}},
            "queue.url",
            "no URL of a queue",
        ),
        ({"queue": QUEUE}, "queue", "followed by nothing"),
        ({"role_arn": "arn:aws:iam::123456789012:role/a"}, "role_arn", "taken for nothing"),
        ({"target_tracking": {"messages": 5}, "queue": QUEUE, "role_arn": "a"}, "role_arn", "no ARN of a role"),
        ({"target_tracking": {"requests_per_target": 600}}, "target_tracking.requests_per_target", "load balancer"),
        ({"target_tracking": {"tokens": 1}}, "target_tracking.tokens", "no metric that can be tracked"),
        ({"target_tracking": {"queue_length": 0}}, "target_tracking.queue_length", "is no target"),
        ({"target_tracking": {"gpu_utilization": 95}}, "target_tracking.gpu_utilization", "hardly ever exceeded"),
        ({"target_tracking": {"cpu_utilization": 0.5}}, "target_tracking.cpu_utilization", "no whole percentage"),
        ({"target_tracking": {"queue_length": 4}, "step": {}}, "target_tracking.queue_length", "would undo each other"),
        ({"step": {"idle_gpu": 80}}, "step.idle_gpu", "overlaps step.gpu"),
        ({"step": {"idle_minutes": 61}}, "step.idle_minutes", "longer than a stabilisation window"),
        ({"step": {"missing_data": "ignore"}}, "step.missing_data", "nothing scales"),
        ({"warmup": 1801}, "warmup", "no period"),
        ({"growth": {"pods": 1}}, "growth", "said by the step rule"),
        ({"target_tracking": {"queue_length": 4}, "growth": {"window": 5}}, "growth", "never change anything"),
        ({"target_tracking": {"queue_length": 4}, "shrinking": {"percent": 101}}, "shrinking.percent", "more than there is"),
        (
            {"target_tracking": {"queue_length": 4}, "shrinking": {"pods": 1, "window": 3601}},
            "shrinking.window",
            "from 0 to 3600",
        ),
        ({"target_tracking": {"queue_length": 4}, "growth": {"pods": 1, "period": 0}}, "growth.period", "from 1 to 1800"),
        ({"schedules": [morning(name="Day")]}, "schedules[0].name", "no name of a trigger"),
        ({"schedules": [morning(), morning()]}, "schedules[1].name", "earlier schedule"),
        ({"schedules": [morning(minimum=11)]}, "schedules[0].minimum", "above the maximum 10"),
        ({"schedules": [morning(minimum=0)]}, "schedules[0].minimum", "could want"),
        ({"schedules": [morning(maximum=3)]}, "schedules[0].maximum", "a time only raises"),
        ({"schedules": [morning(desired=3)]}, "schedules[0].desired", "a time only raises"),
        ({"schedules": [morning(until="0 8 * * MON-FRI")]}, "schedules[0].until", "when it begins"),
        ({"schedules": [morning(cron="0 8 * * 1-7")]}, "schedules[0].cron", "Sunday by 7"),
        ({"schedules": [morning(cron="0 25 * * *")]}, "schedules[0].cron", "hour 25"),
        ({"schedules": [morning(time_zone="Mars")]}, "schedules[0].time_zone", "no time zone"),
        ({"fallback": {"minimum": 0}}, "fallback.minimum", "no number of pods"),
        ({"fallback": {"minimum": 11}}, "fallback.minimum", "above the maximum 10"),
        ({"fallback": {"minimum": 3, "failures": 0}}, "fallback.failures", "before anything failed"),
        ({"fallback": {"minimum": 3}, "target_tracking": {"cpu_utilization": 60}}, "fallback", "cannot be had for CPU"),
    ],
)
def test_a_contradiction_is_refused(changes: dict[str, Any], field: str, reason: str) -> None:
    found = faults(arguments(**changes))
    assert [(fault.field, reason in fault.reason) for fault in found] == [(field, True)], [str(fault) for fault in found]


def test_nothing_would_wake_a_workload_of_no_pods_that_follows_its_pods() -> None:
    with pytest.raises(ValueError, match="minimum = 0: lets it come down to no pods"):
        made(minimum=0)
    assert spec(minimum=0, schedules=[morning()])["minReplicaCount"] == 0
    assert spec(minimum=0, target_tracking={"messages": 5}, queue=QUEUE)["minReplicaCount"] == 0
