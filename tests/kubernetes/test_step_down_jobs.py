"""A step-down with nobody present: Kubernetes makes the CronJob's pod, and its containers' commands run here as processes with
the rights of its service account."""

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightkube import Client
from lightkube.codecs import load_all_yaml
from lightkube.models.authentication_v1 import TokenRequestSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import Namespace, Pod, ServiceAccount, ServiceAccountToken
from turnout_components.standby import RETAIN_END, STEP_DOWN, Keep, StandbyPolicy
from turnout_components.step_down_cluster import PLAN, ClusterStepDowns

from tests.kubernetes.conftest import Cluster
from tests.kubernetes.fleets import until
from tests.kubernetes.switched_service import Service

ACCOUNT, IMAGE = "step-down", "registry.k8s.io/kubectl@sha256:" + "b" * 64
DAY = timedelta(hours=24)
WITHIN = 150.0
"""Seconds: a schedule has whole minutes, and its controller looks every ten seconds."""
RIGHTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: step-down, namespace: {namespace}}}
rules:
- {{apiGroups: [apps], resources: [deployments], verbs: [get, patch]}}
- {{apiGroups: [autoscaling], resources: [horizontalpodautoscalers], verbs: [get, patch]}}
- {{apiGroups: [keda.sh], resources: [scaledobjects], verbs: [get, patch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: step-down, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: step-down}}
subjects: [{{kind: ServiceAccount, name: step-down, namespace: {namespace}}}]
"""
"""What docs/switch-on-kubernetes.md asks for."""


@dataclass
class Standby:
    """Blue, which traffic has left, beside green; `now` is what the operator's clock says."""

    service: Service
    client: Client
    folder: Path
    now: datetime
    flipped_at: datetime
    policy: StandbyPolicy

    @property
    def downs(self) -> ClusterStepDowns:
        return ClusterStepDowns(self.service.connect(), image=IMAGE, account=ACCOUNT, clock=lambda: self.now)

    @property
    def blue(self) -> str:
        return str(self.service.groups["blue"])

    def arrange(self) -> None:
        self.downs.arrange(self.blue, self.policy, self.flipped_at, 3)

    def jobs(self) -> dict[str, dict[str, Any]]:
        """CronJobs by their step."""
        found = self.service.api.list("CronJob", self.service.namespace)
        return {re.sub("-[0-9a-f]{16}$", "", job["metadata"]["name"]): job for job in found}

    def sizes(self, environment: str) -> tuple[int, int]:
        """The scaler's minimum and the workload's replicas."""
        namespace, name = self.service.namespace, str(self.service.groups[environment]).split("/")[2]
        scaler, workload = (self.service.api.get(kind, namespace, name) for kind in ("HorizontalPodAutoscaler", "Deployment"))
        return scaler["spec"]["minReplicas"], workload["spec"]["replicas"]

    def versions(self, environment: str) -> list[str]:
        """The objects as they are: whoever writes their spec changes the generation."""
        namespace, name = self.service.namespace, str(self.service.groups[environment]).split("/")[2]
        workload = self.service.api.get("Deployment", namespace, name)["metadata"]
        scaler = self.service.api.get("HorizontalPodAutoscaler", namespace, name)
        return [workload["generation"], workload.get("annotations", {}).get(PLAN), scaler["spec"]]

    def plan(self) -> list[str]:
        return list(self.downs.pending([self.blue])[self.blue])

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """As in the container: nothing of this machine's but the token and the address that a pod finds there."""
        found = shutil.which("kubectl")
        assert found
        words = [found, *arguments]
        home = {"HOME": str(self.folder), "KUBECONFIG": str(self.folder / "kubeconfig"), "PATH": os.environ["PATH"]}
        return subprocess.run(words, capture_output=True, text=True, check=False, env=home, timeout=60)

    def run(self, pod: Any, most: int | None = None) -> list[subprocess.CompletedProcess[str]]:
        """The pod's containers as a kubelet would: one after the other, and none after one that failed. `most`: so many of
        them, then the pod is gone."""
        done: list[subprocess.CompletedProcess[str]] = []
        for container in [*(pod.initContainers or []), *pod.containers][:most]:
            assert container.command is None
            done.append(self.kubectl(*container.args))
            if done[-1].returncode:
                break
        return done


@pytest.fixture
def standby(cluster: Cluster, namespace: str, tmp_path: Path) -> Standby:
    if shutil.which("kubectl") is None:
        pytest.skip("install kubectl")
    service, client = Service(cluster.kubeconfig, namespace), cluster.client(namespace)
    restricted = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    client.create(ServiceAccount(metadata=ObjectMeta(name=ACCOUNT)))
    for made in load_all_yaml(RIGHTS.format(namespace=namespace)):
        client.create(made)  # type: ignore[call-overload]
    for environment in ("blue", "green"):
        service.groups[environment] = service.deploy(environment, 3)
        name = str(service.groups[environment]).split("/")[2]
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        spec = {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 6}
        service.api.create("HorizontalPodAutoscaler", {"metadata": {"name": name, "namespace": namespace}, "spec": spec})
    until(lambda: len(list(client.list(Pod))) == 6, "six servers")
    client.patch(Namespace, namespace, restricted)
    write_kubeconfig(cluster, client, tmp_path)
    now = datetime.now(UTC)
    bake = timedelta(minutes=10)
    return Standby(service, client, tmp_path, now, now - bake + timedelta(seconds=5), StandbyPolicy(Keep.WARM, DAY, bake))


def write_kubeconfig(cluster: Cluster, client: Client, folder: Path) -> None:
    """The service account's way in, by a token as a kubelet asks for it."""
    asked = TokenRequestSpec(audiences=["https://kubernetes.default.svc"], expirationSeconds=3600)
    answer = client.create(ServiceAccountToken(spec=asked, metadata=ObjectMeta(name=ACCOUNT)), ACCOUNT)
    assert answer.status
    given = yaml.safe_load(cluster.kubeconfig.read_text())
    given["users"][0]["user"] = {"token": answer.status.token}
    (folder / "kubeconfig").write_text(yaml.safe_dump(given))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_cronjobs_pod_steps_the_standby_down_and_leaves_the_active_alone(standby: Standby) -> None:
    standby.arrange()
    assert standby.plan() == [STEP_DOWN, RETAIN_END]
    assert sorted(standby.jobs()) == [RETAIN_END, STEP_DOWN]
    active = standby.versions("green")

    made: list[Pod] = []

    def is_made() -> bool:
        made[:] = [pod for pod in standby.client.list(Pod) if pod.spec and pod.spec.serviceAccountName == ACCOUNT]
        return bool(made and made[0].spec and made[0].spec.nodeName)

    until(is_made, "the CronJob's pod on a node", WITHIN)
    (pod,) = made
    assert pod.metadata
    assert pod.metadata.ownerReferences
    job = standby.client.get(Job, pod.metadata.ownerReferences[0].name)
    assert job.metadata
    assert job.metadata.ownerReferences
    assert job.metadata.ownerReferences[0].name == standby.jobs()[STEP_DOWN]["metadata"]["name"]
    assert pod.spec
    assert any(one.name.startswith("kube-api-access") for one in pod.spec.volumes or []), "the pod has its account's token"

    done = standby.run(pod.spec)
    assert [each.returncode for each in done] == [0, 0, 0], done
    assert standby.sizes("blue") == (1, 1)
    assert standby.plan() == [RETAIN_END]
    assert standby.versions("green") == active

    (refused,) = standby.run(pod.spec)
    assert refused.returncode != 0
    assert standby.sizes("blue") == (1, 1)

    standby.now += timedelta(minutes=2)
    standby.arrange()
    assert list(standby.jobs()) == [RETAIN_END]
    until(lambda: pod.metadata.name not in names(standby.client), "the done CronJob's pod goes with it")  # type: ignore[union-attr]


def names(client: Client) -> set[str | None]:
    return {pod.metadata.name for pod in client.list(Pod) if pod.metadata}


def template(standby: Standby, step: str) -> Any:
    """The pod that the step's CronJob makes."""
    spec = standby.jobs()[step]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return Pod.from_dict({"spec": spec}).spec


def test_the_last_step_leaves_no_server_and_no_plan(standby: Standby) -> None:
    standby.arrange()
    steps = [template(standby, step) for step in (STEP_DOWN, RETAIN_END)]
    assert [[each.returncode for each in standby.run(step)] for step in steps] == [[0, 0, 0], [0]]
    assert standby.sizes("blue") == (1, 0)
    assert standby.plan() == []


@pytest.mark.parametrize("containers", [1, 2])
def test_a_pod_that_is_lost_on_its_way_is_followed_by_one_that_does_all_of_it(standby: Standby, containers: int) -> None:
    standby.arrange()
    step = template(standby, STEP_DOWN)
    assert [each.returncode for each in standby.run(step, containers)] == [0] * containers
    assert [each.returncode for each in standby.run(step)] == [0, 0, 0]
    assert (standby.sizes("blue"), standby.plan()) == ((1, 1), [RETAIN_END])


def test_a_standby_that_is_active_again_is_not_stepped_down_by_a_pod_that_was_made_before(standby: Standby) -> None:
    standby.arrange()
    late = template(standby, STEP_DOWN)
    standby.downs.clear(standby.blue)
    assert standby.jobs() == {}
    before = standby.versions("blue")
    (refused,) = standby.run(late)
    assert refused.returncode != 0
    assert standby.versions("blue") == before


FORBIDDEN: dict[str, Callable[[str], list[str]]] = {
    "delete the workload": lambda namespace: ["delete", "deployment", "svc-green-1", "-n", namespace],
    "read secrets": lambda namespace: ["get", "secrets", "-n", namespace],
    "make pods": lambda namespace: ["create", "deployment", "x", "--image=x", "-n", namespace],
    "patch another namespace": lambda _: ["patch", "deployment", "x", "-n", "default", "--type", "merge", "-p", json.dumps({})],
}


def test_the_documented_rights_are_enough_and_no_more(standby: Standby) -> None:
    for what, words in FORBIDDEN.items():
        done = standby.kubectl(*words(standby.service.namespace))
        assert "forbidden" in done.stderr, what
    token = yaml.safe_load((standby.folder / "kubeconfig").read_text())["users"][0]["user"]["token"]
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["sub"] == f"system:serviceaccount:{standby.service.namespace}:{ACCOUNT}"
