"""Every object of an environment on a real API server: strict field validation, CRD schemas, and the restricted Pod Security
Standard in force."""

import copy
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from turnout_components.model_deployment import ModelDeployment
from turnout_components.release import parse
from turnout_components.service_namespace import ServiceNamespace

from tests.kubernetes.conftest import Cluster, emptied
from tests.kubernetes.rendered import Object, Strict, objects, of_kind, pod_of
from tests.layout_rules import ROOT
from turnout.engine.provider import ProviderError

SHA, DIGEST = "sha256:" + "ab" * 32, "sha256:" + "cd" * 32
IN_IMAGE: dict[str, Any] = {
    "name": "digits-1.0.0",
    "model": {"name": "digits", "version": "1.0.0", "uri": "file:models/1.0.0.onnx", "sha256": SHA},
    "image": f"registry.example/digits@{SHA}",
    "engine": {"name": "onnxruntime", "flags": []},
    "digest": DIGEST,
}
FETCHED: dict[str, Any] = {
    **IN_IMAGE,
    "model": {"name": "llm", "version": "1.0.0", "uri": "s3://models/llm/1.0.0/", "sha256": SHA},
    "engine": {"name": "vllm", "flags": ["--max-model-len=8192"], "env": {"NCCL_DEBUG": "WARN"}},
}
FETCHER = {"fetch_image": f"public.ecr.aws/aws-cli/aws-cli@{SHA}"}
TARGETS = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/assistant-green/73e2d6bc24d8a067"
EVERYTHING: dict[str, Any] = {
    "release": FETCHED,
    **FETCHER,
    "gpus": 4,
    "cpus": 3.5,
    "efa": 1,
    "minimum": 3,
    "disruptions": 2,
    "liveness_path": "/ping",
    "node_selector": {"turnout.dev/pool": "l4"},
    "runtime_class": "nvidia",
    "pull_secrets": ["registry"],
    "secret_name": "assistant-green",
    "secret_keys": ["HF_TOKEN"],
    "fetch_secret_name": "minio",
    "cache": {"storage_class": "nvme", "size_gib": 30},
    "clients": [{"namespace": "gateway", "pods": {"app": "envoy"}}, {"cidr": "10.0.0.0/20"}],
    "prometheus": {"namespace": "monitoring"},
    "https_cidrs": ["52.216.0.0/15"],
    "boot": {"model": 1},
    "target_group_arn": TARGETS,
    "balancer_security_group_id": "sg-0a1b2c3d",
    "identity": {"cluster_name": "gpus", "region": "us-east-1"},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "smallest": {"release": IN_IMAGE},
    "without release": {},
    "fetched": {"release": FETCHED, **FETCHER},
    "shared claim": {"release": FETCHED, **FETCHER, "cache": {"claim_name": "models"}},
    "scaled": {"release": IN_IMAGE, "scaled": True},
    "everything": EVERYTHING,
    "sharded": {"release": FETCHED, **FETCHER, "nodes_per_replica": 4, "minimum": 2, "efa": 1},
    "mig": {"release": IN_IMAGE, "gpu_resource": "nvidia.com/mig-1g.10gb"},
}


@pytest.fixture(scope="module")
def service(cluster: Cluster) -> Iterator[str]:
    """A service with a namespace of its own."""
    name = f"t{uuid.uuid4().hex[:8]}"
    strict = Strict(cluster.kubeconfig)
    for one in objects(lambda: ServiceNamespace(name, {"service": name, "readiness_gates": True})):
        strict.apply(one)
    yield name
    emptied(cluster.client(), name)


@pytest.fixture
def strict(cluster: Cluster) -> Strict:
    return Strict(cluster.kubeconfig)


def environment(service: str, **changes: Any) -> list[Object]:
    args: Any = {"service": service, "environment": "green", **changes}
    return objects(lambda: ModelDeployment(f"{service}-green", args))


def templates(found: list[Object]) -> list[Object]:
    """Every pod template of a workload."""
    specs = [one["spec"] for one in found]
    sharded = [spec["leaderWorkerTemplate"] for spec in specs if "leaderWorkerTemplate" in spec]
    return [spec["template"] for spec in specs if "template" in spec] + [
        one[key] for one in sharded for key in ("leaderTemplate", "workerTemplate")
    ]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_is_accepted_as_it_is(strict: Strict, service: str, variant: str) -> None:
    for one in environment(service, **VARIANTS[variant]):
        kept = strict.apply(one, dry_run=True)
        assert kept["metadata"]["name"] == one["metadata"]["name"]


@pytest.mark.parametrize("variant", [name for name, args in VARIANTS.items() if args])
def test_its_pods_are_admitted_where_only_restricted_ones_are(strict: Strict, service: str, variant: str) -> None:
    found = environment(service, **VARIANTS[variant])
    strict.apply(of_kind(found, "ServiceAccount"))
    made = templates([one for one in found if "spec" in one])
    assert made
    for template in made:
        strict.apply(pod_of(_placeable(template), service), dry_run=True)


def _placeable(template: Object) -> Object:
    """Without the runtime class: the API server knows none."""
    spec = {key: value for key, value in template["spec"].items() if key != "runtimeClassName"}
    return {**template, "spec": spec}


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*/releases/*.yaml")), ids=lambda path: path.stem)
def test_every_examples_release_is_accepted(strict: Strict, service: str, path: Path) -> None:
    found = environment(service, release=parse(path).for_storage(), **FETCHER)
    for one in found:
        strict.apply(one, dry_run=True)
    strict.apply(of_kind(found, "ServiceAccount"))
    strict.apply(pod_of(of_kind(found, "Deployment")["spec"]["template"], service), dry_run=True)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("securityContext", "runAsNonRoot"), False, "runAsNonRoot"),
        (("securityContext", "seccompProfile"), {"type": "Unconfined"}, "seccompProfile"),
        (("containers", 0, "securityContext", "allowPrivilegeEscalation"), True, "allowPrivilegeEscalation"),
        (("containers", 0, "securityContext", "capabilities"), {}, "capabilities"),
        (("volumes", 1), {"name": "scratch", "hostPath": {"path": "/mnt/nvme"}}, "hostPath"),
    ],
)
def test_the_namespace_refuses_pods_that_may_more(
    strict: Strict, service: str, path: tuple[Any, ...], value: Any, told: str
) -> None:
    found = environment(service, release=IN_IMAGE)
    strict.apply(of_kind(found, "ServiceAccount"))
    pod = pod_of(copy.deepcopy(templates([one for one in found if "spec" in one])[0]), service)
    place = pod["spec"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ProviderError, match=told):
        strict.apply(pod, dry_run=True)


def test_a_field_that_kubernetes_does_not_know_would_be_refused(strict: Strict, service: str) -> None:
    deployment = of_kind(environment(service, release=IN_IMAGE), "Deployment")
    deployment["spec"]["template"]["spec"]["terminationGracePeriod"] = 60
    with pytest.raises(ProviderError, match="terminationGracePeriod"):
        strict.apply(deployment, dry_run=True)


def test_pods_are_put_into_the_cluster_without_a_token_of_the_api_server(strict: Strict, service: str) -> None:
    found = environment(service, release=IN_IMAGE)
    strict.apply(of_kind(found, "ServiceAccount"))
    kept = strict.apply(pod_of(templates([one for one in found if "spec" in one])[0], service), dry_run=True)
    assert not any("serviceAccountToken" in str(volume) for volume in kept["spec"]["volumes"])
