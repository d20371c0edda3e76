"""Once a minute (divided by `speed`): reads Envoy, the processes and the servers, reports to CloudWatch, protects instances
that still stream, and has the alarms evaluated."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from subprocess import Popen

import psutil
from moto.autoscaling.models import autoscaling_backends

from turnout.cloud import metrics, node_metrics
from turnout.cloud.envoy import Envoy
from turnout.cloud.envoy_config import Address
from turnout.cloud.health import HealthBook
from turnout.cloud.metrics import Datum, Reading
from turnout.cloud.moto_state import ACCOUNT, api_lock
from turnout.cloud.world import World

logger = logging.getLogger(__name__)


class Reporter:
    """A thread that reports every `metrics.PERIOD` seconds, divided by `speed`, and then calls `evaluate` with the end of the
    period (seconds since 1970): a report's values lie in the period that it ends."""

    def __init__(
        self,
        envoy: Envoy,
        book: HealthBook,
        read_world: Callable[[], World],
        processes: "Callable[[], Mapping[str, Popen[bytes]]]",
        addresses: Callable[[], Mapping[str, Address]],
        evaluate: Callable[[float], None],
        speed: float,
    ) -> None:
        self._envoy = envoy
        self._book = book
        self._read_world = read_world
        self._processes = processes
        self._addresses = addresses
        self._evaluate = evaluate
        self._period = metrics.PERIOD / speed
        self._before = Reading()
        self._known: dict[str, psutil.Process] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Reports until `close`."""
        self._thread.start()

    def close(self) -> None:
        """Ends the reports."""
        self._over.set()

    def _run(self) -> None:
        while True:
            end = (time.time() // self._period + 1) * self._period
            if self._over.wait(end - time.time()):
                return
            for act in (self._report, self._evaluate):
                try:
                    act(end)
                except Exception:
                    logger.exception("the metrics or the alarms of this period are lost")

    def _report(self, end: float) -> None:
        world = self._read_world()
        now = Reading(self._envoy.counters(), self._envoy.response_times())
        states = {
            group.arn: {name: target.state for name, target in self._book.of_group(group.arn).items()}
            for group in world.target_groups
        }
        data = metrics.balancing(world, states, self._before, now) + metrics.scaling(world.groups)
        shares = metrics.processor_shares(self._watched())
        data += metrics.processors(world.groups, shares) + self._nodes(world, shares)
        metrics.put(data, end - self._period / 2)
        self._before = now

    def _nodes(self, world: World, shares: Mapping[str, float]) -> list[Datum]:
        """What the nodes publish, as their own script does on AWS; and their protection from scale-in."""
        serving = world.in_service()
        addresses = {name: address for name, address in self._addresses().items() if name in serving and name in shares}
        numbers = node_metrics.scrape(addresses)
        with api_lock:
            for group, name, protected in node_metrics.protections(world.groups, numbers):
                backend = autoscaling_backends[ACCOUNT][group.region]
                if group.name in backend.autoscaling_groups:
                    backend.set_instance_protection(group.name, [name], protected)
        return [
            datum
            for name in addresses
            for datum in node_metrics.published(
                serving[name].region, serving[name].name, numbers.get(name, node_metrics.NodeNumbers()), shares[name]
            )
        ]

    def _watched(self) -> dict[str, psutil.Process]:
        """The running servers; one that has just ended is left out. The objects are kept: their CPU share is since the last
        call."""
        watched = {}
        for name, process in self._processes().items():
            with contextlib.suppress(psutil.NoSuchProcess):
                watched[name] = self._known.get(name) or psutil.Process(process.pid)
        self._known = watched
        return watched
