"""For tests: two sides behind one load balancer, and CloudWatch of moto in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from moto import mock_aws

from turnout.analysis.measurement import Side
from turnout.cloud.moto_cloudwatch import extend_cloudwatch
from turnout.metrics.provider import Place, Span

MINUTE = timedelta(minutes=1)
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:"
LISTENER = f"{ARN}listener/app/web/aaaa/bbbb"


def place(environment: str) -> Place:
    """An environment of the service `digits`."""
    return Place(
        service="digits",
        environment=environment,
        group=f"digits-{environment}-abc",
        release=f"{environment}-2.0.0",
        target_group=f"{ARN}targetgroup/{environment}/0123",
        listener=LISTENER,
    )


PLACES = {Side.ACTIVE: place("blue"), Side.CANDIDATE: place("green")}


def span(number: int = 0) -> Span:
    """The minute of that number."""
    return Span(START + number * MINUTE, START + (number + 1) * MINUTE)


@contextmanager
def cloudwatch(region: str = "us-east-1") -> Iterator[Any]:
    """A client of an empty CloudWatch, which answers as the local cloud's."""
    extend_cloudwatch()
    with mock_aws():
        yield boto3.client("cloudwatch", region_name=region, aws_access_key_id="test", aws_secret_access_key="test")


def put_balancer(client: Any, side: Side, number: int = 0, **metrics: float | dict[float, int]) -> None:
    """What the load balancer reports of a side in the minute of that number: values, or counts by value."""
    environment = PLACES[side].environment
    dimensions = {"TargetGroup": f"targetgroup/{environment}/0123", "LoadBalancer": "app/web/aaaa"}
    for name, value in metrics.items():
        put(client, "AWS/ApplicationELB", name, dimensions, number, value)


def put(
    client: Any, namespace: str, name: str, dimensions: dict[str, str], number: int, value: float | dict[float, int]
) -> None:
    """A value, or counts by value, in the minute of that number."""
    given = {"Values": list(value), "Counts": list(value.values())} if isinstance(value, dict) else {"Value": value}
    about = {
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
        "Timestamp": span(number).start + MINUTE / 2,
    }
    client.put_metric_data(Namespace=namespace, MetricData=[{**about, **given}])
