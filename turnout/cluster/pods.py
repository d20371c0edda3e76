"""The agent: behind each pod of ours the model server of its release, started, probed, restarted and ended as a kubelet would.

Sources: "Pod Lifecycle" (How Pods handle problems with containers; Termination of Pods), "Configure Liveness, Readiness and
Startup Probes", Kubernetes documentation. Which server runs is in `launch.py` of the local cloud; what the API shows is written
by kwok (`stages.py`).
"""

import base64
import json
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

from lightkube import ApiError, Client

from turnout.cloud import images, launch, processes
from turnout.cloud.boot import Boot
from turnout.cloud.envoy_config import Address
from turnout.cloud.launch import LaunchError, Node
from turnout.cloud.ports import Ports
from turnout.cloud.prober import Probe, Prober
from turnout.cloud.processes import Registry
from turnout.cluster import pod_spec, pod_status
from turnout.cluster.pod_spec import LIVENESS, READINESS, STARTUP, PodError, PodSpec
from turnout.cluster.pod_status import BACK_OFF, CONFIG_ERROR, CREATING, Ended, Life
from turnout.cluster.probes import AGENT, ProbeBook
from turnout.cluster.stages import ENDED_ANNOTATION, STATUS_ANNOTATION
from turnout.cluster.watching import POD, SECRET, Key, Object, Watch, key_of, patch

logger = logging.getLogger(__name__)

_TOLD = frozenset(images.told("", 0, Path(), "", Path()))
"""Variables that the pod's own do not change: the server listens where the agent says."""


@dataclass
class Stop:
    """A server on its way out. Moments of the agent's clock: SIGTERM is due at `term`, SIGKILL at `kill`."""

    term: float
    kill: float
    told: bool = False


@dataclass
class Served:
    """A pod and its server. `began` and `since` in seconds since 1970; `retry` is a moment of the agent's clock."""

    uid: str
    key: Key
    port: int
    pod: Object
    began: float
    boot: Boot
    spec: PodSpec | None = None
    fault: str = ""
    process: "Popen[bytes] | None" = None
    since: float = 0.0
    delay: float = 0.0
    retry: float | None = None
    restarts: int = 0
    last: Ended | None = None
    stop: Stop | None = None
    written: dict[str, Any] = field(default_factory=dict)
    ended: bool = False

    @property
    def run(self) -> str:
        """This run of its server, by which its probes are counted."""
        return f"{self.uid}/{self.restarts}"

    @property
    def folder(self) -> str:
        """Its folder's name, as a kubelet names a pod's logs."""
        return "_".join((*self.key, self.uid))

    @property
    def ip(self) -> str | None:
        """The pod's address, when kwok has given it one."""
        found: str | None = (self.pod.get("status") or {}).get("podIP")
        return found

    @property
    def deleted(self) -> bool:
        """Whether the pod is to end."""
        return "deletionTimestamp" in self.pod["metadata"]


