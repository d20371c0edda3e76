"""The component plugin as Pulumi's engine meets it, and a program that uses it as one in another language does.

Such a program knows the plugin by its protocol only. Here it is a `ProgramSpec` of the local engine: it starts the plugin's
process, registers what its SDK would, and asks the plugin to construct what Pulumi's engine would ask for. The plugin's
children, hooks and logs reach the local engine as they would reach Pulumi's.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import errors_pb2, provider_pb2, provider_pb2_grpc, resource_pb2, resource_pb2_grpc, status_pb2

from tests.layout_rules import ROOT
from turnout.engine.program import Order, Running, Say
from turnout.engine.wire import SECRET_SIGNATURE, SIGNATURE_KEY, from_struct, to_struct

FOLDER = ROOT / "components"
OUTPUT_SIGNATURE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
PACKAGE = "turnout-components"
_STARTS_WITHIN = 60


def output(*value: Any, secret: bool = False, after: Sequence[str] = ()) -> dict[str, Any]:
    """An output as an engine sends it to a plugin that accepts outputs; without `value` it is not known yet."""
    known = {"value": value[0]} if value else {}
    return {SIGNATURE_KEY: OUTPUT_SIGNATURE, **known, "secret": secret, "dependencies": list(after)}


def secret(value: Any) -> dict[str, Any]:
    """A secret as an engine sends it that wraps no outputs."""
    return {SIGNATURE_KEY: SECRET_SIGNATURE, "value": value}


@contextmanager
def plugin(engine: str, python: str = sys.executable) -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    """The plugin's process as pulumi-language-python's RunPlugin starts it where there is a `__main__.py`: the folder and the
    engine's address as arguments, the port as the first line on stdout."""
    process = subprocess.Popen(
        [python, str(FOLDER), engine], cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ""}
    )
    assert process.stdout is not None
    watch = threading.Timer(_STARTS_WITHIN, process.kill)
    watch.start()
    try:
        port = process.stdout.readline().strip()
        watch.cancel()
        if not port.isdecimal():
            raise RuntimeError(f"the plugin's first line is no port: {port!r}")
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield provider_pb2_grpc.ResourceProviderStub(channel)
    finally:
        watch.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


class Relay(resource_pb2_grpc.ResourceMonitorServicer):
    """The local engine's monitor, with the one function of Pulumi's own that a served component asks for: what is registered
    under a URN (`pulumi:pulumi:getResource`, by which its SDK takes a provider up again)."""

    def __init__(self, monitor: str) -> None:
        self._channel = grpc.insecure_channel(monitor)
        self.engine = resource_pb2_grpc.ResourceMonitorStub(self._channel)
        self.registered: dict[str, dict[str, Any]] = {}
        server = grpc.server(ThreadPoolExecutor(64))
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(self, server)
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        self._server = server

    def close(self) -> None:
        self._server.stop(None).wait()
        self._channel.close()

    def _forwarded(self, call: Any, request: Any, context: Any) -> Any:
        try:
            return call(request)
        except grpc.RpcError as error:
            return context.abort(error.code(), error.details())

    def GetDeploymentInfo(self, request: Any, context: Any) -> Any:
        return self._forwarded(self.engine.GetDeploymentInfo, request, context)

    def SupportsFeature(self, request: Any, context: Any) -> Any:
        return self._forwarded(self.engine.SupportsFeature, request, context)

    def RegisterResource(self, request: Any, context: Any) -> Any:
        made = self._forwarded(self.engine.RegisterResource, request, context)
        self.registered[made.urn] = {"urn": made.urn, "id": made.id, "state": from_struct(made.object)}
        return made

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:
        return self._forwarded(self.engine.RegisterResourceOutputs, request, context)

    def RegisterResourceHook(self, request: Any, context: Any) -> Any:
        return self._forwarded(self.engine.RegisterResourceHook, request, context)

    def Invoke(self, request: Any, context: Any) -> Any:
        if request.tok != "pulumi:pulumi:getResource":
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{request.tok} is no function of Pulumi's own")
        found = self.registered[request.args["urn"]]
        return resource_pb2.ResourceInvokeResponse(**{"return": to_struct(found)})


