"""The daemon as the node: waits until its own server is ready, then completes the lifecycle hooks that user data gives it.

What a real machine's scripts do (`turnout_components/node/lifecycle.sh`), by the same API: `/ready?release=<digest>` until 200
continues the launch, a server that cannot start or has died, and an answer that does not come in `launch_timeout`, abandon it;
the end of the server completes the terminate hook; heartbeats meanwhile.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from turnout.cloud.launch import Node
from turnout.cloud.lifecycle import ABANDON, CONTINUE
from turnout.cloud.prober import Address, Probe, ask
from turnout.cloud.world import Check, Machine, World

logger = logging.getLogger(__name__)

_EVERY = 0.2
"""Seconds between two looks at /ready."""
_TIMEOUT = 2.0
_BEATS = 3
"""Heartbeats in a timeout."""

Wait = tuple[str, str]
"""Instance and hook."""
Complete = Callable[[Machine, str, str], None]
"""For a machine and a hook: the result."""


@dataclass(frozen=True)
class Ready:
    """Where a node asks whether its server is ready."""

    address: Address
    path: str


class NodeAgents:
    """All nodes. `ended` says whether no server of an instance runs. The patience of a launch is real time."""

    def __init__(
        self,
        complete: Complete,
        beat: Callable[[Machine, str], None],
        ended: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._complete = complete
        self._beat = beat
        self._ended = ended
        self._clock = clock
        self._beaten: dict[Wait, float] = {}
        self._since: dict[Wait, float] = {}
        self._tasks: dict[Wait, asyncio.Task[None]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nodes", daemon=True)
        self._thread.start()

    def sync(self, world: World, nodes: Mapping[str, tuple[Node, Address, bool]]) -> None:
        """Takes up who waits for what. Called by the daemon's loop."""
        asking: dict[Wait, tuple[Machine, Ready]] = {}
        waits: set[Wait] = set()
        for machine in world.machines().values():
            node, address, sound = nodes.get(machine.id, (None, ("", 0), False))
            for hook, timeout in machine.waits if node is not None else ():
                assert node is not None
                wait = (machine.id, hook)
                waits.add(wait)
                if hook == node.hooks.get("terminate") and "Terminating" in machine.state:
                    if self._ended(machine.id):
                        self._complete(machine, hook, CONTINUE)
                        continue
                elif hook == node.hooks.get("launch") and "Pending" in machine.state:
                    if not sound or self._clock() - self._since.setdefault(wait, self._clock()) > node.patience:
                        self._complete(machine, hook, ABANDON)
                        continue
                    asking[wait] = (machine, Ready(address, f"{node.health}?release={node.release.get('digest', '')}"))
                else:
                    continue
                self._heartbeat(machine, hook, timeout)
        for times in (self._beaten, self._since):
            for wait in times.keys() - waits:
                del times[wait]
        self._loop.call_soon_threadsafe(self._ask_these, asking)

    def close(self) -> None:
        """Ends the looks."""
        self._loop.call_soon_threadsafe(self._ask_these, {})
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def _heartbeat(self, machine: Machine, hook: str, timeout: float) -> None:
        now, wait = self._clock(), (machine.id, hook)
        if now - self._beaten.setdefault(wait, now) >= timeout / _BEATS:
            self._beaten[wait] = now
            self._beat(machine, hook)

    def _ask_these(self, asking: Mapping[Wait, tuple[Machine, Ready]]) -> None:
        for wait in self._tasks.keys() - asking.keys():
            self._tasks.pop(wait).cancel()
        for wait in asking.keys() - self._tasks.keys():
            self._tasks[wait] = self._loop.create_task(self._until_ready(*asking[wait], wait[1]))

    async def _until_ready(self, machine: Machine, ready: Ready, hook: str) -> None:
        probe = Probe(ready.address, Check(ready.path, _EVERY, _TIMEOUT, 1, 1, "200"))
        while (await ask(probe)).status != 200:
            await asyncio.sleep(_EVERY)
        await asyncio.to_thread(self._complete, machine, hook, CONTINUE)
