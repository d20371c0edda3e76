"""Reports to CloudWatch once a period: reads Envoy and the processes, and keeps the last reading."""

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from subprocess import Popen

import psutil

from turnout.cloud import metrics
from turnout.cloud.envoy import Envoy
from turnout.cloud.health import HealthBook
from turnout.cloud.metrics import Reading
from turnout.cloud.world import World

logger = logging.getLogger(__name__)


class Reporter:
    """A thread that reports every `metrics.PERIOD` seconds, divided by `speed`."""

    def __init__(
        self,
        envoy: Envoy,
        book: HealthBook,
        read_world: Callable[[], World],
        processes: "Callable[[], Mapping[str, Popen[bytes]]]",
        speed: float,
    ) -> None:
        self._envoy = envoy
        self._book = book
        self._read_world = read_world
        self._processes = processes
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
        while not self._over.wait(self._period):
            try:
                self._report()
            except Exception:
                logger.exception("the metrics of this period are lost")

    def _report(self) -> None:
        world = self._read_world()
        now = Reading(self._envoy.counters(), self._envoy.histograms())
        states = {
            group.arn: {name: target.state for name, target in self._book.of_group(group.arn).items()}
            for group in world.target_groups
        }
        data = metrics.balancing(world, states, self._before, now) + metrics.scaling(world.groups)
        metrics.put(data + metrics.processors(world.groups, self._watched()))
        self._before = now

    def _watched(self) -> dict[str, psutil.Process]:
        """The running servers; one that has just ended is left out. The objects are kept: their CPU share is since the last
        call."""
        watched = {}
        for name, process in self._processes().items():
            with contextlib.suppress(psutil.NoSuchProcess):
                watched[name] = self._known.get(name) or psutil.Process(process.pid)
        self._known = watched
        return watched
