"""The source of measurements that a rollout's spec names."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
from turnout_components.rollout_spec import Metrics, Source

from turnout.metrics.cloudwatch import CloudWatchMetrics
from turnout.metrics.prometheus import PrometheusMetrics
from turnout.metrics.provider import MetricProvider

TIMEOUT = 5.0
"""Seconds for one answer of Prometheus; one that hangs costs a look no more (`prometheus.PATIENCE`)."""


def source(wanted: Metrics, client: Callable[[str], Any], speed: float = 1.0) -> MetricProvider:
    """The source. `client` makes botocore's clients. `speed`: of a local cloud, by which its times are divided, as the
    periods of its CloudWatch are.

    Raises `ValueError` for a period that is no whole second there."""
    period, delay = wanted.period / speed, wanted.delay / speed
    if period % timedelta(seconds=1):
        fix = "start the local cloud with --speed 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30 or 60"
        raise ValueError(f"a period of {wanted.period} is no whole second at speed {speed:g}; {fix}")
    if wanted.source is Source.PROMETHEUS:
        return PrometheusMetrics(httpx.Client(timeout=TIMEOUT), str(wanted.url), period, delay)
    return CloudWatchMetrics(client("cloudwatch"), period, delay)
