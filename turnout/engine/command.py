"""Pulumi's command line as far as the Automation API and our own tool use it, in this process.

`LocalEngineCommand` is given to the Automation API as `LocalWorkspaceOptions(pulumi_command=…)`; the same program, stack
files and state then work with Pulumi itself, where it is installed.
"""

import os
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from pulumi.automation._cmd import CommandResult, OnOutput, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from turnout.engine import config_commands, stack_commands, update_commands
from turnout.engine.arguments import Arguments, UsageError, parse
from turnout.engine.checkpoint import CheckpointError
from turnout.engine.config_values import ConfigError
from turnout.engine.context import CommandFailed, Context
from turnout.engine.crypto import SecretsError
from turnout.engine.display import HEADER
from turnout.engine.lock import StackLocked
from turnout.engine.policy_packs import PackError
from turnout.engine.provider import ResourceType

FAILED, REFUSED = 1, 2

_HANDLERS: dict[str, Callable[[Context, Arguments], int]] = {
    **stack_commands.HANDLERS,
    **config_commands.HANDLERS,
    **update_commands.HANDLERS,
}


class LocalEngineCommand(PulumiCommand):
    """Runs commands in this process. `home` is TURNOUT_HOME, `providers` what the engine can create.

    A failed command raises the Automation API's `CommandError` of its kind; its result's `code` is 1 failed, 2 refused
    before anything was touched, 3 refused by the switch, 4 no local cloud, 130 interrupted."""

    def __init__(self, home: Path, providers: Mapping[str, ResourceType]) -> None:  # the parent's looks for a binary
        self.command = "turnout-local-engine"
        self.version = VersionInfo.parse(version("pulumi"))
        self._home = home
        self._providers = providers

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
    ) -> CommandResult:
        """Runs one command and returns what it printed."""
        environment = {**os.environ, **additional_env}
        context = Context(self._home, Path(cwd), environment, additional_env, self._providers, on_output, on_error)
        code = _guarded(context, args)
        result = CommandResult(stdout="\n".join(context.stdout), stderr="\n".join(context.stderr), code=code)
        if code != 0:
            raise create_command_error(result)
        return result


def _guarded(context: Context, args: list[str]) -> int:
    try:
        arguments = parse(args)
        return _HANDLERS.get(arguments.command, _about)(context, arguments)
    except (UsageError, ConfigError, StackLocked, PackError) as error:
        return _fail(context, REFUSED, str(error))
    except CommandFailed as error:
        return _fail(context, error.code, str(error))
    except (CheckpointError, SecretsError) as error:
        return _fail(context, FAILED, str(error))
    except OSError as error:
        place, reason = error.filename or context.home, error.strerror or error
        return _fail(
            context, FAILED, f"{place}: {reason}; make room or give yourself the right to it, then run the command again"
        )


def _fail(context: Context, code: int, message: str) -> int:
    context.error(f"error: {message}")
    return code


def _about(context: Context, arguments: Arguments) -> int:
    if arguments.command == "version":
        context.out(f"v{version('pulumi')}")
        context.error(HEADER)
    elif arguments.has("--json"):
        context.out_json({"user": context.user, "url": f"file://{context.home}", "organizations": ["organization"]})
    else:
        context.out(context.user)
    return 0
