"""Pulumi's ResourceMonitor: the service to which the program's SDK registers its resources."""

from collections.abc import Iterable
from threading import Event
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import alias_pb2, resource_pb2, resource_pb2_grpc

from turnout.engine.execute import Executor
from turnout.engine.hooks import Hook, Hooks
from turnout.engine.plan import STACK_TYPE, Goal
from turnout.engine.run import Run, StepFailed
from turnout.engine.state import ResourceState
from turnout.engine.wire import WireError, from_struct, to_struct

FEATURES = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
)
"""Only what is complete: of the others the SDK tells a program that uses them that they are missing."""

_REFUSED = {
    "importId": "import",
    "remote": "remote components",
    "deletedWith": "deleted_with",
    "replace_with": "replace_with",
    "replacement_trigger": "replacement_trigger",
    "transforms": "transforms",
    "state_migrations": "state_migrations",
    "hideDiffs": "hide_diffs",
    "envVarMappings": "env_var_mappings",
    "pluginDownloadURL": "plugin_download_url",
    "pluginChecksums": "plugin checksums",
    "packageRef": "parameterized packages",
    "snippetId": "snippets",
}
"""Resource options by their field of the request; a field that is empty is not refused."""
STACK_REFERENCE = "pulumi:pulumi:StackReference"


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Serves one program's run; every call comes in a thread of its own and only after its inputs have resolved.

    Registrations wait for `ready`: the program starts while the state is still being refreshed."""

    def __init__(
        self,
        run: Run,
        hooks: Hooks,
        project: str,
        stack: str,
        organization: str,
        config: dict[str, str],
        secret_keys: list[str],
        ready: Event,
    ) -> None:
        self._run = run
        self._hooks = hooks
        self._ready = ready
        self._info = resource_pb2.DeploymentInfo(
            project=project,
            stack=stack,
            organization=organization,
            config=config,
            configSecretKeys=secret_keys,
            dryRun=run.preview,
            supportedFeatures=FEATURES,
        )
        self._urn_prefix = f"urn:pulumi:{stack}::{project}::"
        self.executor = Executor(run, hooks)
        self.stack: ResourceState | None = None
        self.finished = False

    def GetDeploymentInfo(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        return self._info

    def SupportsFeature(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        return resource_pb2.SupportsFeatureResponse(hasSupport=False)

    def RegisterResource(self, request: Any, context: Any) -> Any:
        self._ready.wait()
        with self._run.working():
            return self._register(request, context)

    def _register(self, request: Any, context: Any) -> Any:
        if self._run.stopping.is_set() or self._run.errors:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the update is ending")
        try:
            goal = self._goal(request)
            self._hooks.bind(goal.urn, goal.hooks)
        except (WireError, ValueError) as error:
            self._abort(context, f"{request.name} ({request.type}): {error}")
        try:
            state = self.executor.register(goal)
        except StepFailed as failed:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(failed))
        except Exception as error:
            self._abort(context, f"{request.name} ({request.type}): {type(error).__name__}: {error}")
        if goal.type == STACK_TYPE:
            self.stack = state
        return resource_pb2.RegisterResourceResponse(urn=state.urn, id=state.id, object=to_struct(state.outputs))

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:
        try:
            self.executor.outputs(request.urn, from_struct(request.outputs))
        except (LookupError, WireError) as error:
            self._abort(context, str(error))
        return empty_pb2.Empty()

    def RegisterResourceHook(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        hook = Hook(request.callback.target, request.callback.token, request.on_dry_run, request.ignore_errors)
        self._hooks.add(request.name, hook)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        self._abort(context, f"function {request.tok} is not supported by the local engine")

    def Call(self, request: Any, context: Any) -> Any:
        self._abort(context, f"method {request.tok} is not supported by the local engine")

    def ReadResource(self, request: Any, context: Any) -> Any:
        what = "stack references are" if request.type == STACK_REFERENCE else f"reading an existing {request.type} is"
        self._abort(context, f"{what} not supported by the local engine ({request.name})")

    def ExistsResource(self, request: Any, context: Any) -> Any:
        self._abort(context, f"asking whether a {request.type} exists is not supported by the local engine")

    def RegisterStackTransform(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        self._abort(context, "stack transforms are not supported by the local engine")

    def RegisterStackInvokeTransform(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        self._abort(context, "invoke transforms are not supported by the local engine")

    def RegisterErrorHook(self, request: Any, context: Any) -> Any:
        self._abort(context, f"error hooks are not supported by the local engine ({request.name})")

    def RegisterPackage(self, request: Any, context: Any) -> Any:
        self._abort(context, f"parameterized packages are not supported by the local engine ({request.name})")

    def SignalAndWaitForShutdown(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        """The program has registered everything. Deletes follow when its process has ended well."""
        self.finished = True
        return empty_pb2.Empty()

    def _abort(self, context: Any, message: str) -> None:
        self._run.errors.append(message)
        self._run.events.say("error", message)
        context.abort(grpc.StatusCode.UNAVAILABLE, message)

    def _goal(self, request: Any) -> Goal:
        used = [word for name, word in _REFUSED.items() if _is_set(request, name)]
        if used:
            raise ValueError(f"{', '.join(used)}: not supported by the local engine")
        aliases = [*request.aliasURNs, *(self._alias(alias, request) for alias in request.aliases)]
        return Goal(
            urn=self._urn(request.parent, request.type, request.name),
            type=request.type,
            name=request.name,
            custom=request.custom,
            inputs={name: value for name, value in from_struct(request.object).items() if value is not None},
            parent=request.parent,
            provider=request.provider,
            dependencies=list(request.dependencies),
            property_dependencies={name: list(d.urns) for name, d in request.propertyDependencies.items()},
            protect=request.protect,
            retain_on_delete=request.retainOnDelete,
            delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
            ignore_changes=list(request.ignoreChanges),
            replace_on_changes=list(request.replaceOnChanges),
            additional_secret_outputs=list(request.additionalSecretOutputs),
            aliases=aliases,
            custom_timeouts=_timeouts(request.customTimeouts),
            hooks={field.name: list(names) for field, names in request.hooks.ListFields()},
        )

    def _urn(self, parent: str, type_: str, name: str) -> str:
        return f"{self._urn_prefix}{_qualified(parent, type_)}::{name}"

    def _alias(self, alias: alias_pb2.Alias, request: Any) -> str:
        """The URN that an alias means: what its spec leaves out is as in the resource itself."""
        if alias.urn:
            return str(alias.urn)
        spec = alias.spec
        parent = "" if spec.noParent else spec.parentUrn or request.parent
        prefix = f"urn:pulumi:{spec.stack or self._info.stack}::{spec.project or self._info.project}::"
        return f"{prefix}{_qualified(parent, spec.type or request.type)}::{spec.name or request.name}"


def _is_set(request: Any, name: str) -> bool:
    """Whether a field says something; one that is a message is true even when it is empty."""
    field = request.DESCRIPTOR.fields_by_name[name]
    return bool(request.HasField(name)) if field.has_presence else bool(getattr(request, name))


def _qualified(parent: str, type_: str) -> str:
    """`<parent's qualified type>$<type>`; the stack itself is no part of it."""
    above = parent.split("::")[2] if parent else ""
    return type_ if above in ("", STACK_TYPE) else f"{above}${type_}"


def _timeouts(timeouts: Any) -> dict[str, float]:
    given: Iterable[tuple[str, str]] = ((name, getattr(timeouts, name)) for name in ("create", "update", "delete"))
    return {name: _seconds(text) for name, text in given if text}


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def _seconds(duration: str) -> float:
    """Seconds of Go's `1h2m3s`, without fractions of its smaller units."""
    total, number = 0.0, ""
    for character in duration:
        if character in _UNITS:
            total += float(number) * _UNITS[character]
            number = ""
        else:
            number += character
    if number:
        raise ValueError(f"custom timeout {duration!r} is no duration like 90s, 10m or 1h30m")
    return total
