"""A real control plane for the tests of this folder."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from lightkube import ApiError, Client, KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import DaemonSet, Deployment, StatefulSet
from lightkube.resources.autoscaling_v2 import HorizontalPodAutoscaler
from lightkube.resources.batch_v1 import CronJob, Job
from lightkube.resources.core_v1 import Namespace, Node, Pod
from local_cluster_world import GATEWAY_DEFINITIONS, World, copy_definitions, running_cluster
from turnout_components import gate, rollback
from turnout_components.cluster_access import learn_types

from turnout.cluster import crds
from turnout.cluster.binaries import Binaries, NoBinariesError, find, optional
from turnout.cluster.control_plane import ControlPlane
from turnout.cluster.nodes import small_fleet
from turnout.cluster.versions import LOAD_BALANCER_CONTROLLER

SKIPPED = "build a Kubernetes control plane: make kubernetes (needs Go, and its modules)"
NO_CONTROLLER = (
    "build a load balancer controller: python -m tools.kubernetes load-balancer-controller (needs Go, and its modules)"
)
STAND_IN, CONTROLLER = "stand-in", "controller"
"""Who fills target groups in a `balanced_world`."""
DEFINITIONS = (
    *GATEWAY_DEFINITIONS,
    *("nodepools", "nodeclaims", "ec2nodeclasses", "capacitybuffers", "scaledobjects", "triggerauthentications"),
    *("externalsecrets", "secretstores", "targetgroupbindings", "leaderworkersets"),
)
"""Of what Turnout writes: each takes the API server a second, those that nobody writes too."""
RUNNING = (CronJob, Job, HorizontalPodAutoscaler, Deployment, StatefulSet, DaemonSet, Pod)
AUTOSCALER_LOOKS = 2
"""Seconds between two looks of the horizontal autoscaler; 15 by default (kube-controller-manager)."""
GIVEN = "TURNOUT_TEST_KUBECONFIG"
"""Names the kubeconfig of a cluster with kwok and the custom resources, to be used in place of one of the tests' own."""


@dataclass(frozen=True)
class Cluster:
    """A cluster with the custom resources that Turnout writes and the nodes of `small_fleet`. Each test has its namespace."""

    kubeconfig: Path

    def client(self, namespace: str = "default") -> Client:
        """Of an administrator."""
        return Client(config=KubeConfig.from_file(self.kubeconfig).get(), namespace=namespace, timeout=60.0)  # type: ignore[arg-type]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The local cluster's tests come last: its servers are probed all the time, and so others would wait for it."""
    places = [place for place, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    own = sorted((items[place] for place in places), key=_is_local)
    for place, item in zip(places, own, strict=True):
        items[place] = item


def _is_local(item: pytest.Item) -> bool:
    return "local_world" in getattr(item, "fixturenames", ()) or "balanced_world" in getattr(item, "fixturenames", ())


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips here and not in a fixture: a fixture's skip is told of each test's file, this one of this file."""
    wanted = set(getattr(item, "fixturenames", ()))
    if wanted & {"binaries", "plane"} or ("cluster" in wanted and not os.environ.get(GIVEN)):
        try:
            find()
        except NoBinariesError:
            pytest.skip(SKIPPED)
    parameters = getattr(item, "callspec", None)
    if parameters and parameters.params.get("balanced_world") == CONTROLLER and not optional(LOAD_BALANCER_CONTROLLER).exists():
        pytest.skip(NO_CONTROLLER)


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    return find()


@pytest.fixture(scope="session")
def plane(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The control plane of `cluster`."""
    stages = Path(__file__).with_name("stages.yaml")
    quick = {"kube-controller-manager": [f"--horizontal-pod-autoscaler-sync-period={AUTOSCALER_LOOKS}s"]}
    made = ControlPlane(tmp_path_factory.mktemp("cluster"), binaries, stages, quick)
    made.start()
    try:
        yield made
        fallen = [str(part) for part in made.fallen()]
    finally:
        made.stop()
    assert not fallen


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """One for all tests of a session."""
    given = os.environ.get(GIVEN)
    if given:
        return prepared(Path(given), None)
    made: ControlPlane = request.getfixturevalue("plane")
    programs: Binaries = request.getfixturevalue("binaries")
    definitions = tmp_path_factory.mktemp("definitions")
    copy_definitions(programs.crds, definitions, DEFINITIONS)
    return prepared(made.kubeconfig, definitions)


def prepared(kubeconfig: Path, definitions: Path | None) -> Cluster:
    """The cluster with definitions and nodes in it."""
    learn_types()
    cluster = Cluster(kubeconfig)
    client = cluster.client()
    if definitions is not None:
        crds.install(client, definitions)
    held = {node.metadata.name for node in client.list(Node) if node.metadata}
    for node in small_fleet():
        if node["metadata"]["name"] not in held:
            client.create(Node.from_dict(node))
    return cluster


@pytest.fixture(scope="session")
def local_world(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[World]:
    """One local cluster, with an account beside it, for all tests of a session; each module has a namespace of its own."""
    with running_cluster(tmp_path_factory.mktemp("local"), binaries, "--platform", "eks") as world:
        yield world


@pytest.fixture(scope="module")
def balanced_world(
    request: pytest.FixtureRequest, binaries: Binaries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A local cluster whose target groups are filled by the stand-in, or by the controller that it stands in for."""
    if request.param == STAND_IN:
        yield request.getfixturevalue("local_world")
        return
    home = tmp_path_factory.mktemp("controller")
    with running_cluster(home, binaries, "--platform", "eks", "--load-balancer-controller") as world:
        yield world


@pytest.fixture(autouse=True)
def frequent_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate and a rollback that wait for pods look more often."""
    for waiting in (gate, rollback):
        monkeypatch.setattr(waiting, "POLL", 0.1)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace."""
    with fresh_namespace(cluster) as name:
        yield name


@contextmanager
def fresh_namespace(cluster: Cluster) -> Iterator[str]:
    """What runs in it goes, but nobody waits for that."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    client = cluster.client()
    client.create(Namespace(metadata=ObjectMeta(name=name)))
    yield name
    emptied(client, name)


def emptied(client: Client, namespace: str) -> None:
    """Ends what runs there. In a cluster that goes with the tests the rest stays: to delete a namespace costs more than most
    tests."""
    if not os.environ.get(GIVEN):
        for kind in RUNNING:
            client.deletecollection(kind, namespace=namespace)
        return
    try:
        client.delete(Namespace, namespace)
    except ApiError as error:
        if error.status.code != 404:
            raise
