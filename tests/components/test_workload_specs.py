"""The objects around a release's pods: how many run, how they change, and how many may be away."""

from typing import Any

import pytest
from component_args import DIGEST, manifest, target_group
from pod_args import pods
from turnout_components import workload_specs
from turnout_components.pod_rules import faults


def budget(**changes: Any) -> dict[str, Any]:
    found = workload_specs.disruption_budget(pods(**changes))
    return {key: found[key] for key in ("minAvailable", "maxUnavailable") if key in found}


def test_a_deployment_runs_the_minimum_unless_a_scaler_counts() -> None:
    assert workload_specs.deployment(pods(minimum=3), manifest())["replicas"] == 3
    assert workload_specs.deployment(pods(minimum=0), manifest())["replicas"] == 0
    assert "replicas" not in workload_specs.deployment(pods(minimum=3, scaled=True), manifest())


def test_a_deployment_selects_its_own_pods_and_changes_without_a_server_less() -> None:
    found = workload_specs.deployment(pods(), manifest())
    assert found["selector"]["matchLabels"] == found["template"]["metadata"]["labels"]
    assert found["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_a_deployment_is_given_up_later_than_its_servers() -> None:
    assert workload_specs.deployment(pods(launch_timeout=3000), manifest())["progressDeadlineSeconds"] > 3000


def test_a_sharded_model_is_a_leaderworkerset_with_a_pod_a_node() -> None:
    sharded = pods(nodes_per_replica=4, minimum=2)
    assert workload_specs.workload_id(sharded, manifest()) == f"LeaderWorkerSet/assistant/assistant-green-{DIGEST[7:15]}"
    found = workload_specs.leader_worker_set(sharded, manifest())
    assert found["replicas"] == 2
    assert found["leaderWorkerTemplate"]["size"] == 4
    assert found["leaderWorkerTemplate"]["restartPolicy"] == "RecreateGroupOnPodRestart"
    assert "replicas" not in workload_specs.leader_worker_set(pods(nodes_per_replica=4, scaled=True), manifest())


def test_a_workload_is_named_for_its_release() -> None:
    metadata = workload_specs.workload_metadata(pods(), manifest())
    assert metadata["name"] == f"assistant-green-{DIGEST[7:15]}"
    assert metadata["namespace"] == "assistant"
    assert metadata["labels"]["turnout.dev/release"] == DIGEST[7:23]
    assert metadata["annotations"] == {"pulumi.com/skipAwait": "true", "pulumi.com/patchForce": "true"}
    assert workload_specs.workload_id(pods(), manifest()) == f"Deployment/assistant/assistant-green-{DIGEST[7:15]}"


@pytest.mark.parametrize(
    ("changes", "bound"),
    [
        ({"minimum": 4}, {"maxUnavailable": 1}),
        ({"minimum": 4, "disruptions": 2}, {"maxUnavailable": 2}),
        ({"minimum": 4, "disruptions": 9}, {"maxUnavailable": 3}),
        ({"minimum": 2}, {"maxUnavailable": 1}),
        ({"minimum": 1}, {"minAvailable": 1}),
        ({"minimum": 0}, {"minAvailable": 1}),
        ({"minimum": 4, "disruptions": 0}, {"minAvailable": 4}),
        ({"minimum": 1, "nodes_per_replica": 4}, {"minAvailable": 4}),
        ({"minimum": 2, "nodes_per_replica": 4}, {"maxUnavailable": 1}),
        ({"minimum": 3, "nodes_per_replica": 2, "disruptions": 0}, {"minAvailable": 6}),
    ],
)
def test_disruptions_leave_one_of_the_minimum_at_least(changes: dict[str, Any], bound: dict[str, int]) -> None:
    assert faults(pods(**changes), manifest()) == []
    assert budget(**changes) == bound


def test_a_budget_counts_the_environments_pods_and_lets_those_go_that_are_not_ready() -> None:
    found = workload_specs.disruption_budget(pods())
    labels = workload_specs.deployment(pods(), manifest())["template"]["metadata"]["labels"]
    workers = workload_specs.leader_worker_set(pods(nodes_per_replica=2), manifest())["leaderWorkerTemplate"]["workerTemplate"]
    assert found["selector"]["matchLabels"].items() <= labels.items()
    assert found["selector"]["matchLabels"].items() <= workers["metadata"]["labels"].items()
    assert found["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_a_service_leads_to_ready_servers_of_every_release_and_never_to_workers() -> None:
    found = workload_specs.service(pods(port=9000))
    assert found["publishNotReadyAddresses"] is False
    assert found["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    sharded = workload_specs.leader_worker_set(pods(nodes_per_replica=2), manifest())["leaderWorkerTemplate"]
    for release in (manifest(), manifest(digest="sha256:" + "ef" * 32)):
        labels = workload_specs.deployment(pods(), release)["template"]["metadata"]["labels"]
        assert found["selector"].items() <= labels.items()
    assert found["selector"].items() <= sharded["leaderTemplate"]["metadata"]["labels"].items()
    assert not found["selector"].items() <= sharded["workerTemplate"]["metadata"]["labels"].items()


def test_a_target_group_is_bound_by_addresses_of_pods() -> None:
    found = workload_specs.target_group_binding(pods(), target_group("green"), None)
    assert found == {
        "targetGroupARN": target_group("green"),
        "targetType": "ip",
        "serviceRef": {"name": "assistant-green", "port": 80},
    }
    let = workload_specs.target_group_binding(pods(port=9000), target_group("green"), "sg-1")["networking"]["ingress"]
    assert let == [{"from": [{"securityGroup": {"groupID": "sg-1"}}], "ports": [{"protocol": "TCP", "port": 9000}]}]
