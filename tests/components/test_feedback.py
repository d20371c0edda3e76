"""Scores as requests of PutMetricData: nothing is lost or counted twice, and no request exceeds what AWS takes."""

import json
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnout_components.feedback import METRIC, NAMESPACE, Score, publish, requests

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
SCORES = st.builds(
    Score,
    release=st.sampled_from([DIGEST, OTHER]),
    at=st.floats(1_700_000_000, 1_700_000_030),
    score=st.integers(0, 400).map(lambda n: n / 7),
    answers=st.integers(1, 50),
)


class Client:
    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def put_metric_data(self, **request: Any) -> None:
        self.calls.append(request)


def names(datum: dict[str, Any]) -> dict[str, str]:
    return {dimension["Name"]: dimension["Value"] for dimension in datum["Dimensions"]}


def test_right_and_wrong_answers_of_one_second_are_one_value_each_with_their_number() -> None:
    client = Client()
    scores = [Score(DIGEST, 1_700_000_000.9, 1.0, 3), Score(DIGEST, 1_700_000_000.1, 0.0), Score(DIGEST, 1_700_000_000.0, 1.0)]
    assert publish(client, "digits", scores) == 5
    ((call),) = client.calls
    (datum,) = call["MetricData"]
    assert (call["Namespace"], datum["MetricName"]) == (NAMESPACE, METRIC) == ("Turnout", "Quality")
    assert names(datum) == {"Service": "digits", "Release": DIGEST}
    assert (datum["Values"], datum["Counts"]) == ([0.0, 1.0], [1.0, 4.0])
    assert datum["Timestamp"].timestamp() == 1_700_000_000
    assert datum["StorageResolution"] == 1


def test_a_release_may_be_named_by_its_id() -> None:
    (request,) = requests("digits", [Score(f"digits-1.0.0@{DIGEST}", 0, 1.0), Score(DIGEST, 0, 1.0)])
    assert [names(datum)["Release"] for datum in request["MetricData"]] == [DIGEST]


@given(st.lists(SCORES, max_size=400))
def test_every_score_is_sent_once(scores: list[Score]) -> None:
    given_, sent = Counter[tuple[str, int, float]](), Counter[tuple[str, int, float]]()
    for score in scores:
        given_[score.release, int(score.at), score.score] += score.answers
    for request in requests("digits", scores):
        for datum in request["MetricData"]:
            for value, count in zip(datum["Values"], datum["Counts"], strict=True):
                sent[names(datum)["Release"], int(datum["Timestamp"].timestamp()), value] += int(count)
    assert sent == given_


@pytest.mark.parametrize(
    "scores",
    [
        [Score(DIGEST, 0, n / 1000) for n in range(1000)],
        [Score(DIGEST, second, value) for second in range(400) for value in (0.0, 1.0)],
        [Score(f"sha256:{n:064x}", 0, n / 7) for n in range(2500)],
        [Score(f"sha256:{n:064x}", 0, v / 7) for n in range(100) for v in range(150)],
    ],
)
def test_a_request_stays_within_what_aws_takes(scores: list[Score]) -> None:
    """ "PutMetricData": 1000 metrics and 1 MB a request, 150 values of a metric; no request is needlessly small either."""
    planned = list(requests("a-service-with-a-long-name", scores))
    assert len(planned) <= 30
    for request in planned:
        assert len(request["MetricData"]) <= 1000
        assert len(json.dumps(request, default=str)) + 60 * sum(len(d["Values"]) * 2 for d in request["MetricData"]) < 1_000_000
        of_metric = Counter[str]()
        for datum in request["MetricData"]:
            of_metric[names(datum)["Release"]] += len(datum["Values"])
        assert max(of_metric.values()) <= 150


@pytest.mark.parametrize(
    "wrong",
    [
        Score(DIGEST, 0, math.nan),
        Score(DIGEST, 0, math.inf),
        Score(DIGEST, 0, 2.0**361),
        Score(DIGEST, 0, 1.0, 0),
        Score(" ", 0, 1.0),
    ],
)
def test_what_cloudwatch_refuses_is_refused_before_anything_is_sent(wrong: Score) -> None:
    client = Client()
    with pytest.raises(ValueError, match="leave it out"):
        publish(client, "digits", [Score(DIGEST, n, n / 7) for n in range(500)] + [wrong])
    assert client.calls == []
