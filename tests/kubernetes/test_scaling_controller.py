"""The step rule by the real autoscaler of kube-controller-manager: +2, held without metrics, -1 after idle minutes."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lightkube.resources.autoscaling_v2 import HorizontalPodAutoscaler
from lightkube.types import PatchType
from turnout_components import workload_scaling
from turnout_components.workload_autoscaler import WorkloadAutoscaler

from tests.kubernetes.conftest import AUTOSCALER_LOOKS, Cluster
from tests.kubernetes.external_metrics import Adapter, served
from tests.kubernetes.rendered import Object, Strict, is_ready, objects, until

WORKLOAD = "assistant-blue-1a2b3c4d"
WITHIN = 60.0
"""Seconds for what takes the controller some looks."""
BUSY, HOLD, IDLE = str(workload_scaling.MANY), "1", "0"


class Scaled:
    """A workload of pods that kwok keeps ready, its scaler, and what its pods would report."""

    def __init__(self, cluster: Cluster, namespace: str, adapter: Adapter) -> None:
        self._cluster, self._namespace, self._adapter = cluster, namespace, adapter
        self._strict = Strict(cluster.kubeconfig)
        self._key = (namespace, workload_scaling.DEMAND_METRIC, f"workload={WORKLOAD}")

    def make(self, replicas: int, **scaling: Any) -> None:
        container = {"name": "server", "image": "registry.example/server@sha256:" + 64 * "a"}
        template = {"metadata": {"labels": {"app": WORKLOAD}}, "spec": {"containers": [container]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": WORKLOAD}}, "template": template}
        metadata = {"name": WORKLOAD, "namespace": self._namespace}
        self._strict.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
        until(lambda: self.ready() == replicas, f"{replicas} ready pods")
        args: Any = {"namespace": self._namespace, "workload": WORKLOAD, "by": "hpa", "minimum": 2, "maximum": 8, **scaling}
        for one in objects(lambda: WorkloadAutoscaler("svc-blue", args)):
            self._strict.apply(one)

    def reports(self, demand: str | None) -> None:
        if demand is None:
            self._adapter.values.pop(self._key, None)
        else:
            self._adapter.values[self._key] = demand

    def ready(self) -> int:
        return sum(map(is_ready, self._strict.list("v1", "Pod", self._namespace, f"app={WORKLOAD}")))

    def size(self) -> int:
        (found,) = self._strict.list("apps/v1", "Deployment", self._namespace)
        return int(found["spec"]["replicas"])

    def condition(self, kind: str) -> Object:
        (found,) = self._strict.list("autoscaling/v2", "HorizontalPodAutoscaler", self._namespace)
        conditions = found.get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == kind), {"status": "?", "reason": "?"})

    def floor(self, minimum: int) -> None:
        """As the switch raises a minimum."""
        change = {"spec": {"minReplicas": minimum}}
        client = self._cluster.client(self._namespace)
        client.patch(HorizontalPodAutoscaler, WORKLOAD, change, patch_type=PatchType.MERGE, field_manager="turnout")

    def look(self) -> None:
        """Waits for the controller's next look that asks for the metric."""
        before = len(self._adapter.asked)
        until(lambda: len(self._adapter.asked) > before, "the controller looks", within=WITHIN)

    def sizes(self, enough: Callable[[list[tuple[float, int]]], bool], within: float) -> list[tuple[float, int]]:
        """The sizes as they change, with their times, until there are enough."""
        seen = [(time.monotonic(), self.size())]

        def changed() -> bool:
            if (size := self.size()) != seen[-1][1]:
                seen.append((time.monotonic(), size))
            return enough(seen)

        until(changed, f"sizes after {seen}", within)
        return seen


@pytest.fixture
def scaled(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Scaled]:
    with served(Strict(cluster.kubeconfig), namespace, tmp_path) as adapter:
        yield Scaled(cluster, namespace, adapter)


def test_a_busy_workload_gets_two_more_and_keeps_them_while_metrics_are_missing(scaled: Scaled) -> None:
    scaled.reports(BUSY)
    scaled.make(3, warmup=600)
    until(lambda: scaled.size() != 3, "it grows", within=WITHIN)
    assert scaled.size() == 5
    scaled.reports(None)
    until(lambda: scaled.condition("ScalingActive")["status"] == "False", "the controller misses the metric", within=WITHIN)
    assert scaled.condition("ScalingActive")["reason"] == "FailedGetExternalMetric"
    assert scaled.size() == 5


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_grows_by_two_in_a_warm_up_shrinks_by_one_a_minute_and_keeps_a_floor(scaled: Scaled) -> None:
    scaled.reports(BUSY)
    scaled.make(3, warmup=40, step={"idle_minutes": 1})
    grown = scaled.sizes(lambda seen: seen[-1][1] == 8, within=240)
    assert [size for _, size in grown] == [3, 5, 7, 8]
    assert all(later - earlier >= 40 - AUTOSCALER_LOOKS for (earlier, _), (later, _) in itertools.pairwise(grown[1:]))
    scaled.reports(HOLD)
    scaled.look()
    scaled.look()
    assert scaled.size() == 8
    scaled.reports(IDLE)
    idle = time.monotonic()
    shrunk = scaled.sizes(lambda seen: seen[-1][1] == 6, within=300)
    assert [size for _, size in shrunk] == [8, 7, 6]
    assert shrunk[1][0] - idle >= 60 - AUTOSCALER_LOOKS
    assert shrunk[2][0] - shrunk[1][0] >= 60 - AUTOSCALER_LOOKS
    scaled.floor(8)
    until(lambda: scaled.size() == 8, "the floor of a rollout holds", within=WITHIN)
    for _ in range(6):
        scaled.look()
        assert scaled.size() == 8, "idle, and at its floor"
