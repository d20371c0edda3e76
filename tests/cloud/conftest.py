"""The account that a test of the whole cloud starts from."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud_account import Account, running_cloud

from tests.cloud import prepared_cloud


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """A cloud with a load balancer and two empty target groups."""
    with running_cloud(tmp_path, start=prepared_cloud.start) as cloud:
        account = Account(cloud)
        account.build()
        yield account