@dataclass
class Session:
    """What the program does: each call is one that its SDK and Pulumi's engine make for it."""

    order: Order
    relay: Relay
    plugin: provider_pb2_grpc.ResourceProviderStub
    stack: str = ""
    providers: dict[str, str] = field(default_factory=dict)
    exports: dict[str, Any] = field(default_factory=dict)

    def register(self, type_: str, name: str, inputs: Mapping[str, Any], custom: bool = True) -> Any:
        request = resource_pb2.RegisterResourceRequest(
            type=type_, name=name, parent=self.stack, custom=custom, object=to_struct(inputs), acceptSecrets=True
        )
        return self.relay.engine.RegisterResource(request)

    def begin(self, providers: Mapping[str, Mapping[str, Any]]) -> None:
        """Registers the stack and its providers."""
        self.stack = self.register("pulumi:pulumi:Stack", f"{self.order.project}-{self.order.stack}", {}, custom=False).urn
        for package, inputs in providers.items():
            made = self.register(f"pulumi:providers:{package}", package, inputs)
            self.relay.registered[made.urn] = {"urn": made.urn, "id": made.id, "state": from_struct(made.object)}
            self.providers[package] = f"{made.urn}::{made.id or '04da6b54-80e4-46f7-96ec-b56ff0331ba9'}"

    def construct(self, kind: str, name: str, inputs: Mapping[str, Any], after: Sequence[str] = ()) -> "Constructed":
        """`new <kind>(name, inputs, {providers, dependsOn})`."""
        request = provider_pb2.ConstructRequest(
            project=self.order.project,
            stack=self.order.stack,
            organization=self.order.organization,
            config=self.order.config,
            configSecretKeys=self.order.secret_keys,
            dryRun=self.order.dry_run,
            parallel=self.order.parallel,
            monitorEndpoint=self.relay.address,
            type=f"{PACKAGE}:index:{kind}",
            name=name,
            parent=self.stack,
            inputs=to_struct(inputs),
            providers=self.providers,
            dependencies=after,
            accepts_output_values=True,
        )
        answer = self.plugin.Construct(request)
        deps = {key: list(found.urns) for key, found in answer.stateDependencies.items()}
        return Constructed(answer.urn, from_struct(answer.state), deps)


@dataclass(frozen=True)
class Constructed:
    """A component as its program sees it; `state` holds what is known, by the schema's names."""

    urn: str
    state: dict[str, Any]
    dependencies: dict[str, list[str]]

    def output(self, name: str, *path: str) -> dict[str, Any]:
        """One of its outputs, to be given to another component."""
        value: Any = self.state.get(name)
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        known = () if value is None or not _is_plain(value) else (value,)
        return output(*known, after=self.dependencies.get(name, ()))


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def told(error: Any) -> str:
    """What an engine shows of a call that failed; what is wrong with inputs comes beside the error."""
    reasons = []
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                found = errors_pb2.InputPropertiesError()
                detail.Unpack(found)
                reasons += [each.reason for each in found.errors]
    return f"{error.code().name}: {error.details()}{', '.join(reasons)}"


@dataclass(frozen=True)
class ForeignProgram:
    """A `ProgramSpec`: `body` is the program, `providers` the inputs of its providers by package."""

    body: Callable[[Session], None]
    providers: Mapping[str, Mapping[str, Any]]
    python: str = sys.executable

    def start(self, order: Order, say: Say) -> Running:
        return _ForeignRun(self, order, say)


class _ForeignRun:
    def __init__(self, program: ForeignProgram, order: Order, say: Say) -> None:
        self._program, self._order, self._say = program, order, say
        self._code = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            with closing(Relay(self._order.monitor)) as relay, plugin(self._order.engine, self._program.python) as served:
                served.Configure(provider_pb2.ConfigureRequest(acceptSecrets=True, acceptResources=True))
                session = Session(self._order, relay, served)
                session.begin(self._program.providers)
                self._program.body(session)
                outputs = resource_pb2.RegisterResourceOutputsRequest(urn=session.stack, outputs=to_struct(session.exports))
                relay.engine.RegisterResourceOutputs(outputs)
                relay.engine.SignalAndWaitForShutdown(empty_pb2.Empty())
                served.Cancel(empty_pb2.Empty())
        except grpc.RpcError as error:
            self._say("info#err", told(error))
            self._code = 1

    def wait(self) -> int:
        self._thread.join()
        return self._code

    def stop(self) -> None:
        """Construction ends by itself when the engine refuses what it registers."""
