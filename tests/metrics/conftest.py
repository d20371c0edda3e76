"""CloudWatch of moto, extended as in the local cloud; and both sources of measurements, fed alike."""

from collections.abc import Iterator
from typing import Any

import pytest
from fed_sources import CloudWatchFeed, Feed, PrometheusFeed
from measured_places import cloudwatch


@pytest.fixture
def client() -> Iterator[Any]:
    """A client of an empty CloudWatch."""
    with cloudwatch() as client:
        yield client


@pytest.fixture(params=["cloudwatch", "prometheus"])
def feed(request: pytest.FixtureRequest) -> Iterator[Feed]:
    """A source without data."""
    if request.param == "prometheus":
        yield PrometheusFeed()
        return
    with cloudwatch() as client:
        yield CloudWatchFeed(client)
