"""The same numbers from a real Prometheus, which scrapes a small exporter."""

import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from measured_places import PLACES
from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, start_http_server
from prometheus_client.registry import Collector
from turnout_components import rollout_spec
from turnout_components.rollout_spec import Gate, GateKind

from benchmarks.waiting import wait_for
from turnout.analysis.measurement import Count, Moments, Sample, Side
from turnout.cloud.ports import Ports
from turnout.metrics.prometheus import PrometheusMetrics
from turnout.metrics.provider import MetricsUnavailable, Span

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="install prometheus")

PERIOD = timedelta(seconds=2)
ACTIVE, CANDIDATE = Side.ACTIVE, Side.CANDIDATE
ERRORS = Gate(
    name="errors",
    kind=GateKind.ERRORS,
    metric=rollout_spec.Metric(
        total='app_requests_total{env="$environment"}', bad='app_requests_total{env="$environment",code=~"5.."}'
    ),
)
LATENCY = Gate(
    name="latency", kind=GateKind.LATENCY, metric=rollout_spec.Metric(histogram='app_seconds_bucket{env="$environment"}')
)
QUALITY = Gate(
    name="quality",
    kind=GateKind.QUALITY,
    metric=rollout_spec.Metric(total='app_scored_total{env="$environment"}', score='app_right_total{env="$environment"}'),
)
GATES = [ERRORS, LATENCY, QUALITY]


class Exporter(Collector):
    """Counters of both environments; `restart` sets them back, as a new process does."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """All counters are gone."""
        self._registry = CollectorRegistry()
        self._requests = Counter("app_requests", "Requests", ["env", "code"], registry=self._registry)
        self._seconds = Histogram("app_seconds", "Seconds", ["env"], buckets=(0.1, 0.25, 0.5), registry=self._registry)
        self._scored = Counter("app_scored", "Scored", ["env"], registry=self._registry)
        self._right = Counter("app_right", "Right", ["env"], registry=self._registry)

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect()

    def serve(self, env: str, good: int, failed: int, seconds: float) -> None:
        """So many requests, all as slow; those that fail get no score."""
        for _ in range(good + failed):
            self._seconds.labels(env).observe(seconds)
        self._requests.labels(env, "200").inc(good)
        self._scored.labels(env).inc(good)
        self._right.labels(env).inc(good // 2)
        if failed:
            self._requests.labels(env, "503").inc(failed)


@dataclass
class Server:
    """A running Prometheus and what it scrapes."""

    exporter: Exporter
    url: str
    metrics: PrometheusMetrics
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def totals(self, thresholds: dict[str, float]) -> dict[tuple[str, Side], Sample]:
        """The samples of all whole periods since the start, added up."""
        first = self.began.timestamp() // 2 * 2
        spans = []
        while first + 2 <= time.time():
            start = datetime.fromtimestamp(first, UTC)
            spans.append(Span(start, start + PERIOD))
            first += 2
        found: dict[tuple[str, Side], Sample] = {}
        for reading in self.metrics.read(GATES, thresholds, PLACES, spans):
            for side, each in reading.items():
                for gate, sample in each.samples.items():
                    found[gate, side] = added(found.get((gate, side)), sample)
        return found


def added(one: Sample | None, other: Sample) -> Sample:
    if one is None:
        return other
    if isinstance(one, Count):
        assert isinstance(other, Count)
        return Count(one.bad + other.bad, one.total + other.total)
    assert isinstance(other, Moments)
    return Moments(one.count + other.count, one.total + other.total, one.squares + other.squares)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Prometheus on a free port, scraping twice a second."""
    registry, exporter = CollectorRegistry(), Exporter()
    registry.register(exporter)
    httpd, thread = start_http_server(0, "127.0.0.1", registry)
    config = tmp_path / "prometheus.yml"
    scrape = f'{{job_name: app, static_configs: [{{targets: ["127.0.0.1:{httpd.server_port}"]}}]}}'
    config.write_text(f"global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}\nscrape_configs: [{scrape}]\n")
    address = f"127.0.0.1:{Ports().take()}"
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--web.listen-address={address}",
        f"--storage.tsdb.path={tmp_path}/data",
    ]
    with (tmp_path / "log").open("wb") as log, httpx.Client(timeout=5) as client:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            url = f"http://{address}"
            wait_for("Prometheus", lambda: ready(client, f"{url}/-/ready"))
            yield Server(exporter, url, PrometheusMetrics(client, url, PERIOD, PERIOD))
        finally:
            process.terminate()
            process.wait(20)
            httpd.shutdown()
            thread.join()
            httpd.server_close()


