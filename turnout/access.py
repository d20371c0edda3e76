"""The operator's way to a stack's cloud: AWS's API at the stack's endpoint, its platform, the switch record, live weights.

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

from turnout.stacks import EC2, KUBERNETES, Stack, StackError

if TYPE_CHECKING:
    from turnout_components.cluster_api import ClusterApi
    from turnout_components.live import LiveCloud
    from turnout_components.platforms import Place, Platform
    from turnout_components.standby_plan import StepDowns
    from turnout_components.switch_record import RecordStore

ENDPOINT_VARIABLE = "TURNOUT_LOCAL_ENDPOINT"
KUBECONFIG_VARIABLE = "TURNOUT_LOCAL_KUBECONFIG"


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


def local_kubeconfig(home: Path, environ: Mapping[str, str] = os.environ) -> str:
    """The kubeconfig of the local cluster: TURNOUT_LOCAL_KUBECONFIG, or of the cluster that runs in `home`.

    Raises `CloudUnreachable`."""
    given = environ.get(KUBECONFIG_VARIABLE)
    if given:
        return given
    try:
        found = str(json.loads((home / "cloud" / "state.json").read_text())["kubeconfig"] or "")
    except (OSError, ValueError, KeyError):
        found = ""
    if not Path(found).is_file():
        raise CloudUnreachable(f"no local cluster runs in {home}; start it with `turnout local start --platform …`")
    return found


class Access:
    """AWS clients of one stack, and its cluster where it has one. `endpoint` is None for the real AWS, whose usual credential
    sources then apply; `kubeconfig` is the local cluster's."""

    def __init__(self, stack: Stack, endpoint: str | None, kubeconfig: str | None = None) -> None:
        self.stack = stack
        self.endpoint = endpoint
        self.kubeconfig = kubeconfig
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
    def place(self) -> "Place":
        """Where the stack's switch works."""
        from turnout_components.platforms import Place

        stack = self.stack
        named = stack.part("cluster", "name") or (stack.service if stack.part("cluster") else None)
        return Place(
            stack.platform,
            stack.record_table,
            context=stack.part("kubernetes", "context"),
            cluster=named,
            kubeconfig=self.kubeconfig,
            step_down_image=stack.part("kubernetes", "step_down", "image"),
            step_down_account=stack.part("kubernetes", "step_down", "account"),
        )

    @cached_property
    def platform(self) -> "Platform":
        """What the stack's platform is worked with.

        Raises `StackError` where the stack does not say which cluster it is on."""
        from turnout_components.platforms import platform

        try:
            return platform(self.place, self.client)
        except ValueError as error:
            raise StackError(f"{self.stack.config_file}: {error} ({self.stack.project}:cluster.name)") from None

    @cached_property
    def cluster(self) -> "ClusterApi":
        """The stack's cluster."""
        from turnout_components.platforms import cluster_of

        return cluster_of(self.place, self.client)

    @cached_property
    def store(self) -> "RecordStore":
        """The stack's `RecordStore`."""
        from turnout_components.switch_record import RecordStore

        return RecordStore(self.platform.items, self.stack.service, self.stack.name)

    @property
    def live(self) -> "LiveCloud":
        """The stack's `LiveCloud`."""
        return self.platform.live

    @property
    def step_downs(self) -> "StepDowns":
        """The standby's `StepDowns`."""
        return self.platform.step_downs


def connect(stack: Stack, home: Path) -> Access:
    """Access to the stack's cloud.

    Raises `CloudUnreachable` for a local stack whose cloud is not running, or runs no cluster that the stack needs."""
    if not stack.is_local:
        return Access(stack, None)
    kubeconfig = None if stack.platform == EC2 else local_kubeconfig(home)
    return Access(stack, _endpoint(home, needed=stack.platform != KUBERNETES), kubeconfig)


def _endpoint(home: Path, *, needed: bool) -> str | None:
    """A local cluster alone has no API of AWS."""
    try:
        return local_endpoint(home)
    except CloudUnreachable:
        if needed:
            raise
        return None
