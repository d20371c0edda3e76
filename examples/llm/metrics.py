"""What /metrics shows: streams and waiting requests (the node agent reads them), and times: to the first token, of each later
one, of a whole answer. Buckets are finer than vLLM's where this model's times are."""

from collections.abc import Callable
from typing import Any

import prometheus_client

_FIRST = (0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.4, 0.6, 1.0, 1.5, 2.5, 5.0, 10.0, 20.0, 40.0)
_EACH = (0.0025, 0.005, 0.01, 0.015, 0.025, 0.04, 0.06, 0.1, 0.15, 0.25, 0.5, 1.0)
_ALL = (0.1, 0.15, 0.25, 0.4, 0.6, 1.0, 1.5, 2.5, 4.0, 6.0, 10.0, 20.0, 40.0)


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
        self.all = prometheus_client.Histogram(
            "turnout_request_duration_seconds", "From the request to its last token.", buckets=_ALL, **common
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

    def token(self, began: float, tokens: list[float]) -> None:
        """A token is there; `tokens` are the times of all so far, on the clock of `began`."""
        self.tokens.inc()
        if len(tokens) == 1:
            self.first.observe(tokens[0] - began)

    def ended(self, whole: bool, began: float, tokens: list[float]) -> None:
        """An answer is over; `tokens` as above."""
        self.streams.labels("whole" if whole else "cut").inc()
        if whole and tokens:
            self.all.observe(tokens[-1] - began)
        if len(tokens) > 1:
            self.each.observe((tokens[-1] - tokens[0]) / (len(tokens) - 1))