class Pods:
    """The pods of ours on all nodes. `reconcile` runs on the daemon's main thread; `speed` divides boots, back-offs, the
    probes' periods and the sleep before SIGTERM, not what a server or a client sees."""

    def __init__(
        self,
        client: Client,
        watch: Watch,
        folder: Path,
        root: Path,
        catalogue: Sequence[Path],
        registry: Registry,
        ports: Ports,
        wake: Callable[[], None],
        speed: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._watch = watch
        self._folder = folder / "pods"
        self._models = folder / "models"
        self._root = root
        self._catalogue = catalogue
        self._registry = registry
        self._ports = ports
        self._speed = speed
        self._clock = clock
        self._book = ProbeBook()
        self._prober = Prober(self._book, wake, speed)
        self._held: dict[str, Served] = {}
        shutil.rmtree(self._folder, ignore_errors=True)

    def reconcile(self) -> None:
        """One look at all pods."""
        found = {pod["metadata"]["uid"]: pod for pod in self._watch.objects() if pod_spec.is_ours(pod)}
        for uid in found.keys() - self._held.keys():
            self._held = {**self._held, uid: self._new(uid, found[uid])}
        for served in list(self._held.values()):
            if served.uid in found:
                served.pod = found[served.uid]
                self._step(served)
            else:
                self._leave(served)
        self._prober.sync(self._probes())

    def _new(self, uid: str, pod: Object) -> Served:
        served = Served(uid, key_of(pod), self._ports.take(), pod, time.time(), Boot.planned({}, 1.0))
        try:
            served.spec = pod_spec.read(pod)
            served.boot = Boot.planned(served.spec.boot, self._speed)
        except PodError as error:
            self._fail(served, str(error))
        served.boot = served.boot.on(self._clock())
        return served

    def _step(self, served: Served) -> None:
        self._note_end(served)
        now = self._clock()
        if served.deleted:
            if served.process is None:
                self._say_ended(served)
                return
            self._begin_stop(served, pod_spec.grace_of(served.pod))
        elif served.process is not None:
            self._judge(served)
        elif served.spec is not None and self._is_due(served, now):
            self._start(served, served.spec)
        self._progress_stop(served)
        self._write(served)

    @staticmethod
    def _is_due(served: Served, now: float) -> bool:
        headless = served.spec is not None and served.spec.headless
        return not headless and served.boot.stage(now) is None and now >= (served.retry or 0.0)

    def _leave(self, served: Served) -> None:
        """A pod that was taken away by force: its server has no time left."""
        if served.process is not None and served.process.poll() is None:
            processes.kill_group(served.process.pid)
            served.process.wait()
        self._note_end(served)
        self._ports.give_back(served.port)
        self._held = {uid: other for uid, other in self._held.items() if uid != served.uid}

    def _start(self, served: Served, spec: PodSpec) -> None:
        first = served.last is None
        folder = self._folder / served.folder
        folder.mkdir(parents=True, exist_ok=True)
        try:
            values = {**self._resolved(served, spec), **spec.values}
            node = Node(spec.environment, dict(spec.release))
            start = launch.prepare(node, served.key[1], served.port, folder, self._catalogue, self._models)
            env = {**start.env, **{name: value for name, value in values.items() if name not in _TOLD}}
            served.process = processes.spawn(start.command, self._registry, self.output(served), self._root, env)
        except (LaunchError, PodError, OSError) as error:
            self._fail(served, str(error))
            served.delay = pod_status.back_off(served.delay, 0.0, False)
            served.retry = self._clock() + served.delay / self._speed
            return
        served.restarts += 0 if first else 1
        served.since, served.fault, served.retry = time.time(), "", None

    def _fail(self, served: Served, fault: str) -> None:
        if fault != served.fault:
            logger.error("pod %s/%s starts no server: %s", *served.key, fault)
        served.fault = fault

    def _resolved(self, served: Served, spec: PodSpec) -> dict[str, str]:
        """The variables that stand elsewhere.

        Raises `PodError`."""
        values: dict[str, str] = {}
        for name in spec.secrets:
            data = self._secret(served.key[0], name)
            if data is None:
                raise PodError(f"there is no secret {name}")
            values |= data
        for name, at in spec.references.items():
            found = self._field(served, at.path) if at.path else (self._secret(served.key[0], at.secret) or {}).get(at.key)
            if found is None and not at.optional:
                raise PodError(f"variable {name}: there is no {at.path or f'key {at.key} of secret {at.secret}'}")
            values |= {} if found is None else {name: found}
        return values

    def _secret(self, namespace: str, name: str) -> dict[str, str] | None:
        try:
            data = self._client.get(SECRET.main, name, namespace=namespace).get("data") or {}
        except ApiError as error:
            if error.status.code != 404:
                raise
            return None
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    @staticmethod
    def _field(served: Served, path: str) -> str | None:
        """A field of the pod such as `metadata.name`."""
        found: Any = served.pod
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found if isinstance(found, str) else None

    def _note_end(self, served: Served) -> None:
        process = served.process
        if process is None or process.poll() is None:
            return
        self._registry.remove(process.pid)
        code, now = process.returncode, time.time()
        served.last = Ended(code if code >= 0 else 128 - code, served.since, now)
        self._book.forget(served.run)
        first = served.restarts == 0 and served.delay == 0
        served.delay = pod_status.back_off(served.delay, (now - served.since) * self._speed, first)
        served.retry = self._clock() + served.delay / self._speed
        served.process, served.stop = None, None
        if not served.deleted:
            logger.error("the server of pod %s/%s ended with %s; see %s", *served.key, code, self.output(served))

    def _judge(self, served: Served) -> None:
        """A server that fails its startup or liveness probe is stopped, and started again."""
        assert served.spec is not None
        for kind in (STARTUP, LIVENESS):
            probe = served.spec.probes.get(kind)
            if probe is not None and self._book.good(served.run, kind) is False:
                self._begin_stop(served, probe.grace if probe.grace is not None else pod_spec.grace_of(served.pod))

    def _begin_stop(self, served: Served, grace: float) -> None:
        if served.stop is None and served.spec is not None:
            now = self._clock()
            served.stop = Stop(now + min(served.spec.pre_stop / self._speed, grace), now + grace)
        elif served.stop is not None:
            served.stop.kill = min(served.stop.kill, self._clock() + grace)

    def _progress_stop(self, served: Served) -> None:
        stop, process, now = served.stop, served.process, self._clock()
        if stop is None or process is None:
            return
        if not stop.told and now >= stop.term:
            stop.told = True
            process.terminate()
        if now >= stop.kill:
            processes.kill_group(process.pid)

    def _life(self, served: Served) -> Life:
        if served.spec is not None and served.spec.headless:
            return Life(served.began, started=True, ready=True)
        if served.process is None:
            waiting = CONFIG_ERROR if served.fault else BACK_OFF if served.last is not None else CREATING
            return Life(None, waiting, served.fault, restarts=served.restarts, last=served.last)
        assert served.spec is not None
        started = STARTUP not in served.spec.probes or self._book.good(served.run, STARTUP) is True
        ready = started and (READINESS not in served.spec.probes or self._book.good(served.run, READINESS) is True)
        return Life(served.since, "", "", started, ready, served.restarts, served.last)

    def _write(self, served: Served) -> None:
        conditions = (served.pod.get("status") or {}).get("conditions") or ()
        true = {one["type"] for one in conditions if one["status"] == "True"}
        gates = {gate: gate in true for gate in served.spec.gates} if served.spec is not None else {}
        images = served.spec.images if served.spec is not None else pod_spec.images(served.pod)
        decided = pod_status.document(self._life(served), images, gates, served.began)
        status = pod_status.stamped(decided, served.written, time.time())
        if status != served.written and self._annotate(served, STATUS_ANNOTATION, json.dumps(status)):
            served.written = status

    def _say_ended(self, served: Served) -> None:
        if not served.ended:
            served.ended = self._annotate(served, ENDED_ANNOTATION, "true")

    def _annotate(self, served: Served, name: str, value: str) -> bool:
        """An annotation of this very pod: its uid is a condition of the patch."""
        return patch(self._client, POD, served.key, {"metadata": {"uid": served.uid, "annotations": {name: value}}})

    def _probes(self) -> dict[tuple[str, str], Probe]:
        now = time.time()
        wanted = {}
        for served in self._held.values():
            if served.process is None or served.spec is None:
                continue
            started = STARTUP not in served.spec.probes or self._book.good(served.run, STARTUP) is True
            for kind, probe in served.spec.probes.items():
                due = now - served.since >= probe.delay / self._speed
                if (kind == STARTUP) != started and due and (kind == READINESS or served.stop is None):
                    wanted[served.run, kind] = Probe(("127.0.0.1", served.port), probe.check, AGENT, probe.tcp)
        return wanted

    def addresses(self) -> dict[str, Address]:
        """Where the server behind each pod's address listens, or would."""
        return {served.ip: ("127.0.0.1", served.port) for served in self._held.values() if served.ip is not None}

    def serving(self) -> list[Served]:
        """The pods whose server runs."""
        return [served for served in self._held.values() if served.process is not None and served.process.poll() is None]

    def output(self, served: Served) -> Path:
        """What the pod's server has written, in all its runs."""
        return self._folder / served.folder / "server.log"

    def busy(self) -> bool:
        """Whether a pod is to be looked at again soon."""
        return any(s.stop is not None or s.deleted or not s.written or self._waits(s) for s in self._held.values())

    @staticmethod
    def _waits(served: Served) -> bool:
        return served.process is None and served.spec is not None and not served.spec.headless

    def describe(self) -> list[dict[str, Any]]:
        """The pods as the state shows them."""
        return [
            {
                "namespace": served.key[0],
                "name": served.key[1],
                "ip": served.ip,
                "node": served.pod["spec"].get("nodeName"),
                "environment": served.spec.environment if served.spec else None,
                "pid": served.process.pid if served.process else None,
                "url": f"http://127.0.0.1:{served.port}",
                "phase": self._phase(served),
                "restarts": served.restarts,
                "reason": served.fault or None,
                "log": str(self.output(served)),
            }
            for served in self._held.values()
        ]

    def _phase(self, served: Served) -> str:
        life = self._life(served)
        if served.deleted:
            return "terminating"
        if life.since is None:
            return life.waiting
        return "ready" if life.ready else "running"

    def close(self) -> None:
        """Ends the probes."""
        self._prober.close()
