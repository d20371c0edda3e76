"""A real control plane for the tests of this folder."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lightkube import ApiError, Client, KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace, Node
from local_cluster_world import World, running_cluster

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
GIVEN = "TURNOUT_TEST_KUBECONFIG"
"""Names the kubeconfig of a cluster with kwok and the custom resources, to be used in place of one of the tests' own."""


@dataclass(frozen=True)
class Cluster:
    """A cluster with every custom resource and the nodes of `small_fleet`. Namespaces are each test's own."""

    kubeconfig: Path

    def client(self, namespace: str = "default") -> Client:
        """Of an administrator."""
        return Client(config=KubeConfig.from_file(self.kubeconfig).get(), namespace=namespace, timeout=60.0)  # type: ignore[arg-type]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips here and not in a fixture: a fixture's skip is told of each test's file, this one of this file."""
    wanted = set(getattr(item, "fixturenames", ()))
    if "binaries" in wanted or ("cluster" in wanted and not os.environ.get(GIVEN)):
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
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for all tests of a session."""
    given = os.environ.get(GIVEN)
    if given:
        yield prepared(Path(given), None)
        return
    programs: Binaries = request.getfixturevalue("binaries")
    plane = ControlPlane(tmp_path_factory.mktemp("cluster"), programs, Path(__file__).with_name("stages.yaml"))
    plane.start()
    try:
        yield prepared(plane.kubeconfig, programs.crds)
        fallen = [str(part) for part in plane.fallen()]
    finally:
        plane.stop()
    assert not fallen


def prepared(kubeconfig: Path, definitions: Path | None) -> Cluster:
    """The cluster with definitions and nodes in it."""
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


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace; it goes with all that is in it, but nobody waits for that."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    client = cluster.client()
    client.create(Namespace(metadata=ObjectMeta(name=name)))
    yield name
    try:
        client.delete(Namespace, name)
    except ApiError as error:
        if error.status.code != 404:
            raise
