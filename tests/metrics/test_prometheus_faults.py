"""What Prometheus and its series may do to a reader: restarts, births, gaps, NaN, refusals, outages."""

import itertools
import math
from types import SimpleNamespace

import httpx
import pytest
from fed_sources import PrometheusFeed
from measured_places import MINUTE, PLACES, START, span
from turnout_components.rollout_spec import Gate, GateKind, Metric

from turnout.analysis.measurement import Count, Side
from turnout.metrics import prometheus_series as series
from turnout.metrics.prometheus import ATTEMPTS, PATIENCE, PrometheusMetrics
from turnout.metrics.prometheus_series import Series
from turnout.metrics.provider import MetricsUnavailable, Place

ACTIVE, CANDIDATE = Side.ACTIVE, Side.CANDIDATE
SPANS = [(0.0, 60.0), (60.0, 120.0), (120.0, 180.0)]


def counter(*samples: tuple[float, float], **labels: str) -> Series:
    return Series(labels, samples)


@pytest.mark.parametrize(
    ("samples", "counted"),
    [
        ([(-5, 100), (30, 110), (59, 115), (61, 118)], [15, 3, None]),  # spans add up; no extrapolation
        ([(-5, 100), (60, 110), (60.1, 111)], [10, 1, None]),  # the end belongs to its span
        ([(50, 1), (70, 1)], [1, 0, None]),  # born with its first failure
        ([(-5, 100), (30, 120), (50, 5), (70, 8)], [25, 3, None]),  # a restart
        ([(-5, 100), (130, 160)], [None, None, 60]),  # a gap: counted where it was seen
        ([], [None, None, None]),
    ],
)
def test_a_span_has_what_was_counted_up_to_its_last_sample(
    samples: list[tuple[float, float]], counted: list[float | None]
) -> None:
    assert series.increases(counter(*samples), SPANS) == counted
    assert series.total([counter(*samples), counter()], SPANS) == counted


def test_counters_of_several_servers_add_up() -> None:
    found = [counter((-5, 10), (30, 20)), counter((10, 4), (70, 5)), counter((100, 1))]
    assert series.total(found, SPANS) == [14, 2, None]


def test_the_cut_is_the_largest_common_bound_up_to_the_threshold_for_both_sides_alike() -> None:
    blue = {0.1: [1.0], 0.25: [1.0], 0.5: [1.0], math.inf: [1.0]}
    green = {0.1: [1.0], 0.2: [1.0], 0.5: [1.0], math.inf: [1.0]}
    assert series.cut(0.3, [blue, green]) == 0.1
    assert series.cut(0.5, [blue, green]) == 0.5
    assert series.cut(0.05, [blue, green]) is None
    assert series.cut(0.3, [blue]) == 0.25
    assert series.cut(0.3, []) is None


@pytest.mark.parametrize(("percent", "value"), [(50, 0.1), (75, 0.2), (95, 0.28), (99, 0.296)])
def test_a_percentile_is_linear_in_its_bucket_as_in_promql(percent: float, value: float) -> None:
    side: dict[float, list[float | None]] = {0.1: [50.0], 0.3: [100.0], math.inf: [100.0]}
    assert series.percentile(side, percent, 0) == pytest.approx(value)


def test_a_percentile_beyond_the_last_bound_is_that_bound_and_of_nothing_there_is_none() -> None:
    assert series.percentile({0.1: [50.0], 0.3: [60.0], math.inf: [100.0]}, 95, 0) == 0.3
    assert series.percentile({0.1: [0.0], math.inf: [0.0]}, 95, 0) is None
    assert series.percentile({0.1: [1.0]}, 95, 0) is None
    assert series.percentile({}, 95, 0) is None


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0])
def test_a_count_that_cannot_be_is_no_sample(wrong: float) -> None:
    for side in (ACTIVE, CANDIDATE):
        assert series.failed(wrong, 10.0, side) is None
        assert series.failed(1.0, wrong, side) is None
        assert series.failed(11.0, 10.0, side) is None
    assert series.scored(wrong, 10.0) is None
    assert series.scored(11.0, 10.0) is None  # scores above 1: their squares are not known
    assert series.slow({0.1: [wrong], math.inf: [10.0]}, 0.1, 0) is None
    assert series.slow({0.1: [12.0], math.inf: [10.0]}, 0.1, 0) is None


