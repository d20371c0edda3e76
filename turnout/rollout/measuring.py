"""From a metric provider's readings to a rollout's windows."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from turnout_components.release import digest_of
from turnout_components.switch_record import SwitchRecord

from turnout.analysis.measurement import Sample, Side, Window
from turnout.metrics.provider import MetricProvider, Place, Reading, Span
from turnout.rollout.evidence import STATISTICAL
from turnout.rollout.status import RolloutStatus

SPANS_A_LOOK = 60
"""How many spans are asked for at once: a driver that comes late catches up in several looks."""
SPANS_BEFORE = 120
"""How many of the time before a rollout are kept."""
BASELINE = timedelta(minutes=10)
"""How much of the time before a rollout is measured, for thresholds and bounds."""


def places(status: RolloutStatus, record: SwitchRecord, key: str) -> dict[Side, Place]:
    """Both sides as a source of measurements knows them. `key`: `<service>/<stack>`."""
    found = {}
    for side, name in status.environments().items():
        state = record.environments[name]
        group, release = state.group or "", digest_of(state.release)
        found[side] = Place(key.partition("/")[0], name, group, release, state.target_group, str(record.listener))
    return found


def measure(
    status: RolloutStatus, metrics: MetricProvider, record: SwitchRecord, key: str, now: datetime
) -> tuple[Window, ...]:
    """The windows that are whole by now and not in the status yet.

    Raises `MetricsUnavailable`."""
    since = status.measured_until or status.began
    return _windows(status, metrics, record, key, spans_between(since, now - metrics.delay, metrics.period)[:SPANS_A_LOOK])


def baseline(
    status: RolloutStatus, metrics: MetricProvider, record: SwitchRecord, key: str, since: datetime
) -> tuple[Window, ...]:
    """The windows from `since` until the rollout began: the newest, where they are many.

    Raises `MetricsUnavailable`."""
    spans = spans_between(since, status.began - metrics.delay, metrics.period)[-SPANS_BEFORE:]
    return _windows(status, metrics, record, key, spans)


def _windows(
    status: RolloutStatus, metrics: MetricProvider, record: SwitchRecord, key: str, spans: list[Span]
) -> tuple[Window, ...]:
    if not spans:
        return ()
    gates = [gate for gate in status.gates if gate.kind in STATISTICAL]
    readings = metrics.read(gates, status.thresholds, places(status, record, key), spans)
    return tuple(window(span, status.weight_at(span.start), found) for span, found in zip(spans, readings, strict=True))


def spans_between(since: datetime, until: datetime, period: timedelta) -> list[Span]:
    """The whole periods between two moments; periods start at their multiples since 1970."""
    length = period.total_seconds()
    first = -(-since.timestamp() // length)
    last = until.timestamp() // length
    edges = [datetime.fromtimestamp(number * length, UTC) for number in range(int(first), int(last) + 1)]
    return [Span(start, start + period) for start in edges[:-1]]


def window(span: Span, weight: int, found: Mapping[Side, Reading]) -> Window:
    """One span's readings as a window."""
    samples: dict[str, dict[Side, Sample]] = {}
    shown: dict[str, dict[Side, float]] = {}
    for side, reading in found.items():
        for gate, sample in reading.samples.items():
            samples.setdefault(gate, {})[side] = sample
        for name, value in reading.shown.items():
            shown.setdefault(name, {})[side] = value
    requests = {side: reading.requests for side, reading in found.items() if reading.requests is not None}
    return Window(span.start, span.end, weight, requests, samples, shown)
