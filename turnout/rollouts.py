"""Rollouts of one stack put together: its spec from config, its metrics, its driver."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError
from turnout_components.config_faults import line, shape_fault
from turnout_components.durations import duration
from turnout_components.live import utc_now
from turnout_components.live_gateway import GatewayRouter
from turnout_components.rollout_spec import Metrics, Mirror, RolloutSpec
from turnout_components.standby import Keep, StandbyPolicy
from turnout_components.switch_record import Operator

from turnout.access import Access
from turnout.cloud.client import CloudHandle
from turnout.metrics.provider import MetricProvider
from turnout.rollout import smoke
from turnout.rollout.actions import RunSmokeTest
from turnout.rollout.alerts import Alerter
from turnout.rollout.controller import Controller
from turnout.rollout.mirrors import InstanceMirrors, Mirrors, RouteMirrors
from turnout.rollout.sources import source
from turnout.rollout.start import Start, begin, prepare
from turnout.rollout.status import RolloutStatus
from turnout.rollout.store import NoRollout, RolloutStore
from turnout.stacks import EKS, KUBERNETES, Stack, StackError

TEST_PORT = 8081


class _Config(BaseModel):
    """Where a stack's rollout stands in its config."""

    rollout: RolloutSpec


class Rollouts:
    """What `turnout rollout` works with in one stack. `cloud`: the local cloud of a local stack."""

    def __init__(self, access: Access, cloud: CloudHandle | None) -> None:
        self.access, self._cloud = access, cloud
        self.stack: Stack = access.stack
        self.operator = Operator.current()

    @cached_property
    def store(self) -> RolloutStore:
        """The stack's rollouts."""
        return RolloutStore(self.access.platform.items, self.stack.service, self.stack.name)

    def spec(self, changes: Mapping[str, Any]) -> RolloutSpec:
        """The stack's `turnout:rollout` with these changes; another strategy than the stack's has steps of its own.

        Raises `StackError`."""
        given = self.stack.config.get("rollout") or {}
        if not isinstance(given, Mapping):
            raise StackError(f"{self.stack.config_file}: {self.stack.project}:rollout = {given!r}: give it its keys")
        if changes.get("strategy", given.get("strategy")) != given.get("strategy"):
            given = {key: value for key, value in given.items() if key not in ("steps", "increment")}
        try:
            return RolloutSpec.model_validate({**given, **changes})
        except ValidationError as error:
            faults = [shape_fault(_Config, ("rollout", *one["loc"]), one) for one in error.errors()]
            raise StackError("\n".join(f"{self.stack.config_file}: {line(fault)}" for fault in faults)) from None

    def standby(self) -> StandbyPolicy:
        """How the stack keeps its standby."""
        try:
            return self._standby()
        except (ValueError, TypeError) as error:
            raise StackError(f"{self.stack.config_file}, turnout:traffic.standby: {error}; see docs/settings.md") from None

    def _standby(self) -> StandbyPolicy:
        given = (self.stack.config.get("traffic") or {}).get("standby") or {}
        lengths = {key: duration(given[key]) for key in ("retain_for", "bake") if key in given}
        drain = (self.stack.config.get("health") or {}).get("drain", 30)
        return StandbyPolicy(
            keep=Keep(given.get("keep", Keep.FULL)),
            warm_minimum=given.get("warm_minimum", 1),
            discard=given.get("discard"),
            drain=timedelta(seconds=drain),
            **lengths,
        )

    def metrics(self, wanted: Metrics) -> MetricProvider:
        """The source of measurements. On the local cloud its times are divided by the cloud's speed, as CloudWatch's are.

        Raises `StackError`."""
        speed = float(self._cloud.state()["speed"]) if self._cloud is not None else 1.0
        try:
            return source(wanted, self.access.client, speed)
        except ValueError as error:
            raise StackError(f"{self.stack.config_file}, turnout:rollout.metrics: {error}") from None

    def prepare(self, spec: RolloutSpec) -> RolloutStatus:
        """A rollout that may begin; nothing is touched.

        Raises `SwitchRefused`, `StackError`, `MetricsUnavailable`."""
        if any(isinstance(step, Mirror) for step in spec.plan()) and (lacking := self._lacks_mirrors()):
            fault = f"{self.stack.project}:rollout mirrors requests, and {lacking} (docs/switch-on-kubernetes.md)"
            raise StackError(f"{self.stack.config_file}: {fault}; take the mirror out of its steps")
        start = Start(spec, self.standby(), self.operator, utc_now)
        return prepare(start, self.access.store, self.access.live, self.metrics(spec.metrics))

    def _lacks_mirrors(self) -> str | None:
        """What is missing for a mirror where the stack is."""
        if self.stack.platform == EKS:
            return "nothing before the pods of an EKS cluster copies them"
        if self.stack.platform == KUBERNETES and self._cloud is not None:
            return "the local cluster has no logs to compare"
        return None

    def begin(self, status: RolloutStatus) -> RolloutStatus:
        """Enters it. Raises `SwitchRefused` when somebody was faster."""
        return begin(status, self.store, self.access.store, self.access.live)

    def alerter(self, spec: RolloutSpec) -> Alerter:
        """Who is told, and how."""
        return Alerter(spec.alerts, self.store.key, self.access.client, httpx.Client())

    def controller(self, spec: RolloutSpec, notify: Callable[[str], None]) -> Controller:
        """A driver."""
        metrics = self.metrics(spec.metrics)
        return Controller(
            self.store,
            self.access.store,
            self.access.live,
            metrics,
            step_downs=self.access.step_downs,
            alert=self.alerter(spec),
            smoke=self._smoke,
            notify=notify,
            operator=self.operator,
            mirrors=self._mirrors(metrics),
        )

    def _mirrors(self, metrics: MetricProvider) -> Mirrors:
        if self.stack.platform == KUBERNETES:
            api = self.access.cluster
            namespace = str(self.stack.part("kubernetes", "namespace") or self.stack.service)
            return RouteMirrors(GatewayRouter(api), api, namespace, metrics.period, metrics.delay)
        return InstanceMirrors(self.access.client, self.store.key, metrics.period, metrics.delay)

    def current(self, rollout: str | None) -> str:
        """The rollout that is named, or under way, or the newest.

        Raises `NoRollout` where there is none."""
        if rollout is not None:
            return rollout
        record = self.access.store.read()
        if record is not None and record.rollout is not None:
            return record.rollout
        known = self.store.ids()
        if not known:
            raise NoRollout(f"no rollout of {self.store.key} was ever begun; `turnout rollout start` begins one")
        return known[0]

    def _smoke(self, status: RolloutStatus, test: RunSmokeTest) -> str:
        return smoke.run(test, status.candidate, self._test_url(), self.stack.root)

    def _test_url(self) -> str:
        """Where the test listener answers."""
        record = self.access.store.read()
        if record is None or record.listener is None:
            raise StackError("nothing is deployed; run `turnout up`")
        if self.stack.platform == KUBERNETES:
            return self._test_url_of_route()
        elbv2 = self.access.client("elbv2")
        balancer = elbv2.describe_listeners(ListenerArns=[record.listener])["Listeners"][0]["LoadBalancerArn"]
        wanted = (self.stack.config.get("ingress") or {}).get("test_port", TEST_PORT)
        listeners = elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
        found = next((listener for listener in listeners if listener["Port"] == wanted), None)
        if found is None:
            raise StackError(f"no listener on port {wanted} (turnout:ingress.test_port); run `turnout up`")
        if self._cloud is not None:
            known = [one for each in self._cloud.state()["load_balancers"] for one in each["listeners"]]
            return next(str(one["url"]) for one in known if one["arn"] == found["ListenerArn"])
        host = elbv2.describe_load_balancers(LoadBalancerArns=[balancer])["LoadBalancers"][0]["DNSName"]
        return f"{found['Protocol'].lower()}://{host}:{wanted}"

    def _test_url_of_route(self) -> str:
        """A Gateway's address may be one of a load balancer, a node or a tunnel: the stack says it."""
        given = self.stack.part("kubernetes", "test_url")
        if not given:
            file, name = self.stack.config_file, f"{self.stack.project}:kubernetes.test_url"
            raise StackError(f"{file}: {name} = {given!r}: write where the test route answers, such as http://10.0.0.7:8081")
        return str(given)
