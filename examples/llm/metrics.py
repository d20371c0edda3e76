"""What /metrics shows: streams and waiting requests (the node agent reads them), first-token and per-token times."""

from collections.abc import Callable
from typing import Any

import prometheus_client

_FIRST = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_EACH = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class Metrics:
    """The server's registry. `running` and `waiting` are asked when /metrics is."""

    def __init__(self, digest: str, version: str, running: Callable[[], int], waiting: Callable[[], int]) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        common: dict[str, Any] = {"registry": self.registry}
        self.requests = prometheus_client.Counter("turnout_requests", "Completions by HTTP status.", ["status"], **common)
        self.streams = prometheus_client.Counter("turnout_streams", "Answers by how they ended: whole, cut.", ["end"], **common)
        self.tokens = prometheus_client.Counter("turnout_tokens", "Tokens that were generated.", **common)
        self.first = prometheus_client.Histogram(
            "turnout_time_to_first_token_seconds", "From the request to its first token.", buckets=_FIRST, **common
        )
        self.each = prometheus_client.Histogram(
            "turnout_time_per_output_token_seconds", "Mean time of a token after the first.", buckets=_EACH, **common
        )
        for name, help_text, ask in (
            ("turnout_requests_running", "Streams in flight.", running),
            ("turnout_requests_waiting", "Requests that wait for a place.", waiting),
        ):
            prometheus_client.Gauge(name, help_text, **common).set_function(ask)
        release = prometheus_client.Info("turnout_release", "The release being served.", **common)
        release.info({"digest": digest, "version": version})

    def text(self) -> bytes:
        """The exposition."""
        return prometheus_client.generate_latest(self.registry)

    def answered(self, status: int) -> None:
        """A completion's status is known."""
        self.requests.labels(status).inc()

    def ended(self, whole: bool, began: float, tokens: list[float]) -> None:
        """A stream is over; `tokens` are the times of its tokens, on the clock of `began`."""
        self.streams.labels("whole" if whole else "cut").inc()
        if tokens:
            self.tokens.inc(len(tokens))
            self.first.observe(tokens[0] - began)
        if len(tokens) > 1:
            self.each.observe((tokens[-1] - tokens[0]) / (len(tokens) - 1))
