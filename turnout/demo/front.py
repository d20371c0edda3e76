"""Where the demo's users and tests reach the service, and what is live there: behind a load balancer, or behind a Gateway."""

from functools import cached_property
from typing import Any, Protocol

from turnout_components.live import ready_members

from turnout.access import Access
from turnout.cloud.client import CloudHandle
from turnout.stacks import KUBERNETES


class FrontFailed(Exception):
    """The service is not reached as it should be; the message says where it stopped."""


class Front(Protocol):
    """The way to the service, after its first deployment."""

    def urls(self) -> tuple[str, str]:
        """Of users and of tests."""

    def weights(self) -> dict[str, int]:
        """In force, by environment."""

    def healthy(self, environment: str) -> int | None:
        """How many targets there are once all that the workload is to have are healthy; None before that."""


def front(access: Access, cloud: CloudHandle) -> Front:
    """Of the stack's platform."""
    return _Gateway(access, cloud) if access.stack.platform == KUBERNETES else _Balancer(access, cloud)


class _Recorded:
    def __init__(self, access: Access, cloud: CloudHandle) -> None:
        self._access, self._cloud = access, cloud

    @cached_property
    def _environments(self) -> dict[str, str]:
        """Environment by target group, from the switch record; target groups outlive releases."""
        record = self._access.store.read()
        if record is None:
            raise FrontFailed("there is no switch record after the deployment")
        return {state.target_group: name for name, state in record.environments.items()}

    def healthy(self, environment: str) -> int | None:
        record, live = self._access.store.read(), self._access.live
        held = record.environments[environment] if record else None
        group = live.group(held.group) if held and held.group else None
        if held is None or group is None:
            return None
        ready, _ = ready_members(live, held.target_group, group)
        return ready if ready == group.desired else None


class _Balancer(_Recorded):
    """The local cloud's load balancer, as it says itself."""

    def urls(self) -> tuple[str, str]:
        production, tests = self._listeners()
        return str(production["url"]), str(tests["url"])

    def weights(self) -> dict[str, int]:
        return {self._environments[arn]: weight for arn, weight in self._listeners()[0]["weights"].items()}

    def _listeners(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The production listener, which forwards to both environments by default, and the test listener beside it."""
        groups = set(self._environments)
        for balancer in self._cloud.state()["load_balancers"]:
            production = [each for each in balancer["listeners"] if set(each["weights"]) == groups]
            others = [each for each in balancer["listeners"] if each not in production]
            if len(production) == len(others) == 1:
                return production[0], others[0]
        raise FrontFailed("the local load balancer has no production listener with a test listener beside it")


class _Gateway(_Recorded):
    """The local cluster's Gateway, and the switch's HTTPRoute as the API server has it."""

    def urls(self) -> tuple[str, str]:
        stack = self._access.stack
        name, users = (stack.part("kubernetes", "gateway", key) for key in ("name", "section"))
        tests = stack.part("kubernetes", "gateway", "test", "section")
        for gateway in self._cloud.state()["cluster"]["gateways"]:
            found = {listener["name"]: listener["url"] for listener in gateway["listeners"]}
            if gateway["name"] == name and {users, tests} <= found.keys():
                return str(found[users]), str(found[tests])
        raise FrontFailed(f"the local cluster has no Gateway {name} with the listeners {users} and {tests}")

    def weights(self) -> dict[str, int]:
        record = self._access.store.read()
        found = self._access.live.weights(str(record.listener)) if record else None
        return {self._environments[service]: weight for service, weight in (found or {}).items()}
