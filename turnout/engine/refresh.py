"""Reads every resource as it is: the state follows what others changed, and interrupted operations are settled."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from turnout.engine.plan import PROVIDER_PREFIX, Kind, Step, with_secrets
from turnout.engine.provider import ProviderError
from turnout.engine.run import Run
from turnout.engine.state import PendingOperation, ResourceState
from turnout.engine.values import Secret
from turnout.engine.wire import has_secret, plain


def adopt(run: Run) -> None:
    """Settles what a killed engine left unreported: an object that its create made becomes part of the state."""
    assert run.journal is not None
    for pending in list(run.snapshot.pending):
        try:
            result = _outcome(run, pending)
        except (ProviderError, LookupError) as error:
            run.fail(
                f"cannot tell whether the interrupted {pending.operation} happened: {error}", Step(Kind.READ), pending.state
            )
            continue
        replaced = run.snapshot.get(pending.urn) if pending.operation == "create-replacement" else None
        if result is None and pending.operation.startswith("delete"):
            run.journal.done(pending.urn, pending.token, None)
            run.snapshot.remove(pending.state)
        elif result is None:
            run.journal.failed(pending.urn, pending.token)
        else:
            run.journal.done(pending.urn, pending.token, result)
            if replaced is not None and replaced.id != result.id:
                replaced.delete = True
            run.snapshot.put(result)
            run.events.say("info", f"adopted {result.id}: an interrupted update had made it", result.urn)
        run.snapshot.pending.remove(pending)


def refresh(run: Run, parallel: int) -> None:
    """Reads all managed resources side by side. What is gone leaves the state; drift becomes the old inputs."""
    managed = [s for s in run.snapshot.resources if _managed(s)]
    with ThreadPoolExecutor(parallel) as pool:
        list(pool.map(lambda state: _read(run, state), managed))
    _forget_gone(run, managed)


def _forget_gone(run: Run, read: Iterable[ResourceState]) -> None:
    """What is left no longer needs what is gone, as after Pulumi's refresh: a state names nothing that it does not hold."""
    there = {state.urn for state in run.snapshot.resources}
    gone = {state.urn for state in read} - there
    for state in run.snapshot.resources if gone else ():
        if not state.needs() & gone:
            continue
        state.parent = "" if state.parent in gone else state.parent
        state.dependencies = [urn for urn in state.dependencies if urn not in gone]
        kept = {name: [urn for urn in urns if urn not in gone] for name, urns in state.property_dependencies.items()}
        state.property_dependencies = kept
        if run.journal is not None:
            run.journal.record(state)


def _outcome(run: Run, pending: PendingOperation) -> ResourceState | None:
    """The state of what the operation left behind, None where there is nothing new."""
    state = pending.state
    rtype, config = run.type_of(state.type), run.config_of(state.provider)
    if pending.operation.startswith("create"):
        found = rtype.find(config, plain(state.inputs), pending.token)
        if found is None:
            return None
        outputs = with_secrets(found.outputs, state.inputs, state.additional_secret_outputs)
        return replace(state, id=found.id, outputs=outputs, init_errors=list(found.init_errors))
    if pending.operation.startswith("delete"):
        return state if rtype.read(config, state.id, plain(state.inputs), plain(state.outputs)) else None
    return None  # an update: the refresh that follows reads what it did


def _read(run: Run, state: ResourceState) -> None:
    if run.stopping.is_set():
        return
    try:
        rtype, config = run.type_of(state.type), run.config_of(state.provider)
        found = rtype.read(config, state.id, plain(state.inputs), plain(state.outputs))
    except (ProviderError, LookupError) as error:
        run.fail(f"refresh: {error}", Step(Kind.REFRESH), state)
        return
    if found is None:
        run.events.ended(Step(Kind.DELETE), state, None, run.preview)
        with run.lock:
            run.snapshot.remove(state)
        if run.journal is not None:
            run.journal.forget(state)
        return
    inputs = {name: _wrapped(state.inputs.get(name), value) for name, value in found.inputs.items()}
    outputs = with_secrets(found.outputs, inputs, state.additional_secret_outputs)
    if inputs == state.inputs and outputs == state.outputs and list(found.init_errors) == state.init_errors:
        return
    changed = _drifted(state.inputs, inputs)
    old = replace(state)
    state.inputs, state.outputs, state.init_errors = inputs, outputs, list(found.init_errors)
    if run.journal is not None:
        run.journal.record(state)
    if changed:
        run.events.ended(Step(Kind.REFRESH, changed), state, old, run.preview)


def _wrapped(old: object, value: object) -> object:
    """A value that was secret stays secret; one that is as it was stays as it was wrapped."""
    if old is not None and plain(old) == value:
        return old
    return Secret(value) if has_secret(old) else value


def _drifted(old: dict[str, object], new: dict[str, object]) -> tuple[str, ...]:
    names: Iterable[str] = old.keys() | new.keys()
    return tuple(sorted(name for name in names if plain(old.get(name)) != plain(new.get(name))))


def _managed(state: ResourceState) -> bool:
    return state.custom and not state.external and not state.type.startswith(PROVIDER_PREFIX)
