"""stack init, select, ls, rm, output, export, import, history, and cancel."""

import json
import os
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from turnout.engine import checkpoint
from turnout.engine.arguments import Arguments, UsageError
from turnout.engine.checkpoint import CheckpointError
from turnout.engine.context import CommandFailed, Context, StackContext
from turnout.engine.crypto import Secrets
from turnout.engine.display import HEADER, outputs
from turnout.engine.events import masked
from turnout.engine.plan import STACK_TYPE
from turnout.engine.state import Snapshot
from turnout.engine.store import stacks
from turnout.engine.wire import SECRET_SIGNATURE, SIGNATURE_KEY, has_secret, plain


def _about(context: Context, arguments: Arguments) -> int:
    stack = context.stack(arguments)
    snapshot = stack.store.load()
    context.out(f"Current stack is {stack.name}, kept in {stack.store.folder} by the {HEADER}")
    context.out(f"{len(snapshot.resources)} resources, {len(snapshot.pending)} interrupted operations")
    for line in outputs(_outputs(snapshot, shown=False)):
        context.out(line)
    return 0


def _init(context: Context, arguments: Arguments) -> int:
    if arguments.values.get("--secrets-provider", "passphrase") not in ("passphrase", "default"):
        raise UsageError(f"--secrets-provider: the {HEADER} knows only passphrase")
    stack = StackContext(context, context.stack_name(arguments, _one(arguments, "stack name")))
    with stack.store.lock():
        if stack.store.exists():
            raise CommandFailed(f"stack '{stack.full_name}' already exists")
        stack.store.create()
    if not arguments.has("--no-select"):
        _remember(context, stack.name)
    context.out(f"Created stack '{stack.name}'")
    return 0


def _select(context: Context, arguments: Arguments) -> int:
    name = context.stack_name(arguments, _one(arguments, "stack name"))
    stack = StackContext(context, name)
    if not stack.store.exists() and arguments.has("--create"):
        stack.store.create()
    _remember(context, context.stack(arguments, name).name)
    return 0


def _list(context: Context, arguments: Arguments) -> int:
    selected = context.selected_file.read_text(encoding="utf-8").strip() if context.selected_file.exists() else ""
    rows = []
    for name in stacks(context.home, context.project.name):
        stack = StackContext(context, name)
        row: dict[str, Any] = {"name": name, "current": name == selected, "updateInProgress": bool(stack.store.holder())}
        latest = next(stack.store.history(), None)
        if latest:
            row["lastUpdate"] = latest["endTime"]
        rows.append({**row, **_count(stack)})
    if arguments.has("--json"):
        context.out_json(rows)
        return 0
    context.out(f"{'NAME':<24}{'LAST UPDATE':<28}RESOURCES")
    for row in rows:
        name = f"{row['name']}{'*' if row['current'] else ''}"
        context.out(f"{name:<24}{row.get('lastUpdate', 'n/a'):<28}{row.get('resourceCount', 'unreadable')}")
    return 0


def _count(stack: StackContext) -> dict[str, int]:
    """How many resources the checkpoint has; nothing where it cannot be read, so that the other stacks are still told."""
    try:
        data, _ = checkpoint.read(stack.store.checkpoint_path)
        return {"resourceCount": len(data["deployment"].get("resources") or ())}
    except (CheckpointError, KeyError, TypeError, AttributeError):
        return {}


def _remove(context: Context, arguments: Arguments) -> int:
    stack = context.stack(arguments, _one(arguments, "stack name"))
    with stack.store.lock():
        if stack.store.load().resources and not arguments.has("--force"):
            raise CommandFailed(f"'{stack.name}' still has resources; destroy them first, or remove it with --force")
        stack.store.remove()
    if not arguments.has("--preserve-config"):
        stack.file.path.unlink(missing_ok=True)
    if context.selected_file.exists() and context.selected_file.read_text(encoding="utf-8").strip() == stack.name:
        context.selected_file.unlink()
    context.out(f"Stack '{stack.name}' has been removed!")
    return 0


def _output(context: Context, arguments: Arguments) -> int:
    stack = context.stack(arguments)
    values = _outputs(stack.store.load(), shown=arguments.has("--show-secrets"))
    name = _one(arguments, "output")
    if name and name not in values:
        raise CommandFailed(f"current stack does not have output property '{name}'")
    if arguments.has("--json"):
        context.out_json(values[name] if name else values)
    elif name:
        context.answer(values[name] if isinstance(values[name], str) else json.dumps(values[name]))
    else:
        for line in outputs(values):
            context.answer(line)
    return 0


def _export(context: Context, arguments: Arguments) -> int:
    stack = context.stack(arguments)
    data = checkpoint.encode(stack.store.load(), stack.secrets, datetime.now(UTC))
    if arguments.has("--show-secrets"):
        data = _opened(data, stack.secrets)
    if arguments.has("--file"):
        checkpoint.replace_file(context.cwd / arguments.values["--file"], json.dumps(data, indent=4).encode())
    else:
        context.out_json(data)
    return 0


