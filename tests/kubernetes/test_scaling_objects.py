"""Objects of scaling, secrets and GPUs against a real API server: strict fields, schemas and rules of the definitions."""

import copy
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from lightkube.resources.autoscaling_v2 import HorizontalPodAutoscaler
from lightkube.types import PatchType
from turnout_components.capacity_placeholder import CapacityPlaceholder
from turnout_components.gpu_support import GpuSupport
from turnout_components.workload_autoscaler import WorkloadAutoscaler
from turnout_components.workload_secrets import WorkloadSecrets

from tests.kubernetes.conftest import Cluster
from tests.kubernetes.rendered import Object, Strict, objects, of_kind, pod_of, until
from turnout.engine.provider import ProviderError

SHA = "sha256:" + "ab" * 32
IMAGE = f"registry.example/some/image@{SHA}"
ROLE = "arn:aws:iam::123456789012:role/reads"
PROMETHEUS = {"address": "http://prometheus.monitoring.svc:9090"}
QUEUE = {"url": "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs", "region": "eu-west-1"}
DAY = {"name": "day", "cron": "0 8 * * MON-FRI", "until": "0 18 * * MON-FRI", "minimum": 4, "time_zone": "Europe/Berlin"}
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:turnout/llm/HF_TOKEN-AbCdEf"
SCALERS: dict[str, dict[str, Any]] = {
    "the rule": {"prometheus": PROMETHEUS},
    "asleep": {"prometheus": PROMETHEUS, "minimum": 0, "maximum": 0},
    "sharded": {"prometheus": PROMETHEUS, "kind": "LeaderWorkerSet"},
    "everything": {
        "prometheus": {**PROMETHEUS, "region": "eu-west-1"},
        "queue": QUEUE,
        "role_arn": ROLE,
        "step": {"pending": 20, "idle_minutes": 10},
        "target_tracking": {"running_requests": 12.5, "messages": 5, "cpu_utilization": 60},
        "schedules": [DAY],
        "fallback": {"minimum": 4, "failures": 5},
        "warmup": 300,
    },
    "paced": {
        "prometheus": PROMETHEUS,
        "target_tracking": {"queue_length": 4, "gpu_utilization": 70},
        "growth": {"pods": 4, "percent": 100, "period": 30, "window": 15},
        "shrinking": {"percent": 10, "window": 600},
    },
    "by hpa": {"by": "hpa"},
    "by hpa asleep": {"by": "hpa", "minimum": 0, "maximum": 0},
    "by hpa, tracked": {
        "by": "hpa",
        "target_tracking": {"queue_length": 4.5, "running_requests": 12, "gpu_utilization": 70, "cpu_utilization": 60},
    },
}


@pytest.fixture
def strict(cluster: Cluster) -> Strict:
    return Strict(cluster.kubeconfig)


def scaler(namespace: str, **changes: Any) -> list[Object]:
    args: Any = {"namespace": namespace, "workload": "assistant-blue-1a2b3c4d", "minimum": 2, "maximum": 10, **changes}
    return objects(lambda: WorkloadAutoscaler("svc-blue", args))


@pytest.mark.parametrize("variant", SCALERS)
def test_every_scaler_is_accepted_as_it_is_and_nothing_is_added_to_its_behaviour(
    strict: Strict, namespace: str, variant: str
) -> None:
    for found in scaler(namespace, **SCALERS[variant]):
        kept = strict.apply(found)
        assert kept["spec"].get("behavior") == found["spec"].get("behavior")
        assert kept["metadata"].get("annotations", {}) == found["metadata"].get("annotations", {})


def test_the_definition_itself_refuses_a_minimum_above_the_maximum(strict: Strict, namespace: str) -> None:
    (found,) = scaler(namespace, prometheus=PROMETHEUS)
    wrong = copy.deepcopy(found)
    wrong["spec"]["minReplicaCount"] = 11
    with pytest.raises(ProviderError, match="minReplicaCount must be less than or equal to maxReplicaCount"):
        strict.apply(wrong, dry_run=True)
    wrong["spec"] |= {"minReplicaCount": 1, "maxReplicas": 3}
    with pytest.raises(ProviderError, match=r"unknown field|field not declared"):
        strict.apply(wrong, dry_run=True)


