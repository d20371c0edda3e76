"""One local cloud with the service deployed for all tests of a file; a test leaves it able to flip."""

from collections.abc import Iterator

import pytest

from benchmarks.service import Service, service
from benchmarks.waiting import wait_for


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The local stack with 1.0.0 in blue and 2.0.0 in green, an instance each."""
    with service(tmp_path_factory.mktemp("home"), pool={"minimum": 1}, traffic={"gate_timeout": "30s"}) as made:
        result = made.up()
        assert result.exit_code == 0, made.said()
        yield made


@pytest.fixture
def running(deployed: Service) -> Iterator[Service]:
    """The service at rest: traffic is whole, every server of both environments is healthy; config says what is in force."""
    config = deployed.config
    deployed.edit({"traffic": {"active": deployed.active}})
    for environment in ("blue", "green"):
        wait_for(f"health of {environment}", lambda: set(deployed.targets(environment)) == {"healthy"})  # noqa: B023
    yield deployed
    deployed.config = config
