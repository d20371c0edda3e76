"""A rollout's mirror, compared from both sides' logs: asked for in Systems Manager (`InstanceMirrors`) or on a route."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from turnout_components.cluster_api import ClusterApi, ClusterError
from turnout_components.live import utc_now
from turnout_components.live_gateway import GatewayRouter
from turnout_components.mirror import TIMEOUT, Mirror
from turnout_components.mirror_setting import MirrorSetting, instances
from turnout_components.rollout_spec import GateKind
from turnout_components.switch_record import SwitchRecord

from turnout.analysis.measurement import Count, Sample, Side, Window
from turnout.analysis.shadow import Line, Rules, Shadow, compare
from turnout.metrics.mirror_logs import MirrorLogs
from turnout.metrics.pod_logs import PodLogs
from turnout.metrics.provider import Span
from turnout.rollout.measuring import spans_between
from turnout.rollout.status import Compared, RolloutStatus

SAMPLES = 20
"""Samples that a status keeps."""
WHOLE = 100
"""Percent."""
SPANS_A_LOOK = 5
"""How many spans' logs are read at once. A look is to end within its lease; what is written down after it is not read again."""


class Mirrors(ABC):
    """The mirror of one service. `period`: of a comparison; `delay`: after which both sides' logs are whole."""

    def __init__(self, period: timedelta, delay: timedelta) -> None:
        self._period, self._delay = period, delay

    @abstractmethod
    def share(self, status: RolloutStatus, record: SwitchRecord) -> int:
        """What is copied to all of the candidate as it is now, in percent; -1 where it is copied to others, or what is asked
        for is no mirror. Where the platform does not say, it is taken to be as the status has it: what nobody can see keeps
        no traffic from going back."""

    @abstractmethod
    def put(self, status: RolloutStatus, record: SwitchRecord, share: int) -> None:
        """Asks for copies of this share; 0 for none."""

    @abstractmethod
    def _logs(self, environment: str) -> MirrorLogs | PodLogs: ...

    def windows(self, status: RolloutStatus, now: datetime) -> tuple[tuple[Window, ...], Compared]:
        """What was compared since the last look, and all that was compared so far.

        Raises `MetricsUnavailable`."""
        last = next((window.end for window in reversed(status.windows) if window.mirrored), None)
        since = last or status.mirror_since or now
        late = timedelta(seconds=TIMEOUT) + self._delay
        found: list[Window] = []
        total = status.compared
        for span in spans_between(since, now - late, self._period)[:SPANS_A_LOOK]:
            live, copies = self._lines(status, span)
            shadow = compare(live, copies, self._rules(status), (span.end + late).timestamp() + 1)
            found.append(_window(status, span, shadow, live, copies))
            total = _added(total, shadow)
        return tuple(found), total

    def _lines(self, status: RolloutStatus, span: Span) -> tuple[list[Line], list[Line]]:
        """The requests that the stable side answered in the span, and their copies, answered before or after."""
        near = timedelta(seconds=TIMEOUT)
        found = self._logs(status.stable).lines(span.start, span.end)
        live = [line for line in found if not line.copy and span.start.timestamp() <= line.at < span.end.timestamp()]
        ids = {line.id for line in live}
        copies = self._logs(status.candidate).lines(span.start - near, span.end + near) if live else []
        return live, [line for line in copies if line.copy and line.id in ids]

    def _rules(self, status: RolloutStatus) -> Rules:
        wanted = status.spec.compare
        return Rules(
            fields=wanted.fields,
            tolerance=wanted.tolerance,
            shown=wanted.shown,
            hashed=wanted.hashed,
            samples=SAMPLES,
            patience=self._delay.total_seconds(),
            salt=status.id,
        )


