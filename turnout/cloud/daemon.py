"""The local cloud's daemon: everything started, kept in step, and ended together."""

import fcntl
import json
import logging
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import psutil

from turnout.cloud import discovery, moto_mirrors, processes
from turnout.cloud.auto_scaling import set_desired
from turnout.cloud.autoscaler import Autoscaler
from turnout.cloud.client import STATE_PATH
from turnout.cloud.compute import Compute
from turnout.cloud.control_plane import ControlPlane
from turnout.cloud.envoy import Envoy
from turnout.cloud.envoy_config import Address
from turnout.cloud.fleets import Fleets
from turnout.cloud.health import HealthBook
from turnout.cloud.load_balancer import LoadBalancer
from turnout.cloud.mirrors import Mirrors
from turnout.cloud.moto_extensions import extend_moto
from turnout.cloud.moto_schedules import Timekeeper
from turnout.cloud.moto_state import api_lock, read_world
from turnout.cloud.node import NodeAgents
from turnout.cloud.node_logs import NodeLogs, Source
from turnout.cloud.parts import MakePart, Tools
from turnout.cloud.ports import Ports
from turnout.cloud.prober import Prober
from turnout.cloud.processes import Registry
from turnout.cloud.reporter import Reporter
from turnout.cloud.world import Machine, World

logger = logging.getLogger(__name__)

_CALM, _BUSY = 0.5, 0.05
"""Seconds between two looks when nothing, and when something, is on its way."""
_END_GRACE = 5.0


class AlreadyRunning(RuntimeError):
    """Another cloud holds the home's lock."""


