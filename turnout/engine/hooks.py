"""Resource hooks: functions of the program that the engine calls before and after it touches a resource.

They run in the program's process, behind its Callbacks service. A before-hook that fails keeps the step from happening; an
after-hook that fails fails the update, the step's result is recorded all the same.
"""

from dataclasses import dataclass
from threading import Lock

import grpc
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

from turnout.engine.plan import Kind
from turnout.engine.provider import ProviderError
from turnout.engine.run import Run
from turnout.engine.state import ResourceState
from turnout.engine.wire import to_struct

_STAGE = {Kind.CREATE: "create", Kind.UPDATE: "update", Kind.REPLACE: "create"}
KINDS = ("before_create", "after_create", "before_update", "after_update")
"""Delete hooks need the program while it is not run; they are refused."""


@dataclass(frozen=True)
class Hook:
    """A registered hook and where to call it."""

    target: str
    token: str
    on_dry_run: bool
    ignore_errors: bool


class Hooks:
    """The hooks of one run of the program, and which resource has which (`bind`)."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._hooks: dict[str, Hook] = {}
        self._bound: dict[str, dict[str, list[str]]] = {}
        self._channels: dict[str, grpc.Channel] = {}
        self._lock = Lock()

    def add(self, name: str, hook: Hook) -> None:
        self._hooks[name] = hook

    def bind(self, urn: str, names: dict[str, list[str]]) -> None:
        """Raises `ValueError` for kinds that the local engine does not run and hooks that are not registered."""
        for kind, hooks in names.items():
            if kind not in KINDS:
                raise ValueError(f"resource hooks of kind {kind} are not supported by the local engine")
            for name in hooks:
                if name not in self._hooks:
                    raise ValueError(f"resource hook {name} is not registered")
        self._bound[urn] = names

    def before(self, kind: Kind, state: ResourceState, old: ResourceState | None) -> None:
        """Raises `ProviderError` with the hook's words."""
        self._call("before", kind, state, old)

    def after(self, kind: Kind, state: ResourceState, old: ResourceState | None) -> None:
        """Raises `ProviderError` with the hook's words."""
        self._call("after", kind, state, old)

    def _call(self, when: str, kind: Kind, state: ResourceState, old: ResourceState | None) -> None:
        stage = _STAGE.get(kind)
        for name in self._bound.get(state.urn, {}).get(f"{when}_{stage}", []):
            hook = self._hooks[name]
            if self._run.preview and not hook.on_dry_run:
                continue
            error = self._invoke(hook, _request(when, stage == "update", state, old))
            if error and hook.ignore_errors:
                self._run.events.say("warning", f"hook {name} failed: {error}", state.urn)
            elif error:
                raise ProviderError(error)

    def _invoke(self, hook: Hook, request: resource_pb2.ResourceHookRequest) -> str:
        with self._lock:
            if hook.target not in self._channels:
                self._channels[hook.target] = grpc.insecure_channel(hook.target)
            channel = self._channels[hook.target]
        call = callback_pb2.CallbackInvokeRequest(token=hook.token, request=request.SerializeToString())
        try:
            answer = callback_pb2_grpc.CallbacksStub(channel).Invoke(call)
        except grpc.RpcError as error:
            return f"the program ended while its hook ran ({error.code().name})"
        return str(resource_pb2.ResourceHookResponse.FromString(answer.response).error)

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()


def _request(when: str, update: bool, state: ResourceState, old: ResourceState | None) -> resource_pb2.ResourceHookRequest:
    request = resource_pb2.ResourceHookRequest(urn=state.urn, id=state.id, name=state.name, type=state.type)
    request.new_inputs.CopyFrom(to_struct(state.inputs))
    if when == "after":
        request.new_outputs.CopyFrom(to_struct(state.outputs))
    if update and old is not None:
        request.old_inputs.CopyFrom(to_struct(old.inputs))
        request.old_outputs.CopyFrom(to_struct(old.outputs))
    return request
