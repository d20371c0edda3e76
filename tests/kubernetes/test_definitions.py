"""The custom resources are in force with their rules, and admission is as a real cluster has it."""

import json
from typing import Any

import pytest
from lightkube import ApiError, Client
from lightkube.generic_resource import create_global_resource, create_namespaced_resource
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.core_v1 import Namespace, Pod, ServiceAccount
from lightkube.types import PatchType

from tests.kubernetes.conftest import Cluster
from tests.kubernetes.fleets import until
from turnout.cluster import crds
from turnout.cluster.crds import CrdError

HTTPRoute = create_namespaced_resource("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")
NodePool = create_global_resource("karpenter.sh", "v1", "NodePool", "nodepools")
KINDS = {
    *("GatewayClass", "Gateway", "HTTPRoute", "ReferenceGrant", "NodePool", "NodeClaim", "EC2NodeClass", "CapacityBuffer"),
    *("ScaledObject", "TriggerAuthentication", "ExternalSecret", "SecretStore", "TargetGroupBinding", "LeaderWorkerSet"),
}


@pytest.fixture
def client(cluster: Cluster, namespace: str) -> Client:
    return cluster.client(namespace)


def route(weight: int) -> Any:
    backends = [{"name": "assistant-blue", "port": 80, "weight": weight}]
    return HTTPRoute.from_dict({"metadata": {"name": "assistant"}, "spec": {"rules": [{"backendRefs": backends}]}})


def pod(**container: Any) -> Pod:
    image = "registry.example/server@sha256:" + 64 * "0"
    spec = {"containers": [{"name": "server", "image": image, **container}]}
    return Pod.from_dict({"metadata": {"name": "server"}, "spec": spec})


def refusal(refused: pytest.ExceptionInfo[ApiError]) -> str:
    return str(refused.value.status.message)


def test_every_kind_that_turnout_writes_is_served(client: Client) -> None:
    served = {found.spec.names.kind for found in client.list(CustomResourceDefinition)}
    assert served >= KINDS


def test_a_schema_refuses_what_its_owner_refuses(client: Client) -> None:
    client.create(route(100))
    with pytest.raises(ApiError) as refused:
        client.patch(HTTPRoute, "assistant", {"spec": route(-1)["spec"]}, patch_type=PatchType.MERGE)
    assert "weight" in refusal(refused)


def test_a_rule_in_cel_refuses_what_its_owner_refuses(client: Client) -> None:
    """Of two requirements one must not be of Karpenter's own domain ("NodePools", Karpenter)."""
    reference = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}
    wrong = [{"key": "karpenter.sh/unknown", "operator": "In", "values": ["a"]}]
    template = {"spec": {"nodeClassRef": reference, "requirements": wrong}}
    with pytest.raises(ApiError) as refused:
        client.create(NodePool.from_dict({"metadata": {"name": "wrong"}, "spec": {"template": template}}))
    assert 'label domain "karpenter.sh" is restricted' in refusal(refused)


def test_the_restricted_level_is_enforced_where_a_namespace_asks_for_it(client: Client, namespace: str) -> None:
    level = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    client.patch(Namespace, namespace, level)
    with pytest.raises(ApiError) as refused:
        client.create(pod(securityContext={"privileged": True}))
    assert 'violates PodSecurity "restricted:latest"' in refusal(refused)


def test_a_pod_gets_the_tolerations_and_the_account_that_admission_gives(client: Client) -> None:
    """ "Taints and Tolerations", Kubernetes: DefaultTolerationSeconds; a pod stays 300 s on a node that is silent."""

    def has_account() -> bool:
        return any(found.metadata and found.metadata.name == "default" for found in client.list(ServiceAccount))

    until(has_account, "the namespace's account")
    made = client.create(pod())
    assert made.spec
    assert made.spec.serviceAccountName == "default"
    waits = {found.key: found.tolerationSeconds for found in made.spec.tolerations or []}
    assert waits == {"node.kubernetes.io/not-ready": 300, "node.kubernetes.io/unreachable": 300}


def test_a_definition_that_is_not_served_in_time_is_named(
    client: Client, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crds, "_served", lambda _: {"other"})
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.test.turnout.dev"},
        "spec": {
            "group": "test.turnout.dev",
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    }
    (tmp_path / "thing.yaml").write_text(json.dumps(definition))
    try:
        with pytest.raises(CrdError, match=r"does not serve things\.test\.turnout\.dev after 0 s"):
            crds.install(client, tmp_path, within=0.0)
    finally:
        client.delete(CustomResourceDefinition, "things.test.turnout.dev")
