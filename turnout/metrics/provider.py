"""What a source of measurements does for a rollout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from turnout_components.experiment_design import ExperimentDesign
from turnout_components.rollout_spec import Gate

from turnout.analysis.measurement import Moments, Sample, Side


class MetricsUnavailable(Exception):
    """The source does not answer, or throttles. Nothing is known then, which is neither good nor bad; the next look asks
    again."""


@dataclass(frozen=True)
class Place:
    """One side as a source of measurements knows it: what `$service`, `$environment`, `$group` and `$release` stand for, and
    the load balancer's two ARNs. `release` is the digest: what an answer of the release carries."""

    service: str
    environment: str
    group: str
    release: str
    target_group: str
    listener: str


def names_of(place: Place) -> dict[str, str]:
    """What stands for `$service`, `$environment`, `$group` and `$release`."""
    return {name: getattr(place, name) for name in ("service", "environment", "group", "release")}


@dataclass(frozen=True)
class Span:
    """A stretch of time to be measured: its period's start and end."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Reading:
    """One side in one span. A gate that is missing from `samples` was not measured."""

    requests: int | None = None
    samples: Mapping[str, Sample] = field(default_factory=dict)
    shown: Mapping[str, float] = field(default_factory=dict)


class MetricProvider(Protocol):
    """A source of measurements. `thresholds`: the frozen seconds of each latency gate, by gate."""

    @property
    def period(self) -> timedelta:
        """The length of a span; spans start at its multiples since 1970."""

    @property
    def delay(self) -> timedelta:
        """How long after its end a span's numbers are whole."""

    def missing(self, gates: Sequence[Gate], places: Mapping[Side, Place], since: datetime, now: datetime) -> list[str]:
        """A line for each gate that this source cannot measure: an unknown metric, a query that is refused, a selector
        without series on the active side. Raises `MetricsUnavailable`."""

    def percentile(self, gate: Gate, place: Place, since: datetime, until: datetime) -> float | None:
        """The gate's percentile in seconds over that time, to freeze a threshold from; None without data.

        Raises `MetricsUnavailable`."""

    def read(
        self, gates: Sequence[Gate], thresholds: Mapping[str, float], places: Mapping[Side, Place], spans: Sequence[Span]
    ) -> list[Mapping[Side, Reading]]:
        """The spans' readings, in order; a side that is missing from one had nothing to report.

        Raises `MetricsUnavailable`."""

    def variants(
        self, design: ExperimentDesign, places: Mapping[str, Place], spans: Sequence[Span]
    ) -> list[Mapping[str, Moments] | None]:
        """The users of each variant who were counted in each span, with sum and squares of their values; None for a span whose
        numbers contradict each other: it says nothing of any variant. `places`: where each variant is served.

        Raises `MetricsUnavailable`."""
