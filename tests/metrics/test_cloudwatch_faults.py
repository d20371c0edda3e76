"""What CloudWatch may do to a reader: throttle, fail, hang, tear pages, and say what cannot be."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from measured_places import MINUTE, PLACES, START, put, put_balancer, span
from turnout_components.rollout_spec import Gate, GateKind, Metric

from turnout.analysis.measurement import Count, Moments, Side
from turnout.metrics import cloudwatch
from turnout.metrics.cloudwatch import CloudWatchMetrics
from turnout.metrics.provider import MetricsUnavailable, Place

ERRORS = Gate(name="errors", kind=GateKind.ERRORS)
LATENCY = Gate(name="latency", kind=GateKind.LATENCY)
CRASHES = Gate(name="crashes", kind=GateKind.ERRORS, metric=Metric(namespace="Turnout", name="Crashed"))
QUALITY = Gate(name="quality", kind=GateKind.QUALITY, metric=Metric(namespace="Turnout", name="Score"))
BOTH = (Side.ACTIVE, Side.CANDIDATE)


class Pages:
    """A client whose calls give these pages, or raise."""

    def __init__(self, answer: Callable[..., dict[str, Any]]) -> None:
        self.meta = SimpleNamespace(region_name="us-east-1")
        self.calls: list[dict[str, Any]] = []
        self._answer = answer

    def get_metric_data(self, **asked: Any) -> dict[str, Any]:
        self.calls.append(asked)
        return self._answer(**asked)


def answered(asked: dict[str, Any], value: Callable[[str, str], float | None], **more: Any) -> dict[str, Any]:
    """One page with a value a query, by metric and statistic; a query without one has no points."""
    results = []
    for query in asked["MetricDataQueries"]:
        stat = query["MetricStat"]
        found = value(stat["Metric"]["MetricName"], stat["Stat"])
        points = {"Timestamps": [span().start], "Values": [found]} if found is not None else {"Timestamps": [], "Values": []}
        results.append({"Id": query["Id"], "StatusCode": "Complete", **points})
    return {"MetricDataResults": results, **more}


def sample(gate: Gate, side: Side = Side.CANDIDATE, **values: float | None) -> Any:
    """The gate's sample when CloudWatch has these values by metric's name or statistic."""

    def value(metric: str, stat: str) -> float | None:
        return values.get(metric, values.get(stat.partition("(")[0] + ("_below" if "(:" in stat else "")))

    pages: Any = Pages(lambda **asked: answered(asked, value))
    (reading,) = CloudWatchMetrics(pages, MINUTE, MINUTE).read([gate], {gate.name: 0.3}, {side: PLACES[side]}, [span()])
    return reading[side].samples.get(gate.name) if side in reading else None


def response(status: int, code: str) -> Callable[..., AWSResponse]:
    """A handler that answers every request so."""
    calls: list[Any] = []

    def answer(request: Any, **_: Any) -> AWSResponse:
        calls.append(request)
        if status == 0:
            raise ReadTimeoutError(endpoint_url=request.url)
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>".encode()
        raw: Any = SimpleNamespace(stream=lambda **_: iter([body]))
        headers = {"x-amzn-query-error": f"{code};Sender", "Content-Type": "application/cbor"}
        return AWSResponse(request.url, status, headers, raw)

    answer.calls = calls  # type: ignore[attr-defined]
    return answer


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (400, "Throttling", "does not answer"),
        (503, "ServiceUnavailable", "does not answer"),
        (0, "", "timeout"),
        (403, "AccessDenied", "allow cloudwatch:GetMetricData"),
    ],
)
def test_a_client_that_gives_up_makes_the_measurement_unavailable(status: int, code: str, told: str) -> None:
    config = Config(retries={"total_max_attempts": 2, "mode": "standard"})
    client = boto3.client(
        "cloudwatch", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test", config=config
    )
    handler = response(status, code)
    client.meta.events.register_first("before-send.cloudwatch.GetMetricData", handler)
    with pytest.raises(MetricsUnavailable, match=told):
        CloudWatchMetrics(client, MINUTE, MINUTE).read([ERRORS], {}, PLACES, [span()])
    assert len(handler.calls) == (1 if status == 403 else 2)  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", ["InternalError", "PartialData", "Forbidden"])
def test_a_result_that_is_not_whole_is_no_measurement(status: str) -> None:
    def torn(**asked: Any) -> dict[str, Any]:
        page = answered(asked, lambda *_: 100.0)
        page["MetricDataResults"][-1]["StatusCode"] = status
        return page

    pages: Any = Pages(torn)
    with pytest.raises(MetricsUnavailable, match="allow" if status == "Forbidden" else status):
        CloudWatchMetrics(pages, MINUTE, MINUTE).read([ERRORS], {}, PLACES, [span()])


def test_pages_are_put_together_and_one_that_repeats_ends_it() -> None:
    def paged(**asked: Any) -> dict[str, Any]:
        page = answered(asked, lambda metric, _: 50.0 if metric == "RequestCount" else 5.0)
        half = len(page["MetricDataResults"]) // 2
        if "NextToken" in asked:
            return {"MetricDataResults": page["MetricDataResults"][half:]}
        first = [{**result, "StatusCode": "PartialData"} for result in page["MetricDataResults"][:half]]
        return {"MetricDataResults": first, "NextToken": "2"}

    pages: Any = Pages(paged)
    (reading,) = CloudWatchMetrics(pages, MINUTE, MINUTE).read([ERRORS], {}, PLACES, [span()])
    assert [reading[side].samples["errors"] for side in BOTH] == [Count(10, 50)] * 2
    assert [call.get("NextToken") for call in pages.calls] == [None, "2"]
    endless: Any = Pages(lambda **asked: answered(asked, lambda *_: 1.0, NextToken="again"))
    with pytest.raises(MetricsUnavailable, match="repeats"):
        CloudWatchMetrics(endless, MINUTE, MINUTE).read([ERRORS], {}, PLACES, [span()])


def test_all_gates_sides_and_spans_are_one_call_and_more_than_500_queries_several() -> None:
    pages: Any = Pages(lambda **asked: answered(asked, lambda *_: 1.0))
    gates = [ERRORS, LATENCY, QUALITY, CRASHES]
    CloudWatchMetrics(pages, MINUTE, MINUTE).read(gates, {"latency": 0.3}, PLACES, [span(n) for n in range(30)])
    (call,) = pages.calls
    asked = [(q["MetricStat"]["Metric"]["MetricName"], q["MetricStat"]["Stat"]) for q in call["MetricDataQueries"]]
    assert asked.count(("RequestCount", "Sum")) == 2
    assert (call["StartTime"], call["EndTime"]) == (span(0).start, span(29).end)
    many = [
        Gate(name=f"q{n}", kind=GateKind.QUALITY, metric=Metric(namespace="T", name=f"S{n}", dimensions={"E": "$environment"}))
        for n in range(100)
    ]
    pages.calls.clear()
    (reading,) = CloudWatchMetrics(pages, MINUTE, MINUTE).read(many, {}, PLACES, [span()])
    assert [len(call["MetricDataQueries"]) for call in pages.calls] == [cloudwatch.QUERIES, 306]
    assert len(reading[Side.ACTIVE].samples) == 100


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1.0, 11.0])
def test_a_count_that_cannot_be_is_no_sample(wrong: float) -> None:
    assert sample(ERRORS, RequestCount=10, HTTPCode_Target_5XX_Count=wrong) is None
    assert sample(LATENCY, SampleCount=10, TC=wrong) is None
    assert sample(CRASHES, SampleCount=10, Sum=wrong, Minimum=0, Maximum=1) is None
    assert sample(QUALITY, SampleCount=10, Sum=wrong, Minimum=0, Maximum=1) is None
    if wrong != 11.0:
        assert sample(ERRORS, RequestCount=wrong, HTTPCode_Target_5XX_Count=1) is None


def test_what_an_approximate_distribution_leaves_open_counts_against_the_candidate() -> None:
    told = {"SampleCount": 100.0, "TC": 7.4, "TC_below": 91.8}
    assert sample(LATENCY, Side.CANDIDATE, **told) == Count(9, 100)
    assert sample(LATENCY, Side.ACTIVE, **told) == Count(7, 100)
    for side in BOTH:
        assert sample(LATENCY, side, SampleCount=100, TC=7, TC_below=93) == Count(7, 100)
        assert sample(LATENCY, side, SampleCount=100, TC=7) == Count(7, 100)
        assert sample(LATENCY, side, SampleCount=100, TC_below=100) == Count(0, 100)
        assert sample(LATENCY, side, SampleCount=100) is None


def test_scores_are_bounded_by_their_smallest_and_largest() -> None:
    right = sample(QUALITY, SampleCount=100, Sum=93, Minimum=0, Maximum=1)
    assert right == Moments(100, 93, 93)
    same = sample(QUALITY, SampleCount=4, Sum=2, Minimum=0.5, Maximum=0.5)
    assert same == Moments(4, 2, 1)
    values = [0.2, 0.4, 0.7, 0.9]
    found = sample(QUALITY, SampleCount=4, Sum=sum(values), Minimum=0.2, Maximum=0.9)
    assert found.squares >= sum(value**2 for value in values)
    assert found.squares <= 4 * 0.9**2


def test_a_metric_of_failures_has_0_and_1(client: Any) -> None:
    put(client, "Turnout", "Crashed", {}, 0, {0.0: 97, 1.0: 3})
    put(client, "Turnout", "Crashed", {}, 1, {0.0: 97, 5.0: 3})
    first, second = CloudWatchMetrics(client, MINUTE, MINUTE).read([CRASHES], {}, PLACES, [span(0), span(1)])
    assert first[Side.CANDIDATE].samples == {"crashes": Count(3, 100)}
    assert second[Side.CANDIDATE].samples == {}


def test_late_values_are_missing_first_and_whole_later(client: Any) -> None:
    metrics = CloudWatchMetrics(client, MINUTE, MINUTE)
    put_balancer(client, Side.ACTIVE, 0, RequestCount=10)
    (early,) = metrics.read([ERRORS, LATENCY], {"latency": 0.3}, PLACES, [span()])
    assert (early[Side.CANDIDATE].requests, early[Side.ACTIVE].samples) == (0, {"errors": Count(0, 10)})
    put_balancer(client, Side.CANDIDATE, 0, RequestCount=5, TargetResponseTime={0.2: 4, 0.31: 1})
    (later,) = metrics.read([ERRORS, LATENCY], {"latency": 0.3}, PLACES, [span()])
    assert later[Side.CANDIDATE].samples == {"errors": Count(0, 5), "latency": Count(1, 5)}


def test_the_wrong_region_and_another_load_balancer_are_told_before_the_start(client: Any) -> None:
    metrics = CloudWatchMetrics(client, MINUTE, MINUTE)
    place = PLACES[Side.ACTIVE]

    def missing(**changed: str) -> list[str]:
        return metrics.missing([ERRORS], {Side.ACTIVE: Place(**{**vars(place), **changed})}, START, START + 9 * MINUTE)

    (line,) = missing(listener=place.listener.replace("us-east-1", "eu-west-1"))
    assert "eu-west-1" in line
    assert "us-east-1" in line
    (line,) = missing(listener=place.listener.replace("/app/", "/net/"))
    assert line.startswith("errors: a network load balancer counts no requests")
    assert metrics.read(
        [ERRORS], {}, {Side.ACTIVE: Place(**{**vars(place), "listener": "a:listener/net/x/y/z"})}, [span()]
    ) == [{}]


def test_a_gate_with_selectors_alone_is_told_what_to_write(client: Any) -> None:
    gate = Gate(name="quality", kind=GateKind.QUALITY, metric=Metric(total="a", score="b"))
    (line,) = CloudWatchMetrics(client, MINUTE, MINUTE).missing([gate], PLACES, START, START + 9 * MINUTE)
    assert "metric.namespace and metric.name" in line


def test_statistic_sets_have_no_latency(client: Any) -> None:
    metric = Metric(namespace="Turnout", name="Ttft", dimensions={"E": "$environment"})
    gate = Gate(name="ttft", kind=GateKind.LATENCY, metric=metric)
    sets = {"SampleCount": 9, "Sum": 9, "Minimum": 0.5, "Maximum": 2}
    blue = [{"Name": "E", "Value": "blue"}]
    data = {"MetricName": "Ttft", "Dimensions": blue, "Timestamp": START + MINUTE / 2, "StatisticValues": sets}
    client.put_metric_data(Namespace="Turnout", MetricData=[data])
    metrics = CloudWatchMetrics(client, MINUTE, MINUTE)
    (line,) = metrics.missing([gate], PLACES, START, START + 9 * MINUTE)
    assert "Turnout Ttft (E=blue) has no usable value" in line
    assert metrics.percentile(gate, PLACES[Side.ACTIVE], START, START + 9 * MINUTE) is None
    put(client, "Turnout", "Ttft", {"E": "blue"}, 5, {1.5: 10})
    assert metrics.missing([gate], PLACES, START + 5 * MINUTE, START + 9 * MINUTE) == []


def test_a_period_that_cloudwatch_has_not_is_refused() -> None:
    for seconds in (0.5, 1.5, 0):
        with pytest.raises(ValueError, match="write 60s"):
            CloudWatchMetrics(None, timedelta(seconds=seconds), MINUTE)
