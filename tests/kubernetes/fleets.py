"""Hundreds of simulated nodes, the environments on them, and what may befall both."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from lightkube import ApiError, Client
from lightkube.codecs import from_dict
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Node, Pod
from lightkube.resources.policy_v1 import PodDisruptionBudget
from lightkube.types import PatchType
from turnout_components.kubernetes_names import ENVIRONMENT_LABEL, NAME_LABEL
from turnout_components.model_deployment import ModelDeployment

from tests.components.recording import record
from turnout.cluster.nodes import ZONES, node

FLEET = "turnout.dev/test-fleet"
LOAD = "turnout.dev/test-load"
"""Seconds after which a pod is ready (stages.yaml)."""
SHA = "sha256:" + 64 * "a"
SERVICE = "assistant"


def release(digit: str = "c") -> dict[str, Any]:
    """A release whose model lies in its image."""
    return {
        "name": "llm-1.0.0",
        "model": {"name": "llm", "version": "1.0.0", "uri": "file:models/llm", "sha256": SHA},
        "image": f"registry.example/serving/vllm@{SHA}",
        "engine": {"name": "vllm", "flags": []},
        "digest": "sha256:" + 64 * digit,
    }


def environment(namespace: str, name: str, fleet: str, load: float = 0, **args: Any) -> list[dict[str, Any]]:
    """The objects of `ModelDeployment` as the program registers them, its pods on the fleet's nodes."""
    given = {"service": SERVICE, "environment": name, "namespace": namespace, "release": release(), **args}
    given["node_selector"] = {FLEET: fleet, **args.get("node_selector", {})}
    recording = record(lambda: ModelDeployment(name, given) and None)  # type: ignore[func-returns-value,arg-type]
    objects = [whole(dict(found.inputs)) for found in recording.registrations if found.type.startswith("kubernetes:")]
    for found in objects:
        if found["kind"] == "Deployment":
            found["spec"]["template"]["metadata"]["annotations"][LOAD] = f"{load}s"
    return objects


def whole(value: Any) -> Any:
    """The value with its numbers as they were: Pulumi's protocol has floats only."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def create(client: Client, objects: Iterable[Mapping[str, Any]]) -> None:
    """Puts them into the cluster, the accounts first."""
    for found in sorted(objects, key=lambda item: item["kind"] != "ServiceAccount"):
        client.apply(from_dict(dict(found)), field_manager="turnout-tests")  # type: ignore[call-overload]


@contextmanager
def fleet(client: Client, name: str, kinds: Mapping[str, int]) -> Iterator[list[str]]:
    """So many nodes of each instance type, the types spread over the zones; they go afterwards."""
    made = [
        node(f"{name}-{kind.replace('.', '-')}-{number:03}", kind, ZONES[number % len(ZONES)], {FLEET: name})
        for kind, count in kinds.items()
        for number in range(count)
    ]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: client.create(Node.from_dict(one)), made))
    try:
        yield [str(one["metadata"]["name"]) for one in made]
    finally:
        left = [str(found.metadata.name) for found in client.list(Node, labels={FLEET: name}) if found.metadata]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda called: gone(client, called), left))


def pods(client: Client, namespace: str, name: str) -> list[Pod]:
    """The environment's pods that are not on their way out."""
    found = client.list(Pod, namespace=namespace, labels=labels(name))
    return [pod for pod in found if pod.metadata and pod.metadata.deletionTimestamp is None]


def labels(name: str) -> dict[str, Any]:
    return {NAME_LABEL: SERVICE, ENVIRONMENT_LABEL: name}


def is_ready(pod: Pod) -> bool:
    """Whether it serves: a pod that is told to end does not."""
    if pod.metadata is None or pod.metadata.deletionTimestamp is not None:
        return False
    conditions = (pod.status and pod.status.conditions) or []
    return any(found.type == "Ready" and found.status == "True" for found in conditions)


def nodes_of(found: Iterable[Pod]) -> Counter[str]:
    """How many of the pods each node has."""
    return Counter(pod.spec.nodeName for pod in found if pod.spec and pod.spec.nodeName)


