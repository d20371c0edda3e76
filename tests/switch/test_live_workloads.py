"""Deployments and LeaderWorkerSets as the switch's workloads, against an API that a test scripts."""

import pytest
from fake_cluster import FakeCluster
from turnout_components.live import Group
from turnout_components.live_workloads import LWS_GROUP, LWS_NAME, LWS_WORKER, ClusterWorkloads
from turnout_components.standby import Launch
from turnout_components.workload_bounds import PAUSED

NAME, LABELS = "Deployment/shop/w", {"app": "svc", "turnout.dev/environment": "blue"}
MADE, READY = "2026-01-02T03:00:00Z", {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:01:30Z"}


class World(FakeCluster):
    def __init__(self, replicas: int = 2) -> None:
        super().__init__("shop")
        self.put("Deployment", "shop", "w", spec={"replicas": replicas, "selector": {"matchLabels": LABELS}})
        owner = [{"uid": "uid-w", "controller": True}]
        self.put("ReplicaSet", "shop", "w-1", metadata={"labels": LABELS, "ownerReferences": owner})
        self.workloads = ClusterWorkloads(self)

    def pod(self, name: str, ip: str | None = "10.0.0.1", *, owner: str = "w-1", **status):
        meta = {"labels": LABELS, "creationTimestamp": MADE, "ownerReferences": [{"uid": f"uid-{owner}", "controller": True}]}
        return self.put("Pod", "shop", name, metadata=meta, status={"podIP": ip, "phase": "Running", **status})

    def hpa(self, low: int = 2, high: int = 6) -> None:
        self.put("HorizontalPodAutoscaler", "shop", "w", spec={"minReplicas": low, "maxReplicas": high})

    def keda(self, low: int = 2, high: int = 6, **annotations: str) -> None:
        spec = {"minReplicaCount": low, "maxReplicaCount": high}
        self.put("ScaledObject", "shop", "w", metadata={"annotations": annotations}, spec=spec)

    def spec(self, kind: str) -> dict:
        return self.get(kind, "shop", "w")["spec"]

    def sizes(self) -> tuple[int, int, int]:
        found = self.workloads.group(NAME)
        return found.minimum, found.maximum, found.desired


def test_only_ready_pods_of_this_very_workload_serve():
    world = World()
    world.pod("ready", "10.0.0.1", conditions=[READY])
    world.pod("leaving", "10.0.0.2", conditions=[READY])
    world.objects["Pod", "shop", "leaving"]["metadata"]["deletionTimestamp"] = MADE
    world.pod("booting", "10.0.0.3", conditions=[{**READY, "status": "False"}])
    world.pod("another-release", "10.0.0.4", owner="other", conditions=[READY])
    world.pod("ended", "10.0.0.5", phase="Failed")
    assert world.workloads.group(NAME) == Group(NAME, 2, 2, 2, frozenset({"10.0.0.1"}), moving=2)
    assert world.workloads.group("Deployment/shop/other") is None


def test_bounds_are_the_scalers_where_there_is_one():
    world = World()
    assert world.sizes() == (2, 2, 2)
    world.hpa(1, 5)
    assert world.sizes() == (1, 5, 2)
    keda = World()
    keda.keda(0, 9)
    assert keda.sizes() == (0, 9, 2)


@pytest.mark.parametrize("scaler", ["hpa", "keda"])
def test_a_raised_minimum_takes_size_and_maximum_along_only_where_they_are_below(scaler):
    world = World(replicas=5)
    getattr(world, scaler)(2, 6)
    world.workloads.set_minimum(NAME, 4)
    assert world.sizes() == (4, 6, 5)
    world.workloads.set_minimum(NAME, 8, 9)
    assert world.sizes() == (8, 9, 8)


def test_where_nothing_scales_the_minimum_is_the_size():
    world = World(replicas=1)
    world.workloads.set_minimum(NAME, 3)
    assert world.sizes() == (3, 3, 3)
    world.workloads.restore(Group(NAME, 1, 1, 1, frozenset()))
    assert world.sizes() == (1, 1, 1)


@pytest.mark.parametrize("scaler", ["hpa", "keda"])
def test_held_at_nothing_no_scaler_brings_it_back_and_a_minimum_does(scaler):
    world = World(replicas=3)
    getattr(world, scaler)(2, 6)
    world.workloads.hold(NAME, 0)
    assert world.sizes() == (0, 0, 0)
    if scaler == "keda":
        assert world.get("ScaledObject", "shop", "w")["metadata"]["annotations"][PAUSED] == "0"
    world.workloads.set_minimum(NAME, 2)
    assert world.sizes() == (2, 6, 2)


@pytest.mark.parametrize("scaler", ["hpa", "keda"])
def test_what_was_held_scales_again(scaler):
    world = World(replicas=3)
    getattr(world, scaler)(2, 6)
    world.workloads.hold(NAME, 1)
    assert world.sizes() == (1, 1, 1)
    world.workloads.let_scale(NAME, 2, 6)
    assert world.sizes() == (2, 6, 2)


@pytest.mark.parametrize(("now", "left"), [(3, (2, 6, 2)), (4, (2, 6, 4))])
def test_what_was_raised_is_given_back_unless_somebody_wants_more_meanwhile(now, left):
    world = World(replicas=now)
    world.hpa(3, 6)
    world.workloads.restore(Group(NAME, 2, 6, 2, frozenset()))
    assert world.sizes() == left


def test_a_cold_standby_that_was_woken_for_nothing_is_cold_again():
    world = World(replicas=0)
    world.keda(2, 6, **{PAUSED: "0"})
    before = world.workloads.group(NAME)
    world.workloads.set_minimum(NAME, 2)
    world.workloads.restore(before)
    assert world.sizes() == (0, 0, 0)


def test_launches_are_timed_from_the_pods_that_are_there():
    world = World()
    world.pod("a", conditions=[READY])
    world.pod("restarted", conditions=[READY], containerStatuses=[{"restartCount": 1}])
    world.pod("booting", conditions=[])
    assert world.workloads.launches(NAME) == [Launch(90, False)]
    assert world.workloads.coming(NAME) == [False]
    assert world.workloads.warm(NAME) == 0


UNSCHEDULED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}


