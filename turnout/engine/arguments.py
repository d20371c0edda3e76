"""What the local engine understands of Pulumi's command line. An option that is not listed is refused by name."""

from dataclasses import dataclass, field
from itertools import dropwhile, takewhile

FLAG, VALUE, MANY, MAYBE = "flag", "value", "many", "flag or =true/=false"

_COMMON = {"--stack": VALUE, "--non-interactive": FLAG, "--color": VALUE, "--yes": FLAG}
_SHORT = {
    "-s": "--stack",
    "-y": "--yes",
    "-m": "--message",
    "-p": "--parallel",
    "-j": "--json",
    "-r": "--refresh",
    "-t": "--target",
    "-x": "--exclude",
    "-c": "--config",
    "-d": "--debug",
    "-C": "--cwd",
    "-e": "--emoji",
    "-Q": "--fully-qualify-stack-names",
    "-v": "--verbose",
}
"""Pulumi's short forms, of what is refused too: the refusal says the long one."""
_CONFIG = {"--config-file": VALUE, "--path": FLAG}
_UPDATE = {
    "--skip-preview": FLAG,
    "--message": VALUE,
    "--parallel": VALUE,
    "--expect-no-changes": FLAG,
    "--diff": FLAG,
    "--suppress-outputs": FLAG,
    "--suppress-progress": FLAG,
    "--event-log": VALUE,
    "--client": VALUE,
    "--exec-kind": VALUE,
    "--config-file": VALUE,
}
_POLICY = {"--policy-pack": MANY, "--policy-pack-config": MANY}
COMMANDS: dict[str, dict[str, str]] = {
    "version": {},
    "whoami": {"--json": FLAG},
    "stack": {},
    "stack init": {"--secrets-provider": VALUE, "--no-select": FLAG},
    "stack select": {"--create": FLAG},
    "stack ls": {"--json": FLAG, "--all": FLAG},
    "stack rm": {"--force": FLAG, "--preserve-config": FLAG},
    "stack output": {"--json": FLAG, "--show-secrets": FLAG},
    "stack export": {"--show-secrets": FLAG, "--file": VALUE},
    "stack import": {"--file": VALUE},
    "stack history": {"--json": FLAG, "--show-secrets": FLAG, "--page-size": VALUE, "--page": VALUE},
    "config": {**_CONFIG, "--json": FLAG, "--show-secrets": FLAG},
    "config get": {**_CONFIG, "--json": FLAG},
    "config set": {**_CONFIG, "--secret": FLAG, "--plaintext": FLAG},
    "config set-all": {**_CONFIG, "--secret": MANY, "--plaintext": MANY, "--json": VALUE},
    "config rm": _CONFIG,
    "config rm-all": _CONFIG,
    "up": {**_UPDATE, **_POLICY, "--refresh": MAYBE},
    "preview": {**_UPDATE, **_POLICY, "--refresh": MAYBE},
    "refresh": {**_UPDATE, "--preview-only": FLAG},
    "destroy": {**_UPDATE, "--refresh": MAYBE},
    "cancel": {},
}


class UsageError(Exception):
    """The command line is not understood; nothing was touched."""


@dataclass
class Arguments:
    """A parsed command line."""

    command: str
    positional: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    many: list[tuple[str, str]] = field(default_factory=list)
    """Options that are given several times, in order."""

    def has(self, option: str) -> bool:
        return option in self.values

    def flag(self, option: str, default: bool) -> bool:
        """An option that may say =true or =false."""
        return {"": True, "true": True, "false": False}.get(self.values[option], default) if self.has(option) else default

    def number(self, option: str, default: int) -> int:
        """A whole number, at least 1."""
        text = self.values.get(option, str(default))
        if not text.isdigit() or int(text) < 1:
            raise UsageError(f"{option} must be a whole number from 1 on, not {text!r}")
        return int(text)


def parse(args: list[str]) -> Arguments:
    """Reads Pulumi's arguments; raises `UsageError` that names what is not understood."""
    start = dropwhile(lambda word: word == "--non-interactive", args)
    words = list(takewhile(lambda word: not word.startswith("-"), start))
    command = next((name for name in (" ".join(words[:2]), words[0] if words else "") if name in COMMANDS), None)
    if command is None:
        raise UsageError(f"unknown command {' '.join(words[:2])!r} of the local engine (not Pulumi)")
    allowed = {**_COMMON, **COMMANDS[command]}
    parsed = Arguments(command)
    to_skip = command.split(" ")
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word == "--":
            parsed.positional += rest
            break
        if not word.startswith("-") or word == "-":
            if to_skip and word == to_skip[0]:
                to_skip.pop(0)
            else:
                parsed.positional.append(word)
            continue
        _option(word, rest, allowed, parsed)
    if parsed.command == "stack" and parsed.positional:
        raise UsageError(f"unknown command 'stack {parsed.positional[0]}' of the local engine (not Pulumi)")
    if parsed.command == "config" and parsed.positional:
        raise UsageError(f"unknown command 'config {parsed.positional[0]}' of the local engine (not Pulumi)")
    if parsed.values.get("--color", "never") not in ("never", "auto"):
        raise UsageError("--color: the local engine (not Pulumi) writes no colours: leave it out, or say never")
    return parsed


def _option(word: str, rest: list[str], allowed: dict[str, str], parsed: Arguments) -> None:
    name, equals, value = word.partition("=")
    name = _SHORT.get(name, name)
    kind = allowed.get(name)
    if kind is None:
        raise UsageError(f"option {name} of `{parsed.command}` is not supported by the local engine (not Pulumi)")
    if kind in (FLAG, MAYBE):
        if value not in ("", "true", "false") or (kind == FLAG and value == "false"):
            raise UsageError(f"option {name} of `{parsed.command}` takes no value {value!r}")
        parsed.values[name] = value
        return
    if not equals:
        if not rest:
            raise UsageError(f"option {name} of `{parsed.command}` needs a value")
        value = rest.pop(0)
    if kind == MANY:
        parsed.many.append((name, value))
    else:
        parsed.values[name] = value
