"""Deletes: protection first, then everything that nobody needs any more, dependents before what they depend on."""

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from queue import SimpleQueue

from turnout.engine.checkpoint import NotWritten
from turnout.engine.plan import PROVIDER_PREFIX, Kind, Step
from turnout.engine.provider import ProviderError
from turnout.engine.run import Run
from turnout.engine.state import ResourceState
from turnout.engine.wire import plain

DELETE_TIMEOUT = 1200.0
"""Seconds where the program gives none."""


def refuse_protected(state: ResourceState | None) -> None:
    """Raises `ProviderError` for a resource that must not be deleted."""
    if state is not None and state.protect:
        raise ProviderError(
            f"{state.name} is protected and would be deleted: set protect to False in an update of its own first"
        )


def delete_one(run: Run, state: ResourceState, operation: str = "delete") -> None:
    """Deletes one object, or only forgets it where there is nothing to call. Raises `ProviderError`."""
    assert run.journal is not None
    managed = state.custom and not state.external and not state.type.startswith(PROVIDER_PREFIX)
    if not managed or state.retain_on_delete:
        run.journal.forget(state)
    else:
        rtype = run.type_of(state.type)
        config = replace(run.config_of(state.provider), timeouts=state.custom_timeouts)
        token = run.begin(operation, state)
        timeout = state.custom_timeouts.get("delete", DELETE_TIMEOUT)
        rtype.delete(config, state.id, plain(state.inputs), plain(state.outputs), timeout)
        run.journal.done(state.urn, token, None)
    with run.lock:
        run.snapshot.remove(state)


def remove(run: Run, doomed: Iterable[ResourceState], parallel: int) -> None:
    """Deletes these, dependents first, independent ones side by side. Nothing is deleted when one of them is protected.

    Failures are reported in `run.errors`; what depends on nothing that failed is still deleted."""
    waiting = list(doomed)
    for state in waiting:
        if state.protect:
            _report_protected(run, state)
    if run.errors:
        return
    if run.preview:
        for state in reversed(waiting):
            _tell(run, state)
        return
    holders = Counter(urn for state in waiting for urn in state.needs())
    ready = [state for state in waiting if not holders[state.urn]]
    held: dict[str, list[ResourceState]] = {}
    for state in waiting:
        if holders[state.urn]:
            held.setdefault(state.urn, []).append(state)
    running: dict[Future[bool], ResourceState] = {}
    ended: SimpleQueue[Future[bool]] = SimpleQueue()
    failed = False
    with ThreadPoolExecutor(parallel) as pool:
        while True:
            if not (ready or running or failed):
                ready = _untangled(waiting, held)
            for state in ready if not run.stopping.is_set() else ():
                future = pool.submit(_delete, run, state)
                running[future] = state
                future.add_done_callback(ended.put)
            if not running:
                break
            future = ended.get()
            state = running.pop(future)
            gone = future.result()
            failed = failed or not gone
            ready = _freed(state, holders, held) if gone else []


def _delete(run: Run, state: ResourceState) -> bool:
    step = Step(Kind.DELETE)
    run.events.begins(step, state, None, planning=False)
    try:
        delete_one(run, state, "delete-replaced" if state.delete else "delete")
    except (ProviderError, LookupError, NotWritten) as error:
        run.fail(str(error), step, state)
        return False
    run.events.ended(step, state, None, planning=False)
    return True


def _tell(run: Run, state: ResourceState) -> None:
    run.events.begins(Step(Kind.DELETE), state, None, planning=True)
    run.events.ended(Step(Kind.DELETE), state, None, planning=True)


def _report_protected(run: Run, state: ResourceState) -> None:
    try:
        refuse_protected(state)
    except ProviderError as error:
        run.fail(str(error), Step(Kind.DELETE), state)


def _freed(gone: ResourceState, holders: Counter[str], held: dict[str, list[ResourceState]]) -> list[ResourceState]:
    """What nobody holds any more. What a failed delete needs is held for good."""
    holders.subtract(gone.needs())
    return [state for urn in gone.needs() if not holders[urn] for state in held.pop(urn, ())]


def _untangled(waiting: Iterable[ResourceState], held: dict[str, list[ResourceState]]) -> list[ResourceState]:
    """Who goes first of those that need each other in a circle, if there are any: the last that was replaced, because who names
    its URN means the other that has it now; else the last of all."""
    circle = [state for state in waiting if any(state is one for one in held.get(state.urn, ()))]
    chosen = next((state for state in reversed(circle) if state.delete), circle[-1] if circle else None)
    if chosen is None:
        return []
    held[chosen.urn] = [state for state in held[chosen.urn] if state is not chosen]
    return [chosen]
