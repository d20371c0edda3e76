"""What tests of the Kubernetes provider share: time that costs nothing, kinds on it, and sample objects."""

from typing import Any

from tests.providers.kubernetes_server import Server
from turnout.engine.provider import ProviderConfig
from turnout.providers.kubernetes import type_of
from turnout.providers.kubernetes.tokens import kind_of
from turnout.providers.kubernetes.types import KubernetesType
from turnout.providers.kubernetes.waiting import Clock

TOKEN = "0123456789abcdef"
OURS = "pulumi-kubernetes-01234567"
MAPS, DEPLOYMENTS = "kubernetes:core/v1:ConfigMap", "kubernetes:apps/v1:Deployment"
PLACE = "/api/v1/namespaces/shop/configmaps/prompts"
ROLLED = [
    {"type": "Available", "status": "True"},
    {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
]


class FakeTime:
    """Sleeping costs nothing; `at` does something when so many seconds have passed."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.at: dict[float, Any] = {}

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        for when in [when for when in self.at if when <= self.seconds]:
            self.at.pop(when)()

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.seconds, self.sleep)


def kind(token: str, time: FakeTime) -> KubernetesType:
    found = kind_of(token)
    assert found is not None
    return KubernetesType(token, found, time.clock)


def config(server: Server, timeouts: dict[str, float] | None = None, **inputs: Any) -> ProviderConfig:
    return ProviderConfig({"kubeconfig": server.kubeconfig, **inputs}, timeouts or {})


def prompts(**more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prompts"}, "data": {"a": "1"}, **more}


def deployment(**metadata: Any) -> dict[str, Any]:
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "m"}},
        "template": {"spec": {"containers": [{"name": "server"}]}},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "m", **metadata}, "spec": spec}


def kind_named(token: str) -> KubernetesType:
    """The type of `apps/v1:Deployment`."""
    found = type_of(f"kubernetes:{token}")
    assert found is not None
    return found
