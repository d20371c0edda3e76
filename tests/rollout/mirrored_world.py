"""A mirror in the world of rollouts: Systems Manager (or a route) and both servers' logs in memory, which follow it."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError
from gateway_cloud import SPACE, GatewayCloud, RouteByName
from rollout_world import ANNA, World
from turnout_components.cluster_api import ClusterError
from turnout_components.mirror_setting import parameter
from turnout_components.switch_record import Operator

from turnout.rollout.controller import Controller
from turnout.rollout.mirrors import InstanceMirrors, Mirrors, RouteMirrors

GATES = [{"name": "errors", "kind": "errors"}, {"name": "health", "kind": "health"}]
STABLE = parameter("g-blue")


class ParameterNotFound(Exception):
    """As Systems Manager raises it."""


def refused(operation: str) -> ClientError:
    """What AWS answers to who calls too often."""
    return ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, operation)


class MirroredWorld(World):
    """A world whose servers copy one request a second while a mirror is asked for. `fails`: the candidate answers the copies
    of all but every second with 500; `late`: seconds until a line is in its log; `lost`: the copies' lines never are;
    `before_setting` (every call that reads or writes what is asked for), `before_put` and `before_logs` may raise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._asked: list[tuple[datetime, int]] = []
        self.fails, self.lost, self.late = False, False, 0.0
        self.before_setting: Callable[[], None] = lambda: None
        self.before_put: Callable[[], None] = lambda: None
        self.before_logs: Callable[[], None] = lambda: None
        self.parameters: dict[str, str] = {}
        self.clients = {
            "ssm": SimpleNamespace(
                exceptions=SimpleNamespace(ParameterNotFound=ParameterNotFound),
                put_parameter=self._put,
                get_parameter=self._get,
                delete_parameter=self._delete,
            ),
            "elbv2": SimpleNamespace(describe_target_groups=lambda **_: {"TargetGroups": [{"Port": 8000}]}),
            "autoscaling": SimpleNamespace(describe_auto_scaling_groups=self._groups),
            "ec2": SimpleNamespace(describe_instances=self._instances),
            "logs": SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=self._pages)),
        }
        minute = timedelta(seconds=60)
        self.mirrors: Mirrors = InstanceMirrors(self.clients.__getitem__, "svc/dev", minute, minute)
        if isinstance(self.cloud, GatewayCloud):
            cluster = self.cloud.cluster
            cluster.log = self._log  # type: ignore[method-assign]
            route = RouteByName(cluster, lambda: self.before_setting(), lambda: self.before_put())
            self.mirrors = RouteMirrors(route, cluster, SPACE, minute, minute, self.clock)

    @property
    def asked(self) -> list[tuple[datetime, int]]:
        """The shares that were asked for, and when."""
        return self.cloud.copied if isinstance(self.cloud, GatewayCloud) else self._asked

    @property
    def standing(self) -> dict[str, Any]:
        """What is asked for now: Systems Manager's parameters, or the route's mirrors."""
        return self.cloud.mirrored if isinstance(self.cloud, GatewayCloud) else self.parameters

    def away(self) -> None:
        """As a hook: who is called too often refuses."""
        raise ClusterError("Rate exceeded") if isinstance(self.cloud, GatewayCloud) else refused("GetParameter")

    @property
    def effects(self) -> list[tuple[Any, str]]:
        """What is asked of Systems Manager is an effect too."""
        if isinstance(self.cloud, GatewayCloud):
            return super().effects
        return [*super().effects, (self.clients["ssm"], "put_parameter"), (self.clients["ssm"], "delete_parameter")]

    def controller(self, operator: Operator = ANNA, **changes: Any) -> Controller:
        return super().controller(operator, **{"mirrors": self.mirrors, **changes})

    @property
    def share(self) -> int:
        """What is copied now, in percent."""
        return self.asked[-1][1] if self.asked else 0

    @property
    def shares(self) -> list[int]:
        """The shares, each once in a row."""
        found = [share for _, share in self.asked]
        return [share for index, share in enumerate(found) if index == 0 or share != found[index - 1]]

    def copied(self) -> timedelta:
        """For how long requests were copied, up to now."""
        ends = [at for at, _ in self.asked[1:]] + [self.clock()]
        return sum((end - at for (at, share), end in zip(self.asked, ends, strict=True) if share), timedelta(0))

    def _put(self, Name: str, Value: str, **_: Any) -> None:
        self.before_put()
        self.before_setting()
        self.parameters[Name] = Value
        self._asked.append((self.clock(), int(json.loads(Value)["share"])))

    def _get(self, Name: str) -> Any:
        self.before_setting()
        if Name not in self.parameters:
            raise ParameterNotFound
        return {"Parameter": {"Value": self.parameters[Name]}}

    def _delete(self, Name: str) -> None:
        self.before_setting()
        if self.parameters.pop(Name, None) is None:
            raise ParameterNotFound
        self._asked.append((self.clock(), 0))

    def _groups(self, AutoScalingGroupNames: list[str]) -> Any:
        ids = self.cloud.groups[AutoScalingGroupNames[0]].in_service
        return {"AutoScalingGroups": [{"Instances": [{"InstanceId": i, "LifecycleState": "InService"} for i in ids]}]}

    def _instances(self, InstanceIds: list[str]) -> Any:
        return {"Reservations": [{"Instances": [{"PrivateIpAddress": f"10.0.0.{each[-1]}"} for each in InstanceIds]}]}

    def _pages(self, logGroupName: str, startTime: int, endTime: int, **_: Any) -> Iterator[Any]:
        self.before_logs()
        copies = logGroupName.endswith("/green")
        known = min(endTime / 1000, self.clock().timestamp() - self.late)
        seconds = range(startTime // 1000, int(known) + 1)
        yield {
            "events": [
                {"message": self._line(at, copies)} for at in seconds if self._share_at(at) and not (copies and self.lost)
            ]
        }

    def _log(self, namespace: str, pod: str, container: str, seconds: int) -> list[str]:  # noqa: ARG002
        """Of an environment's pods the first answers everything."""
        if not pod.endswith("-0"):
            return []
        self.before_logs()
        now, copies = self.clock().timestamp(), pod.startswith("g-green")
        known = range(int(now - seconds), int(now - self.late) + 1)
        return [self._line(at, copies) for at in known if self._share_at(at) and not (copies and self.lost)]

    def _share_at(self, second: int) -> int:
        moment = datetime.fromtimestamp(second, UTC)
        return next((share for at, share in reversed(self.asked) if at <= moment), 0)

    def _line(self, at: int, copy: bool) -> str:
        bad = copy and self.fails and at % 2
        host = "svc-shadow" if copy else "svc"
        line = {"turnout": "mirrored", "id": f"r-{at}", "host": host, "status": 500 if bad else 200, "seconds": 0.1, "at": at}
        return json.dumps({**line, "answer": {"label": 7}})
