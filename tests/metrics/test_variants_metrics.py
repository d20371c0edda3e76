"""What an experiment's metric says of each variant: in a real CloudWatch API, and by the samples of counters."""

import math
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fed_sources import PrometheusFeed
from measured_places import MINUTE, put, span
from measured_places import place as place_of
from turnout_components.experiment_design import ExperimentDesign

from turnout.analysis.measurement import Moments
from turnout.metrics.cloudwatch import CloudWatchMetrics
from turnout.metrics.cloudwatch_measures import Statistic
from turnout.metrics.provider import MetricsUnavailable
from turnout.metrics.variants import NOBODY, VariantMeasure, counted, grown

BLUE, GREEN = place_of("blue"), place_of("green")
PLACES = {"control": BLUE, "candidate": GREEN}
ASKED: dict[str, Any] = {
    "name": "answers",
    "split": {"control": 50, "candidate": 50},
    "metric": {
        "kind": "conversion",
        "namespace": "Turnout",
        "name": "Bought",
        "dimensions": {"Variant": "$variant", "Experiment": "$experiment", "Environment": "$environment"},
    },
    "smallest": 0.02,
    "usual": 0.1,
    "users_a_day": 1000,
}
MEAN = {**ASKED, "metric": {**ASKED["metric"], "kind": "mean", "name": "Spent", "squares": "SpentSquares"}}
COUNTED = {"kind": "mean", "users": 'n{v="$variant"}', "sum": 's{v="$variant"}', "squares": 'q{v="$variant"}'}
COUNTERS: dict[str, Any] = {**ASKED, "metric": COUNTED}


def design(given: Mapping[str, Any] = ASKED) -> ExperimentDesign:
    return ExperimentDesign.model_validate(given)


def values(measure: VariantMeasure, *numbers: float) -> dict[Statistic, float]:
    return dict(zip(measure.statistics, numbers, strict=False))


def test_a_variant_has_its_own_series_at_the_side_that_serves_it() -> None:
    found = VariantMeasure.of(design(), "candidate", GREEN)
    assert found.series.dimensions == (("Environment", "green"), ("Experiment", "answers"), ("Variant", "candidate"))
    assert found.squares is None
    spent = VariantMeasure.of(design(MEAN), "control", BLUE)
    assert spent.squares is not None
    assert (spent.squares.name, spent.squares.dimensions) == ("SpentSquares", spent.series.dimensions)


@pytest.mark.parametrize(
    ("given", "numbers", "moments"),
    [
        (ASKED, (), NOBODY),
        (ASKED, (40, 6, 0, 1), Moments(40, 6, 6)),
        (ASKED, (40, 40, 1, 1), Moments(40, 40, 40)),
        (ASKED, (40, 6, 0), None),
        (ASKED, (40, 60, 0, 2), None),
        (ASKED, (40, 60, 0, 1), None),
        (ASKED, (40, -1, -1, 0), None),
        (ASKED, (40, math.nan, 0, 1), None),
        (MEAN, (3, 6, 1, 3, 3, 14), Moments(3, 6, 14)),
        (MEAN, (3, 6, 1, 3), None),
        (MEAN, (3, 6, 1, 3, 2, 14), None),
        (MEAN, (3, -6, -3, -1, 3, 14), Moments(3, -6, 14)),
        (MEAN, (3, 6, 1, 3, 3, 1e200), None),
        (MEAN, (3, -1e200, -1e200, 3, 3, 14), None),
        (ASKED, (1e19, 1e18, 0, 1), None),
    ],
    ids=str,
)
def test_what_contradicts_itself_was_not_measured(given: dict[str, Any], numbers: tuple[float, ...], moments: Any) -> None:
    measure = VariantMeasure.of(design(given), "candidate", GREEN)
    assert measure.moments(values(measure, *numbers)) == moments


def test_a_span_counts_for_all_variants_or_for_none() -> None:
    asked = {name: VariantMeasure.of(design(), name, place) for name, place in PLACES.items()}
    control, candidate = (values(asked[name], 40, 6, 0, 1) for name in PLACES)
    assert counted(asked, {**control, **candidate}) == dict.fromkeys(PLACES, Moments(40, 6, 6))
    assert counted(asked, control) == {"control": Moments(40, 6, 6), "candidate": NOBODY}
    assert counted(asked, {**control, **values(asked["candidate"], 40, math.inf, 0, 1)}) is None
    assert counted(asked, {}) == dict.fromkeys(PLACES, NOBODY)


