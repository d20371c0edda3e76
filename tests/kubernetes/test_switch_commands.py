"""The operator's commands on a stack of platform kubernetes, against a real API server."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightkube import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Namespace, ServiceAccount
from switched_service import BLUE_RELEASE, GREEN_RELEASE, Service, controller
from turnout_components.cluster_access import by_kubeconfig
from turnout_components.cluster_api import ClusterError
from turnout_components.cluster_rights import RECORD, TRAFFIC, WORKLOADS, missing
from turnout_components.items_cluster import make_namespace
from typer.testing import CliRunner

from turnout.cli import app


@pytest.fixture
def project(cluster, namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose stack `prod` is in the test's cluster and keeps its record in the test's namespace."""
    config: dict[str, Any] = {
        "service": "svc",
        "cloud": "local",
        "platform": "kubernetes",
        "record_table": namespace,
        "releases": "releases",
        "kubernetes": {"namespace": namespace},
        "environments": {"blue": {"release": BLUE_RELEASE}, "green": {"release": GREEN_RELEASE}},
        "traffic": {"active": "blue"},
    }
    (tmp_path / "Pulumi.yaml").write_text("name: turnout\nruntime: python\n")
    stack = {"config": {f"turnout:{key}": value for key, value in config.items()}}
    (tmp_path / "Pulumi.prod.yaml").write_text(yaml.safe_dump(stack))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TURNOUT_LOCAL_KUBECONFIG", str(cluster.kubeconfig))
    monkeypatch.delenv("TURNOUT_LOCAL_ENDPOINT", raising=False)
    return tmp_path


def turnout(*arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--stack", "prod"])


@pytest.mark.usefixtures("project")
def test_init_status_and_rollback_work_on_a_cluster_without_an_account(cluster, namespace):
    made = json.loads(turnout("init", "--json").stdout)
    assert made == {"namespace": namespace, "made": False, "stack": "prod", "missing": []}
    assert "nothing is deployed" in turnout("status").stdout
    service = Service(cluster.kubeconfig, namespace)
    service.expose()
    service.groups |= {name: service.deploy(name, 1) for name in ("blue", "green")}
    with controller(service):
        asyncio.run(service.move("blue"))
        asyncio.run(service.move("green"))
        found = json.loads(turnout("status", "--json").stdout)
        assert (found["active"], found["agrees"]) == ("green", True)
        assert found["environments"][1]["targets"] == {"healthy": 1}
        assert found["environments"][1]["instances"]["in_service"] == 1
        assert turnout("rollback").exit_code == 0
    assert service.weights == {"blue": 100, "green": 0}


def test_a_missing_namespace_is_named_before_and_made_once(cluster, namespace):
    service = Service(cluster.kubeconfig, f"{namespace}-record")
    with pytest.raises(Exception, match="turnout init"):
        service.store.read()
    assert make_namespace(service.api, service.namespace)
    assert not make_namespace(service.api, service.namespace)
    assert service.store.read() is None
    cluster.client().delete(Namespace, service.namespace)


def test_who_has_no_rights_is_told_which_ones_are_missing(cluster, namespace):
    admin = cluster.client(namespace)
    admin.create(ServiceAccount(metadata=ObjectMeta(name="nobody", namespace=namespace)))
    api = by_kubeconfig(kubeconfig=str(cluster.kubeconfig))
    assert missing(api, namespace, (*RECORD, *WORKLOADS, *TRAFFIC)) == []
    client = api._connect()
    client._client._client.headers["Impersonate-User"] = f"system:serviceaccount:{namespace}:nobody"
    with pytest.raises(ApiError, match="forbidden"):
        list(client.list(ConfigMap, namespace=namespace))
    api._client = client
    found = missing(api, namespace, (*RECORD, *TRAFFIC))
    assert f"get, create, update configmaps in namespace {namespace}" in found
    assert f"get, list, patch httproutes.gateway.networking.k8s.io in namespace {namespace}" in found
    with pytest.raises(ClusterError, match="the cluster refuses"):
        api.get("ConfigMap", namespace, "svc.prod")


def test_a_scaler_takes_what_the_switch_writes(cluster, namespace):
    service = Service(cluster.kubeconfig, namespace)
    name = service.deploy("blue", 2)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "svc-blue-1"}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
    meta = {"name": "svc-blue-1", "namespace": namespace}
    hpa = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 4, "metrics": [metric]}
    service.api.create("HorizontalPodAutoscaler", {"metadata": meta, "spec": hpa})
    for act, sizes in (
        (lambda: service.view.set_minimum(name, 3, 5), (3, 5, 3)),
        (lambda: service.view.hold(name, 0), (0, 0, 0)),
        (lambda: service.view.set_minimum(name, 1), (1, 5, 1)),
        (lambda: service.view.hold(name, 2), (2, 2, 2)),
        (lambda: service.view.let_scale(name, 1, 6), (1, 6, 2)),
    ):
        act()
        found = service.view.group(name)
        assert (found.minimum, found.maximum, found.desired) == sizes
    keda = service.deploy("green", 1)
    spec = {
        "scaleTargetRef": {**target, "name": "svc-green-1"},
        "minReplicaCount": 1,
        "triggers": [{"type": "cpu", "metadata": {"value": "60"}}],
    }
    service.api.create("ScaledObject", {"metadata": {**meta, "name": "svc-green-1"}, "spec": spec})
    service.view.hold(keda, 0)
    assert service.view.group(keda).maximum == 0
    service.view.set_minimum(keda, 2)
    found = service.view.group(keda)
    assert (found.minimum, found.maximum, found.desired) == (2, 100, 2)