def waiting(waits: str, **last) -> list[dict]:
    state = {"waiting": {"reason": waits, "message": "back-off"}}
    return [{"name": "server", "state": state, "lastState": {"terminated": last} if last else {}, "restartCount": 4}]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({"conditions": [UNSCHEDULED]}, "pod p has no node (Unschedulable): 0/3 nodes are available"),
        ({"containerStatuses": waiting("ImagePullBackOff")}, "pod p, container server: its image cannot be pulled"),
        (
            {"containerStatuses": waiting("CrashLoopBackOff", reason="OOMKilled", exitCode=137)},
            "it crashes again and again (CrashLoopBackOff; it ended with OOMKilled, exit code 137)",
        ),
        ({"containerStatuses": waiting("ContainerCreating")}, None),
        ({"phase": "Failed", "reason": "Evicted", "message": "disk"}, "pod p failed (Evicted): disk"),
    ],
)
def test_why_a_pod_does_not_start(status, why):
    world = World()
    world.pod("p", **status)
    found = world.workloads.failed_launch(NAME)
    assert (found is None) if why is None else why in found


def test_an_event_tells_what_no_condition_does():
    world = World()
    world.pod("p")
    event = {"type": "Warning", "reason": "FailedMount", "message": "no such volume", "involvedObject": {"uid": "uid-p"}}
    world.put("Event", "shop", "e1", **event, lastTimestamp=MADE)
    world.put("Event", "shop", "e2", **{**event, "reason": "Pulled"}, lastTimestamp="2026-01-02T04:00:00Z")
    assert world.workloads.failed_launch(NAME) == "pod p: FailedMount: no such volume"


def test_where_no_pod_can_be_made_the_workload_says_why():
    world = World()
    refused = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
    world.objects["Deployment", "shop", "w"]["status"] = {"conditions": [refused]}
    assert world.workloads.failed_launch(NAME) == "no pod can be made (FailedCreate): exceeded quota"


def test_a_sharded_model_serves_when_all_of_its_group_does():
    world = World()
    name = "LeaderWorkerSet/shop/m"
    world.put("LeaderWorkerSet", "shop", "m", spec={"replicas": 2, "leaderWorkerTemplate": {"size": 2}})
    for group, worker, status in [(0, 0, "True"), (0, 1, "True"), (1, 0, "True"), (1, 1, "False")]:
        labels = {LWS_NAME: "m", LWS_GROUP: str(group), LWS_WORKER: str(worker)}
        world.pod(f"m-{group}-{worker}", f"10.0.{group}.{worker}", conditions=[{**READY, "status": status}])
        world.objects["Pod", "shop", f"m-{group}-{worker}"]["metadata"]["labels"] = labels
    assert world.workloads.group(name) == Group(name, 2, 2, 2, frozenset({"10.0.0.0"}), moving=1)
    assert world.workloads.coming(name) == [False]