def ready(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == 200
    except httpx.TransportError:
        return False


def test_prometheus_counts_what_was_served_over_births_and_restarts(server: Server) -> None:
    server.exporter.serve("blue", 90, 0, 0.05)
    server.exporter.serve("green", 9, 1, 0.2)
    wait_for("the first requests", lambda: server.totals({}).get(("errors", CANDIDATE)) == Count(1, 10))
    server.exporter.serve("blue", 40, 3, 0.3)  # its first failures
    server.exporter.serve("green", 0, 5, 0.3)
    wait_for("the next", lambda: server.totals({}).get(("errors", ACTIVE)) == Count(3, 133))
    server.exporter.restart()
    server.exporter.serve("blue", 10, 1, 0.05)
    server.exporter.serve("green", 2, 0, 0.05)
    wait_for("the last", lambda: server.totals({}).get(("errors", ACTIVE)) == Count(4, 144))
    assert server.totals({"latency": 0.25}) == {
        ("errors", ACTIVE): Count(4, 144),
        ("errors", CANDIDATE): Count(6, 17),
        ("latency", ACTIVE): Count(43, 144),
        ("latency", CANDIDATE): Count(5, 17),
        ("quality", ACTIVE): Moments(140, 70, 70),
        ("quality", CANDIDATE): Moments(11, 5, 5),
    }
    assert server.totals({"latency": 0.2})["latency", CANDIDATE] == Count(15, 17)  # at the bound 0.1

    now = datetime.now(UTC)
    percentile = server.metrics.percentile(LATENCY, PLACES[ACTIVE], server.began - PERIOD, now)
    assert percentile == pytest.approx(0.25 + 0.25 * (0.95 * 144 - 101) / 43)
    query = 'histogram_quantile(0.95, sum by (le) (increase(app_seconds_bucket{env="blue"}[1m])))'
    told = httpx.get(f"{server.url}/api/v1/query", params={"query": query}).json()["data"]["result"][0]["value"][1]
    assert percentile == pytest.approx(float(told), rel=0.25)  # it extrapolates, and forgets what came before its first sample


def metric(total: str) -> rollout_spec.Metric:
    """A gate's metric with that selector."""
    return rollout_spec.Metric(total=total, bad="app_requests_total")


def test_what_cannot_be_measured_is_told_before_the_start(server: Server) -> None:
    server.exporter.serve("blue", 95, 5, 0.2)
    soon = datetime.now(UTC)
    wait_for("a scrape", lambda: server.totals({}).get(("errors", ACTIVE)) == Count(5, 100))
    until = datetime.now(UTC) + PERIOD
    broken = ERRORS.model_copy(update={"name": "broken", "metric": metric('app_requests_total{env="$environment"')})
    computed = ERRORS.model_copy(update={"name": "computed", "metric": metric('sum(app_requests_total{env="$environment"})')})
    absent = ERRORS.model_copy(update={"name": "absent", "metric": metric('no_such{env="$environment"}')})
    lines = server.metrics.missing([ERRORS, broken, computed, absent, QUALITY], PLACES, soon - PERIOD, until)
    assert [line.partition(":")[0] for line in lines] == ["broken", "computed", "absent"]
    assert "write a selector" in lines[0]
    assert "write a selector" in lines[1]
    assert 'no_such{env="blue"} and app_requests_total counted nothing of blue' in lines[2]
    with pytest.raises(MetricsUnavailable, match="write a selector"):
        server.metrics.read([broken], {}, PLACES, [Span(soon - PERIOD, soon)])
    (reading,) = server.metrics.read([absent], {}, PLACES, [Span(soon - PERIOD, soon)])
    assert reading == {}
