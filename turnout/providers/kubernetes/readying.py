"""Waits until an object is what it should be, and says why it is not."""

from typing import Any

from turnout.engine.provider import Properties, ProviderConfig, ProviderError
from turnout.providers.kubernetes import wait_for
from turnout.providers.kubernetes.annotations import SKIP_AWAIT, WAIT_FOR, annotation, is_true, timeout
from turnout.providers.kubernetes.cluster import Cluster
from turnout.providers.kubernetes.errors import Absent
from turnout.providers.kubernetes.ready import Failed, readiness_of
from turnout.providers.kubernetes.reasons import why
from turnout.providers.kubernetes.tokens import Kind
from turnout.providers.kubernetes.waiting import Clock, Deadline

_WAIT_FOR_SECONDS = 600.0
"""Where the annotation waitFor stands at a kind that the provider does not wait for."""
SHOWN_LINES = 10


def missing(kind: Kind, live: dict[str, Any], inputs: Properties, cluster: Cluster) -> list[str]:
    """What the object lacks at this moment; [] for what is ready and what nobody waits for.

    Raises `Failed` for what will never be ready."""
    if is_true(inputs, SKIP_AWAIT):
        return []
    if expression := annotation(inputs, WAIT_FOR):
        return wait_for.missing(live, expression)
    readiness = readiness_of(kind)
    return readiness.check(live, cluster) if readiness is not None else []


def init_errors(kind: Kind, live: dict[str, Any], inputs: Properties, cluster: Cluster) -> tuple[str, ...]:
    """What the object lacks, and why, for the state."""
    try:
        lacking = missing(kind, live, inputs, cluster)
    except Failed as failure:
        lacking = [str(failure)]
    return tuple([*lacking, *why(live, cluster)][:SHOWN_LINES]) if lacking else ()


def seconds_for(kind: Kind, inputs: Properties, config: ProviderConfig, operation: str) -> float:
    """`customTimeouts`, else the annotation, else the kind's own (`TimeoutDuration`, overrides.go of pulumi-kubernetes)."""
    readiness = readiness_of(kind)
    return (
        config.timeouts.get(operation) or timeout(inputs) or (readiness.seconds if readiness is not None else _WAIT_FOR_SECONDS)
    )


def until_ready(
    kind: Kind, live: dict[str, Any], inputs: Properties, cluster: Cluster, seconds: float, clock: Clock
) -> dict[str, Any]:
    """The object when it is ready. Raises `ProviderError` with the reasons when it is not in time."""
    meta, deadline = live["metadata"], Deadline(seconds, clock)
    subject = f"{kind} {'/'.join(filter(None, (meta.get('namespace'), meta['name'])))}"
    path = ""
    while True:
        try:
            lacking = missing(kind, live, inputs, cluster)
        except Failed as failure:
            raise _not_ready(f"{subject} has failed", [str(failure)], live, cluster) from None
        if not lacking:
            return live
        if not deadline.rest():
            raise _not_ready(f"{subject} is there and not ready after {seconds:g} s", lacking, live, cluster)
        path = path or cluster.path_of(kind, meta.get("namespace"), meta["name"])
        try:
            live = cluster.get(path, subject)
        except Absent:
            raise ProviderError(f"{subject} was deleted by somebody else while it was waited for") from None


def _not_ready(what: str, lacking: list[str], live: dict[str, Any], cluster: Cluster) -> ProviderError:
    lines = [*lacking, *why(live, cluster)]
    more = [f"and {len(lines) - SHOWN_LINES} more"] if len(lines) > SHOWN_LINES else []
    return ProviderError("\n".join([f"{what}:", *(f"  {line}" for line in [*lines[:SHOWN_LINES], *more])]))
