"""Local clouds with the service deployed, for the tests of several files; a test leaves them able to move traffic."""

from collections.abc import Iterator

import pytest

from benchmarks import rollouts
from benchmarks.service import Service
from benchmarks.waiting import wait_for
from tests.e2e.prepared_service import prepared_service


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The local stack with 1.0.0 in blue and 2.0.0 in green, an instance each."""
    home = tmp_path_factory.mktemp("home")
    with prepared_service(home, speed=20.0, pool={"minimum": 1}, traffic={"gate_timeout": "30s"}) as made:
        result = made.up()
        assert result.exit_code == 0, made.said()
        yield made


@pytest.fixture
def running(deployed: Service) -> Iterator[Service]:
    """The service at rest: traffic is whole, every server of both environments is healthy; config says what is in force."""
    config = deployed.config
    releases = {name: {"release": state.release} for name, state in deployed.record().environments.items()}
    deployed.edit({"traffic": {"active": deployed.active}, "environments": releases})
    for environment in ("blue", "green"):
        wait_for(f"health of {environment}", lambda: set(deployed.targets(environment)) == {"healthy"})  # noqa: B023
    yield deployed
    deployed.config = config


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """For rollouts: a cloud whose minute lasts a second, at first with 1.0.0 in blue with all traffic and 2.0.0 in green."""
    with rollouts.deployed(tmp_path_factory.mktemp("rollouts"), prepared_service) as made:
        yield made
