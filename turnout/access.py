"""The operator's way to a stack's cloud: AWS's API at the stack's endpoint, the switch record and the live weights.

Made for speed: nothing of Pulumi, botocore without boto3, one client a service on first use.
"""

import json
import os
import socket
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from turnout.stacks import Stack

if TYPE_CHECKING:
    from turnout_components.live import LiveCloud
    from turnout_components.step_down import StepDowns
    from turnout_components.switch_record import RecordStore

ENDPOINT_VARIABLE = "TURNOUT_LOCAL_ENDPOINT"


class CloudUnreachable(Exception):
    """The local cloud of a stack is not running or does not answer."""


def local_endpoint(home: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Where the local cloud's API answers: TURNOUT_LOCAL_ENDPOINT, or the cloud that runs in `home`.

    Reads what the cloud has written down and tries the port, which is faster than to look at its process.
    Raises `CloudUnreachable`."""
    given = environ.get(ENDPOINT_VARIABLE)
    if given:
        return given
    try:
        endpoint = str(json.loads((home / "cloud" / "state.json").read_text())["endpoint"])
        address = urlsplit(endpoint)
        socket.create_connection((str(address.hostname), address.port or 80), timeout=5).close()
    except (OSError, ValueError, KeyError):
        raise CloudUnreachable(f"no local cloud runs in {home}; start it with `turnout local start`") from None
    return endpoint


class Access:
    """AWS clients of one stack. `endpoint` is None for the real AWS, whose usual credential sources then apply."""

    def __init__(self, stack: Stack, endpoint: str | None) -> None:
        self.stack = stack
        self.endpoint = endpoint
        self._clients: dict[tuple[str, str], Any] = {}

    @cached_property
    def _session(self) -> Any:
        import botocore.session

        return botocore.session.get_session()

    def client(self, service: str, region: str | None = None) -> Any:
        """The client of an AWS service, in the stack's region unless another is named."""
        region = region or self.stack.region
        if (service, region) not in self._clients:
            self._clients[service, region] = self._make(service, region)
        return self._clients[service, region]

    def _make(self, service: str, region: str) -> Any:
        from botocore.config import Config

        if self.endpoint is None:
            config = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
            return self._session.create_client(service, region_name=region, config=config)
        return self._session.create_client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(connect_timeout=5, retries={"total_max_attempts": 2}),
        )

    @cached_property
    def store(self) -> "RecordStore":
        """The stack's `RecordStore`."""
        from turnout_components.switch_record import RecordStore

        return RecordStore(self.client("dynamodb"), self.stack.record_table, self.stack.service, self.stack.name)

    @cached_property
    def live(self) -> "LiveCloud":
        """The stack's `LiveCloud`."""
        from turnout_components.live import LiveCloud

        return LiveCloud(self.client("elbv2"), self.client("autoscaling"))

    @cached_property
    def step_downs(self) -> "StepDowns":
        """The standby's `StepDowns`."""
        from turnout_components.step_down import StepDowns

        return StepDowns(self.client)


def connect(stack: Stack, home: Path) -> Access:
    """Access to the stack's cloud.

    Raises `CloudUnreachable` for a local stack whose cloud is not running."""
    return Access(stack, local_endpoint(home) if stack.is_local else None)
