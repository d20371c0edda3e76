"""What one command works with: its project, stack, secrets, environment and output."""

import getpass
import json
import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pulumi.automation._cmd import OnOutput

from turnout.engine.arguments import Arguments
from turnout.engine.checkpoint import replace_file
from turnout.engine.config_values import ConfigError
from turnout.engine.crypto import Secrets, environment_passphrases
from turnout.engine.provider import ResourceType
from turnout.engine.redact import Redactor
from turnout.engine.store import StackStore
from turnout.engine.workspace import Project, StackFile, load_project

ORGANIZATION = "organization"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")


class CommandFailed(Exception):
    """The command ends with this code and message."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class Context:
    """One command's surroundings. `added` are the variables that the caller added to this process's."""

    def __init__(
        self,
        home: Path,
        cwd: Path,
        environment: Mapping[str, str],
        added: Mapping[str, str],
        providers: Mapping[str, ResourceType],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
    ) -> None:
        self.home = home.resolve()
        self.cwd = cwd.resolve()
        self.environment = environment
        self.added = added
        self.providers = providers
        self.redactor = Redactor()
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self._on_output = on_output
        self._on_error = on_error

    @cached_property
    def project(self) -> Project:
        return load_project(self.cwd)

    @property
    def user(self) -> str:
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            return str(os.getuid())

    def out(self, line: str) -> None:
        """Writes to stdout, without secrets that are known."""
        _tell(str(self.redactor.clean(line)), self.stdout, self._on_output)

    def answer(self, text: str) -> None:
        """Writes to stdout what the caller asked for as it is, secrets included if it asked for those."""
        _tell(text, self.stdout, self._on_output)

    def out_json(self, data: Any) -> None:
        """Answers in JSON."""
        self.answer(json.dumps(data, indent=2, ensure_ascii=False))

    def error(self, line: str) -> None:
        """Writes to stderr, without secrets that are known."""
        _tell(str(self.redactor.clean(line)), self.stderr, self._on_error)

    @property
    def selected_file(self) -> Path:
        return self.home / "stacks" / self.project.name / "selected"

    def stack_name(self, arguments: Arguments, given: str = "") -> str:
        """The stack that `--stack`, else `given`, else the last `stack select` names."""
        name = given or arguments.values.get("--stack", "")
        if not name and self.selected_file.exists():
            name = self.selected_file.read_text(encoding="utf-8").strip()
        if not name:
            raise ConfigError("no stack selected: name one with --stack, or select one with `stack select`")
        *scope, short = name.split("/")
        if not _NAME.fullmatch(short) or short in (".", ".."):
            raise ConfigError(f"a stack cannot be called {short!r}: use letters, digits, hyphens, underscores and dots")
        if scope and scope[-1] not in (self.project.name, ORGANIZATION):
            raise ConfigError(f"stack {name!r} is of another project; this one is {self.project.name!r}")
        return short

    def stack(self, arguments: Arguments, given: str = "") -> "StackContext":
        """The stack that the command is about; it must exist."""
        found = StackContext(self, self.stack_name(arguments, given), arguments.values.get("--config-file", ""))
        if not found.store.exists():
            raise CommandFailed(f"no stack named '{found.name}' found")
        return found


class StackContext:
    """One stack: its file, its state, its secrets."""

    def __init__(self, context: Context, name: str, config_file: str = "") -> None:
        self.name = name
        self.folder = context.home / "stacks" / context.project.name / name
        path = context.cwd / config_file if config_file else context.project.stack_file(name)
        self.file = StackFile(path, context.project)
        self._notice = context.redactor.learn_plaintext
        self._passphrases = environment_passphrases(context.environment, context.home / "passphrase")
        self.secrets = Secrets(self.file.salt or self._kept_salt(), self._passphrases, self._keep_salt, self._notice)
        self.store = StackStore(
            context.home,
            context.project.name,
            name,
            self.secrets,
            secrets_for=self.secrets_for,
        )

    @property
    def full_name(self) -> str:
        return f"{ORGANIZATION}/{self.store.project}/{self.name}"

    def secrets_for(self, salt: str) -> Secrets:
        """The manager for a salt that a file names; "" and the stack's own are the stack's."""
        return self.secrets if salt in ("", self.secrets.salt) else Secrets(salt, self._passphrases, notice=self._notice)

    def _kept_salt(self) -> str:
        path = self.folder / "salt"
        return path.read_text(encoding="utf-8").strip() if path.exists() else ""

    def _keep_salt(self, salt: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_file(self.folder / "salt", salt.encode())


def _tell(text: str, lines: list[str], callback: OnOutput | None) -> None:
    for line in text.split("\n"):
        lines.append(line)
        if callback is not None:
            callback(line)
