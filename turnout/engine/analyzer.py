"""Policy packs beside an update: what each finds in a resource before its step, and in the whole stack at the end.

As Pulumi does it. "Core Concepts" (Policy as Code): in a preview every rule is run on every resource and the violations are
batched; in an update the first one halts it, before the resource is created. Pulumi's blog ("Policy as Code for Python is now
GA in Pulumi 2.0"): a stack's policies see it after its resources were made, which they cannot prevent; it fails then.
A resource is sent with its inputs, the stack with its resources' outputs. Secrets are sent marked as secrets, which the policy
SDK unwraps; what a pack says of one is masked (`_clean`).
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from turnout.engine.pack_process import PATIENCE, PackProcess
from turnout.engine.plan import Goal
from turnout.engine.policy_packs import (
    LEVELS,
    MANDATORY,
    PackError,
    Policy,
    PolicyPack,
    Setting,
    configured,
    read_config,
    version,
)
from turnout.engine.program import Order, Say
from turnout.engine.redact import Redactor
from turnout.engine.state import ResourceState, provider_urn
from turnout.engine.values import Secret
from turnout.engine.wire import to_struct

_SEVERITIES = ("", "low", "medium", "high", "critical")
"""By their number in Pulumi's `PolicySeverity`."""
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class PackFailed(Exception):
    """A pack that broke while it looked at something; the message says which and why."""


@dataclass(frozen=True)
class Violation:
    """What a policy found. `message` begins with the policy's description, as the SDK makes it; `severity` may be ""."""

    policy: str
    pack: str
    version: str
    level: str
    severity: str
    message: str
    description: str
    urn: str

    @property
    def is_mandatory(self) -> bool:
        """Whether it keeps its resource from being touched, or fails the update."""
        return self.level == MANDATORY

    @property
    def refusal(self) -> str:
        """The error of a mandatory one."""
        detail = " ".join(self.message.removeprefix(self.description).split()) or self.description
        return f"policy {self.policy} ({self.pack} {self.version}) refuses {self.urn.rpartition('::')[2]}: {detail}"


class Analyzers:
    """The packs of one update: their processes start at once, and serve after `open`."""

    def __init__(self, packs: Iterable[PolicyPack], order: Order, say: Say, patience: float = PATIENCE) -> None:
        """Raises `PackError` for what is no pack."""
        self._options: dict[str, analyzer_pb2.AnalyzerResourceOptions] = {}
        prepared = [(pack, version(pack.folder), read_config(pack.config)) for pack in packs]
        self._packs = [_Analyzer(*each, order, say, patience) for each in prepared]

    @property
    def versions(self) -> dict[str, str]:
        """Version by pack."""
        return {pack.name: pack.version for pack in self._packs}

    def open(self) -> None:
        """Waits until every pack serves and is configured.

        Raises `PackError`."""
        for pack in self._packs:
            pack.open()

    def analyze(self, goal: Goal, written: Mapping[str, Any], provider: ResourceState | None) -> list[Violation]:
        """What is wrong with a resource as the program wants it; `written` are the inputs that nobody keeps.

        Raises `PackFailed`."""
        if not self._packs:
            return []
        options = self._options[goal.urn] = _options(goal)
        inputs = {**goal.inputs, **written}
        request = analyzer_pb2.AnalyzeRequest(
            urn=goal.urn,
            type=goal.type,
            name=goal.name,
            properties=to_struct(inputs),
            options=options,
            provider=_provider(provider),
        )
        return [found for pack in self._packs for found in pack.analyze(request, [inputs, _inputs(provider)])]

    def analyze_stack(self, states: Sequence[ResourceState]) -> list[Violation]:
        """What is wrong with the stack as it is now; a violation that names none of its resources is the
        stack's own.

        Raises `PackFailed`."""
        if not self._packs:
            return []
        by_urn = {state.urn: state for state in states}
        resources = [self._resource(state, by_urn.get(provider_urn(state.provider))) for state in states]
        request = analyzer_pb2.AnalyzeStackRequest(resources=resources)
        sent = [values for state in states for values in (state.inputs, state.outputs)]
        root = next((state.urn for state in states if not state.parent), "")
        return [found for pack in self._packs for found in pack.analyze_stack(request, sent, by_urn.keys(), root)]

    def close(self) -> None:
        """Ends every pack's process; a question that is under way fails."""
        for pack in self._packs:
            pack.close()

    def _resource(self, state: ResourceState, provider: ResourceState | None) -> analyzer_pb2.AnalyzerResource:
        return analyzer_pb2.AnalyzerResource(
            urn=state.urn,
            type=state.type,
            name=state.name,
            properties=to_struct(state.outputs),
            options=self._options.get(state.urn),
            provider=_provider(provider),
            parent=state.parent,
            dependencies=state.dependencies,
            propertyDependencies={
                name: analyzer_pb2.AnalyzerPropertyDependencies(urns=urns)
                for name, urns in state.property_dependencies.items()
                if urns
            },
        )


