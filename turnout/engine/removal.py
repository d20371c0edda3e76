"""Deletes: protection first, then everything that nobody needs any more, dependents before what they depend on."""

from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

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
        rtype, config = run.type_of(state.type), run.config_of(state.provider)
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
    with ThreadPoolExecutor(parallel) as pool:
        running: dict[Future[bool], ResourceState] = {}
        while waiting or running:
            if not run.stopping.is_set():
                for state in [s for s in waiting if not _needed(s, waiting, running.values())]:
                    waiting.remove(state)
                    running[pool.submit(_delete, run, state)] = state
            if not running:
                break
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                state = running.pop(future)
                if not future.result():
                    waiting = [s for s in waiting if s.urn not in _all_needs(state, waiting)]


def _delete(run: Run, state: ResourceState) -> bool:
    step = Step(Kind.DELETE)
    run.events.begins(step, state, None, planning=False)
    try:
        delete_one(run, state, "delete-replaced" if state.delete else "delete")
    except (ProviderError, LookupError) as error:
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


def _needed(state: ResourceState, *others: Iterable[ResourceState]) -> bool:
    return any(state.urn in other.needs() for group in others for other in group if other is not state)


def _all_needs(state: ResourceState, among: list[ResourceState]) -> set[str]:
    """URNs that `state` needs, directly or through others: they stay while it stays."""
    found: set[str] = set()
    frontier = state.needs()
    while frontier:
        found |= frontier
        frontier = {urn for other in among if other.urn in frontier for urn in other.needs()} - found
    return found