def test_a_part_of_a_failed_request_counts_against_the_candidate() -> None:
    assert series.failed(1.2, 10.0, CANDIDATE) == Count(2, 10)
    assert series.failed(1.8, 10.0, ACTIVE) == Count(1, 10)
    assert series.failed(3.0000000001, 10.0, CANDIDATE) == Count(3, 10)
    assert series.failed(None, 10.0, CANDIDATE) == Count(0, 10)
    assert series.failed(1.0, None, CANDIDATE) is None


def test_a_series_with_nan_leaves_its_gate_unmeasured_and_not_the_others() -> None:
    feed = PrometheusFeed()
    feed.requests(CANDIDATE, 0, 10, 1)
    feed.count(0, math.nan, __name__="right", env="green")
    feed.count(0, 5, __name__="scored", env="green")
    (reading,) = feed.provider.read([feed.errors, feed.quality], {}, PLACES, [span()])
    assert reading[CANDIDATE].samples == {"errors": Count(1, 10)}


def test_a_restart_of_a_server_is_no_negative_count() -> None:
    feed = PrometheusFeed()
    feed.requests(CANDIDATE, 0, 100, 5)
    feed.count(1, -1, __name__="requests", env="green", code="200")
    feed.requests(CANDIDATE, 1, 30, 2)
    first, second = feed.provider.read([feed.errors], {}, PLACES, [span(0), span(1)])
    assert first[CANDIDATE].samples == {"errors": Count(5, 100)}
    assert second[CANDIDATE].samples == {"errors": Count(2, 30)}


def test_the_bound_that_a_latency_gate_counts_at_is_shown() -> None:
    feed = PrometheusFeed()
    for side in (ACTIVE, CANDIDATE):
        feed.times(side, 0, {0.2: 90, 0.27: 5, 0.4: 5})
    (reading,) = feed.provider.read([feed.latency], {"latency": 0.29}, PLACES, [span()])
    for side in (ACTIVE, CANDIDATE):
        assert reading[side].samples == {"latency": Count(10, 100)}
        assert reading[side].shown["latency bound"] == 0.25


def test_a_histogram_without_a_bound_near_its_percentile_is_told_before_the_start() -> None:
    feed = PrometheusFeed()
    feed.times(ACTIVE, 0, {0.2: 94, 0.4: 6})  # p95 is 0.33 s: 0.3 is below it, 0.5 beyond 1.2 times it
    (line,) = feed.provider.missing([feed.latency], PLACES, START, START + 2 * MINUTE)
    assert "between p95 (0.333 s) and 1.2 times it: give the histogram one there" in line
    feed.times(ACTIVE, 1, {0.2: 4000})
    assert feed.provider.missing([feed.latency], PLACES, START, START + 3 * MINUTE) == []


def test_places_are_filled_in_and_cannot_break_out_of_their_quotes() -> None:
    feed = PrometheusFeed()
    feed.answer = httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": []}})
    gate = Gate(
        name="errors", kind=GateKind.ERRORS, metric=Metric(total='a{s="$service",g=~"x$|$group"}', bad='b{r="${release}"}')
    )
    place = Place(**{**vars(PLACES[ACTIVE]), "service": 'di"gi\\ts'})
    feed.provider.read([gate], {}, {ACTIVE: place}, [span()])
    assert feed.queries == ['a{s="di\\"gi\\\\ts",g=~"x$|digits-blue-abc"}[360s]', 'b{r="blue-2.0.0"}[360s]']


def test_the_load_balancers_gates_and_half_metrics_are_told_what_to_write() -> None:
    feed = PrometheusFeed()
    gates = [
        Gate(name="errors", kind=GateKind.ERRORS),
        Gate(name="latency", kind=GateKind.LATENCY),
        Gate(name="slo", kind=GateKind.BURN, metric=Metric(total="a")),
        Gate(name="quality", kind=GateKind.QUALITY, metric=Metric(namespace="T", name="S")),
        Gate(name="health", kind=GateKind.HEALTH),
    ]
    lines = feed.provider.missing(gates, PLACES, START, START + 5 * MINUTE)
    assert [line.partition(":")[0] for line in lines] == ["errors", "latency", "slo", "quality"]
    for line, words in zip(lines, ("metric.bad", "metric.histogram", "metric.bad", "metric.score"), strict=True):
        assert words in line
    assert feed.provider.read(gates, {"latency": 0.3}, PLACES, [span()]) == [{}]
    assert feed.provider.percentile(gates[1], PLACES[ACTIVE], START, START + MINUTE) is None


