"""Which pods of an environment on Kubernetes are refused, and in which words."""

from typing import Any

import pytest
from component_args import DIGEST, SERVICE, manifest
from pod_args import in_image, pods
from turnout_components import pod_rules
from turnout_components.pod_rules import faults


def fields(release: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    return [fault.field for fault in faults(pods(**changes), release)]


def test_defaults_are_accepted_for_either_release() -> None:
    assert fields(manifest()) == fields(in_image()) == fields() == []


def test_the_namespace_is_called_as_the_service_unless_it_is_said() -> None:
    assert pods()["namespace"] == "assistant"
    assert pods(namespace="models")["namespace"] == "models"
    assert pods(namespace=None)["namespace"] == "assistant"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"service": "Assistant"}, "service"),
        ({"service": "1st"}, "service"),
        ({"service": "a" * 41}, "service"),
        ({"environment": "Blue"}, "environment"),
        ({"namespace": "models.eu"}, "namespace"),
        ({"namespace": "m" * 64}, "namespace"),
        ({"secret_name": "Has_Underscore", "secret_keys": ["HF_TOKEN"]}, "secret_name"),
        ({"gpus": -1}, "gpus"),
        ({"gpus": 0.5}, "gpus"),
        ({"gpu_resource": "amd.com/gpu"}, "gpu_resource"),
        ({"cpus": 0.01}, "cpus"),
        ({"shm_gib": -1}, "shm_gib"),
        ({"memory_gib": 8, "shm_gib": 8}, "shm_gib"),
        ({"user": 0}, "user"),
        ({"port": 80}, "port"),
        ({"port": 65536}, "port"),
        ({"drain": 3601}, "drain"),
        ({"drain": -1}, "drain"),
        ({"let_go": 0}, "let_go"),
        ({"launch_timeout": 29}, "launch_timeout"),
        ({"minimum": -1}, "minimum"),
        ({"disruptions": -1}, "disruptions"),
        ({"nodes_per_replica": 0}, "nodes_per_replica"),
        ({"health_path": "ready"}, "health_path"),
        ({"health_path": "/ready?x=1"}, "health_path"),
        ({"liveness_path": "/ready"}, "liveness_path"),
        ({"cache": {"host_path": "/mnt/nvme"}}, "cache.host_path"),
        ({"cache": {"size": 3}}, "cache.size"),
        ({"cache": {"size_gib": 0}}, "cache.size_gib"),
        ({"cache": {"storage_class": "gp3", "claim_name": "models"}}, "cache.storage_class"),
        ({"clients": [{"cidr": "10.0.0.0/8"}, {}]}, "clients[1]"),
        ({"clients": [{"cidr": "10.0.0.1/8"}]}, "clients[0].cidr"),
        ({"clients": [{"cidr": "10.0.0.0/8", "namespace": "gateway"}]}, "clients[0]"),
        ({"clients": [{"name": "gateway"}]}, "clients[0].name"),
        ({"prometheus": {}}, "prometheus"),
        ({"https_cidrs": ["10.0.0.0/8", "10.0.0.0"]}, "https_cidrs[1]"),
        ({"https_cidrs": ["everywhere"]}, "https_cidrs[0]"),
        ({"boot": {"modle": 3}}, "boot.modle"),
        ({"secret_name": "assistant"}, "secret_keys"),
        ({"secret_keys": ["HF_TOKEN"]}, "secret_name"),
        ({"secret_name": "assistant", "secret_keys": ["PORT"]}, "secret_keys.PORT"),
        ({"balancer_security_group_id": "sg-1"}, "balancer_security_group_id"),
        ({"fetch_image": "aws-cli:latest"}, "fetch_image"),
        ({"fetch_image": None}, "fetch_image"),
    ],
)
def test_what_kubernetes_refuses_or_what_would_do_nothing_is_refused_by_its_field(changes: dict[str, Any], field: str) -> None:
    assert fields(manifest(), **changes) == [field]


def test_everything_wrong_is_told_at_once_with_value_and_fix() -> None:
    with pytest.raises(ValueError, match="user") as raised:
        pod_rules.refuse(pods(user=0, port=80, service="A"), in_image())
    lines = str(raised.value).splitlines()
    assert len(lines) == 3
    assert "user = 0: is root" in str(raised.value)
    assert all("; write" in line for line in lines)


def test_what_is_not_known_yet_is_not_judged() -> None:
    assert faults({"service": "assistant", "environment": "green"}, manifest()) == []


def test_a_model_in_the_image_needs_no_image_that_fetches_it() -> None:
    assert fields(in_image(), fetch_image=None) == []


def test_a_model_that_no_pod_can_fetch_is_refused() -> None:
    model = {**manifest()["model"], "uri": "gs://models/llm"}
    assert fields(manifest(model=model)) == ["release.model.uri"]


@pytest.mark.parametrize("flags", [["--shutdown-timeout=60"], ["--shutdown-timeout", "60"]])
def test_a_server_that_drains_for_longer_than_its_pod_lives_is_refused(flags: list[str]) -> None:
    release = manifest(engine={"name": "vllm", "flags": flags})
    assert fields(release, drain=60) == []
    assert fields(release, drain=59) == ["release.engine.flags"]


def test_a_model_is_sharded_over_nodes_by_vllm_only() -> None:
    assert fields(manifest(), nodes_per_replica=2) == []
    assert fields(in_image(), nodes_per_replica=2) == ["nodes_per_replica"]


def test_a_sharded_service_leaves_room_for_its_statefulsets_names() -> None:
    assert len(SERVICE) == 40
    assert fields(manifest(), service=SERVICE) == []
    (fault,) = faults(pods(service=SERVICE, nodes_per_replica=2), manifest())
    assert fault.field == "service"
    assert f"{SERVICE}-green-{DIGEST[7:15]}" in fault.reason
    shorter = SERVICE[: 40 - int(fault.fix.rsplit(" ", 1)[1])].rstrip("-")
    assert fields(manifest(), service=shorter, nodes_per_replica=2) == []
