"""up, preview, refresh, destroy: what may run where, with what config, and how it is shown and remembered."""

import ipaddress
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any
from urllib.parse import urlsplit

from turnout.engine.arguments import Arguments
from turnout.engine.config_values import ConfigError
from turnout.engine.context import ORGANIZATION, CommandFailed, Context, StackContext
from turnout.engine.deployment import Deployment, Result
from turnout.engine.display import HEADER, Display, header, outputs
from turnout.engine.event_log import event_log
from turnout.engine.events import Sink, masked
from turnout.engine.policy_packs import PolicyPack
from turnout.engine.program import (
    ENDPOINT_VARIABLE,
    KUBECONFIG_VARIABLE,
    OFFLINE_VARIABLE,
    InlineProgram,
    LocalProgram,
    ProgramSpec,
)
from turnout.engine.wire import has_secret
from turnout.engine.workspace import Value

NO_CLOUD = 4
REFUSED = 2
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
_HISTORY_KINDS = {"up": "update", "refresh": "refresh", "destroy": "destroy"}
_QUIET = {"same", "read", "refresh"}


@dataclass(frozen=True)
class Surroundings:
    """Whether the stack's cloud may be touched (`offline`: not even read)."""

    offline: bool


def surroundings(operation: str, cloud: str | None, environment: Mapping[str, str]) -> Surroundings:
    """Decides by the stack's `cloud` setting and the endpoint what the operation may do.

    Raises `CommandFailed` for what the local engine never does: change anything that is not on this machine."""
    endpoint = environment.get(ENDPOINT_VARIABLE, "")
    preview = operation == "preview"
    if preview and (environment.get(OFFLINE_VARIABLE) == "1" or cloud not in (None, "local")):
        return Surroundings(offline=True)
    if cloud not in (None, "local"):
        raise CommandFailed(
            f"cloud is {cloud!r}: the {HEADER} never changes a real account; run `pulumi {operation}` for this stack, "
            "or preview it here",
            REFUSED,
        )
    if endpoint and not is_loopback(endpoint):
        raise CommandFailed(
            f"{ENDPOINT_VARIABLE} is {endpoint!r}, which is not this machine: the {HEADER} works on a loopback address only",
            REFUSED,
        )
    if cloud == "local" and not endpoint and not environment.get(KUBECONFIG_VARIABLE):  # its provider takes loopback only
        raise CommandFailed(
            f"the local cloud is not known: start it with `turnout local start` and set {ENDPOINT_VARIABLE} to its endpoint",
            NO_CLOUD,
        )
    return Surroundings(offline=False)


def is_loopback(endpoint: str) -> bool:
    """Whether a URL's host is this machine, by its name or number: nothing is resolved."""
    try:
        host = urlsplit(endpoint).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _update(context: Context, arguments: Arguments) -> int:
    operation = arguments.command
    stack = context.stack(arguments)
    if arguments.positional:
        raise ConfigError(f"`{operation}` takes no {arguments.positional[0]!r}")
    config = _config(context, stack)
    cloud = config.get(f"{context.project.name}:cloud")
    place = surroundings(operation, cloud.text if cloud else None, context.environment)
    began, preview = datetime.now(UTC), arguments.has("--preview-only")
    with ExitStack() as closing:
        log = closing.enter_context(event_log(arguments.values.get("--event-log", "")))
        context.out(header("preview-refresh" if preview else operation, stack.name))
        sink = _sink(context, Display(operation, preview=preview or operation == "preview"), log)
        deployment = _deployment(context, arguments, stack, config, place, sink)
        result = _run(deployment, operation, _program(context, arguments, place), preview)
    if operation in _HISTORY_KINDS and not preview:
        stack.store.add_history(_history_entry(arguments, stack, config, began, result))
    return _end(context, arguments, result)


def _config(context: Context, stack: StackContext) -> dict[str, Value]:
    if faults := stack.file.faults(stack.name):
        raise CommandFailed("\n".join(faults), REFUSED)
    config = stack.file.values(stack.secrets)
    for value in config.values():
        if value.secret:
            context.redactor.learn(value.text if value.object is None else value.object)
    return config