class InstanceMirrors(Mirrors):
    """Asked for in Systems Manager, made by the nodes. `client` makes clients of AWS's services; `key`: `<service>/<stack>`."""

    def __init__(self, client: Callable[[str], Any], key: str, period: timedelta, delay: timedelta) -> None:
        super().__init__(period, delay)
        self._client, self._key = client, key

    def share(self, status: RolloutStatus, record: SwitchRecord) -> int:
        try:
            found = self._setting(status, record).read()
            if found is None:
                return 0
            return int(found.share) if found.targets == self._targets(status, record) else -1
        except (ClientError, BotoCoreError):
            return status.mirror
        except (KeyError, OverflowError, TypeError, ValueError):
            return -1

    def put(self, status: RolloutStatus, record: SwitchRecord, share: int) -> None:
        setting = self._setting(status, record)
        if share:
            setting.put(Mirror(share, self._targets(status, record)))
        else:
            setting.clear()

    def _logs(self, environment: str) -> MirrorLogs:
        return MirrorLogs(self._client("logs"), f"/turnout/{self._key}/{environment}")

    def _setting(self, status: RolloutStatus, record: SwitchRecord) -> MirrorSetting:
        return MirrorSetting(self._client("ssm"), str(record.environments[status.stable].group))

    def _targets(self, status: RolloutStatus, record: SwitchRecord) -> tuple[tuple[str, int], ...]:
        state = record.environments[status.candidate]
        group = self._client("elbv2").describe_target_groups(TargetGroupArns=[state.target_group])["TargetGroups"][0]
        return instances(self._client("autoscaling"), self._client("ec2"), str(state.group), int(group["Port"]))


class RouteMirrors(Mirrors):
    """The mirror of one service on platform kubernetes: a filter of its route. Copies reach whatever pods the candidate's
    Service has, so nothing is to be asked for again when these change."""

    def __init__(
        self,
        router: GatewayRouter,
        api: ClusterApi,
        namespace: str,
        period: timedelta,
        delay: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(period, delay)
        self._router, self._api, self._namespace, self._clock = router, api, namespace, clock

    def share(self, status: RolloutStatus, record: SwitchRecord) -> int:
        try:
            found = self._router.mirrored(str(record.listener))
        except ClusterError:
            return status.mirror
        if not found:
            return 0
        wanted = record.environments[status.candidate].target_group
        return round(found[wanted]) if set(found) == {wanted} else -1

    def put(self, status: RolloutStatus, record: SwitchRecord, share: int) -> None:
        target = record.environments[status.candidate].target_group if share else None
        self._router.put_mirror(str(record.listener), target, share)

    def _lines(self, status: RolloutStatus, span: Span) -> tuple[list[Line], list[Line]]:
        """As for `Mirrors`. A route's filter tells no server which requests it copied: where it copies a part, what has no copy
        is not known to be missing."""
        live, copies = super()._lines(status, span)
        known = {line.id for line in copies}
        return (live if status.mirror == WHOLE else [line for line in live if line.id in known]), copies

    def _logs(self, environment: str) -> PodLogs:
        return PodLogs(self._api, self._namespace, environment, self._clock)


def _window(status: RolloutStatus, span: Span, shadow: Shadow, live: list[Line], copies: list[Line]) -> Window:
    samples: dict[str, dict[Side, Sample]] = {}
    for gate in status.gates:
        if shadow.pairs and gate.kind is GateKind.ERRORS:
            samples[gate.name] = dict(shadow.failed)
        elif shadow.pairs and gate.kind is GateKind.LATENCY and gate.metric is None:
            limit = status.thresholds[gate.name]
            sides = {Side.ACTIVE: live, Side.CANDIDATE: copies}
            slow = {side: sum(each.seconds > limit for each in own) for side, own in sides.items()}
            samples[gate.name] = {side: Count(slow[side], len(own)) for side, own in sides.items()}
    shown = {f"p{name}": {side: times[name] for side, times in shadow.seconds.items()} for name in (50, 95) if shadow.seconds}
    requests = dict.fromkeys(Side, shadow.pairs) if shadow.pairs else {}
    return Window(span.start, span.end, status.weight, requests, samples, shown, mirrored=True)


def _added(total: Compared, shadow: Shadow) -> Compared:
    names = ("pairs", "same_status", "answered", "same_answer", "late", "missing")
    samples = (*total.samples, *(asdict(sample) for sample in shadow.samples))[:SAMPLES]
    return Compared(**{name: getattr(total, name) + getattr(shadow, name) for name in names}, samples=samples)
