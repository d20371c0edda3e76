"""A standby's step-downs on Kubernetes, against an API that a test scripts."""

import json
from datetime import timedelta

import pytest
from fake_cluster import FakeCluster
from fakes import START
from turnout_components.cluster_api import ClusterError
from turnout_components.resolve import SwitchRefused
from turnout_components.standby import RETAIN_END, STEP_DOWN, Keep, StandbyPolicy
from turnout_components.step_down_cluster import PLAN, ClusterStepDowns
from turnout_components.workload_bounds import PAUSED

NAME, IMAGE = "Deployment/shop/w", "registry.k8s.io/kubectl@sha256:" + "b" * 64
WARM = StandbyPolicy(keep=Keep.WARM, bake=timedelta(minutes=10), retain_for=timedelta(hours=24))


class World:
    def __init__(self, replicas: int = 4, image: str | None = None) -> None:
        self.api = FakeCluster("shop")
        self.api.put("Deployment", "shop", "w", spec={"replicas": replicas, "selector": {"matchLabels": {"app": "w"}}})
        self.api.put("HorizontalPodAutoscaler", "shop", "w", spec={"minReplicas": 2, "maxReplicas": 6})
        self.now = START
        self.downs = ClusterStepDowns(self.api, image=image, account="step-down", clock=lambda: self.now)

    def arrange(self, policy: StandbyPolicy = WARM, *, due: bool = True) -> list[str]:
        return self.downs.arrange(NAME, policy, START, 4, due=due)

    @property
    def sizes(self) -> tuple[int, int]:
        hpa, workload = (self.api.get(kind, "shop", "w") for kind in ("HorizontalPodAutoscaler", "Deployment"))
        return hpa["spec"]["minReplicas"], workload["spec"]["replicas"]

    @property
    def jobs(self) -> list[dict]:
        return self.api.list("CronJob", "shop")


def test_until_its_first_step_a_standby_keeps_its_size_and_shows_its_plan():
    world = World()
    assert world.arrange() == [
        "Deployment/shop/w becomes warm at 2026-01-02 03:10:00 UTC",
        "Deployment/shop/w becomes cold at 2026-01-03 03:00:00 UTC",
    ]
    assert world.sizes == (4, 4)
    times = {STEP_DOWN: START + timedelta(minutes=10), RETAIN_END: START + timedelta(hours=24)}
    assert world.downs.pending([NAME]) == {NAME: times}
    world.api.writes.clear()
    assert world.arrange() == []
    assert world.api.writes == []
    assert world.jobs == []


def test_what_is_due_is_done_by_whoever_comes_by_and_once():
    world = World()
    world.arrange()
    world.now += timedelta(minutes=11)
    assert world.arrange(due=False) == ["Deployment/shop/w becomes cold at 2026-01-03 03:00:00 UTC"]
    assert world.sizes == (4, 4)
    assert world.arrange() == ["Deployment/shop/w became warm, which was due at 2026-01-02 03:10:00 UTC"]
    assert world.sizes == (1, 1)
    assert world.arrange() == []
    world.now += timedelta(days=1)
    assert world.arrange() == ["Deployment/shop/w became cold, which was due at 2026-01-03 03:00:00 UTC"]
    assert world.sizes[1] == 0
    assert world.arrange() == []


def test_a_standby_that_is_smaller_already_is_left_alone():
    world = World(replicas=1)
    world.api.objects["HorizontalPodAutoscaler", "shop", "w"]["spec"]["minReplicas"] = 1
    world.now += timedelta(minutes=11)
    assert not any("became" in line for line in world.arrange())
    assert world.sizes == (1, 1)


def test_who_is_to_carry_traffic_steps_down_no_more():
    world = World(image=IMAGE)
    world.arrange()
    world.downs.clear(NAME)
    assert world.downs.pending([NAME]) == {NAME: {}}
    assert world.jobs == []


def test_a_plan_that_stays_stops_the_move():
    world = World()
    world.arrange()
    world.api.patch = lambda *_, **__: None
    with pytest.raises(SwitchRefused, match="cannot be taken back: turnout-step-down"):
        world.downs.clear(NAME)


def test_with_an_image_a_cronjob_does_each_step_and_tests_the_plan_first():
    world = World(image=IMAGE)
    world.arrange()
    warm, cold = sorted(world.jobs, key=lambda job: job["metadata"]["name"], reverse=True)
    assert (warm["spec"]["schedule"], cold["spec"]["schedule"]) == ("10 3 2 1 *", "0 3 3 1 *")
    pod = warm["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "step-down"
    (first, scaler), (last,) = pod["initContainers"], pod["containers"]
    assert {each["image"] for each in (first, scaler, last)} == {IMAGE}
    assert first["args"][:4] == last["args"][:4] == ["patch", "deployment", "w", "--namespace"]
    held = world.api.get("Deployment", "shop", "w")["metadata"]["annotations"][PLAN]
    test, left, size = json.loads(last["args"][-1])
    assert json.loads(first["args"][-1]) == [test]
    assert test == {"op": "test", "path": "/metadata/annotations/turnout.dev~1step-downs", "value": held}
    assert json.loads(left["value"]) == json.loads(held)[1:]
    assert size == {"op": "replace", "path": "/spec/replicas", "value": 1}
    assert json.loads(scaler["args"][-1]) == {"spec": {"minReplicas": 1}}
    (only,) = cold["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    test, left, size = json.loads(only["args"][-1])
    assert test["value"] == left.get("value", test["value"]) == json.dumps(json.loads(held)[1:])
    assert (left["op"], size["value"]) == ("remove", 0)


def test_kedas_scaler_is_held_at_nothing_by_its_annotation():
    world = World(image=IMAGE)
    del world.api.objects["HorizontalPodAutoscaler", "shop", "w"]
    world.api.put("ScaledObject", "shop", "w", spec={"minReplicaCount": 2})
    world.arrange(StandbyPolicy(keep=Keep.COLD))
    (job,) = world.jobs
    _, scaler = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["initContainers"]
    assert scaler["args"][1] == "scaledobject"
    assert json.loads(scaler["args"][-1]) == {"metadata": {"annotations": {PAUSED: "0"}}}


@pytest.mark.parametrize(("image", "fails"), [(None, False), (IMAGE, True)])
def test_cronjobs_that_may_not_be_seen_stop_only_who_needs_them(image, fails):
    world = World(image=image)

    def refused(*_, **__):
        raise ClusterError("forbidden")

    world.api.list = refused
    world.downs._workloads.group = lambda name: None  # type: ignore[method-assign,assignment,return-value]
    if fails:
        with pytest.raises(ClusterError):
            world.downs.clear(NAME)
    else:
        world.downs.clear(NAME)


def test_a_workload_that_is_gone_has_nothing_to_step_down():
    world = World()
    world.api.objects.clear()
    assert world.arrange() == []
    world.downs.clear(NAME)
