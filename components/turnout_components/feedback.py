"""Labelled feedback as a CloudWatch metric: what a quality gate reads, and any pipeline that learns how good an answer was may
write.

A score belongs to the release that gave the answer and to the time of the answer, not of the label: a gate compares what
both sides answered in the same period. The metric has the dimensions Service and Release (the digest, which answers carry), so
a gate finds it with `dimensions: {Service: $service, Release: $release}`.

Limits of one request: "PutMetricData" (Amazon CloudWatch API Reference): 1000 metrics, 1 MB, 150 values of a metric.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

NAMESPACE = "Turnout"
METRIC = "Quality"
VALUES_A_METRIC = 150
DATA_A_REQUEST = 200
VALUES_A_REQUEST = 3000
"""A value with its count takes about 120 bytes of a request, and a metric's names about 600: together below half of 1 MB."""
_LARGEST = 2.0**360


class Score(NamedTuple):
    """How good `answers` answers of a release (id or digest) were, at a time in seconds since 1970. 1 for right and 0 for
    wrong, or any number of which more is better."""

    release: str
    at: float
    score: float
    answers: int = 1


def publish(client: Any, service: str, scores: Iterable[Score]) -> int:
    """Writes the scores with a CloudWatch client of botocore's kind; returns of how many answers.

    Raises `ValueError` for a score that CloudWatch refuses, before anything is sent, and what the client raises."""
    planned = list(requests(service, scores))
    for request in planned:
        client.put_metric_data(**request)
    return sum(int(count) for request in planned for datum in request["MetricData"] for count in datum["Counts"])


def requests(service: str, scores: Iterable[Score]) -> Iterator[dict[str, Any]]:
    """The arguments of each call of PutMetricData. Times are cut to whole seconds: the finest that CloudWatch keeps.

    Raises `ValueError`."""
    data: list[dict[str, Any]] = []
    values: defaultdict[str, int] = defaultdict(int)
    for datum in _data(service, scores):
        release, size = datum["Dimensions"][1]["Value"], len(datum["Values"])
        many = values[release] + size > VALUES_A_METRIC or sum(values.values()) + size > VALUES_A_REQUEST
        if data and (many or len(data) == DATA_A_REQUEST):
            yield {"Namespace": NAMESPACE, "MetricData": data}
            data, values = [], defaultdict(int)
        data.append(datum)
        values[release] += size
    if data:
        yield {"Namespace": NAMESPACE, "MetricData": data}


def _data(service: str, scores: Iterable[Score]) -> Iterator[dict[str, Any]]:
    """A MetricDatum for each second and release, of at most 150 values."""
    counted: defaultdict[tuple[int, str], defaultdict[float, int]] = defaultdict(lambda: defaultdict(int))
    for score in scores:
        _refuse(score)
        counted[int(score.at), score.release.rpartition("@")[2]][score.score] += score.answers
    for (second, release), found in sorted(counted.items()):
        pairs = sorted(found.items())
        for first in range(0, len(pairs), VALUES_A_METRIC):
            part = pairs[first : first + VALUES_A_METRIC]
            yield {
                "MetricName": METRIC,
                "Dimensions": [{"Name": "Service", "Value": service}, {"Name": "Release", "Value": release}],
                "Timestamp": datetime.fromtimestamp(second, UTC),
                "Values": [float(value) for value, _ in part],
                "Counts": [float(count) for _, count in part],
                "Unit": "None",
                "StorageResolution": 1,
            }


def _refuse(score: Score) -> None:
    if not math.isfinite(score.score) or abs(score.score) > _LARGEST:
        raise ValueError(f"score {score.score} of {score.release}: CloudWatch takes finite numbers up to 2^360; leave it out")
    if score.answers < 1 or not score.release.strip():
        raise ValueError(f"{score} is of no answer or no release; leave it out")