class Cloud:
    """One local cloud in `home`. Everything that starts processes happens on the thread that calls `run`. `make_part`: of what
    runs beside the account."""

    def __init__(
        self, home: Path, root: Path, catalogue: Sequence[Path], speed: float, make_part: MakePart | None = None
    ) -> None:
        self._folder = home / "cloud"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._speed = speed
        self._lock_file = _hold(self._folder / "lock")
        self._registry = Registry(self._folder / "processes.json")
        self._registry.clean()
        shutil.rmtree(self._folder / "envoy", ignore_errors=True)
        self._wake = threading.Event()
        self._over = threading.Event()
        ports = Ports()
        tools = Tools(self._folder, root, catalogue, self._registry, ports, self._wake.set, speed, self._endpoint)
        self._part = make_part(tools) if make_part is not None else None
        self._book = HealthBook(speed=speed)
        self._prober = Prober(self._book, self._wake.set, speed)
        self._compute = Compute(self._folder, root, catalogue, self._registry, ports, self._book.is_held, speed)
        self._fleets = Fleets(self._compute, speed)
        self._nodes = NodeAgents(self._answered, self._fleets.beat_for, self._compute.has_ended)
        self._timekeeper = Timekeeper(self._fleets)
        extend_moto(self._book.of_group, self._fleets, speed)
        self._logs = NodeLogs()
        self._mirrors = Mirrors(self._folder, self._registry, ports)
        self._envoy = Envoy(self._folder / "envoy", self._registry)
        self._balancer = LoadBalancer(self._envoy, self._book, self._prober, ports, self._read_world, self._addresses)
        autoscaler = Autoscaler(self._resize, speed)
        self._reporter = Reporter(
            self._envoy, self._book, read_world, self._compute.running, self._compute.addresses, autoscaler.evaluate, speed
        )
        self._control = ControlPlane(api_lock, self._changed, {STATE_PATH: self.state, discovery.PATH: self.targets})

    def run(self) -> None:
        """Serves until `end` is called; then stops everything."""
        try:
            self._envoy.start()
            self._control.start()
            self._reporter.start()
            if self._part is not None:
                self._part.start()
            self._publish()
            while not self._over.is_set():
                self._look()
        finally:
            self._stop()

    def end(self) -> None:
        """Asks `run` to stop; any thread may call it."""
        self._over.set()
        self._wake.set()

    def _endpoint(self) -> str:
        return self._control.endpoint

    def _read_world(self) -> World:
        world = read_world()
        self._compute.adopt(world)
        return world

    def _addresses(self) -> Mapping[str, Address]:
        others = self._part.addresses() if self._part is not None else {}
        return {**self._mirrors.addresses(self._compute.addresses()), **others}

    def _resize(self, region: str, group: str, desired: int, cause: str) -> None:
        set_desired(region, group, desired, cause)
        self._wake.set()

    def _answered(self, machine: Machine, hook: str, result: str) -> None:
        self._fleets.complete_for(machine, hook, result)
        self._wake.set()

    def _changed(self) -> None:
        self._balancer.apply()
        self._wake.set()

    def _look(self) -> None:
        self._wake.clear()
        under_way = False
        try:
            if self._part is not None:
                under_way = self._part.look()
            self._envoy.revive()
            world = self._balancer.apply()
            self._compute.reconcile(world)
            direct = self._compute.addresses()
            self._mirrors.reconcile(moto_mirrors.wanted(world, direct), direct)
            if self._timekeeper.run_due() | self._fleets.progress():
                self._wake.set()
            nodes = self._compute.nodes()
            self._nodes.sync(world, nodes)
            self._logs.ship(
                {
                    name: Source(machine.region, nodes[name][0].log_group, self._compute.output(name))
                    for name, machine in world.machines().items()
                    if name in nodes
                }
            )
            if self._balancer.progress_drains():
                self._wake.set()
        except Exception:
            logger.exception("the local cloud could not catch up with the account; it tries again")
        busy = under_way or self._compute.busy() or self._book.draining() or self._mirrors.busy()
        self._wake.wait(_BUSY if busy else _CALM)

    def state(self) -> dict[str, Any]:
        """The document of `GET /_turnout/state`."""
        world = read_world()
        return {
            "endpoint": self._control.endpoint,
            "speed": self._speed,
            "load_balancers": self._balancer.describe(world),
            "target_groups": [
                {
                    "arn": group.arn,
                    "name": group.name,
                    "targets": [
                        {
                            "id": name,
                            "state": target.state,
                            "reason": target.reason,
                            "description": target.description,
                            "environment": self._compute.environment(name),
                        }
                        for name, target in self._book.of_group(group.arn).items()
                    ],
                }
                for group in world.target_groups
            ],
            "instances": [{**shown, "mirror": self._mirrors.url(shown["id"])} for shown in self._compute.describe()],
            **({self._part.name: self._part.state()} if self._part is not None else {}),
        }

    def targets(self) -> list[dict[str, Any]]:
        """The document of `GET /_turnout/prometheus/targets`: every node whose server runs, whatever becomes of it."""
        running, known = self._compute.running(), self._compute.addresses()
        found = discovery.targets({name: known[name] for name in running if name in known}, discovery.tags(running))
        return [*found, *(self._part.targets() if self._part is not None else ())]

    def _publish(self) -> None:
        pid = os.getpid()
        content = {
            "endpoint": self._control.endpoint,
            "pid": pid,
            "started": psutil.Process(pid).create_time(),
            "speed": self._speed,
            **(self._part.published() if self._part is not None else {}),
        }
        processes.write_atomically(self._folder / "state.json", json.dumps(content))

    def _stop(self) -> None:
        (self._folder / "state.json").unlink(missing_ok=True)
        self._control.close()
        self._nodes.close()
        self._prober.close()
        self._reporter.close()
        children = [
            *self._compute.running().values(),
            *self._mirrors.running(),
            *([self._envoy.process] if self._envoy.process else []),
            *(self._part.running() if self._part is not None else ()),
        ]
        processes.end(children, _END_GRACE)
        if self._part is not None:
            self._part.close()
        self._registry.clean()
        self._lock_file.close()


def _hold(path: Path) -> TextIO:
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise AlreadyRunning(f"a local cloud already runs in {path.parent.parent}; stop it first") from None
    return file