def bad(status: int, **body: object) -> httpx.Response:
    return httpx.Response(status, json={"status": "error", **body})


def matrix(*result: object) -> httpx.Response:
    return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": result}})


@pytest.mark.parametrize(
    ("answer", "told", "attempts"),
    [
        (bad(400, errorType="bad_data", error="parse error"), "parse error; write a selector", 1),
        (bad(422, errorType="execution", error="query processing would load too many samples"), "too many samples", 1),
        (bad(503, error="unavailable"), "status 503", ATTEMPTS),
        (httpx.Response(429, json={}), "status 429", ATTEMPTS),
        (httpx.Response(200, text="<html>"), "does not answer", ATTEMPTS),
        (httpx.Response(302, json={}), "cannot answer", 1),
        (httpx.ReadTimeout("timed out"), "timed out", ATTEMPTS),
        (httpx.Response(200, json={"status": "success", "warnings": ["a store is away"], "data": {}}), "a store is away", 1),
        (httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": []}}), "no selector", 1),
        (httpx.Response(200, json={"status": "success"}), "no selector", 1),
        (matrix({"metric": {}, "histograms": [[0, {"count": "1"}]]}), "a native histogram's: write a selector", 1),
        (matrix({"metric": {}, "values": [[0, None]]}), "samples that are no numbers", 1),
    ],
)
def test_an_answer_that_is_none_makes_the_measurement_unavailable(
    answer: httpx.Response | Exception, told: str, attempts: int
) -> None:
    feed = PrometheusFeed()
    feed.answer = answer
    with pytest.raises(MetricsUnavailable, match=told):
        feed.provider.read([feed.errors], {}, PLACES, [span()])
    assert len(feed.queries) == attempts
    assert len(feed.slept) == attempts - 1


def test_a_query_that_took_long_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a Prometheus that hangs does not keep a look from targets' health."""
    feed = PrometheusFeed()
    feed.answer = httpx.ReadTimeout("timed out")
    moments = itertools.count(step=PATIENCE)
    monkeypatch.setattr("tenacity.time", SimpleNamespace(monotonic=lambda: next(moments)))
    with pytest.raises(MetricsUnavailable, match="timed out"):
        feed.provider.read([feed.errors], {}, PLACES, [span()])
    assert len(feed.queries) == 1


def test_a_query_that_is_refused_is_told_of_its_gate_before_the_start() -> None:
    feed = PrometheusFeed()
    feed.answer = bad(400, error="parse error: unexpected end of input")
    lines = feed.provider.missing([feed.errors, feed.quality], PLACES, START, START + 5 * MINUTE)
    assert [line.partition(":")[0] for line in lines] == ["errors", "quality"]
    assert "unexpected end of input" in lines[0]


def test_hours_of_spans_are_asked_for_an_hour_at_a_time() -> None:
    feed = PrometheusFeed()
    feed.requests(ACTIVE, 0, 10)
    feed.requests(ACTIVE, 100, 7)
    readings = feed.provider.read([feed.errors], {}, {ACTIVE: PLACES[ACTIVE]}, [span(number) for number in range(121)])
    assert len(readings) == 121
    assert [number for number, reading in enumerate(readings) if reading[ACTIVE].requests] == [0, 100]
    totals = [query for query in feed.queries if "code" not in query]
    assert [query.rpartition("[")[2] for query in totals] == ["3900s]", "3900s]", "360s]"]


def test_the_client_is_asked_at_its_address() -> None:
    seen = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": []}})

    client = httpx.Client(transport=httpx.MockTransport(respond))
    feed = PrometheusFeed()
    PrometheusMetrics(client, "https://prometheus/prefix/", MINUTE, MINUTE).read([feed.errors], {}, PLACES, [span()])
    assert set(seen) == {"https://prometheus/prefix/api/v1/query"}