def test_a_minimum_that_the_switch_has_moved_needs_force_as_the_annotation_says(
    cluster: Cluster, strict: Strict, namespace: str
) -> None:
    (found,) = scaler(namespace, by="hpa")
    strict.apply(found)
    moved = {"spec": {"minReplicas": 5}}
    name = found["metadata"]["name"]
    cluster.client(namespace).patch(HorizontalPodAutoscaler, name, moved, patch_type=PatchType.MERGE, field_manager="turnout")
    with pytest.raises(ProviderError, match=r'"turnout".*minReplicas'):
        strict.apply(found)
    assert found["metadata"]["annotations"]["pulumi.com/patchForce"] == "true"


def test_secrets_are_references_and_stores_of_every_kind(strict: Strict, namespace: str) -> None:
    references = {"A": SECRET, "B": f"{SECRET}#b", "C": "ssm:/c", "D": "vault:secret/data/d#d", "E": "vault:kv/e#e"}
    vault = {"address": "https://vault.example.com:8200", "role": "llm"}
    args: Any = {"namespace": namespace, "name": "llm-blue", "references": references, "region": "us-east-1", "vault": vault}
    found = objects(lambda: WorkloadSecrets("s", {**args, "service_account": "llm-blue", "role_arn": ROLE}))
    assert sorted(one["kind"] for one in found) == ["ExternalSecret", *["SecretStore"] * 4]
    for one in found:
        strict.apply(one)
    assert strict.list("v1", "Secret", namespace) == []
    store = of_kind([one for one in found if one["metadata"]["name"].endswith("-vault")], "SecretStore")
    two = {**store["spec"]["provider"], "aws": {"service": "SecretsManager", "region": "us-east-1"}}
    with pytest.raises(ProviderError, match="at most 1"):
        strict.apply({**store, "spec": {"provider": two}}, dry_run=True)


@pytest.fixture
def gpu_space(strict: Strict) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    strict.delete({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


GPUS: dict[str, dict[str, Any]] = {
    "whole": {},
    "slices": {"sharing": {"kind": "time-slicing", "replicas": 4}, "runtime_class": "nvidia"},
    "mig": {
        "mig_strategy": "mixed",
        "sharing": {"kind": "time-slicing", "replicas": 2, "resource": "nvidia.com/mig-1g.10gb"},
        "node_selector": {"pool": "a100"},
    },
    "mps": {"sharing": {"kind": "mps", "replicas": 10}},
}


@pytest.mark.parametrize("variant", GPUS)
def test_what_runs_on_gpu_nodes_is_admitted_to_its_own_namespace_and_to_no_other(
    strict: Strict, gpu_space: str, variant: str
) -> None:
    args: Any = {"plugin_image": IMAGE, "exporter_image": IMAGE, "namespace": gpu_space, **GPUS[variant]}
    found = objects(lambda: GpuSupport("gpus", args))
    for one in found:
        strict.apply(one)
    pods = [pod_of(one["spec"]["template"], gpu_space, one["metadata"]["name"]) for one in found if one["kind"] == "DaemonSet"]
    assert len(pods) == (3 if variant == "mps" else 2)
    for pod in pods:
        pod["spec"].pop("runtimeClassName", None)
        strict.apply(pod, dry_run=True)
    baseline = {"pod-security.kubernetes.io/enforce": "baseline"}
    strict.apply({**of_kind(found, "Namespace"), "metadata": {"name": gpu_space, "labels": baseline}})
    for pod in pods:
        until(lambda pod=pod: is_refused(strict, pod), "a refusal: admission learns of a namespace's new labels by a watch")  # type: ignore[misc]


def is_refused(strict: Strict, pod: Object) -> bool:
    try:
        strict.apply(pod, dry_run=True)
    except ProviderError as error:
        return "violates PodSecurity" in str(error)
    return False


@pytest.mark.parametrize("by", ["pods", "buffer"])
def test_placeholders_are_accepted_and_admitted_where_only_restricted_pods_are(strict: Strict, gpu_space: str, by: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    strict.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": gpu_space, "labels": labels}})
    image = {"image": IMAGE} if by == "pods" else {}
    args: Any = {"namespace": gpu_space, "name": f"room-{gpu_space}", "replicas": 0, "by": by, "gpus": 4, **image}
    found = objects(lambda: CapacityPlaceholder("room", args))
    for one in found:
        strict.apply(one, dry_run=True)
    template = of_kind(found, "Deployment")["spec"]["template"] if by == "pods" else of_kind(found, "PodTemplate")["template"]
    pod = pod_of(template, gpu_space)
    pod["spec"].pop("priorityClassName", None)
    strict.apply(pod, dry_run=True)
