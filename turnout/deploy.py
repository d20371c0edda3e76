"""The one code path through Pulumi's Automation API: preview, up and destroy of a stack, on either engine.

Pulumi runs stacks in AWS where it is installed; the local engine runs stacks of the local cloud, and previews the others
where Pulumi is missing. What happens is told to a `Progress` as it happens.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from turnout.access import ENDPOINT_VARIABLE, KUBECONFIG_VARIABLE, local_endpoint, local_kubeconfig
from turnout.preview.findings import Finding, Level
from turnout.progress import Listener, Progress
from turnout.stacks import EC2, KUBERNETES, Stack

if TYPE_CHECKING:
    from pulumi import automation as auto

Operation = Literal["preview", "up", "destroy", "refresh", "preview_refresh"]
LOCAL_ENGINE = "local engine (not Pulumi)"
PULUMI = "Pulumi"
CONFIG_REFUSED = 2
SWITCH_REFUSED = 3
NO_CLOUD = 4
INTERRUPTED = 130
_SWITCH = "switch: "
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # read when gRPC is imported; its notices are not for operators
_CODE = re.compile(r"^\s*code: (-?\d+)", re.MULTILINE)
_PROGRAM_CODE = re.compile(r"[Pp]rogram exited with non-zero exit code: (\d+)")


class DeployError(Exception):
    """A deployment that is not begun: the message says why and what to do."""


_TOLD = 12
"""Errors of one deployment that are told."""


@dataclass(frozen=True)
class Outcome:
    """How a deployment ended. `code` is the exit code of docs/cli.md."""

    operation: Operation
    engine: str
    code: int
    changes: Mapping[str, int] = field(default_factory=dict)
    """Number of resources by operation; `same` included."""
    seconds: float = 0.0
    errors: tuple[str, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """The stack's outputs after an up; secret ones are masked."""
    steps: tuple[Mapping[str, Any], ...] = ()
    """Of a preview: what each `resOutputsEvent` says, in order (`StepEventMetadata`, by the names of its JSON); `refresh` for
    all that a refresh found."""
    drift: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What a refresh found changed behind the engine's back, by URN; no line: gone."""
    findings: tuple[Finding, ...] = ()
    """What policies found."""

    @property
    def reason(self) -> str:
        """The errors, each once, on one screen: a cloud that is away fails every resource. "" without any."""
        told = list(dict.fromkeys(self.errors))
        more = [f"and {len(told) - _TOLD} more of the kind"] if len(told) > _TOLD else []
        return "\n".join([*told[:_TOLD], *more])

    @property
    def is_refused_by_policies(self) -> bool:
        """Whether it failed for what mandatory policies found, and for nothing else."""
        refusals = {each.refusal for each in self.findings if each.level is Level.MANDATORY}
        return bool(refusals) and set(self.errors) == refusals


def engine_of(stack: Stack, which: Callable[[str], str | None] = shutil.which) -> str:
    """The engine that runs this stack here."""
    return LOCAL_ENGINE if stack.is_local or which("pulumi") is None else PULUMI


def check(stack: Stack, operation: Operation, engine: str) -> None:
    """Raises `DeployError` for what this engine is never used for: reading or changing a real account by the local engine."""
    if engine == LOCAL_ENGINE and not stack.is_local and operation != "preview":
        raise DeployError(
            f"stack {stack.name} is in AWS, where only Pulumi deploys, and there is no `pulumi` on the PATH. "
            "Install it (https://www.pulumi.com/docs/install/); `turnout preview` works without it"
        )


def run(stack: Stack, operation: Operation, home: Path, progress: Progress, engine: str | None = None) -> Outcome:
    """Runs one operation and returns how it ended; a failure is an outcome, not an exception.

    Raises `DeployError` and `CloudUnreachable` before anything began."""
    engine = engine or engine_of(stack)
    check(stack, operation, engine)
    environment = _environment(stack, engine, home)
    progress.header("refresh (preview)" if operation == "preview_refresh" else operation, stack.name, engine)
    listener = Listener(progress, keep=operation == "preview")
    began, code = time.monotonic(), 0
    errors: tuple[str, ...] = ()
    from pulumi.automation.errors import CommandError

    try:
        result = _operate(_select(stack, engine, home, environment), operation, listener, policies_of(stack, operation))
    except CommandError as error:
        result, errors = None, listener.errors or _error_lines(str(error))
        code = _exit_code(str(error), errors)
    return Outcome(
        operation,
        engine,
        code,
        listener.changes,
        _since(began),
        errors,
        outputs={name: "[secret]" if o.secret else o.value for name, o in getattr(result, "outputs", {}).items()},
        steps=tuple(listener.steps),
        drift=listener.drift,
        findings=listener.findings,
    )