@pytest.mark.parametrize(
    ("counters", "moments"),
    [
        (([5.0], [9.0], [20.0]), Moments(5, 9, 20)),
        (([5.0], [None], [None]), Moments(5, 0, 0)),
        (([None], [3.0], [9.0]), Moments(0, 3, 9)),
        (([math.nan], [3.0], [9.0]), None),
        (([5.0], [math.inf], [9.0]), None),
        (([5.0], [3.0], [1e308]), None),
        (([1e19], [3.0], [9.0]), None),
    ],
    ids=str,
)
def test_counters_may_grow_in_different_spans(counters: Any, moments: Any) -> None:
    found = grown(design(COUNTERS), {"control": counters}, 0)
    assert found == (None if moments is None else {"control": moments})


def test_of_conversions_the_squares_are_the_sum() -> None:
    asked = {**COUNTERS, "metric": {key: text for key, text in COUNTERS["metric"].items() if key != "squares"}}
    asked["metric"]["kind"] = "conversion"
    assert grown(design(asked), {"control": ([5.0], [2.0])}, 0) == {"control": Moments(5, 2, 2)}


def test_cloudwatch_has_the_users_of_each_variant_by_span(client: Any) -> None:
    about = {"Experiment": "answers"}
    put(client, "Turnout", "Bought", {**about, "Variant": "control", "Environment": "blue"}, 0, {0.0: 34, 1.0: 6})
    put(client, "Turnout", "Bought", {**about, "Variant": "candidate", "Environment": "green"}, 0, {0.0: 30, 1.0: 10})
    put(client, "Turnout", "Bought", {**about, "Variant": "candidate", "Environment": "blue"}, 0, {1.0: 99})
    put(client, "Turnout", "Bought", {**about, "Variant": "candidate", "Environment": "green"}, 1, {1.0: 2})
    metrics = CloudWatchMetrics(client, MINUTE, MINUTE)
    assert metrics.variants(design(), PLACES, [span(0), span(1), span(2)]) == [
        {"control": Moments(40, 6, 6), "candidate": Moments(40, 10, 10)},
        {"control": NOBODY, "candidate": Moments(2, 2, 2)},
        dict.fromkeys(PLACES, NOBODY),
    ]


def test_cloudwatch_has_squares_from_a_second_metric(client: Any) -> None:
    for variant, environment in (("control", "blue"), ("candidate", "green")):
        about = {"Experiment": "answers", "Variant": variant, "Environment": environment}
        put(client, "Turnout", "Spent", about, 0, {1.0: 1, 2.0: 1, 3.0: 1})
        put(client, "Turnout", "SpentSquares", about, 0, {1.0: 1, 4.0: 1, 9.0: 1})
    put(client, "Turnout", "Spent", about, 1, {1.0: 1})
    metrics = CloudWatchMetrics(client, MINUTE, MINUTE)
    assert metrics.variants(design(MEAN), PLACES, [span(0), span(1)]) == [dict.fromkeys(PLACES, Moments(3, 6, 14)), None]


def test_prometheus_has_what_its_counters_have_grown_by() -> None:
    feed = PrometheusFeed()
    for minute, users in ((-2, 50), (0, 10), (1, 4)):
        feed.count(minute, users, __name__="n", v="control")
        feed.count(minute, 3 * users, __name__="s", v="control")
        feed.count(minute, 10 * users, __name__="q", v="control")
    feed.count(1, 7, __name__="n", v="candidate")
    found = feed.provider.variants(design(COUNTERS), PLACES, [span(0), span(1)])
    assert found == [
        {"control": Moments(10, 30, 100), "candidate": NOBODY},
        {"control": Moments(4, 12, 40), "candidate": Moments(7, 0, 0)},
    ]
    assert feed.queries[0].startswith('n{v="control"}[')


def test_users_count_once_though_prometheus_was_away_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = PrometheusFeed()
    for name, per_user in (("n", 1), ("s", 3), ("q", 10)):
        feed.count(0, 5000 * per_user, __name__=name, v="control")
        feed.count(70, 4 * per_user, __name__=name, v="control")
    scraped, away = feed._samples, (span(1).start.timestamp(), span(70).start.timestamp())

    def with_a_gap(labels: dict[str, str], start: float, end: float) -> list[tuple[float, str]]:
        return [sample for sample in scraped(labels, start, end) if not away[0] <= sample[0] < away[1]]

    monkeypatch.setattr(feed, "_samples", with_a_gap)
    (found,) = feed.provider.variants(design(COUNTERS), PLACES, [span(70)])
    assert found == {"control": Moments(4, 12, 40), "candidate": NOBODY}


def test_a_source_that_is_away_says_so() -> None:
    feed = PrometheusFeed()
    feed.answer = httpx.ConnectError("refused")
    with pytest.raises(MetricsUnavailable, match="refused"):
        feed.provider.variants(design(COUNTERS), PLACES, [span(0)])
