"""The mirrored requests of one side, from CloudWatch Logs: what `turnout.analysis.shadow` compares."""

from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from turnout.analysis.shadow import Line, read
from turnout.metrics.provider import MetricsUnavailable

_PATTERN = '"mirrored"'
"""A phrase that the line holds ("Filter pattern syntax for metric filters, subscription filters, filter log events, and Live
Tail", Amazon CloudWatch Logs User Guide); what else holds it is no line of a mirror, and is passed over."""


class MirrorLogs:
    """One environment's log group. `logs` is boto3's client."""

    def __init__(self, logs: Any, group: str) -> None:
        self._logs = logs
        self._group = group

    def lines(self, start: datetime, end: datetime) -> list[Line]:
        """The mirrored requests that its servers answered from `start` to `end`.

        Raises `MetricsUnavailable` when the log group cannot be read."""
        try:
            pages = self._logs.get_paginator("filter_log_events").paginate(
                logGroupName=self._group,
                startTime=int(start.timestamp() * 1000),
                endTime=int(end.timestamp() * 1000),
                filterPattern=_PATTERN,
            )
            return read(event["message"] for page in pages for event in page["events"])
        except (ClientError, BotoCoreError) as error:
            raise MetricsUnavailable(f"log group {self._group} cannot be read: {error}") from error
