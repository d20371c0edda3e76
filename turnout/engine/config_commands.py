"""config, config get, set, set-all, rm, rm-all."""

import json
from typing import Any

from turnout.engine.arguments import Arguments, UsageError
from turnout.engine.context import CommandFailed, Context
from turnout.engine.display import HEADER
from turnout.engine.workspace import Value


def _list(context: Context, arguments: Arguments) -> int:
    stack = context.stack(arguments)
    shown = arguments.has("--show-secrets")
    values = stack.file.values(stack.secrets) if shown else stack.file.masked()
    if arguments.has("--json"):
        context.out_json({key: _as_json(value, shown) for key, value in sorted(values.items())})
        return 0
    width = max((len(key) for key in values), default=3)
    context.out(f"{'KEY':<{width}}  VALUE")
    for key, value in sorted(values.items()):
        context.answer(f"{key:<{width}}  {'[secret]' if value.secret and not shown else value.text}")
    return 0


def _get(context: Context, arguments: Arguments) -> int:
    stack = context.stack(arguments)
    (key,) = _operands(arguments, "KEY")
    try:
        value = stack.file.get(key, arguments.has("--path"), stack.secrets)
    except KeyError:
        raise CommandFailed(f"configuration key {key!r} not found for stack '{stack.name}'") from None
    if arguments.has("--json"):
        context.out_json({"name": key, **_as_json(value, shown=True)})
    else:
        context.answer(value.text)
    return 0


def _set(context: Context, arguments: Arguments) -> int:
    stack = context.stack(arguments)
    key, text = _operands(arguments, "KEY", "VALUE")
    path, secret = arguments.has("--path"), arguments.has("--secret")
    stack.file.set(key, text, path=path, secret=secret, secrets=stack.secrets)
    stack.file.save()
    return 0


def _set_all(context: Context, arguments: Arguments) -> int:
    stack = context.stack(arguments)
    path = arguments.has("--path")
    for option, pair in arguments.many:
        key, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"{option} {key!r}: write KEY=VALUE")
        stack.file.set(key, text, path=path, secret=option == "--secret", secrets=stack.secrets)
    for key, entry in _json_entries(arguments).items():
        secret = bool(entry.get("secret"))
        stack.file.set(key, str(entry["value"]), path=path, secret=secret, secrets=stack.secrets)
    stack.file.save()
    return 0


def _json_entries(arguments: Arguments) -> dict[str, dict[str, Any]]:
    if not arguments.has("--json"):
        return {}
    try:
        entries = json.loads(arguments.values["--json"])
        if not all("value" in entry for entry in entries.values()):
            raise ValueError
    except (ValueError, TypeError, AttributeError):
        raise UsageError('--json: write {"KEY": {"value": "…", "secret": false}, …} as `config --json` prints') from None
    if any("objectValue" in entry for entry in entries.values()):
        raise UsageError(f"--json: objectValue is not supported by the {HEADER}: set structured values by --path")
    return dict(entries)


def _remove(context: Context, arguments: Arguments) -> int:
    stack = context.stack(arguments)
    if not arguments.positional:
        raise UsageError("config rm needs the KEY to remove")
    for key in arguments.positional:
        stack.file.remove(key, path=arguments.has("--path"))
    stack.file.save()
    return 0


def _as_json(value: Value, shown: bool) -> dict[str, Any]:
    data: dict[str, Any] = {"secret": value.secret}
    if shown or not value.secret:
        data["value"] = value.text
        if value.object is not None:
            data["objectValue"] = value.object
    return data


def _operands(arguments: Arguments, *names: str) -> list[str]:
    if len(arguments.positional) != len(names):
        raise UsageError(f"`{arguments.command}` needs {' '.join(names)}, not {len(arguments.positional)} values")
    return arguments.positional


HANDLERS = {
    "config": _list,
    "config get": _get,
    "config set": _set,
    "config set-all": _set_all,
    "config rm": _remove,
    "config rm-all": _remove,
}
