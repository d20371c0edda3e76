"""The objects around a release's pods, from plain values: workload, disruption budget, Service, binding to a target group."""

from typing import Any

from turnout_components import kubernetes_names as names
from turnout_components import pod_template
from turnout_components.pod_rules import Pods, Release

LEADER_WORKER_SET = "leaderworkerset.x-k8s.io/v1"
TARGET_GROUP_BINDING = "elbv2.k8s.aws/v1beta1"
WAITS = {"pulumi.com/skipAwait": "true"}
"""The gate waits for servers, as on EC2: `pulumi up` would else stop where an environment that carries nothing is not ready
("apps/v1 Deployment" and "core/v1 Service", Pulumi Kubernetes: ready within 10 minutes)."""
SHARED = {"pulumi.com/patchForce": "true"}
"""Gate, rollbacks and rollouts move some of the fields by a manager of their own; what the program declares is what the record
says ("Managing Resources with Server-Side Apply", Pulumi)."""
LOAD_SLACK = 900
"""Seconds beside the load time in which a node appears, the image is pulled and the model fetched."""


def kind(pods: Pods) -> str:
    """The kind of workload that runs the pods."""
    return "LeaderWorkerSet" if pods["nodes_per_replica"] > 1 else "Deployment"


def workload_id(pods: Pods, release: Release) -> str:
    """The workload as the switch record names it."""
    name = names.workload_name(pods["service"], pods["environment"], release["digest"])
    return str(names.ObjectId(kind(pods), pods["namespace"], name))


def metadata(pods: Pods, name: str, **annotations: str) -> dict[str, Any]:
    """Name, namespace and labels of an environment's object."""
    labels = names.environment_labels(pods["service"], pods["environment"])
    found: dict[str, Any] = {"name": name, "namespace": pods["namespace"], "labels": labels}
    return {**found, "annotations": annotations} if annotations else found


def workload_metadata(pods: Pods, release: Release) -> dict[str, Any]:
    """Those of the workload, with the release that it runs."""
    name = names.workload_name(pods["service"], pods["environment"], release["digest"])
    found = metadata(pods, name, **WAITS, **SHARED)
    found["labels"][names.RELEASE_LABEL] = names.release_label(release["digest"])
    return found


def deployment(pods: Pods, release: Release) -> dict[str, Any]:
    """A Deployment's spec. Another release is another Deployment; what else changes rolls without a server less.

    Without `replicas` where a scaler counts them ("Horizontal Pod Autoscaling", Kubernetes: Migrating Deployments)."""
    return {
        **_replicas(pods),
        "selector": {"matchLabels": pod_template.pod_labels(pods, release, names.SERVER)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "progressDeadlineSeconds": int(pods["launch_timeout"]) + LOAD_SLACK,
        "revisionHistoryLimit": 2,
        "template": pod_template.server(pods, release),
    }


def leader_worker_set(pods: Pods, release: Release) -> dict[str, Any]:
    """A LeaderWorkerSet's spec: each replica is a leader that answers and the workers that hold the model with it; where one of
    them fails all of them start again ("LeaderWorkerSet API", kubernetes-sigs/lws)."""
    return {
        **_replicas(pods),
        "startupPolicy": "LeaderCreated",
        "rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": {"maxSurge": 1, "maxUnavailable": 0}},
        "networkConfig": {"subdomainPolicy": "Shared"},
        "leaderWorkerTemplate": {
            "size": int(pods["nodes_per_replica"]),
            "restartPolicy": "RecreateGroupOnPodRestart",
            "leaderTemplate": pod_template.server(pods, release),
            "workerTemplate": pod_template.worker(pods, release),
        },
    }


def _replicas(pods: Pods) -> dict[str, int]:
    return {} if pods["scaled"] else {"replicas": int(pods["minimum"])}


def disruption_budget(pods: Pods) -> dict[str, Any]:
    """A PodDisruptionBudget's spec: drains and upgrades take `disruptions` servers away at once, and never the last of the
    minimum: a budget that allows none waits until there are more.

    By `maxUnavailable` where it can be: it holds at every size that a scaler chooses. Pods that are not ready may go, else a
    node with a broken one could never be drained ("Specifying a Disruption Budget for your Application", Kubernetes).
    In pods: one that is away takes its whole replica with it, and the others are not counted as healthy then."""
    minimum, nodes = int(pods["minimum"]), int(pods["nodes_per_replica"])
    away = min(int(pods["disruptions"]), minimum - 1)
    bound = {"maxUnavailable": away} if away > 0 else {"minAvailable": max(minimum, 1) * nodes}
    return {
        **bound,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": names.environment_labels(pods["service"], pods["environment"])},
    }


def service(pods: Pods) -> dict[str, Any]:
    """A Service's spec: ready servers of the environment, whatever their release."""
    return {
        "type": "ClusterIP",
        "publishNotReadyAddresses": False,
        "selector": names.server_labels(pods["service"], pods["environment"]),
        "ports": [{"name": "http", "port": names.SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}],
    }


def target_group_binding(pods: Pods, target_group_arn: str, balancer: str | None) -> dict[str, Any]:
    """A TargetGroupBinding's spec: pods are targets by their addresses, as readiness gates demand ("Pod readiness gate", AWS
    Load Balancer Controller). `balancer`: the load balancer's security group, which is then let to the pods
    ("TargetGroupBinding", same: networking)."""
    found: dict[str, Any] = {
        "targetGroupARN": target_group_arn,
        "targetType": "ip",
        "serviceRef": {"name": names.service_name(pods["service"], pods["environment"]), "port": names.SERVICE_PORT},
    }
    if balancer:
        rule = {"from": [{"securityGroup": {"groupID": balancer}}], "ports": [{"protocol": "TCP", "port": int(pods["port"])}]}
        found["networking"] = {"ingress": [rule]}
    return found
