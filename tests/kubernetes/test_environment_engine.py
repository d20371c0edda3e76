"""Environments by a program on the local engine, against a real API server: made, left alone, given a release, taken away."""

import uuid
from pathlib import Path

import pytest

from tests.kubernetes.conftest import Cluster
from tests.kubernetes.rendered import Strict, is_ready, until
from tests.providers.kubernetes_program import Project

PROGRAM = """
    from turnout_components.model_deployment import ModelDeployment
    from turnout_components.service_namespace import ServiceNamespace

    def release(digit):
        return {{
            "name": f"digits-{{digit}}.0.0",
            "model": {{"name": "digits", "version": "1", "uri": "file:models/1.onnx", "sha256": "sha256:" + 64 * "a"}},
            "image": "registry.example/digits@sha256:" + 64 * "b",
            "engine": {{"name": "onnxruntime", "flags": []}},
            "digest": "sha256:" + 64 * digit,
        }}

    place = ServiceNamespace("place", {{"service": "{service}"}}, on())
    for name, digit in (("blue", "1"), ("green", "{green}")):
        args = {{"service": "{service}", "environment": name, "namespace": place.namespace, "cpus": 0.5, "memory_gib": 2,
            "shm_gib": 1, "gpus": 0, "release": release(digit) if digit else None}}
        made = ModelDeployment(name, args, on())
        pulumi.export(name, made.group)
"""
OPERATIONS = ("create", "update", "delete", "replace")


@pytest.fixture
def service() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


def test_a_program_makes_environments_replaces_a_release_and_takes_all_away(
    cluster: Cluster, service: str, tmp_path: Path
) -> None:
    project, strict = Project(tmp_path, str(cluster.kubeconfig), "default"), Strict(cluster.kubeconfig)

    def ready(environment: str, digit: str) -> int:
        labels = f"turnout.dev/environment={environment},turnout.dev/release={16 * digit}"
        return sum(is_ready(pod) for pod in strict.list("v1", "Pod", service, labels))

    first = PROGRAM.format(service=service, green="")
    try:
        assert project.up(first).exit_code == 0, project.said()
        until(lambda: ready("blue", "1") == 1, "blue serves")
        assert project.up(first).exit_code == 0, project.said()
        assert [step for operation in OPERATIONS for step in project.steps(operation)] == []
        assert project.up(PROGRAM.format(service=service, green="2")).exit_code == 0, project.said()
        until(lambda: ready("green", "2") == 1, "green serves")
        assert project.up(PROGRAM.format(service=service, green="3")).exit_code == 0, project.said()
        done = {(op, step["urn"].rsplit("::", 1)[1]) for op in OPERATIONS for step in project.steps(op)}
        assert done == {("replace", "green-workload")}
        until(lambda: ready("green", "3") == 1, "green serves the next release")
        assert ready("blue", "1") == 1
    finally:
        assert project.destroy().exit_code == 0, project.said()
    until(lambda: strict.list("apps/v1", "Deployment", service) == [], "no workload is left")