REFUSED = 2
_IMPORT_FIX = "export the stack again, or undo the edit; nothing was imported"


def _import(context: Context, arguments: Arguments) -> int:
    stack = context.stack(arguments)
    if not arguments.has("--file"):
        raise UsageError("stack import needs --file with an export of the stack")
    source = context.cwd / arguments.values["--file"]
    try:
        snapshot = _imported(stack, source)
    except CheckpointError as error:
        raise CommandFailed(str(error), REFUSED) from None
    with stack.store.lock():
        _forget_damaged(stack)
        stack.store.save(snapshot)
    context.out("Import complete.")
    return 0


def _imported(stack: StackContext, source: Path) -> Snapshot:
    data, _ = checkpoint.read(source, fix=_IMPORT_FIX)
    snapshot = checkpoint.decode(data, stack.secrets_for, str(source), fix=_IMPORT_FIX)
    prefix = f"urn:pulumi:{stack.name}::{stack.store.project}::"
    if stranger := next((state.urn for state in snapshot.resources if not state.urn.startswith(prefix)), None):
        raise CheckpointError(f"{source} is of another stack: {stranger}; import an export of '{stack.name}'")
    checkpoint.refuse_dangling(snapshot, str(source), _IMPORT_FIX)
    return snapshot


def _forget_damaged(stack: StackContext) -> None:
    """An import is the way out of damaged files: they are set aside, not overwritten."""
    try:
        stack.store.load()
    except CheckpointError:
        mark = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        for path in (stack.store.checkpoint_path, stack.store.journal_path):
            if path.exists():
                path.rename(path.with_name(f"{path.name}.damaged-{mark}"))


def _history(context: Context, arguments: Arguments) -> int:
    stack = context.stack(arguments)
    entries = list(stack.store.history())
    if arguments.has("--page-size"):
        size, page = arguments.number("--page-size", 10), arguments.number("--page", 1)
        entries = entries[size * (page - 1) : size * page]
    shown = arguments.has("--show-secrets")
    for entry in entries:
        entry["config"] = {key: _config_entry(value, shown, stack) for key, value in entry["config"].items()}
    if arguments.has("--json"):
        context.out_json(entries)
        return 0
    for entry in entries:
        context.out(f"{entry['version']:>5}  {entry['kind']:<8} {entry['result']:<10} {entry['endTime']}  {entry['message']}")
    return 0


def _config_entry(entry: dict[str, Any], shown: bool, stack: StackContext) -> dict[str, Any]:
    if not entry["secret"]:
        return entry
    return {"secret": True, **({"value": stack.secrets_for(entry["salt"]).decrypt(entry["value"])} if shown else {})}


def _cancel(context: Context, arguments: Arguments) -> int:
    stack = context.stack(arguments, _one(arguments, "stack name"))
    holder = stack.store.holder()
    if holder is None:
        raise CommandFailed(f"no update of '{stack.name}' is in progress")
    if holder.get("host") != socket.gethostname():
        stack.store.take_lock_away()
        who = f"{holder.get('user')}@{holder.get('host')}, pid {holder.get('pid')}, since {holder.get('since')}"
        context.out(f"'{stack.name}' is free: {who} no longer holds it. Make sure that no update runs there any more.")
        return 0
    if holder.get("pid") == os.getpid():
        raise CommandFailed(f"the update of '{stack.name}' cannot be stopped from here: it is held by {holder}")
    os.kill(int(holder["pid"]), signal.SIGINT)
    context.out(f"The update of '{stack.name}' (pid {holder['pid']}) was asked to stop.")
    return 0


def _outputs(snapshot: Snapshot, shown: bool) -> dict[str, Any]:
    root = next((state for state in snapshot.resources if state.type == STACK_TYPE), None)
    values = root.outputs if root else {}
    if shown:
        return dict(plain(values))
    return {name: "[secret]" if has_secret(value) else masked(value) for name, value in values.items()}


def _opened(value: Any, secrets: Secrets) -> Any:
    if isinstance(value, dict):
        if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return {SIGNATURE_KEY: SECRET_SIGNATURE, "plaintext": secrets.decrypt(value["ciphertext"])}
        return {key: _opened(item, secrets) for key, item in value.items()}
    return [_opened(item, secrets) for item in value] if isinstance(value, list) else value


def _remember(context: Context, name: str) -> None:
    path: Path = context.selected_file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(name + "\n", encoding="utf-8")


def _one(arguments: Arguments, what: str) -> str:
    if len(arguments.positional) > 1:
        raise UsageError(f"`{arguments.command}` takes one {what}, not {len(arguments.positional)}")
    return arguments.positional[0] if arguments.positional else ""


HANDLERS = {
    "stack": _about,
    "stack init": _init,
    "stack select": _select,
    "stack ls": _list,
    "stack rm": _remove,
    "stack output": _output,
    "stack export": _export,
    "stack import": _import,
    "stack history": _history,
    "cancel": _cancel,
}
