"""Requests and failed ones of both sides from CloudWatch, and what is no sample."""

from typing import Any

from measured_places import MINUTE, PLACES, put_balancer, span
from turnout_components.rollout_spec import Gate, GateKind

from turnout.analysis.measurement import Count, Side
from turnout.metrics.cloudwatch import CloudWatchMetrics

ERRORS = Gate(name="errors", kind=GateKind.ERRORS)
BURN = Gate(name="slo", kind=GateKind.BURN)


def test_failed_are_5xx_answers_and_refused_connections_of_the_requests(client: Any) -> None:
    put_balancer(client, Side.ACTIVE, 0, RequestCount=900, HTTPCode_Target_2XX_Count=900)
    put_balancer(client, Side.CANDIDATE, 0, RequestCount=100, HTTPCode_Target_5XX_Count=3, TargetConnectionErrorCount=2)
    put_balancer(client, Side.ACTIVE, 1, RequestCount=800, HTTPCode_Target_5XX_Count=1)
    metrics = CloudWatchMetrics(client, MINUTE, MINUTE)
    first, second, third = metrics.read([ERRORS, BURN], {}, PLACES, [span(0), span(1), span(2)])
    assert first[Side.ACTIVE].requests == 900
    assert first[Side.ACTIVE].samples == {"errors": Count(0, 900), "slo": Count(0, 900)}
    assert first[Side.CANDIDATE].samples["errors"] == Count(5, 100)
    assert second[Side.ACTIVE].samples["errors"] == Count(1, 800)
    assert (second[Side.CANDIDATE].requests, second[Side.CANDIDATE].samples) == (0, {})
    assert third == {}


def test_more_refused_connections_than_requests_are_all_requests_and_more_5xx_are_no_sample(client: Any) -> None:
    put_balancer(client, Side.ACTIVE, 0, RequestCount=10, HTTPCode_Target_5XX_Count=2, TargetConnectionErrorCount=30)
    put_balancer(client, Side.CANDIDATE, 0, RequestCount=10, HTTPCode_Target_5XX_Count=11)
    (reading,) = CloudWatchMetrics(client, MINUTE, MINUTE).read([ERRORS], {}, PLACES, [span()])
    assert reading[Side.ACTIVE].samples == {"errors": Count(10, 10)}
    assert (reading[Side.CANDIDATE].requests, reading[Side.CANDIDATE].samples) == (10, {})


def test_errors_without_a_count_of_requests_are_late_data_and_not_0_requests(client: Any) -> None:
    put_balancer(client, Side.ACTIVE, 0, RequestCount=10)
    put_balancer(client, Side.CANDIDATE, 0, HTTPCode_Target_5XX_Count=4)
    (reading,) = CloudWatchMetrics(client, MINUTE, MINUTE).read([ERRORS], {}, PLACES, [span()])
    assert (reading[Side.CANDIDATE].requests, reading[Side.CANDIDATE].samples) == (None, {})
