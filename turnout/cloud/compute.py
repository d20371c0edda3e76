"""EC2's part: one model-server process for each in-service instance of an auto scaling group that has our user data.

A process that dies stays dead: with the health check type EC2 an auto scaling group looks at the machine, not at what
runs on it ("Health checks for instances in an Auto Scaling group", Amazon EC2 Auto Scaling User Guide), so the instance
stays and its target goes unhealthy. An instance that leaves its group is stopped when no target group holds it any
more: an auto scaling group waits for connection draining before it terminates.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

from turnout.cloud import launch, processes
from turnout.cloud.envoy_config import Address
from turnout.cloud.launch import LaunchError, Node
from turnout.cloud.ports import Ports
from turnout.cloud.processes import Registry
from turnout.cloud.world import World

logger = logging.getLogger(__name__)

STARTING, NO_SERVER, RUNNING, DEAD = "starting", "no-server", "running", "dead"
DRAINING, STOPPING = "draining", "stopping"
STOP_GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL."""


@dataclass
class Instance:
    """An instance and its process, if it has one."""

    id: str
    group: str
    port: int
    node: Node | None = None
    process: "Popen[bytes] | None" = None
    reason: str | None = None
    leaving: bool = False
    stop_by: float | None = None

    @property
    def phase(self) -> str:
        """`starting`, `no-server`, `running`, `dead`, `draining` or `stopping`."""
        if self.stop_by is not None:
            return STOPPING
        if self.leaving:
            return DRAINING
        if self.process is None:
            return STARTING if self.reason is None else NO_SERVER
        return RUNNING if self.process.poll() is None else DEAD


class Compute:
    """The instances of all groups. `reconcile` and `stop_all` run on the daemon's main thread."""

    def __init__(
        self,
        folder: Path,
        root: Path,
        catalogue: Sequence[Path],
        registry: Registry,
        ports: Ports,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder / "instances"
        self._models = folder / "models"
        self._root = root
        self._catalogue = catalogue
        self._registry = registry
        self._ports = ports
        self._clock = clock
        self._instances: dict[str, Instance] = {}
        self._lock = threading.Lock()
        shutil.rmtree(self._folder, ignore_errors=True)

    def addresses(self) -> Mapping[str, Address]:
        """Where each instance listens, or would."""
        with self._lock:
            return {name: ("127.0.0.1", instance.port) for name, instance in self._instances.items()}

    def adopt(self, world: World) -> None:
        """Gives every new in-service instance its address."""
        in_service = world.in_service()
        with self._lock:
            for name in in_service.keys() - self._instances.keys():
                self._instances[name] = Instance(name, in_service[name].name, self._ports.take())

    def reconcile(self, world: World, is_held: Callable[[str], bool]) -> None:
        """Starts what is new, stops what has left and is no longer held by a target group (`is_held`), notes what died."""
        self.adopt(world)
        in_service = world.in_service()
        for instance in self._listed():
            if instance.id in in_service:
                if instance.process is None and instance.reason is None:
                    self._start(instance, in_service[instance.id].instances[instance.id])
                self._note_death(instance)
            else:
                instance.leaving = True
                if instance.stop_by is None and not is_held(instance.id):
                    self._stop(instance)
        self._remove_ended()

    def _start(self, instance: Instance, user_data: str) -> None:
        folder = self._folder / instance.id
        folder.mkdir(parents=True, exist_ok=True)
        try:
            instance.node = launch.parse(user_data)
            if instance.node is None:
                instance.reason = "its user data is not this kit's"
                return
            start = launch.prepare(instance.node, instance.id, instance.port, folder, self._catalogue, self._models)
            log = folder / "server.log"
            instance.process = processes.spawn(start.command, self._registry, log, self._root, start.env)
        except (LaunchError, OSError) as error:
            instance.reason = str(error)
            logger.error("instance %s of %s starts no server: %s", instance.id, instance.group, error)

    def _note_death(self, instance: Instance) -> None:
        if instance.phase == DEAD and instance.reason is None and instance.process is not None:
            log = self._folder / instance.id / "server.log"
            instance.reason = f"its server ended with status {instance.process.returncode}; see {log}"
            logger.error("instance %s of %s: %s", instance.id, instance.group, instance.reason)
            self._registry.remove(instance.process.pid)

    def _stop(self, instance: Instance) -> None:
        instance.stop_by = self._clock() + STOP_GRACE
        if instance.process is not None and instance.process.poll() is None:
            instance.process.terminate()

    def _remove_ended(self) -> None:
        ended = []
        for instance in self._listed():
            if instance.stop_by is None:
                continue
            process = instance.process
            if process is not None and process.poll() is None:
                if self._clock() >= instance.stop_by:
                    processes.kill_group(process.pid)
                continue
            if process is not None:
                self._registry.remove(process.pid)
            ended.append(instance)
        with self._lock:
            for instance in ended:
                del self._instances[instance.id]
                self._ports.give_back(instance.port)

    def has(self, instance: str) -> bool:
        """Whether the instance runs, drains or stops."""
        with self._lock:
            return instance in self._instances

    def busy(self) -> bool:
        """Whether an instance is on its way out."""
        return any(instance.leaving for instance in self._listed())

    def running(self) -> "dict[str, Popen[bytes]]":
        """The processes by instance."""
        return {i.id: i.process for i in self._listed() if i.process is not None and i.process.poll() is None}

    def environment(self, instance: str) -> str | None:
        """The environment that an instance's user data names."""
        held = self._instances.get(instance)
        return held.node.environment if held is not None and held.node is not None else None

    def describe(self) -> list[dict[str, Any]]:
        """The instances as `/_turnout/state` shows them."""
        return [
            {
                "id": instance.id,
                "group": instance.group,
                "environment": instance.node.environment if instance.node else None,
                "release": instance.node.release_id if instance.node else None,
                "pid": instance.process.pid if instance.process else None,
                "url": f"http://127.0.0.1:{instance.port}",
                "phase": instance.phase,
                "reason": instance.reason,
            }
            for instance in self._listed()
        ]

    def _listed(self) -> list[Instance]:
        with self._lock:
            return list(self._instances.values())
