"""Config as Pulumi understands it: keys, paths into structured values, what a YAML value means to a program.

Source: pulumi/pulumi, sdk/go/common/resource/config (`ParseKey`, `Map.Set`, `adjustObjectValue`), resource.ParsePropertyPath.
"""

import json
import re
from collections.abc import Callable, MutableMapping, MutableSequence
from itertools import pairwise
from typing import Any

Path = list[str | int]
_SEGMENT = re.compile(r"""\.?([^.\[\]"]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]""")
_INTEGER = re.compile(r"-?(0|[1-9]\d*)")


class ConfigError(Exception):
    """Config cannot be read or written; the message names the key and the fix."""


def full_key(text: str, project: str) -> str:
    """`service` and `turnout:config:service` are `turnout:service`."""
    parts = text.split(":")
    if len(parts) == 1:
        parts = [project, *parts]
    if len(parts) == 3 and parts[1] == "config":
        parts = [parts[0], parts[2]]
    if len(parts) != 2 or not all(parts):
        raise ConfigError(f"invalid configuration key {text!r}: write <name> or <namespace>:<name>")
    return ":".join(parts)


def parse_path(text: str, project: str) -> tuple[str, Path]:
    """`ns:traffic.zones[0]` as the key `ns:traffic` and the path below it."""
    namespace, colon, rest = text.rpartition(":")
    segments: Path = []
    position = 0
    while position < len(rest):
        match = _SEGMENT.match(rest, position)
        if match is None or (position == 0 and rest[0] == "."):
            raise ConfigError(f'invalid config path {text!r} at {rest[position:]!r}: write key.name[0]["other name"]')
        name, index, quoted = match.groups()
        segments.append(int(index) if index is not None else name if name is not None else quoted.replace('\\"', '"'))
        position = match.end()
    if not segments or not isinstance(segments[0], str):
        raise ConfigError(f"invalid config path {text!r}: it begins with a key")
    return full_key(f"{namespace}{colon}{segments[0]}", project), segments[1:]


def typed(text: str) -> Any:
    """A value set by a path: true, false and whole numbers get their type, as `pulumi config set --path` gives it."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if _INTEGER.fullmatch(text) and text != "-0" else text


def get_at(root: Any, path: Path, name: str) -> Any:
    """What stands at a path; `KeyError` where nothing does."""
    value = root
    for step in path:
        if not _has(value, step):
            raise KeyError(name)
        value = value[step]
    return value


def set_at(root: MutableMapping[str, Any], key: str, path: Path, value: Any) -> None:
    """Sets a value, making the maps and lists on the way to it."""
    holder: Any = root
    steps: Path = [key, *path]
    for step, following in pairwise(steps):
        if not _has(holder, step) or not isinstance(holder[step], MutableMapping | MutableSequence):
            if _has(holder, step) and holder[step] is not None:
                raise ConfigError(f"{key}: {step!r} holds a plain value, which has nothing below it; remove it first")
            _put(holder, step, {} if isinstance(following, str) else [], key)
        holder = holder[step]
        if is_secure(holder):
            raise ConfigError(f"{key}: {step!r} is a secret, which has nothing below it; remove it first")
    _put(holder, steps[-1], value, key)


def remove_at(root: MutableMapping[str, Any], key: str, path: Path) -> None:
    """Removes what stands at a path; nothing there is no error, as with `pulumi config rm`."""
    holder: Any = root
    for step in [key, *path][:-1]:
        if not _has(holder, step):
            return
        holder = holder[step]
    if _has(holder, [key, *path][-1]):
        del holder[[key, *path][-1]]


def is_secure(value: Any) -> bool:
    """`{secure: v1:…}`: an encrypted value."""
    return isinstance(value, MutableMapping) and list(value) == ["secure"] and isinstance(value["secure"], str)


def has_secure(value: Any) -> bool:
    """Whether there is an encrypted value anywhere inside."""
    if is_secure(value):
        return True
    items = value.values() if isinstance(value, MutableMapping) else value if isinstance(value, MutableSequence) else ()
    return any(has_secure(item) for item in items)


def opened(value: Any, secure: Callable[[str], Any]) -> Any:
    """The value as plain Python, with `secure(ciphertext)` in the place of each secret."""
    if is_secure(value):
        return secure(value["secure"])
    if isinstance(value, MutableMapping):
        return {str(key): opened(item, secure) for key, item in value.items()}
    if isinstance(value, MutableSequence):
        return [opened(item, secure) for item in value]
    return value


def as_text(value: Any) -> str:
    """What a program gets: text as it is, everything else as JSON."""
    return str(value) if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)


def _has(holder: Any, step: Any) -> bool:
    if isinstance(holder, MutableMapping):
        return isinstance(step, str) and step in holder
    return isinstance(holder, MutableSequence) and isinstance(step, int) and step < len(holder)


def _put(holder: Any, step: Any, value: Any, key: str) -> None:
    if _has(holder, step) or (isinstance(holder, MutableMapping) and isinstance(step, str)):
        holder[step] = value
    elif isinstance(holder, MutableSequence) and step == len(holder):
        holder.append(value)
    else:
        kind = f"a list, whose next index is {len(holder)}" if isinstance(holder, MutableSequence) else "a map"
        raise ConfigError(f"{key}: {step!r} does not fit {kind}")
