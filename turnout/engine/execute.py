"""Takes the step that was decided for a registered resource: journals the intent, calls the provider, journals the result."""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from turnout.engine.checkpoint import NotWritten
from turnout.engine.hooks import Hooks
from turnout.engine.plan import (
    PROVIDER_PREFIX,
    STACK_TYPE,
    Goal,
    Kind,
    Step,
    auto_named,
    decide,
    faults,
    name_stays,
    predicted,
    with_ignored,
    with_secrets,
    withheld,
)
from turnout.engine.provider import Created, Prepares, Properties, ProviderError, ResourceType
from turnout.engine.redact import without_secrets
from turnout.engine.removal import delete_one, refuse_protected
from turnout.engine.run import Run
from turnout.engine.state import ResourceState
from turnout.engine.wire import plain

Written = Mapping[str, Any]
"""Inputs that a provider is given and nobody keeps, each a `Secret`."""


class Executor:
    """Registers resources, each in the thread that asks."""

    def __init__(self, run: Run, hooks: Hooks) -> None:
        self._run = run
        self._hooks = hooks
        self.seen: set[str] = set()

    def register(self, goal: Goal) -> ResourceState:
        """Brings one resource to what the program wants and returns it; in a preview, as far as it can be known.

        Raises `StepFailed` after the failure was reported."""
        run = self._run
        old = self._claim(goal)
        written: Written = {}
        try:
            rtype = run.type_of(goal.type) if goal.custom and not goal.type.startswith(PROVIDER_PREFIX) else None
            goal, written = withheld(self._prepared(goal, rtype), rtype)
            wanted, goal = goal, self._checked(goal, written, rtype, old)
        except (LookupError, ValueError) as error:
            raise run.fail(_words(error, written), Step(Kind.CREATE), _state(goal, old), old) from None
        step = decide(old, goal, rtype, name_stays(wanted, old, rtype))
        if step.kind is Kind.REPLACE and rtype is not None:
            goal = self._checked(wanted, written, rtype, None)
        state = _state(goal, old)
        run.heed_policies(goal, written, step, state)
        run.events.begins(step, state, old, planning=run.preview)
        try:
            if run.preview:
                self._preview(step, state, goal, old, rtype)
            elif rtype is None:
                state = self._settle(step, state, old)
            else:
                with run.steps:
                    state = self._apply(step, state, old, rtype, written)
        except (ProviderError, LookupError, NotWritten) as error:
            raise run.fail(_words(error, written), step, state, old) from None
        with run.lock:
            run.snapshot.put(state)
        run.events.ended(step, state, old, planning=run.preview)
        return state

    def outputs(self, urn: str, outputs: dict[str, object]) -> None:
        """What a component registers as its outputs.

        Raises `StepFailed` for a resource that was not registered."""
        run = self._run
        with run.lock:
            state = run.snapshot.get(urn)
            if state is None:
                raise LookupError(f"outputs for {urn}, which is not registered")
            if state.outputs != outputs:
                state.outputs = dict(outputs)
                if run.journal is not None:
                    run.journal.record(state)
        if run.preview and state.type == STACK_TYPE:
            run.events.stack_outputs(state)

    def _claim(self, goal: Goal) -> ResourceState | None:
        """The old state of this resource, under its URN or an alias; a URN belongs to one resource."""
        run = self._run
        with run.lock:
            if goal.urn in self.seen:
                message = f"two resources are called {goal.name} (type {goal.type}); give one of them another name"
                raise run.fail(message, Step(Kind.CREATE), _state(goal, None))
            self.seen.add(goal.urn)
            old = run.snapshot.get(goal.urn)
            for alias in goal.aliases if old is None else ():
                if run.snapshot.get(alias) is not None and alias not in self.seen:
                    run.snapshot.rename(alias, goal.urn)
                    if run.journal is not None:
                        run.journal.rename(alias, goal.urn)
                    old = run.snapshot.get(goal.urn)
                    break
            return replace(old) if old is not None else None

    def _prepared(self, goal: Goal, rtype: ResourceType | None) -> Goal:
        if not isinstance(rtype, Prepares):
            return goal
        return replace(goal, inputs=rtype.prepare(self._run.config_of(goal.provider), goal.inputs))

    def _checked(self, goal: Goal, written: Written, rtype: ResourceType | None, old: ResourceState | None) -> Goal:
        if rtype is None:
            return goal
        inputs = with_ignored({k: v for k, v in goal.inputs.items() if v is not None}, old, goal.ignore_changes)
        hex_digits = secrets.token_hex(8)
        inputs = auto_named(replace(goal, inputs=inputs), rtype.auto_name, old.inputs if old else None, hex_digits)
        found = faults({**inputs, **written}, rtype)
        if found:
            raise ValueError("; ".join(f"{f.property}: {f.reason}" if f.property else f.reason for f in found))
        return replace(goal, inputs=inputs)

    def _preview(
        self, step: Step, state: ResourceState, goal: Goal, old: ResourceState | None, rtype: ResourceType | None
    ) -> None:
        refuse_protected(old if step.kind is Kind.REPLACE else None)
        self._hooks.before(step.kind, state, old)
        outputs = predicted(step, goal, old, rtype)
        if step.kind in (Kind.CREATE, Kind.REPLACE):
            state.id, more = self._run.stand_in(state) if self._run.stand_in is not None and goal.custom else ("", {})
            outputs = {**more, **outputs}
        state.outputs = with_secrets(outputs, goal.inputs, goal.additional_secret_outputs)

    def _settle(self, step: Step, state: ResourceState, old: ResourceState | None) -> ResourceState:
        """A component or provider: no call to the cloud."""
        state.outputs = dict(old.outputs) if old is not None and not state.custom else dict(state.inputs)
        if state.custom and not state.id:
            state.id = str(uuid4())
        self._record(state, old, touched=step.kind is not Kind.SAME)
        return state

    def _apply(
        self, step: Step, state: ResourceState, old: ResourceState | None, rtype: ResourceType, written: Written
    ) -> ResourceState:
        self._hooks.before(step.kind, state, old)
        if step.kind is Kind.SAME:
            assert old is not None
            state.outputs = dict(old.outputs)
            self._record(state, old, touched=False)
            return state
        if step.kind is Kind.UPDATE:
            assert old is not None
            self._update(state, old, rtype, written)
        elif step.kind is Kind.REPLACE:
            assert old is not None
            self._replace(step, state, old, rtype, written)
        else:
            self._create("create", state, rtype, written)
        self._hooks.after(step.kind, state, old)
        return state

    def _create(self, operation: str, state: ResourceState, rtype: ResourceType, written: Written) -> None:
        run, inputs = self._run, plain({**state.inputs, **written})
        assert run.journal is not None
        config = replace(run.config_of(state.provider), timeouts=state.custom_timeouts)
        token = run.begin(operation, state)
        try:
            made = rtype.create(config, inputs, token)
        except ProviderError as error:
            with suppress(ProviderError):  # the cloud is away: the intent stays open, and the next run looks
                self._keep_partial(state, rtype.find(config, inputs, token), token, written)
            raise error from None
        self._made(state, made, written)
        run.journal.done(state.urn, token, state)

    def _keep_partial(self, state: ResourceState, partial: Created | None, token: str, written: Written) -> None:
        """A create failed: what it made all the same stays in the state, and the next refresh shows what it lacks."""
        assert self._run.journal is not None
        if partial is None:
            self._run.journal.failed(state.urn, token)
        else:
            self._made(state, partial, written)
            self._run.journal.done(state.urn, token, state)

    def _made(self, state: ResourceState, made: Created, written: Written) -> None:
        state.id, state.init_errors = made.id, list(made.init_errors)
        state.outputs = _kept(made.outputs, state, written)
        state.created = state.modified = datetime.now(UTC)

    def _update(self, state: ResourceState, old: ResourceState, rtype: ResourceType, written: Written) -> None:
        run = self._run
        assert run.journal is not None
        config = replace(run.config_of(state.provider), timeouts=state.custom_timeouts)
        token = run.begin("update", state)
        inputs = plain({**state.inputs, **written})
        outputs = rtype.update(config, old.id, plain(old.inputs), inputs, plain(old.outputs))
        state.outputs = _kept(outputs, state, written)
        state.modified = datetime.now(UTC)
        run.journal.done(state.urn, token, state)

    def _replace(self, step: Step, state: ResourceState, old: ResourceState, rtype: ResourceType, written: Written) -> None:
        run = self._run
        refuse_protected(old)
        state.id = ""
        if step.delete_first:
            delete_one(run, old, operation="delete-replaced")
            self._create("create", state, rtype, written)
            return
        self._create("create-replacement", state, rtype, written)
        with run.lock:
            live = run.snapshot.get(state.urn)
            if live is not None and live.id != state.id:
                live.delete = True

    def _record(self, state: ResourceState, old: ResourceState | None, touched: bool) -> None:
        if self._run.journal is not None and (touched or old is None or state != old):
            self._run.journal.record(state)


def _state(goal: Goal, old: ResourceState | None) -> ResourceState:
    return ResourceState(
        urn=goal.urn,
        type=goal.type,
        custom=goal.custom,
        id=old.id if old else "",
        inputs=dict(goal.inputs),
        outputs=dict(old.outputs) if old else {},
        parent=goal.parent,
        provider=goal.provider,
        dependencies=sorted(goal.dependencies),
        property_dependencies={name: sorted(urns) for name, urns in goal.property_dependencies.items()},
        protect=goal.protect,
        retain_on_delete=goal.retain_on_delete,
        additional_secret_outputs=list(goal.additional_secret_outputs),
        ignore_changes=list(goal.ignore_changes),
        custom_timeouts=dict(goal.custom_timeouts),
        created=old.created if old else None,
        modified=old.modified if old else None,
    )


def _kept(outputs: Properties, state: ResourceState, written: Written) -> dict[str, Any]:
    """What the state holds of a provider's outputs: nothing that was only to be written."""
    shown = {name: value for name, value in outputs.items() if name not in written}
    return with_secrets(shown, {**state.inputs, **written}, state.additional_secret_outputs)


def _words(error: Exception, written: Written) -> str:
    return without_secrets(str(error.args[0]) if error.args else str(error), written)
