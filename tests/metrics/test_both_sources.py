"""What every source of measurements does: the same cases on CloudWatch and on Prometheus."""

import pytest
from fed_sources import Feed
from measured_places import MINUTE, PLACES, START, span
from turnout_components.rollout_spec import Gate, GateKind, Metric

from turnout.analysis.measurement import Count, Moments, Side
from turnout.metrics.provider import MetricsUnavailable

ACTIVE, CANDIDATE = Side.ACTIVE, Side.CANDIDATE
UNKNOWN = Gate(
    name="unknown",
    kind=GateKind.QUALITY,
    metric=Metric(namespace="No", name="Where", dimensions={"E": "$environment"}, total='no{e="$environment"}', score="no"),
)


def feed_all(feed: Feed, minutes: int = 3) -> None:
    """Both sides serve; the candidate is worse from its second minute on."""
    for minute in range(minutes):
        feed.requests(ACTIVE, minute, 900, 1)
        feed.requests(CANDIDATE, minute, 100, 7 if minute else 0)
        feed.times(ACTIVE, minute, {0.2: 890, 0.4: 10})
        feed.times(CANDIDATE, minute, {0.2: 60, 0.4: 40} if minute else {0.2: 100})
        feed.scores(ACTIVE, minute, {1.0: 45, 0.0: 5})
        feed.scores(CANDIDATE, minute, {1.0: 2, 0.0: 8} if minute else {1.0: 10})


def test_readings_have_each_gates_sample_by_span_and_side(feed: Feed) -> None:
    feed_all(feed)
    gates = [feed.errors, feed.latency, feed.quality]
    first, second, third = feed.provider.read(gates, {"latency": 0.3}, PLACES, [span(0), span(1), span(2)])
    assert first[ACTIVE].samples == {"errors": Count(1, 900), "latency": Count(10, 900), "quality": Moments(50, 45, 45)}
    assert first[CANDIDATE].samples == {"errors": Count(0, 100), "latency": Count(0, 100), "quality": Moments(10, 10, 10)}
    assert second[ACTIVE].samples == third[ACTIVE].samples == first[ACTIVE].samples
    worse = {"errors": Count(7, 100), "latency": Count(40, 100), "quality": Moments(10, 2, 2)}
    assert second[CANDIDATE].samples == third[CANDIDATE].samples == worse
    assert (second[ACTIVE].requests, second[CANDIDATE].requests) == (900, 100)
    assert 0.1 < second[ACTIVE].shown["p50"] <= second[ACTIVE].shown["p95"] <= 0.25
    assert second[CANDIDATE].shown["p95"] > 0.3


def test_a_span_alone_reads_as_among_others(feed: Feed) -> None:
    feed_all(feed, 4)
    gates, spans = [feed.errors, feed.latency, feed.quality], [span(number) for number in range(4)]
    together = feed.provider.read(gates, {"latency": 0.3}, PLACES, spans)
    alone = [feed.provider.read(gates, {"latency": 0.3}, PLACES, [each])[0] for each in spans]
    assert [{s: (r.requests, r.samples) for s, r in each.items()} for each in together] == [
        {s: (r.requests, r.samples) for s, r in each.items()} for each in alone
    ]


def test_a_span_without_data_has_no_samples_and_no_span_no_reading(feed: Feed) -> None:
    feed_all(feed, 1)
    gates = [feed.errors, feed.latency, feed.quality]
    for silent in (9, 50):
        (reading,) = feed.provider.read(gates, {"latency": 0.3}, PLACES, [span(silent)])
        assert not any(side.requests or side.samples for side in reading.values())
    assert feed.provider.read(gates, {"latency": 0.3}, PLACES, []) == []


def test_a_side_that_serves_alone_is_read_alone(feed: Feed) -> None:
    feed.requests(CANDIDATE, 0, 10, 3)
    (reading,) = feed.provider.read([feed.errors], {}, {CANDIDATE: PLACES[CANDIDATE]}, [span()])
    assert reading[CANDIDATE].samples == {"errors": Count(3, 10)}
    assert list(reading) == [CANDIDATE]


def test_a_gate_without_data_or_threshold_leaves_the_others_alone(feed: Feed) -> None:
    feed_all(feed, 1)
    (reading,) = feed.provider.read([feed.errors, UNKNOWN, feed.latency], {}, PLACES, [span()])
    assert reading[ACTIVE].samples == {"errors": Count(1, 900)}


def test_a_threshold_beyond_all_times_is_a_count_of_none(feed: Feed) -> None:
    feed_all(feed, 1)
    (reading,) = feed.provider.read([feed.latency], {"latency": 0.5}, PLACES, [span()])
    assert reading[ACTIVE].samples["latency"] == Count(0, 900)


def test_the_percentile_is_of_all_values_of_its_time(feed: Feed) -> None:
    feed.times(ACTIVE, 0, {0.2: 900})
    feed.times(ACTIVE, 5, {0.4: 100})
    place, gate = PLACES[ACTIVE], feed.latency
    whole = feed.provider.percentile(gate, place, START, START + 10 * MINUTE)
    early = feed.provider.percentile(gate, place, START, START + 5 * MINUTE)
    assert whole is not None
    assert early is not None
    assert early <= 0.25
    assert 0.3 < whole <= 0.5
    assert feed.provider.percentile(gate, PLACES[CANDIDATE], START, START + 10 * MINUTE) is None
    assert feed.provider.percentile(gate, place, START + 20 * MINUTE, START + 30 * MINUTE) is None


def test_missing_names_the_gates_that_the_active_side_has_no_data_for(feed: Feed) -> None:
    feed_all(feed, 5)
    health = Gate(name="health", kind=GateKind.HEALTH)
    gates = [feed.errors, feed.latency.model_copy(update={"margin": 2.0}), feed.quality, health]
    now = START + 6 * MINUTE
    assert feed.provider.missing(gates, PLACES, START, now) == []
    (line,) = feed.provider.missing([feed.errors, UNKNOWN], PLACES, START, now)
    assert line.startswith("unknown: ")
    assert "correct" in line
    lines = feed.provider.missing(gates, PLACES, START + 60 * MINUTE, START + 70 * MINUTE)
    assert [line.partition(":")[0] for line in lines] == ["errors", "latency", "quality"]
    assert all("blue" in line and "traffic" in line for line in lines)


def test_a_source_that_does_not_answer_is_unavailable_and_no_measurement(feed: Feed) -> None:
    feed_all(feed, 1)
    feed.end()
    with pytest.raises(MetricsUnavailable, match="does not answer"):
        feed.provider.read([feed.errors], {}, PLACES, [span()])
    with pytest.raises(MetricsUnavailable):
        feed.provider.missing([feed.errors], PLACES, START, START + 5 * MINUTE)
    with pytest.raises(MetricsUnavailable):
        feed.provider.percentile(feed.latency, PLACES[ACTIVE], START, START + MINUTE)


def test_one_metric_for_both_sides_is_told_before_the_start(feed: Feed) -> None:
    feed_all(feed, 5)
    metric = Metric(
        namespace="Turnout", name="Right", dimensions={"S": "$service"}, total='scored{s="$service"}', score="right"
    )
    gate = Gate(name="quality", kind=GateKind.QUALITY, metric=metric)
    (line,) = feed.provider.missing([gate], PLACES, START, START + 6 * MINUTE)
    assert line.startswith("quality: both sides are")
    assert "$environment" in line