def until(condition: Callable[[], object], what: str, within: float = 90) -> float:
    """Waits for the condition and returns the seconds that it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < within, f"not within {within} s: {what}"
        time.sleep(0.3)
    return time.monotonic() - start


def until_ready(client: Client, namespace: str, name: str, count: int) -> float:
    """Waits for so many servers, and for the disruption controller to have counted them."""
    seconds = until(lambda: sum(map(is_ready, pods(client, namespace, name))) == count, f"{count} ready servers of {name}")
    return seconds + until_counted(client, namespace, name, count)


def until_counted(client: Client, namespace: str, name: str, count: int) -> float:
    """Waits until the environment's budget knows of so many healthy servers."""

    def counted() -> int | None:
        status = client.get(PodDisruptionBudget, budget(client, namespace, name), namespace=namespace).status
        return status and status.currentHealthy

    return until(lambda: counted() == count, f"{count} servers of {name} counted")


def budget(client: Client, namespace: str, name: str) -> str:
    """The name of the environment's disruption budget."""
    (found,) = client.list(PodDisruptionBudget, namespace=namespace, labels=labels(name))
    assert found.metadata
    return str(found.metadata.name)


class Servers:
    """Follows an environment's pods, event by event, and knows the fewest that were ready at any moment."""

    def __init__(self, client: Client, namespace: str, name: str) -> None:
        self._client, self._namespace = client, namespace
        held = client.list(Pod, namespace=namespace, labels=labels(name))
        self.ready = {pod.metadata.name for pod in held if pod.metadata and is_ready(pod)}
        self.fewest = self.first = len(self.ready)
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._follow, args=(name, held.resourceVersion), daemon=True)
        self._thread.start()

    def _follow(self, name: str, version: str) -> None:
        try:
            for change, pod in self._client.watch(
                Pod, namespace=self._namespace, labels=labels(name), resource_version=version
            ):
                assert pod.metadata
                if "turnout.dev/test-end" in (pod.metadata.annotations or {}):
                    return
                if change != "DELETED" and is_ready(pod):
                    self.ready.add(pod.metadata.name)
                else:
                    self.ready.discard(pod.metadata.name)
                self.fewest = min(self.fewest, len(self.ready))
        except BaseException as error:
            self._failed = error

    def end(self) -> int:
        """The fewest, when every event so far was seen."""
        mark = {"metadata": {"annotations": {"turnout.dev/test-end": "true"}}}
        self._client.patch(Pod, sorted(self.ready)[0], mark, namespace=self._namespace)  # type: ignore[type-var]
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self._failed is not None:
            raise self._failed
        return self.fewest


def taint(client: Client, name: str, key: str, effect: str) -> None:
    """Adds the taint to those that the node has."""
    held = client.get(Node, name).spec
    taints = [{"key": one.key, "value": one.value, "effect": one.effect} for one in (held and held.taints) or []]
    taints.append({"key": key, "value": None, "effect": effect})
    client.patch(Node, name, {"spec": {"taints": taints}}, patch_type=PatchType.MERGE)


def evict(client: Client, pod: Pod) -> bool:
    """Asks the API to evict the pod as a drain does; False where its disruption budget refuses ("API-initiated Eviction",
    Kubernetes: 429)."""
    assert pod.metadata
    assert pod.metadata.name
    body = Pod.Eviction(metadata=ObjectMeta(name=pod.metadata.name, namespace=pod.metadata.namespace))
    try:
        client.create(body, pod.metadata.name, namespace=pod.metadata.namespace)
    except ApiError as error:
        if error.status.code not in (404, 429):
            raise
        return error.status.code == 404
    return True


def drain(client: Client, namespace: str, names: Iterable[str], within: float = 90) -> int:
    """Cordons the nodes and evicts their pods until they are empty, as `kubectl drain` does on each; returns how often the
    budget said no."""
    wanted, refused = set(names), 0
    for name in wanted:
        client.patch(Node, name, {"spec": {"unschedulable": True}})

    def is_empty() -> bool:
        nonlocal refused
        left = [pod for pod in client.list(Pod, namespace=namespace) if pod.spec and pod.spec.nodeName in wanted]
        with ThreadPoolExecutor(8) as pool:
            refused += sum(not done for done in pool.map(lambda pod: evict(client, pod), left))
        return not left

    until(is_empty, f"{len(wanted)} drained nodes", within)
    return refused


def gone(client: Client, name: str) -> None:
    """The machine ends, and with it its Node: a cloud's controller takes it away."""
    try:
        client.delete(Node, name)
    except ApiError as error:
        if error.status.code != 404:
            raise
