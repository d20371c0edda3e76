"""Rollouts in DynamoDB, as moto keeps it: also the largest one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import boto3
import pytest
from moto import mock_aws
from turnout_components.items import LARGE, DynamoItems, RecordError, create_table
from turnout_components.rollout_spec import Gate, GateKind, RolloutSpec

from turnout.analysis.measurement import Count, Side, Window
from turnout.rollout.status import WINDOWS_AT_MOST, RolloutStatus
from turnout.rollout.store import RolloutStore

BEGAN = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
"""Of the rollouts here."""


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        create_table(client, "turnout-switch", protect=False)
        yield client


def begun(spec: RolloutSpec) -> RolloutStatus:
    """A rollout that has just begun."""
    return RolloutStatus(
        id="digits-2.0.0-20260102-030000",
        spec=spec,
        plan=spec.plan(),
        stable="blue",
        candidate="green",
        releases={"blue": "digits-1.0.0@sha256:1", "green": "digits-2.0.0@sha256:2"},
        began=BEGAN,
        by="anna@ci-1",
        total=2,
        step_began=BEGAN,
    )


def largest() -> RolloutStatus:
    """Ten gates in as many windows as a status keeps."""
    random = Random(7)
    gates = tuple(Gate(name=f"errors-{number}", kind=GateKind.ERRORS) for number in range(10))

    def counted() -> dict[Side, Count]:
        return {side: Count(random.randrange(1000), random.randrange(100_000)) for side in Side}

    windows = tuple(
        Window(
            BEGAN + timedelta(minutes=number),
            BEGAN + timedelta(minutes=number + 1),
            50,
            {side: random.randrange(100_000) for side in Side},
            {gate.name: counted() for gate in gates},
            {"p95": {side: random.random() for side in Side}},
        )
        for number in range(WINDOWS_AT_MOST)
    )
    return begun(RolloutSpec(gates=gates)).changed(windows=windows)


def test_the_largest_rollout_fits_into_an_item_and_is_read_back(dynamodb: Any) -> None:
    store = RolloutStore(DynamoItems(dynamodb, "turnout-switch"), "digits", "prod")
    status = largest()
    assert len(status.model_dump_json()) > 400_000
    written = store.create(status)
    assert store.read(status.id) == written
    item = dynamodb.scan(TableName="turnout-switch", FilterExpression="attribute_exists(packed)")["Items"][0]
    assert len(item["packed"]["B"]) < 200_000


def test_a_small_one_stays_legible(dynamodb: Any) -> None:
    store = RolloutStore(DynamoItems(dynamodb, "turnout-switch"), "digits", "prod")
    status = begun(RolloutSpec())
    assert len(status.model_dump_json()) < LARGE
    store.create(status)
    found = dynamodb.get_item(TableName="turnout-switch", Key={"id": {"S": f"digits/prod/rollouts/{status.id}"}})["Item"]
    assert '"strategy":"canary"' in found["body"]["S"]


def test_a_packed_one_that_is_damaged_is_told(dynamodb: Any) -> None:
    store = RolloutStore(DynamoItems(dynamodb, "turnout-switch"), "digits", "prod")
    key = {"S": "digits/prod/rollouts/x"}
    dynamodb.put_item(TableName="turnout-switch", Item={"id": key, "generation": {"N": "1"}, "packed": {"B": b"nonsense"}})
    with pytest.raises(RecordError, match="cannot be read"):
        store.read("x")