class _Analyzer:
    """One pack."""

    def __init__(
        self, pack: PolicyPack, version: str, given: Mapping[str, Setting], order: Order, say: Say, patience: float
    ) -> None:
        self.name = pack.folder.name
        self.version = version
        self._given = given
        self._order = order
        self._patience = patience
        self._secrets = Redactor()
        self._lock = Lock()
        self._learn([{key: Secret(text) for key, text in order.config.items() if key in order.secret_keys}])
        env = {**os.environ, **pack.env, **_environment(order)}
        self._say = say
        self._process = PackProcess(pack.folder.resolve(), env, order.engine, self._said, patience)
        self._channel: grpc.Channel | None = None

    def open(self) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{self._process.port()}", options=_UNLIMITED)
        self._stub = analyzer_pb2_grpc.AnalyzerStub(self._channel)
        try:
            self._configure()
        except PackFailed as error:
            raise PackError(str(error)) from None

    def analyze(self, request: analyzer_pb2.AnalyzeRequest, sent: Iterable[Any]) -> list[Violation]:
        self._learn(sent)
        answer = self._ask("Analyze", request, request.urn.rpartition("::")[2])
        return [self._violation(each, request.urn) for each in answer.diagnostics]

    def analyze_stack(
        self, request: analyzer_pb2.AnalyzeStackRequest, sent: Iterable[Any], known: Iterable[str], root: str
    ) -> list[Violation]:
        self._learn(sent)
        answer = self._ask("AnalyzeStack", request, "the stack")
        urns = set(known)
        return [self._violation(each, each.urn if each.urn in urns else root) for each in answer.diagnostics]

    def close(self) -> None:
        self._process.close()
        if self._channel is not None:
            self._channel.close()

    def _configure(self) -> None:
        order = self._order
        stack = analyzer_pb2.AnalyzerStackConfigureRequest(
            stack=order.stack,
            project=order.project,
            organization=order.organization,
            dry_run=order.dry_run,
            config=order.config,
            config_secret_keys=order.secret_keys,
        )
        self._ask("ConfigureStack", stack, "the stack")
        info = self._ask("GetAnalyzerInfo", empty_pb2.Empty(), "its policies")
        self.name, self.version = info.name, self.version or info.version
        policies = [Policy(each.name, LEVELS[each.enforcementLevel], _schema(each)) for each in info.policies]
        own = {name: _setting(each) for name, each in info.initialConfig.items()}
        settings = configured(policies, own, self._given, self.name)
        request = analyzer_pb2.ConfigureAnalyzerRequest()
        for name, setting in settings.items():
            request.policyConfig[name].enforcementLevel = LEVELS.index(setting.level)
            request.policyConfig[name].properties.update(setting.properties)
        self._ask("Configure", request, "its configuration")

    def _ask(self, method: str, request: Any, about: str) -> Any:
        try:
            return getattr(self._stub, method)(request, timeout=self._patience)
        except grpc.RpcError as error:
            where = f"policy pack {self.name} failed at {about}"
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise PackFailed(f"{where}: no answer for {self._patience:g} s") from None
            gone = error.code() == grpc.StatusCode.UNAVAILABLE
            why = self._process.last_words() if gone else error.details()
            raise PackFailed(f"{where}: {self._clean(why)}") from None
        except ValueError:  # the channel was closed: the update is ending
            raise PackFailed(f"policy pack {self.name} was ended") from None

    def _violation(self, found: analyzer_pb2.AnalyzeDiagnostic, urn: str) -> Violation:
        return Violation(
            policy=found.policyName,
            pack=found.policyPackName,
            version=self.version,
            level=LEVELS[found.enforcementLevel],
            severity=_SEVERITIES[found.severity],
            message=self._clean(found.message),
            description=found.description,
            urn=urn,
        )

    def _said(self, line: str) -> None:
        self._say("info", self._clean(line))

    def _learn(self, sent: Iterable[Any]) -> None:
        with self._lock:
            for values in sent:
                self._secrets.learn_marked(values)

    def _clean(self, text: str) -> str:
        """What the pack says, without any secret that it was sent."""
        with self._lock:
            return str(self._secrets.clean(text))


def _environment(order: Order) -> dict[str, str]:
    """What Pulumi sets for a pack, config with its secrets included (`constructEnv` in Pulumi's analyzer_plugin.go)."""
    return {
        "PULUMI_PROJECT": order.project,
        "PULUMI_STACK": order.stack,
        "PULUMI_ORGANIZATION": order.organization,
        "PULUMI_DRY_RUN": "true" if order.dry_run else "false",
        "PULUMI_CONFIG": json.dumps(dict(order.config)),
    }


def _options(goal: Goal) -> analyzer_pb2.AnalyzerResourceOptions:
    return analyzer_pb2.AnalyzerResourceOptions(
        protect=goal.protect,
        ignoreChanges=goal.ignore_changes,
        deleteBeforeReplace=bool(goal.delete_before_replace),
        deleteBeforeReplaceDefined=goal.delete_before_replace is not None,
        additionalSecretOutputs=goal.additional_secret_outputs,
        aliases=goal.aliases,
        customTimeouts=analyzer_pb2.AnalyzerResourceOptions.CustomTimeouts(**goal.custom_timeouts),
        parent=goal.parent,
    )


def _provider(state: ResourceState | None) -> analyzer_pb2.AnalyzerProviderResource | None:
    if state is None:
        return None
    return analyzer_pb2.AnalyzerProviderResource(
        urn=state.urn, type=state.type, name=state.name, properties=to_struct(state.inputs)
    )


def _inputs(state: ResourceState | None) -> Mapping[str, Any]:
    return state.inputs if state is not None else {}


def _schema(policy: analyzer_pb2.PolicyInfo) -> dict[str, Any]:
    schema = policy.configSchema
    return {"properties": json_format.MessageToDict(schema.properties), "required": list(schema.required)}


def _setting(config: analyzer_pb2.PolicyConfig) -> Setting:
    return Setting(LEVELS[config.enforcementLevel], json_format.MessageToDict(config.properties))
