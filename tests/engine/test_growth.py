"""An update's work grows as its number of resources does. Counted, not timed: bytecode of the engine, waits of the SDK."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from memory import MemoryCloud, Thing
from pulumi.runtime.proto import engine_pb2

import turnout.engine
from turnout.engine.crypto import Secrets
from turnout.engine.engine_service import EngineService
from turnout.engine.events import Events
from turnout.engine.execute import Executor
from turnout.engine.hooks import Hooks
from turnout.engine.plan import Goal
from turnout.engine.refresh import refresh
from turnout.engine.removal import remove
from turnout.engine.run import Run
from turnout.engine.state import Snapshot
from turnout.engine.store import StackStore

COUNTED = (str(Path(turnout.engine.__path__[0])), __file__)
SIZES = (10, 30, 50)
TOLERANCE = 1.02


class Work:
    """Bytecode that the engine's own files, and this one, ran, by phase."""

    def __init__(self) -> None:
        self.steps: dict[str, int] = {}

    @contextmanager
    def counted(self, phase: str) -> Iterator[None]:
        count = [0]

        def inside(_frame: FrameType, event: str, _argument: Any) -> Any:
            count[0] += event == "opcode"
            return inside

        def called(frame: FrameType, _event: str, _argument: Any) -> Any:
            if not frame.f_code.co_filename.startswith(COUNTED):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            return inside

        before = sys.gettrace()
        threading.settrace(called)
        sys.settrace(called)
        try:
            yield
        finally:
            sys.settrace(before)
            threading.settrace(before)  # type: ignore[arg-type]
            self.steps[phase] = count[0]


def urn(name: str, type_: str = "test:index:Thing") -> str:
    return f"urn:pulumi:dev::proj::{type_}::{name}"


def register(run: Run, count: int) -> None:
    """A provider, and as many things, each of which needs the one before."""
    executor = Executor(run, Hooks(run))
    provider = executor.register(Goal(urn("cloud", "pulumi:providers:test"), "pulumi:providers:test", "cloud", True, {}))
    for number in range(count):
        inputs = {"size": 1, "tags": {"of": f"t{number}", "all": ["some", "more"]}}
        needs = [urn(f"t{number - 1}")] if number else []
        reference = f"{provider.urn}::{provider.id}"
        name = f"t{number}"
        executor.register(Goal(urn(name), "test:index:Thing", name, True, inputs, "", reference, needs))


def life(folder: Path, count: int) -> dict[str, int]:
    """The work of each phase of a stack's life."""
    folder.mkdir()
    thing = Thing(MemoryCloud(folder / "cloud.json"))
    store = StackStore(folder, "proj", "dev", Secrets("", lambda: ["passphrase"]))
    store.create()
    work = Work()

    def phase(name: str, act: Callable[[Run], None]) -> None:
        with store.journal() as journal:
            run = Run(store.load(), {thing.token: thing}, Events(lambda event: None), journal)
            with work.counted(name):
                act(run)
            assert run.errors == []
        with work.counted(f"recover after {name}"):
            found = store.load()
        with work.counted(f"save after {name}"):
            store.save(found)

    phase("create", lambda run: register(run, count))
    assert len(store.load().resources) == count + 1
    phase("same", lambda run: register(run, count))
    thing.cloud.write({})
    phase("refresh", lambda run: refresh(run, 2))
    phase("create again", lambda run: register(run, count))
    phase("delete", lambda run: remove(run, run.snapshot.ordered(), 2))
    assert store.load().resources == []
    return work.steps


def grown(folder: Path) -> dict[str, float]:
    """The phases in which further resources cost more work among many than among few, and how many times: what is the same
    for every size does not count."""
    few, some, many = (life(folder / str(size), size) for size in SIZES)
    ratios = {phase: round((many[phase] - some[phase]) / max(1, some[phase] - few[phase]), 3) for phase in few}
    return {phase: ratio for phase, ratio in ratios.items() if ratio > TOLERANCE}


def test_the_engines_work_grows_as_the_number_of_resources(tmp_path: Path) -> None:
    assert grown(tmp_path) == {}


def test_the_count_sees_what_grows_by_the_square(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search through all resources, as `Snapshot.get` once was."""

    def get(self: Snapshot, urn: str) -> Any:
        return next((state for state in self.resources if state.urn == urn and not state.delete), None)

    monkeypatch.setattr(Snapshot, "get", get)
    assert {"create", "same"} <= grown(tmp_path).keys()


COUNTING = """
import asyncio, pathlib
looked, wait = [0], asyncio.wait
async def counted(futures, **options):
    looked[0] += len(futures)
    pathlib.Path("looked").write_text(str(looked[0]))
    return await wait(futures, **options)
asyncio.wait = counted
pathlib.Path("looked").write_text("0")
things = [Thing(f"t{number}", size=number, opts=on()) for number in range(20)]
"""


def test_the_sdk_waits_for_registrations_and_not_in_rounds_over_all_outputs(bench, monkeypatch) -> None:
    told: list[int] = []
    log = EngineService.Log

    def heard(self: EngineService, request: Any, context: Any) -> Any:
        told.append(request.severity)
        return log(self, request, context)

    monkeypatch.setattr(EngineService, "Log", heard)
    assert bench.up(COUNTING).exit_code == 0
    assert int((bench.folder / "looked").read_text()) < 10 * len(bench.things())
    assert engine_pb2.DEBUG not in told