def policies_of(stack: Stack, operation: Operation) -> dict[str, list[str]]:
    """The project's own policy pack (folder `policies`), for previews and for what changes an account; an `up` on a local cloud
    would be slower by most of a second (docs/adr/0028)."""
    from turnout.engine.policy_packs import found_in

    pack = found_in(stack.root)
    if pack is None or not (operation == "preview" or (operation == "up" and not stack.is_local)):
        return {}
    configs = {"policy_pack_configs": [str(pack.config)]} if pack.config else {}
    return {"policy_packs": [str(pack.folder)], **configs}


def configure(stack: Stack, home: Path, values: Mapping[str, str], remove: tuple[str, ...] = ()) -> None:
    """Writes the stack's config. Keys are paths below the project's namespace (`traffic.active`)."""
    from pulumi import automation as auto

    selected = _select(stack, engine_of(stack), home, {})
    for path in remove:
        selected.workspace.remove_config(stack.name, f"{stack.project}:{path}", path=True)
    for path, value in values.items():
        selected.set_config(f"{stack.project}:{path}", auto.ConfigValue(value), path=True)


def set_traffic(stack: Stack, home: Path, active: str, weights: Mapping[str, int] | None) -> None:
    """Writes the switch into the stack's config: `active`, and the weights or none of them."""
    shares = {f"traffic.weights.{name}": str(weight) for name, weight in (weights or {}).items()}
    configure(stack, home, {"traffic.active": active, **shares}, remove=("traffic.weights",))


def set_release(stack: Stack, home: Path, environment: str, release: str, discard: str | None) -> None:
    """Writes into the stack's config that `environment` runs the release and is active; `discard` may be given up for it."""
    kept = {"traffic.standby.discard": discard} if discard else {}
    changes = {f"environments.{environment}.release": release, "traffic.active": environment, **kept}
    configure(stack, home, changes, remove=("traffic.weights",))


def _environment(stack: Stack, engine: str, home: Path) -> dict[str, str]:
    if stack.is_local:
        cluster = {} if stack.platform == EC2 else {KUBECONFIG_VARIABLE: local_kubeconfig(home)}
        return cluster if stack.platform == KUBERNETES else {ENDPOINT_VARIABLE: local_endpoint(home), **cluster}
    return {"TURNOUT_OFFLINE": "1"} if engine == LOCAL_ENGINE else {}


def _select(stack: Stack, engine: str, home: Path, environment: Mapping[str, str]) -> "auto.Stack":
    from pulumi import automation as auto

    return auto.create_or_select_stack(stack.name, work_dir=str(stack.root), opts=options(engine, home, environment))


def options(engine: str, home: Path, environment: Mapping[str, str]) -> "auto.LocalWorkspaceOptions":
    """How the Automation API reaches an engine."""
    from pulumi import automation as auto

    found = auto.LocalWorkspaceOptions(env_vars=environment)
    if engine == LOCAL_ENGINE:
        from turnout.engine.command import LocalEngineCommand
        from turnout.providers import registry

        found.pulumi_command = LocalEngineCommand(home, providers=registry())
    return found


def failure(error: Exception) -> tuple[int, tuple[str, ...]]:
    """The exit code of docs/cli.md and the lines of a `CommandError`."""
    lines = _error_lines(str(error))
    return _exit_code(str(error), lines), lines


def _operate(selected: "auto.Stack", operation: Operation, listener: Listener, policies: Mapping[str, list[str]]) -> Any:
    call: Callable[..., Any] = getattr(selected, operation)
    return call(on_event=listener.hear, color="never", **policies)


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)


def _error_lines(text: str) -> tuple[str, ...]:
    """What an engine wrote to stderr, from the text of a CommandError."""
    stderr = text.partition("\n stderr: ")[2]
    return tuple(line.strip().removeprefix("error: ") for line in stderr.splitlines() if line.strip())


def _exit_code(text: str, errors: tuple[str, ...]) -> int:
    """The exit code of docs/cli.md: the local engine passes it on, Pulumi only names its program's."""
    if any(_SWITCH in line for line in errors):
        return SWITCH_REFUSED
    found = _PROGRAM_CODE.search("\n".join((text, *errors))) or _CODE.search(text)
    code = int(found.group(1)) if found else 1
    return code if code in (CONFIG_REFUSED, SWITCH_REFUSED, NO_CLOUD, INTERRUPTED) else 1
