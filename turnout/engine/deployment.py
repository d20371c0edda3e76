"""Preview, up, refresh and destroy of one stack: the local engine as a library."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from threading import Event, Semaphore
from typing import Any

import grpc
from pulumi.runtime.proto import engine_pb2_grpc, resource_pb2_grpc

from turnout.engine.analyzer import Analyzers, PackFailed
from turnout.engine.engine_service import EngineService
from turnout.engine.events import Events, Sink
from turnout.engine.hooks import Hooks
from turnout.engine.monitor import Monitor
from turnout.engine.policy_packs import PackError, PolicyPack
from turnout.engine.program import Order, ProgramSpec, Running
from turnout.engine.provider import ResourceType
from turnout.engine.refresh import adopt, refresh
from turnout.engine.removal import remove
from turnout.engine.run import DEFAULT_PARALLEL, INTERRUPTED, Run, StandIn, interruptible
from turnout.engine.state import Snapshot
from turnout.engine.store import StackStore

SWITCH_PREFIX = "switch: "
_GRPC_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]


@dataclass(frozen=True)
class Result:
    """How it ended. `exit_code`: 0 well, 1 failed, 2 the program refused its configuration, 3 the switch refused, 130
    interrupted. `changes` counts steps by Pulumi's names; `outputs` are the stack's, secrets wrapped."""

    exit_code: int
    changes: dict[str, int]
    outputs: dict[str, Any]
    errors: list[str]
    seconds: float


@dataclass
class Deployment:
    """One operation on one stack. `config` has full keys (`turnout:service`); `root` is the folder of Pulumi.yaml."""

    store: StackStore
    providers: Mapping[str, ResourceType]
    sink: Sink
    root: str
    config: dict[str, str] = field(default_factory=dict)
    secret_keys: list[str] = field(default_factory=list)
    organization: str = "organization"
    parallel: int = DEFAULT_PARALLEL
    refresh_first: bool = True
    """Read every resource before the program's wishes are compared with the state (`options.refresh: always`)."""
    policy_packs: Sequence[PolicyPack] = ()
    """Run in previews and ups."""

    def preview(self, program: ProgramSpec) -> Result:
        """Says what `up` would do; writes nothing. Fails for what a mandatory policy finds.

        Raises `PackError`, as `up` does, for a policy pack that cannot be used: before anything was touched."""
        return self._with_program(program, dry_run=True)

    def plan(self, program: ProgramSpec, onto: Snapshot, stand_in: StandIn | None = None) -> Result:
        """Says what `up` would do if the stack's state were `onto`, which holds afterwards what the program wants; with
        `stand_in` as if it had been made. Reads and writes nothing of the stack. What policies find is only told."""
        run = self._run(onto, None)
        run.stand_in = stand_in
        return self._finish(run, lambda run: self._run_program(program, run))

    def up(self, program: ProgramSpec) -> Result:
        """Brings the stack to what the program wants."""
        return self._with_program(program, dry_run=False)

    def refresh(self) -> Result:
        """Brings the state to what is there; changes nothing in the cloud."""
        return self._locked(lambda run: refresh(run, self.parallel))

    def preview_refresh(self) -> Result:
        """Says what `refresh` would change in the state; writes nothing, and leaves interrupted operations as they are."""
        return self._previewed(lambda run: refresh(run, self.parallel))

    def destroy(self) -> Result:
        """Deletes everything that the stack has."""
        return self._locked(self._destroy)

    def _destroy(self, run: Run) -> None:
        if self.refresh_first:
            refresh(run, self.parallel)
        if not run.errors:
            remove(run, run.snapshot.ordered(), self.parallel)

    def _with_program(self, program: ProgramSpec, dry_run: bool) -> Result:
        if not dry_run:
            return self._locked(lambda run: self._heeding(program, run))
        return self._previewed(lambda run: self._heeding(program, run))

    def _previewed(self, action: Any) -> Result:
        """Takes no lock and settles nothing: what an interrupted update left is only told."""
        run = self._run(self.store.load(), None)
        for pending in run.snapshot.pending:
            told = f"an update was interrupted at its {pending.operation}: the next up or refresh looks for what it did"
            run.events.say("warning", told, pending.urn)
        return self._finish(run, action)

    def _heeding(self, program: ProgramSpec, run: Run) -> int:
        """Runs the program; what mandatory policies found fails the update, a preview after all of it was told."""
        code = self._run_program(program, run)
        if run.violations:
            run.errors += [each.refusal for each in run.violations if each.refusal not in run.errors]
            kind = "preview" if run.preview else "update"
            run.events.say("error", f"{kind} failed: {len(run.violations)} mandatory policy violation(s)")
        return code

    def _locked(self, action: Any) -> Result:
        with self.store.lock():
            snapshot = self.store.load()  # before a journal is made that would continue a damaged checkpoint
            journal = self.store.journal()
            run = self._run(snapshot, journal)
            try:
                with journal:
                    adopt(run)
                    return self._finish(run, (lambda _run: 1) if run.errors else action)
            finally:
                self.store.save(self.store.load())

    def _run(self, snapshot: Snapshot, journal: Any) -> Run:
        return Run(snapshot, self.providers, Events(self.sink), journal, steps=Semaphore(self.parallel))

    def _finish(self, run: Run, action: Any) -> Result:
        began = time.monotonic()
        run.events.prelude({k: "[secret]" if k in self.secret_keys else v for k, v in self.config.items()})
        with interruptible(run):
            code = action(run)
        if run.stopping.is_set():
            code = INTERRUPTED
            run.events.say("error", "interrupted: what was begun has ended, what was made is in the state")
        run.events.summary(maybe_corrupt=False, packs=run.analyzers.versions if run.analyzers else {})
        run.events.cancelled()
        root = next((s for s in run.snapshot.resources if s.type == "pulumi:pulumi:Stack"), None)
        outputs = dict(root.outputs) if root else {}
        seconds = time.monotonic() - began
        return Result(_exit_code(run, code or 0), dict(run.events.changes), outputs, list(run.errors), seconds)

    def _run_program(self, program: ProgramSpec, run: Run) -> int:
        hooks, ready = Hooks(run), Event()
        monitor = Monitor(
            run, hooks, self.store.project, self.store.stack, self.organization, self.config, self.secret_keys, ready
        )
        server = grpc.server(ThreadPoolExecutor(128), options=_GRPC_OPTIONS)
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, server)
        engine_pb2_grpc.add_EngineServicer_to_server(EngineService(run.events, run.errors), server)
        order = self._order(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", run.preview)
        with closing(Analyzers(self.policy_packs, order, run.events.say)) as analyzers:
            run.analyzers = analyzers
            run.when_stopped(analyzers.close)
            server.start()
            running = program.start(order, run.events.say)
            run.when_stopped(running.stop)
            try:
                if not _open(analyzers, run, ready):
                    return INTERRUPTED
                if self.refresh_first:
                    refresh(run, self.parallel)
                ready.set()
                code = _wait(running, run)
            except BaseException:
                if not run.stopping.is_set():
                    run.stop()
                raise
            finally:
                ready.set()  # registrations that wait go on, or are turned away
                run.wait_until_idle()
                hooks.close()
                server.stop(grace=1).wait()
            if code == 0 and not run.errors and not run.stopping.is_set():
                doomed = [s for s in run.snapshot.ordered() if s.delete or s.urn not in monitor.executor.seen]
                remove(run, doomed, self.parallel)
                _heed_in_whole(run, monitor)
        return code

    def _order(self, address: str, dry_run: bool) -> Order:
        return Order(
            monitor=address,
            engine=address,
            project=self.store.project,
            stack=self.store.stack,
            organization=self.organization,
            root=self.root,
            config=self.config,
            secret_keys=self.secret_keys,
            parallel=self.parallel,
            dry_run=dry_run,
        )


def _open(analyzers: Analyzers, run: Run, ready: Event) -> bool:
    """Waits for the policy packs while the program starts; ends the program where one cannot be used. False: interrupted."""
    try:
        analyzers.open()
    except PackError:
        interrupted = run.stopping.is_set()
        run.stop()
        ready.set()  # registrations that wait are turned away
        if not interrupted:
            raise
        return False
    return True


def _heed_in_whole(run: Run, monitor: Monitor) -> None:
    """Lets the policy packs look at the stack, after its last step: what they refuse fails the update and undoes nothing."""
    if run.errors or run.stopping.is_set() or run.analyzers is None:
        return
    states = [s for s in run.snapshot.ordered() if not s.delete and s.urn in monitor.executor.seen]
    try:
        run.tell(run.analyzers.analyze_stack(states))
    except PackFailed as error:
        run.errors.append(str(error))
        run.events.say("error", str(error))


def _wait(running: Running, run: Run) -> int:
    code = running.wait()
    if code == 0 and run.errors:
        return 1
    return code


def _exit_code(run: Run, code: int) -> int:
    if code == INTERRUPTED:
        return code
    if any(error.startswith(SWITCH_PREFIX) for error in run.errors) or code == 3:
        return 3
    if run.errors and code != 2:
        return 1
    return code
