"""An operator's command goes to the cluster of its stack: TURNOUT_LOCAL_KUBECONFIG is of local stacks and of no other."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from turnout_components import cluster_access

from tests.cli.conftest import STACK
from turnout.access import connect
from turnout.stacks import load

Asked = Callable[..., str]
EKS = {"status": "ACTIVE", "endpoint": "https://eks.example.com", "certificateAuthority": {"data": "Y2E="}}


def kubeconfig(file: Path, name: str, server: str) -> str:
    known = {
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "users": [{"name": name, "user": {}}],
    }
    file.write_text(yaml.safe_dump({**known, "current-context": name}))
    return str(file)


class Client:
    """AWS's, as far as a cluster is found with it."""

    meta = SimpleNamespace(events=SimpleNamespace(register=lambda *_, **__: None))

    def describe_cluster(self, name: str) -> dict[str, Any]:
        assert name == "gpus"
        return {"cluster": EKS}

    def generate_presigned_url(self, *_: Any, **__: Any) -> str:
        return "https://sts.example.com/"


@pytest.fixture
def asked(project: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The API server that the stack prod with these settings is asked at, with both variables set."""
    monkeypatch.setenv("TURNOUT_LOCAL_KUBECONFIG", kubeconfig(project / "local", "local", "https://127.0.0.1:28549"))
    monkeypatch.setenv("TURNOUT_LOCAL_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("KUBECONFIG", kubeconfig(project / "own", "office", "https://office.example.com"))
    servers: list[str] = []

    def client(config: Any) -> Any:
        servers.append(config.cluster.server)
        return SimpleNamespace(get=lambda *_, **__: {})

    monkeypatch.setattr(cluster_access, "_client", client)

    def ask(**settings: Any) -> str:
        config = {**STACK["config"], **{f"turnout:{key}": value for key, value in settings.items()}}
        (project / "stacks/Pulumi.prod.yaml").write_text(yaml.safe_dump({"config": config}))
        access = connect(load(project, "prod"), project)
        access._clients = {(service, access.stack.region): Client() for service in ("eks", "sts")}
        access.cluster.get("Pod", "team", "p")
        return servers[-1]

    return ask


def test_a_stack_in_a_cluster_that_exists_is_found_by_its_context(asked: Asked) -> None:
    settings = {"platform": "kubernetes", "kubernetes": {"context": "office"}}
    assert asked(cloud="cluster", **settings) == asked(cloud="cluster", platform="kubernetes") == "https://office.example.com"
    assert asked(cloud="local", platform="kubernetes") == "https://127.0.0.1:28549"


def test_a_stack_on_eks_is_found_in_its_account(asked: Asked) -> None:
    settings = {"platform": "eks", "cluster": {"name": "gpus"}}
    assert asked(cloud="aws", **settings) == "https://eks.example.com"
    assert asked(cloud="local", **settings) == "https://127.0.0.1:28549"
