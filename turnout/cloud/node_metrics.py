"""What a node publishes about its server: waiting and running requests and the use of its GPU. Pure, but for `scrape`.

Stands for the node's own script, which reads the server's Prometheus page and nvidia-smi once a minute. Names: vLLM's and
llama.cpp's servers, and `turnout_…` for the examples'. Without a GPU `turnout_gpu_utilization` stands for it, else the
process's share of a processor. What is not known is not published: no data is not 0.
"""

import http.client
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from turnout_components.user_data import read_release

from turnout.cloud.metrics import Datum
from turnout.cloud.world import Group

NAMESPACE = "Turnout"
PENDING = ("vllm:num_requests_waiting", "llamacpp:requests_deferred", "turnout_requests_waiting")
RUNNING = ("vllm:num_requests_running", "llamacpp:requests_processing", "turnout_requests_running")
GPU = ("turnout_gpu_utilization",)
TIMEOUT = 2.0
"""Seconds for a server's page of metrics."""
_LINE = re.compile(r"^(?P<name>[A-Za-z_:][\w:]*)(?:\{.*\})?\s+(?P<value>\S+)(?:\s+-?\d+)?$")


@dataclass(frozen=True)
class NodeNumbers:
    """A node's gauges; None where its server does not tell."""

    pending: float | None = None
    running: float | None = None
    gpu: float | None = None


def parse(page: str) -> NodeNumbers:
    """The gauges of a Prometheus page; those of several label sets are added up (GPU use: averaged)."""
    found: dict[str, list[float]] = {}
    for line in page.splitlines():
        match = _LINE.match(line.strip())
        if match is None:
            continue
        try:
            value = float(match["value"])
        except ValueError:
            continue
        if value == value and abs(value) != float("inf"):
            found.setdefault(match["name"], []).append(value)
    gpu = _first(found, GPU)
    return NodeNumbers(_sum(found, PENDING), _sum(found, RUNNING), None if gpu is None else sum(gpu) / len(gpu))


def _first(found: Mapping[str, list[float]], names: Iterable[str]) -> list[float] | None:
    return next((found[name] for name in names if name in found), None)


def _sum(found: Mapping[str, list[float]], names: Iterable[str]) -> float | None:
    values = _first(found, names)
    return None if values is None else sum(values)


def scrape(addresses: Mapping[str, tuple[str, int]]) -> dict[str, NodeNumbers]:
    """What the servers at these addresses tell; one that does not answer is left out."""
    if not addresses:
        return {}
    with ThreadPoolExecutor(max_workers=min(8, len(addresses))) as pool:
        pages = dict(zip(addresses, pool.map(_page, addresses.values()), strict=True))
    return {name: parse(page) for name, page in pages.items() if page is not None}


def _page(address: tuple[str, int]) -> str | None:
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        body = answer.read()
        return body.decode("utf-8", "replace") if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def published(region: str, group: str, numbers: NodeNumbers, processor: float | None) -> list[Datum]:
    """One node's values for CloudWatch. `processor`: its server's share of one processor in percent."""
    gpu = numbers.gpu if numbers.gpu is not None else processor
    values = (
        ("PendingRequests", numbers.pending, "Count"),
        ("RunningRequests", numbers.running, "Count"),
        ("GPUUtilization", None if gpu is None else min(gpu, 100.0), "Percent"),
    )
    by = {"AutoScalingGroupName": group}
    return [Datum(region, NAMESPACE, name, by, value, unit) for name, value, unit in values if value is not None]


def protections(groups: Iterable[Group], numbers: Mapping[str, NodeNumbers]) -> list[tuple[Group, str, bool]]:
    """Which instances are to be protected from scale-in, and which not any more: those whose node document says
    `protect_streams` are protected while a request runs. Where that is not known nothing changes."""
    return [
        (group, name, running > 0)
        for group in groups
        for name, user_data in group.instances.items()
        if (running := numbers.get(name, NodeNumbers()).running) is not None and _protects(user_data)
    ]


def _protects(user_data: str) -> bool:
    try:
        return bool((read_release(user_data) or {}).get("protect_streams"))
    except ValueError:
        return False
