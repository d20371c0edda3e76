"""PutMetricData, GetMetricData and GetMetricStatistics through boto3, in this process."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.cloudwatch.models import cloudwatch_backends
from moto.core import DEFAULT_ACCOUNT_ID

from turnout.cloud.moto_cloudwatch import QUERIES, extend_cloudwatch

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
BLUE = [{"Name": "A", "Value": "blue"}, {"Name": "B", "Value": "web"}]


@pytest.fixture
def client() -> Iterator[Any]:
    extend_cloudwatch()
    with mock_aws():
        yield boto3.client("cloudwatch", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")


def put(client: Any, seconds: float = 0, name: str = "M", dimensions: Any = BLUE, **datum: Any) -> None:
    moment = START + timedelta(seconds=seconds)
    client.put_metric_data(
        Namespace="N", MetricData=[{"MetricName": name, "Dimensions": dimensions, "Timestamp": moment, **datum}]
    )


def query(
    key: str, stat: str = "Sum", name: str = "M", period: int = 60, dimensions: Any = BLUE, **more: Any
) -> dict[str, Any]:
    metric = {"Namespace": "N", "MetricName": name, "Dimensions": dimensions}
    return {"Id": key, "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}, **more}


def ask(
    client: Any, *queries: dict[str, Any], minutes: float = 5, start: datetime = START, **more: Any
) -> list[dict[str, Any]]:
    given = {"StartTime": start, "EndTime": START + timedelta(minutes=minutes), "ScanBy": "TimestampAscending", **more}
    results: list[dict[str, Any]] = client.get_metric_data(MetricDataQueries=list(queries), **given)["MetricDataResults"]
    return results


def values(client: Any, *queries: dict[str, Any], **more: Any) -> dict[str, list[float]]:
    return {result["Id"]: result["Values"] for result in ask(client, *queries, **more)}


def test_a_distribution_answers_all_statistics_in_one_call(client: Any) -> None:
    put(client, 5, Values=[0.1, 0.2, 0.9], Counts=[50, 45, 5])
    put(client, 50, Values=[0.3])
    put(client, 70, Value=7)
    names = ["SampleCount", "Sum", "p50", "p99.9", "TC(0.2:)", "PR(:0.3)", "Maximum"]
    found = values(client, *(query(f"q{number}", name) for number, name in enumerate(names)))
    assert [series[0] for series in found.values()] == pytest.approx([101, 18.8, 0.2, 0.9, 6, 100 * 96 / 101, 0.9])
    assert [series[1] for series in found.values()] == [1, 7, 7, 7, 1, 0, 7]


def test_a_metric_is_all_of_its_dimensions_in_any_order(client: Any) -> None:
    put(client, Value=1)
    put(client, Value=10, dimensions=BLUE[:1])
    put(client, Value=100, dimensions=[])
    put(client, Value=1000, name="Other")
    asked = (query("both", dimensions=BLUE[::-1]), query("one", dimensions=BLUE[:1]), query("none", dimensions=[]))
    assert values(client, *asked) == {"both": [1], "one": [10], "none": [100]}


def test_values_lie_in_the_period_of_their_time_and_the_end_is_not_part_of_it(client: Any) -> None:
    for seconds in (-1, 0, 59.9, 60, 299, 300):
        put(client, seconds, Value=1)
    (result,) = ask(client, query("q"), start=START + timedelta(seconds=30))  # rounded down to the minute
    assert result["Values"] == [2, 1, 1]
    assert result["Timestamps"] == [START, START + timedelta(minutes=1), START + timedelta(minutes=4)]
    assert ask(client, query("q"), ScanBy="TimestampDescending")[0]["Values"] == [1, 1, 2]
    assert client.get_metric_data(MetricDataQueries=[query("q")], StartTime=START, EndTime=START + timedelta(minutes=5))[
        "MetricDataResults"
    ][0]["Values"] == [1, 1, 2]


def test_periods_go_down_to_a_second(client: Any) -> None:
    for seconds in (0.2, 0.7, 1.5, 9):
        put(client, seconds, Value=1, StorageResolution=1)
    assert values(client, query("a", period=1), query("b", period=5)) == {"a": [2, 1, 1], "b": [3, 1]}


def test_a_period_between_may_be_asked_for_when_the_local_cloud_reports_so_often(client: Any) -> None:
    put(client, 5.9, Value=1)
    put(client, 6, Value=1)
    with pytest.raises(ClientError, match="The period 6 is not"):
        ask(client, query("q", period=6))
    extend_cloudwatch(6.0)
    assert values(client, query("q", period=6)) == {"q": [1, 1]}


def test_labels_hidden_data_and_expressions(client: Any) -> None:
    put(client, 0, Values=[1, 0], Counts=[3, 7])
    put(client, 60, Values=[0], Counts=[5])
    bad, total = query("bad", ReturnData=False), query("total", "SampleCount", Label="requests")
    shown = ask(client, bad, total, {"Id": "rate", "Expression": "bad / total", "Label": "rate"}, query("other", name="Absent"))
    assert [(result["Id"], result["Label"], result["Values"]) for result in shown] == [
        ("total", "requests", [10, 5]),
        ("rate", "rate", [0.3, 0]),
        ("other", "Absent Sum", []),
    ]
    assert {result["StatusCode"] for result in shown} == {"Complete"}


def test_pages_hold_at_most_so_many_points_and_all_of_them_together(client: Any) -> None:
    for minute in range(4):
        put(client, minute * 60, Value=minute)
        put(client, minute * 60, Value=10 * minute, name="Tens")
    pages = list(
        client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[query("a"), query("b", name="Tens"), query("c", name="Absent")],
            StartTime=START,
            EndTime=START + timedelta(minutes=4),
            ScanBy="TimestampAscending",
            MaxDatapoints=3,
        )
    )
    told = [[(r["Id"], r["Values"], r["StatusCode"]) for r in page["MetricDataResults"]] for page in pages]
    assert told[0] == [("a", [0, 1, 2], "PartialData"), ("c", [], "Complete")]
    assert told[1] == [("a", [3], "Complete"), ("b", [0, 10], "PartialData")]
    assert told[2] == [("b", [20, 30], "Complete")]
    with pytest.raises(ClientError, match="InvalidNextToken"):
        ask(client, query("a"), NextToken="mine")


@pytest.mark.parametrize(
    ("queries", "more", "told"),
    [
        ([query("q", "TM(1:2)")], {}, "TM.* is not supported"),
        ([query("q", period=7)], {}, "The period 7 is not"),
        ([query("Q")], {}, "no lower-case name"),
        ([query("q"), query("q")], {}, "not unique"),
        ([query(f"q{number}") for number in range(QUERIES + 1)], {}, "takes 1 to 500"),
        ([{"Id": "q"}], {}, "either MetricStat or Expression"),
        ([query("q", Expression="1")], {}, "either MetricStat or Expression"),
        ([query("q"), {"Id": "e", "Expression": "ANOMALY_DETECTION_BAND(q)"}], {}, "Error in expression"),
        ([{"Id": "e", "Expression": "SELECT AVG(M) FROM N"}], {}, "Error in expression"),
        ([query("q")], {"minutes": 0}, "EndTime must be greater"),
    ],
)
def test_what_is_not_done_is_refused(client: Any, queries: list[Any], more: dict[str, Any], told: str) -> None:
    with pytest.raises(ClientError, match=told) as caught:
        ask(client, *queries, **more)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    "datum", [{"Values": [1, 2], "Counts": [1]}, {"Values": list(range(151))}, {"Values": [1], "Counts": [0]}]
)
def test_a_call_with_a_datum_that_is_refused_keeps_nothing(client: Any, datum: dict[str, Any]) -> None:
    about = {"MetricName": "M", "Dimensions": BLUE, "Timestamp": START}
    with pytest.raises(ClientError):
        client.put_metric_data(Namespace="N", MetricData=[{**about, "Value": 1}, {**about, **datum}])
    assert values(client, query("q")) == {"q": []}


def test_get_metric_statistics_has_percentiles_and_statistic_sets_have_none(client: Any) -> None:
    put(client, 0, Values=[1, 2], Counts=[99, 1], Unit="Seconds")
    put(client, 60, StatisticValues={"SampleCount": 4, "Sum": 6, "Minimum": 1, "Maximum": 3}, Unit="Seconds")
    asked: dict[str, Any] = {"Namespace": "N", "MetricName": "M", "Dimensions": BLUE, "StartTime": START, "Period": 60}
    points = client.get_metric_statistics(
        **asked, EndTime=START + timedelta(hours=1), Statistics=["Average", "SampleCount"], ExtendedStatistics=["p99", "p99.9"]
    )["Datapoints"]
    assert [(p["Timestamp"], p["Average"], p["SampleCount"], p["Unit"], p.get("ExtendedStatistics")) for p in points] == [
        (START, 1.01, 100, "Seconds", {"p99": 1, "p99.9": 2}),
        (START + timedelta(minutes=1), 1.5, 4, "Seconds", None),
    ]
    with pytest.raises(ClientError, match="exceeds the limit of 1440"):
        client.get_metric_statistics(**asked, EndTime=START + timedelta(days=2), Statistics=["Sum"])


class Changing(dict[str, Any]):
    """Alarms while other calls make more: nobody can walk through them."""

    def values(self) -> Any:
        raise RuntimeError("dictionary changed size during iteration")


def test_alarms_are_told_by_name_while_others_are_made(client: Any) -> None:
    for name in "abc":
        client.put_metric_alarm(
            AlarmName=name,
            Namespace="N",
            MetricName="M",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
    backend = cloudwatch_backends[DEFAULT_ACCOUNT_ID]["us-east-1"]
    backend.alarms = Changing(backend.alarms)
    found = client.describe_alarms(AlarmNames=["c", "none", "a", "c"], AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    assert [alarm["AlarmName"] for alarm in found] == ["c", "a"]
