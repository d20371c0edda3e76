"""For tests: CloudWatch and Prometheus behind one way to feed them, so that the same cases run on both."""

import json
import re
from typing import Any, Protocol
from urllib.parse import parse_qs

import httpx
from botocore.exceptions import ClientError
from measured_places import MINUTE, PLACES, START, put, put_balancer
from turnout_components.rollout_spec import Gate, GateKind, Metric

from turnout.analysis.measurement import Side
from turnout.metrics.cloudwatch import CloudWatchMetrics
from turnout.metrics.prometheus import PrometheusMetrics
from turnout.metrics.provider import MetricProvider

BOUNDS = (0.1, 0.25, 0.3, 0.5)
"""Of the histogram, in seconds."""
SCRAPE = 15
"""Seconds between two samples of the fake Prometheus."""


class Feed(Protocol):
    """A source, what is put into it by side and minute, and gates that it can measure."""

    provider: MetricProvider
    errors: Gate
    latency: Gate
    quality: Gate

    def requests(self, side: Side, minute: int, total: int, failed: int = 0) -> None: ...

    def times(self, side: Side, minute: int, counts: dict[float, int]) -> None: ...

    def scores(self, side: Side, minute: int, counts: dict[float, int]) -> None: ...

    def end(self) -> None:
        """It does not answer any more."""


class CloudWatchFeed:
    """CloudWatch of moto."""

    errors = Gate(name="errors", kind=GateKind.ERRORS)
    latency = Gate(name="latency", kind=GateKind.LATENCY)
    quality = Gate(
        name="quality",
        kind=GateKind.QUALITY,
        metric=Metric(namespace="Turnout", name="Right", dimensions={"Env": "$environment", "Release": "${release}"}),
    )

    def __init__(self, client: Any) -> None:
        self._client = client
        self.provider: MetricProvider = CloudWatchMetrics(client, MINUTE, MINUTE)

    def requests(self, side: Side, minute: int, total: int, failed: int = 0) -> None:
        put_balancer(self._client, side, minute, RequestCount=total, HTTPCode_Target_5XX_Count=failed)

    def times(self, side: Side, minute: int, counts: dict[float, int]) -> None:
        put_balancer(self._client, side, minute, TargetResponseTime=counts)

    def scores(self, side: Side, minute: int, counts: dict[float, int]) -> None:
        place = PLACES[side]
        put(self._client, "Turnout", "Right", {"Env": place.environment, "Release": place.release}, minute, counts)

    def end(self) -> None:
        def refuse(**_: Any) -> None:
            raise ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "GetMetricData")

        self._client.meta.events.register("provide-client-params.cloudwatch.*", refuse)


class PrometheusFeed:
    """Prometheus's API over counters that are scraped four times a minute."""

    errors = Gate(
        name="errors",
        kind=GateKind.ERRORS,
        metric=Metric(total='requests{env="$environment"}', bad='requests{env="$environment",code="500"}'),
    )
    latency = Gate(name="latency", kind=GateKind.LATENCY, metric=Metric(histogram='seconds_bucket{env="${environment}"}'))
    quality = Gate(
        name="quality",
        kind=GateKind.QUALITY,
        metric=Metric(total='scored{env="$environment"}', score='right{env="$environment"}'),
    )

    def __init__(self) -> None:
        self._counted: list[tuple[float, dict[str, str], float]] = []
        self.queries: list[str] = []
        self.answer: httpx.Response | Exception | None = None
        self.slept: list[float] = []
        client = httpx.Client(transport=httpx.MockTransport(self._respond))
        self.provider: MetricProvider = PrometheusMetrics(client, "http://prometheus/", MINUTE, MINUTE, sleep=self.slept.append)

    def count(self, minute: float, number: float, **labels: str) -> None:
        """Adds to a counter; a negative number sets it to 0 (its process began again)."""
        self._counted.append((START.timestamp() + minute * 60 + 20, labels, number))

    def requests(self, side: Side, minute: int, total: int, failed: int = 0) -> None:
        environment = PLACES[side].environment
        self.count(minute, total - failed, __name__="requests", env=environment, code="200")
        if failed:
            self.count(minute, failed, __name__="requests", env=environment, code="500")

    def times(self, side: Side, minute: int, counts: dict[float, int]) -> None:
        for bound in (*BOUNDS, float("inf")):
            within = sum(count for value, count in counts.items() if value <= bound)
            le = "+Inf" if bound == float("inf") else str(bound)
            self.count(minute, within, __name__="seconds_bucket", env=PLACES[side].environment, le=le)

    def scores(self, side: Side, minute: int, counts: dict[float, int]) -> None:
        environment = PLACES[side].environment
        self.count(minute, sum(counts.values()), __name__="scored", env=environment)
        self.count(minute, sum(value * count for value, count in counts.items()), __name__="right", env=environment)

    def end(self) -> None:
        self.answer = httpx.ConnectError("refused")

    def _respond(self, request: httpx.Request) -> httpx.Response:
        form = parse_qs(request.content.decode())
        query, at = form["query"][0], float(form["time"][0])
        self.queries.append(query)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        parsed = re.fullmatch(r"(\w+)(?:\{(.*)\})?\[(\d+)s\]", query)
        assert parsed, query
        wanted = {"__name__": parsed[1], **dict(re.findall(r'(\w+)="([^"]*)"', parsed[2] or ""))}
        result = []
        for labels in {json.dumps(labels, sort_keys=True): labels for _, labels, _ in self._counted}.values():
            if wanted.items() <= labels.items():
                result.append({"metric": labels, "values": self._samples(labels, at - int(parsed[3]), at)})
        kept = [item for item in result if item["values"]]
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": kept}})

    def _samples(self, labels: dict[str, str], start: float, end: float) -> list[tuple[float, str]]:
        samples: list[tuple[float, str]] = []
        for moment in range(int(START.timestamp()) - 3600 + 5, int(end) + 1, SCRAPE):
            known = [number for at, each, number in self._counted if each == labels and at <= moment]
            if known and moment >= start:
                restarts = [index for index, number in enumerate(known) if number < 0]
                samples.append((moment, str(sum(known[restarts[-1] + 1 :] if restarts else known))))
        return samples
