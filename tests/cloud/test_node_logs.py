"""Lines of a server's output on their way into its log group: whole ones, once, in their stream, and none before there is a
group."""

import json
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID

from turnout.cloud import node_logs
from turnout.cloud.node_logs import NodeLogs, Source

GROUP = "/turnout/digits/blue"


def line(name: str, at: float | None = None) -> str:
    return json.dumps({"turnout": "mirrored", "id": name, "at": time.time() if at is None else at}) + "\n"


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(node_logs, "ACCOUNT", DEFAULT_ACCOUNT_ID)
    with mock_aws():
        yield boto3.client("logs", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")


def shipped(logs: Any) -> list[tuple[str, str]]:
    events = logs.filter_log_events(logGroupName=GROUP)["events"]
    return [(event["logStreamName"], json.loads(event["message"])["id"]) for event in events]


def test_whole_lines_of_mirrored_requests_go_once_to_their_instances_stream(logs: Any, tmp_path: Path) -> None:
    logs.create_log_group(logGroupName=GROUP)
    output, ships = tmp_path / "server.log", NodeLogs()
    sources = {"i-1": Source("us-east-1", GROUP, output), "i-2": Source("us-east-1", GROUP, tmp_path / "none")}
    ships.ship(sources)
    first, second, half = line("a"), line("b"), line("c")
    output.write_text("INFO started\n" + first + '{"turnout": "mirrored"\n' + second + half[:20])
    ships.ship(sources)
    ships.ship(sources)
    assert shipped(logs) == [("i-1", "a"), ("i-1", "b")]
    with output.open("a") as more:
        more.write(half[20:])
    ships.ship(sources)
    assert shipped(logs) == [("i-1", "a"), ("i-1", "b"), ("i-1", "c")]


def test_lines_wait_for_their_group_and_go_in_order_of_time(logs: Any, tmp_path: Path) -> None:
    output, ships = tmp_path / "server.log", NodeLogs()
    sources = {"i-1": Source("us-east-1", GROUP, output)}
    now = time.time()
    output.write_text(line("later", now) + line("sooner", now - 5))
    ships.ship(sources)
    logs.create_log_group(logGroupName=GROUP)
    ships.ship(sources)
    assert shipped(logs) == [("i-1", "sooner"), ("i-1", "later")]
