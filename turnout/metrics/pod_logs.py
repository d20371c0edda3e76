"""The mirrored requests of one side, from its pods' logs: what `turnout.analysis.shadow` compares."""

from collections.abc import Callable
from datetime import datetime

from turnout_components.cluster_api import ClusterApi, ClusterError
from turnout_components.kubernetes_names import ENVIRONMENT_LABEL, SERVER

from turnout.analysis.shadow import Line, read
from turnout.metrics.provider import MetricsUnavailable


class PodLogs:
    """The servers of one environment in a namespace. A pod that is gone has no log any more: its requests are not compared."""

    def __init__(self, api: ClusterApi, namespace: str, environment: str, clock: Callable[[], datetime]) -> None:
        self._api, self._namespace, self._environment, self._clock = api, namespace, environment, clock

    def lines(self, start: datetime, end: datetime) -> list[Line]:
        """The mirrored requests that its servers answered from `start` to `end`.

        Raises `MetricsUnavailable` when a log cannot be read."""
        seconds = max(1, int((self._clock() - start).total_seconds()) + 1)
        try:
            pods = self._api.list("Pod", self._namespace, {ENVIRONMENT_LABEL: self._environment})
            text = [line for pod in pods for line in self._api.log(self._namespace, pod["metadata"]["name"], SERVER, seconds)]
        except ClusterError as error:
            raise MetricsUnavailable(f"logs of {self._environment}'s pods cannot be read: {error}") from error
        return [line for line in read(text) if start.timestamp() <= line.at <= end.timestamp()]
