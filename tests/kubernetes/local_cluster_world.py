"""For tests: a local cluster of their own, and the objects of a small blue-green service in it."""

import hashlib
import http.client
import json
import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import psutil
from lightkube import Client
from lightkube.resources.apps_v1 import Deployment
from turnout_components.kubernetes_names import ENVIRONMENT_LABEL, MANIFEST_ANNOTATION, NAME_LABEL

from benchmarks.waiting import wait_for
from tests.running import running
from turnout.cloud import client, images
from turnout.cloud.client import CloudHandle
from turnout.cluster import watching
from turnout.cluster.binaries import Binaries
from turnout.cluster.local import GATEWAY_NAME, GATEWAY_NAMESPACE

IMAGE = Path(__file__).parents[1] / "cloud" / "image"
SPEED = 10.0
DIGESTS = {"blue": "sha256:" + "b" * 64, "green": "sha256:" + "9" * 64}
GATEWAY_DEFINITIONS = ("gatewayclasses", "gateways", "httproutes", "referencegrants", "vap_safeupgrades")
BALANCER_DEFINITIONS = "aws-load-balancer-controller"
DEPLOYMENT = watching.kind("apps", "v1", "Deployment", "deployments")


@dataclass
class World:
    """A running cluster; everything that a test makes is in `namespace`."""

    cloud: CloudHandle
    client: Client
    namespace: str = "default"

    def within(self, namespace: str, labels: Mapping[str, str] | None = None) -> "World":
        """The same cluster, in a namespace that is made."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": dict(labels or {})}})
        return replace(self, namespace=namespace)

    def apply(self, *objects: dict[str, Any]) -> None:
        """Server-side apply, as the kit's own."""
        kinds = {kind.name: kind for kind in (DEPLOYMENT, watching.SERVICE, watching.NAMESPACE, watching.HTTP_ROUTE)}
        kinds |= {kind.name: kind for kind in (watching.TARGET_GROUP_BINDING, watching.GATEWAY)}
        for one in objects:
            kind = kinds[one["kind"]]
            namespace = {"namespace": one["metadata"]["namespace"]} if kind.namespaced else {}
            self.client.apply(kind.main(one), field_manager="test", force=True, **namespace)

    def deployment(self, environment: str, replicas: int, **container: Any) -> dict[str, Any]:
        """A Deployment of the image that `tests/cloud` serves, probed and ended as the kit's pods are."""
        digest = DIGESTS[environment]
        model = "sha256:" + hashlib.sha256((IMAGE / "model.txt").read_bytes()).hexdigest()
        release = {
            "name": f"tiny-{environment}",
            "digest": digest,
            "image": images.read(IMAGE).reference,
            "model": {"name": "m", "version": "1", "uri": "file:model.txt", "sha256": model},
            "engine": {"name": "tiny", "flags": []},
        }
        ready = {"httpGet": {"path": f"/ready?release={digest}", "port": "http"}}
        server = {
            "name": "server",
            "image": release["image"],
            "ports": [{"name": "http", "containerPort": 8000}],
            "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": 300},
            "readinessProbe": {**ready, "periodSeconds": 2, "timeoutSeconds": 5},
            "livenessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 5, "timeoutSeconds": 5},
            "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
            **container,
        }
        labels = {NAME_LABEL: "tiny", ENVIRONMENT_LABEL: environment}
        template = {
            "metadata": {"labels": labels, "annotations": {MANIFEST_ANNOTATION: json.dumps(release)}},
            "spec": {"terminationGracePeriodSeconds": 30, "containers": [server]},
        }
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        return self.object("apps/v1", "Deployment", f"tiny-{environment}", spec)

    def service(self, environment: str) -> dict[str, Any]:
        """The Service in front of an environment."""
        selector = {NAME_LABEL: "tiny", ENVIRONMENT_LABEL: environment}
        ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
        return self.object("v1", "Service", f"tiny-{environment}", {"selector": selector, "ports": ports})

    def route(self, **weights: int) -> dict[str, Any]:
        """The users' route with these weights."""
        backends = [{"name": f"tiny-{name}", "port": 80, "weight": weight} for name, weight in weights.items()]
        parent = {"name": GATEWAY_NAME, "namespace": GATEWAY_NAMESPACE, "sectionName": "http"}
        spec = {"parentRefs": [parent], "rules": [{"backendRefs": backends}]}
        return self.object("gateway.networking.k8s.io/v1", "HTTPRoute", "tiny", spec)

    def object(self, api: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        """An object of the test's namespace."""
        return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": self.namespace}, "spec": spec}

    def pods(self, environment: str) -> list[dict[str, Any]]:
        """The environment's pods as the API has them."""
        labels = {ENVIRONMENT_LABEL: environment}
        return [dict(pod) for pod in self.client.list(watching.POD.main, namespace=self.namespace, labels=labels)]

    def ready(self, environment: str) -> list[str]:
        """The names of the environment's ready pods."""
        return [pod["metadata"]["name"] for pod in self.pods(environment) if is_true(pod, "Ready")]

    def await_ready(self, environment: str, count: int) -> list[str]:
        """Waits until so many pods are there and all are ready."""
        wait_for(
            f"{count} ready pods of {environment}",
            lambda: len(self.ready(environment)) == count == len(self.pods(environment)),
        )
        return self.ready(environment)

    def served(self) -> dict[str, dict[str, Any]]:
        """What the local cluster says of each pod in the namespace."""
        return {one["name"]: one for one in self.cloud.state()["cluster"]["pods"] if one["namespace"] == self.namespace}

    def url(self, listener: str = "http") -> str:
        """Where a listener of the cluster's Gateway really is."""
        listeners = [one for found in self.cloud.state()["cluster"]["gateways"] for one in found["listeners"]]
        return next(str(one["url"]) for one in listeners if one["name"] == listener)

    def end(self) -> None:
        """Ends all servers of the namespace, and waits for it: each is probed many times a second."""
        self.client.deletecollection(Deployment, namespace=self.namespace)
        wait_for("no server", lambda: not self.served())

    def delete_pod(self, name: str) -> None:
        """As `kubectl delete pod --wait=false`."""
        self.client.delete(watching.POD.main, name, namespace=self.namespace)


def is_true(pod: dict[str, Any], condition: str) -> bool:
    """Whether a condition of the pod is True."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == condition and one["status"] == "True" for one in conditions)


@dataclass
class Traffic:
    """Users, one request after another on connections of their own, without a second try."""

    url: str
    hold: float = 0.02
    answers: list[object] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(3)]

    @contextmanager
    def flowing(self) -> Iterator["Traffic"]:
        """Users ask until the block is left."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join(timeout=30)

    def _ask(self) -> None:
        while not self._over.is_set():
            connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
            try:
                connection.request("GET", "/", headers={"x-hold": str(self.hold)})
                answer = connection.getresponse()
                body = json.loads(answer.read()) if answer.status == 200 else {}
                self.digests.append(str(body.get("digest")))
                self.answers.append(answer.status)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.answers.append(repr(error))
            finally:
                connection.close()

    def lost(self) -> dict[object, int]:
        """What was no good answer."""
        return {answer: count for answer, count in Counter(self.answers).items() if answer != 200}

    def passed(self, count: int = 30) -> None:
        """Waits until so many more answers have come."""
        seen = len(self.answers)
        wait_for(f"{count} more answers", lambda: len(self.answers) >= seen + count)


def copy_definitions(source: Path, folder: Path, names: Iterable[str]) -> None:
    """The definitions of these names (of files, without their group)."""
    for name in names:
        (found,) = source.rglob(f"*_{name}.yaml")
        shutil.copy(found, folder)


@contextmanager
def running_cluster(home: Path, binaries: Binaries, *options: str) -> Iterator[World]:
    """A cluster that ends with the block; `options` are its daemon's. It has the custom resources that it serves itself; others
    take their time."""
    assets = home / "assets"
    (assets / "crds").mkdir(parents=True)
    for program in binaries.programs.iterdir():
        if program.is_file():
            (assets / program.name).symlink_to(program)
    copy_definitions(binaries.crds, assets / "crds", GATEWAY_DEFINITIONS)
    shutil.copytree(binaries.crds / BALANCER_DEFINITIONS, assets / "crds" / BALANCER_DEFINITIONS)
    with mock.patch.dict(os.environ, {"KUBEBUILDER_ASSETS": str(assets)}):
        words = ("turnout.cluster", *options)
        cloud = client.start(home, attached=True, images=[IMAGE], speed=SPEED, root=IMAGE, program=words)
    try:
        assert cloud.kubeconfig is not None
        yield World(cloud, watching.connect(cloud.kubeconfig))
        children = psutil.Process(cloud.pid).children(recursive=True)
    except BaseException:
        print((home / "cloud" / "daemon.log").read_text()[-4000:])
        raise
    finally:
        cloud.stop()
    assert not running(children)
