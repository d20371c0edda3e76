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
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from turnout.access import ENDPOINT_VARIABLE, local_endpoint
from turnout.stacks import Stack

if TYPE_CHECKING:
    from pulumi import automation as auto

Operation = Literal["preview", "up", "destroy"]
LOCAL_ENGINE = "local engine (not Pulumi)"
PULUMI = "Pulumi"
CONFIG_REFUSED = 2
SWITCH_REFUSED = 3
NO_CLOUD = 4
INTERRUPTED = 130
_SWITCH = "switch: "
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # read when gRPC is imported; its notices are not for operators
_MARKUP = re.compile(r"<\{%.*?%\}>")
_CODE = re.compile(r"^\s*code: (-?\d+)", re.MULTILINE)
_PROGRAM_CODE = re.compile(r"[Pp]rogram exited with non-zero exit code: (\d+)")


class DeployError(Exception):
    """A deployment that is not begun: the message says why and what to do."""


class StepState(StrEnum):
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Step:
    """One resource's operation (`create`, `update`, `delete`, …) at one moment."""

    state: StepState
    operation: str
    type: str
    name: str


class Progress(Protocol):
    """Hears what a deployment does; called from one thread at a time, not always the caller's."""

    def header(self, operation: str, stack: str, engine: str) -> None: ...

    def step(self, step: Step) -> None: ...

    def message(self, severity: str, text: str) -> None: ...


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


def engine_of(stack: Stack, which: Callable[[str], str | None] = shutil.which) -> str:
    """The engine that runs this stack here."""
    return LOCAL_ENGINE if stack.is_local or which("pulumi") is None else PULUMI


def check(stack: Stack, operation: Operation, engine: str) -> None:
    """Raises `DeployError` for what this engine is never used for: changing a real account by the local engine."""
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
    progress.header(operation, stack.name, engine)
    listener = _Listener(progress)
    began = time.monotonic()
    from pulumi.automation.errors import CommandError

    try:
        result = _operate(_select(stack, engine, home, environment), operation, listener)
    except CommandError as error:
        errors = listener.errors or _error_lines(str(error))
        return Outcome(operation, engine, _exit_code(str(error), errors), listener.changes, _since(began), errors)
    outputs = {name: "[secret]" if o.secret else o.value for name, o in getattr(result, "outputs", {}).items()}
    return Outcome(operation, engine, 0, listener.changes, _since(began), outputs=outputs)


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
        return {ENDPOINT_VARIABLE: local_endpoint(home)}
    return {"TURNOUT_OFFLINE": "1"} if engine == LOCAL_ENGINE else {}


def _select(stack: Stack, engine: str, home: Path, environment: Mapping[str, str]) -> "auto.Stack":
    from pulumi import automation as auto

    options = auto.LocalWorkspaceOptions(env_vars=environment)
    if engine == LOCAL_ENGINE:
        from turnout.engine.command import LocalEngineCommand
        from turnout.providers import registry

        options.pulumi_command = LocalEngineCommand(home, providers=registry())
    return auto.create_or_select_stack(stack.name, work_dir=str(stack.root), opts=options)


def _operate(selected: "auto.Stack", operation: Operation, listener: "_Listener") -> Any:
    call: Callable[..., Any] = getattr(selected, operation)
    return call(on_event=listener.hear, color="never")


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)


class _Listener:
    """Turns the engine's events into steps and messages, and keeps what the outcome needs."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._errors: list[str] = []
        self._program_errors: list[str] = []
        self.changes: dict[str, int] = {}

    @property
    def errors(self) -> tuple[str, ...]:
        """What the program wrote to stderr, where a refused config is told, and what the engine called an error."""
        return tuple(dict.fromkeys(self._program_errors + self._errors))

    def hear(self, event: Any) -> None:
        if event.resource_pre_event:
            self._step(StepState.STARTED, event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._step(StepState.DONE, event.res_outputs_event.metadata)
        elif event.res_op_failed_event:
            self._step(StepState.FAILED, event.res_op_failed_event.metadata)
        elif event.diagnostic_event:
            self._diagnose(event.diagnostic_event)
        elif event.summary_event:
            self.changes = {_plain(op): count for op, count in event.summary_event.resource_changes.items()}

    def _step(self, state: StepState, metadata: Any) -> None:
        operation = _plain(metadata.op)
        if operation not in ("same", "read", "refresh"):
            self._progress.step(Step(state, operation, metadata.type, metadata.urn.rpartition("::")[2]))

    def _diagnose(self, event: Any) -> None:
        text = _MARKUP.sub("", event.message).strip()
        if not text:
            return
        if event.severity == "error":
            self._errors.append(text)
        elif event.severity == "info#err":
            self._program_errors.append(text.removeprefix("error: "))
        else:
            self._progress.message(event.severity, text)


def _plain(operation: Any) -> str:
    return str(getattr(operation, "value", operation))


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