def _deployment(
    context: Context,
    arguments: Arguments,
    stack: StackContext,
    config: Mapping[str, Value],
    place: Surroundings,
    sink: Sink,
) -> Deployment:
    return Deployment(
        stack.store,
        context.providers,
        sink,
        str(context.project.root),
        config={key: value.text for key, value in config.items()},
        secret_keys=[key for key, value in config.items() if value.secret],
        organization=ORGANIZATION,
        parallel=arguments.number("--parallel", 16),
        refresh_first=arguments.flag("--refresh", context.project.refresh) and not place.offline,
        policy_packs=_policy_packs(context, arguments),
    )


def _policy_packs(context: Context, arguments: Arguments) -> list[PolicyPack]:
    """The packs, each with its configuration: as many of these as packs, or none (`pulumi up --help`)."""
    packs, configs = (
        [context.cwd / value for name, value in arguments.many if name == option]
        for option in ("--policy-pack", "--policy-pack-config")
    )
    if configs and len(configs) != len(packs):
        raise ConfigError(f"{len(configs)} --policy-pack-config for {len(packs)} --policy-pack: give one for each, or none")
    return [PolicyPack(pack, config, context.added) for pack, config in zip_longest(packs, configs)]


def _program(context: Context, arguments: Arguments, place: Surroundings) -> ProgramSpec:
    if address := arguments.values.get("--client"):
        return InlineProgram(address)
    added = {**context.added, **({OFFLINE_VARIABLE: "1"} if place.offline else {})}
    return LocalProgram(context.project.main, context.project.root, added)


def _run(deployment: Deployment, operation: str, program: ProgramSpec, preview: bool) -> Result:
    if operation == "preview":
        return deployment.preview(program)
    if operation == "up":
        return deployment.up(program)
    if operation == "refresh":
        return deployment.preview_refresh() if preview else deployment.refresh()
    return deployment.destroy()


def _sink(context: Context, display: Display, log: Sink) -> Sink:
    def hear(event: dict[str, Any]) -> None:
        clean = context.redactor.clean(event)
        for line in display.lines(clean):
            context.out(line)
        log(clean)

    return hear


def _history_entry(
    arguments: Arguments, stack: StackContext, config: Mapping[str, Value], began: datetime, result: Result
) -> dict[str, Any]:
    kept: dict[str, dict[str, Any]] = {}
    for key, value in config.items():
        text = stack.secrets.encrypt(value.text) if value.secret else value.text
        kept[key] = {"value": text, "secret": value.secret, **({"salt": stack.secrets.salt} if value.secret else {})}
    return {
        "kind": _HISTORY_KINDS[arguments.command],
        "startTime": began.strftime(_TIME),
        "message": arguments.values.get("--message", ""),
        "environment": {"exec.kind": arguments.values.get("--exec-kind", "cli"), "engine": HEADER},
        "config": kept,
        "result": "succeeded" if result.exit_code == 0 else "failed",
        "endTime": datetime.now(UTC).strftime(_TIME),
        "resourceChanges": result.changes,
    }


def _end(context: Context, arguments: Arguments, result: Result) -> int:
    if result.exit_code == 0 and not arguments.has("--suppress-outputs") and arguments.command in ("up", "preview"):
        values = {name: "[secret]" if has_secret(value) else masked(value) for name, value in result.outputs.items()}
        for line in outputs(values):
            context.out(line)
    for message in result.errors:
        context.error(f"error: {message}")
    if result.exit_code != 0:
        context.error(f"error: {arguments.command} failed (exit code {result.exit_code})")
    elif arguments.has("--expect-no-changes") and result.changes.keys() - _QUIET:
        context.error("error: no changes were expected but changes occurred")
        return 1
    return result.exit_code


HANDLERS = {"up": _update, "preview": _update, "refresh": _update, "destroy": _update}
