"""EC2's part: the model servers of the auto scaling groups' instances that have our user data.

A machine that runs boots (`boot`), then its server starts. A process that dies stays dead: with health check type EC2 an auto
scaling group looks at the machine, not at what runs on it ("Health checks for instances in an Auto Scaling group", Amazon EC2
Auto Scaling User Guide), so the instance stays and its target goes unhealthy. An instance that is gone from its group is
stopped when no target group holds it any more.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

from turnout.cloud import launch, lifecycle, processes
from turnout.cloud.boot import RESUME, Boot
from turnout.cloud.envoy_config import Address
from turnout.cloud.launch import LaunchError, Node
from turnout.cloud.ports import Ports
from turnout.cloud.processes import Registry
from turnout.cloud.world import Machine, World

logger = logging.getLogger(__name__)

STARTING, NO_SERVER, RUNNING, DEAD = "starting", "no-server", "running", "dead"
BOOTING, RESUMING, WARM_STOPPED, WARM_RUNNING = "booting", "resuming", "warm-stopped", "warm-running"
DRAINING, STOPPING = "draining", "stopping"
STOP_GRACE, AFTER_DRAIN = 30.0, 10.0
"""Seconds between SIGTERM and SIGKILL; of a terminate hook, those after the node's drain (its unit's TimeoutStopSec)."""


@dataclass
class Instance:
    """An instance, its boot, and its process, if it has one. `server`: what becomes of it; `state`: its lifecycle state."""

    id: str
    group: str
    port: int
    boot: Boot = field(default_factory=lambda: Boot.planned({}, 1.0))
    node: Node | None = None
    process: "Popen[bytes] | None" = None
    reason: str | None = None
    state: str = lifecycle.IN_SERVICE
    server: str = lifecycle.RUN
    leaving: bool = False
    stop_by: float | None = None

    @property
    def alive(self) -> bool:
        """Whether its server runs."""
        return self.process is not None and self.process.poll() is None

    def phase(self, now: float) -> str:
        """What it does, in one word (docs/local-cloud.md)."""
        if self.stop_by is not None and self.alive:
            return STOPPING
        if self.leaving or self.server == lifecycle.KEEP:
            return DRAINING
        if self.server == lifecycle.STOP:
            return STOPPING if "Terminating" in self.state else WARM_STOPPED
        if self.process is None:
            stage = self.boot.stage(now)
            if self.reason is not None:
                return NO_SERVER
            return STARTING if stage is None else RESUMING if stage == RESUME else BOOTING
        if not self.alive:
            return DEAD
        return WARM_RUNNING if self.state == "Warmed:Running" else RUNNING


class Compute:
    """The instances of all groups. `reconcile` runs on the daemon's main thread. `is_held`: whether a target group still has an
    instance, registered or draining; `speed` divides the boot stages."""

    def __init__(
        self,
        folder: Path,
        root: Path,
        catalogue: Sequence[Path],
        registry: Registry,
        ports: Ports,
        is_held: Callable[[str], bool],
        speed: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder / "instances"
        self._models = folder / "models"
        self._root = root
        self._catalogue = catalogue
        self._registry = registry
        self._ports = ports
        self._is_held = is_held
        self._speed = speed
        self._clock = clock
        self._instances: dict[str, Instance] = {}
        self._lock = threading.Lock()
        shutil.rmtree(self._folder, ignore_errors=True)

    def addresses(self) -> Mapping[str, Address]:
        """Where each instance listens, or would."""
        with self._lock:
            return {name: ("127.0.0.1", instance.port) for name, instance in self._instances.items()}

    def adopt(self, world: World) -> None:
        """Gives every new instance its address, and switches it on."""
        machines = world.machines()
        with self._lock:
            for name in machines.keys() - self._instances.keys():
                self._instances[name] = self._new(machines[name])

    def _new(self, machine: Machine) -> Instance:
        instance = Instance(machine.id, machine.group, self._ports.take(), state=machine.state, server=machine.server)
        try:
            instance.node = launch.parse(machine.user_data)
            if instance.node is None:
                instance.reason = "its user data is not this kit's"
            else:
                instance.boot = Boot.planned(instance.node.boot, self._speed)
        except LaunchError as error:
            instance.reason = str(error)
        instance.boot = instance.boot.on(self._clock())
        return instance

    def reconcile(self, world: World) -> None:
        """Starts and stops servers as the groups say; stops what has left and is no longer held by a target group; notes what
        died."""
        self.adopt(world)
        machines = world.machines()
        for instance in self._listed():
            machine = machines.get(instance.id)
            if machine is None:
                instance.leaving = True
                if not self._is_held(instance.id):
                    self._stop(instance)
                continue
            instance.state, instance.server = machine.state, machine.server
            if machine.server == lifecycle.RUN:
                self._run(instance, machine.region)
            elif machine.server == lifecycle.STOP:
                self._stop(instance)
            self._note_death(instance)
        self._clear_ended()

    def _run(self, instance: Instance, region: str) -> None:
        if instance.stop_by is not None:
            return
        now = self._clock()
        instance.boot = instance.boot.on(now)
        if instance.process is None and instance.reason is None and instance.boot.stage(now) is None:
            self._start(instance, region)

    def _start(self, instance: Instance, region: str) -> None:
        folder = self._folder / instance.id
        folder.mkdir(parents=True, exist_ok=True)
        try:
            assert instance.node is not None
            start = launch.prepare(instance.node, instance.id, instance.port, folder, self._catalogue, self._models, region)
            log = self.output(instance.id)
            instance.process = processes.spawn(start.command, self._registry, log, self._root, start.env)
        except (LaunchError, OSError) as error:
            instance.reason = str(error)
            logger.error("instance %s of %s starts no server: %s", instance.id, instance.group, error)

    def _note_death(self, instance: Instance) -> None:
        if instance.process is not None and not instance.alive and instance.stop_by is None and instance.reason is None:
            log = self.output(instance.id)
            instance.reason = f"its server ended with status {instance.process.returncode}; see {log}"
            logger.error("instance %s of %s: %s", instance.id, instance.group, instance.reason)
            self._registry.remove(instance.process.pid)

    def _stop(self, instance: Instance) -> None:
        instance.boot = instance.boot.off(self._clock())
        if instance.stop_by is not None:
            return
        drain = instance.node.drain + AFTER_DRAIN if instance.node is not None and instance.state.endswith(":Wait") else 0.0
        instance.stop_by = self._clock() + max(STOP_GRACE, drain)
        if instance.process is not None and instance.alive:
            instance.process.terminate()

    def _clear_ended(self) -> None:
        ended = []
        for instance in self._listed():
            if instance.stop_by is None:
                continue
            process = instance.process
            if process is not None and instance.alive:
                if self._clock() >= instance.stop_by:
                    processes.kill_group(process.pid)
                continue
            if process is not None:
                self._registry.remove(process.pid)
                instance.process = None
            if instance.leaving:
                ended.append(instance)
            elif instance.server == lifecycle.RUN:
                instance.stop_by = None
                instance.reason = instance.reason if instance.node is None else None
        with self._lock:
            for instance in ended:
                del self._instances[instance.id]
                self._ports.give_back(instance.port)

    def is_held(self, instance: str) -> bool:
        """Whether a target group still has it, registered or draining."""
        return self._is_held(instance)

    def machine_is_up(self, instance: str) -> bool:
        """Whether EC2 would call it running."""
        held = self._instances.get(instance)
        return held is not None and held.stop_by is None and held.boot.machine_is_up(self._clock())

    def has_ended(self, instance: str) -> bool:
        """Whether no server of it runs."""
        held = self._instances.get(instance)
        return held is None or not held.alive

    def nodes(self) -> dict[str, tuple[Node, Address, bool]]:
        """Of each instance with our user data: the node, its address, and whether it is sound (nothing is known against it)."""
        return {i.id: (i.node, ("127.0.0.1", i.port), i.reason is None) for i in self._listed() if i.node is not None}

    def output(self, instance: str) -> Path:
        """What the instance's server has written."""
        return self._folder / instance / "server.log"

    def busy(self) -> bool:
        """Whether an instance boots, or is on its way out."""
        now = self._clock()
        return any(
            i.leaving or (i.stop_by is not None and i.alive) or (i.reason is None and i.phase(now) in (BOOTING, RESUMING))
            for i in self._listed()
        )

    def running(self) -> "dict[str, Popen[bytes]]":
        """The processes by instance."""
        return {i.id: i.process for i in self._listed() if i.process is not None and i.alive}

    def environment(self, instance: str) -> str | None:
        """The environment that an instance's user data names."""
        held = self._instances.get(instance)
        return held.node.environment if held is not None and held.node is not None else None

    def describe(self) -> list[dict[str, Any]]:
        """The instances as `/_turnout/state` shows them."""
        now = self._clock()
        return [
            {
                "id": instance.id,
                "group": instance.group,
                "environment": instance.node.environment if instance.node else None,
                "release": instance.node.release_id if instance.node else None,
                "pid": instance.process.pid if instance.process else None,
                "url": f"http://127.0.0.1:{instance.port}",
                "phase": instance.phase(now),
                "lifecycle": instance.state,
                "stage": instance.boot.stage(now),
                "reason": instance.reason,
            }
            for instance in self._listed()
        ]

    def _listed(self) -> list[Instance]:
        with self._lock:
            return list(self._instances.values())
