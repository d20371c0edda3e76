"""A machine, with AWS as moto on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import Machine
from services import AutoScaling, Metadata, serving

from tests import prepared
from tests.moto_server import moto_server


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def machine(tmp_path: Path, endpoint: str) -> Iterator[Machine]:
    """An instance that is about to be launched; it is powered off with the test."""
    metadata, scaling = Metadata(), AutoScaling()
    with serving(metadata) as metadata_url, serving(scaling) as scaling_url:
        made = Machine(tmp_path, endpoint, metadata, metadata_url, scaling, scaling_url)
        made.extra["PREPARED_AWS"] = prepared.parent("awscli.clidriver", "awscli.handlers").address
        try:
            yield made
        finally:
            made.power_off()
    assert metadata.refused == []
