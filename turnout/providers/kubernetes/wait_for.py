"""The annotation `pulumi.com/waitFor`: what the program itself says an object has to become (`ReadyCondition`, overrides.go of
pulumi-kubernetes). It takes the place of what the provider would wait for.

`condition=<type>[=<status>]`, `jsonpath={.path}[=<value>]`, or a JSON list of these, all of which have to hold.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

_STEP = re.compile(r"""\.(?P<name>[A-Za-z_][\w-]*)|\[(?P<index>\d+)\]|\[['"](?P<key>[^'"]+)['"]\]""")
_JSONPATH = re.compile(r"jsonpath=['\"]?\{(?P<path>[^}]*)\}['\"]?(?:=(?P<value>.*))?", re.DOTALL)


def expressions(text: str) -> list[str]:
    """The expressions of the annotation. Raises `ValueError` for what is none, or is none that the local engine knows."""
    found: Any = json.loads(text) if text.lstrip().startswith("[") else [text]
    if not isinstance(found, list) or not found or not all(isinstance(each, str) for each in found):
        raise ValueError("wants a text, or a JSON list of texts with at least one")
    for each in found:
        _parsed(each)
    return found


def missing(live: Mapping[str, Any], text: str) -> list[str]:
    """What does not hold yet, expression by expression."""
    return [told for each in expressions(text) if (told := _missing(live, each))]


def _missing(live: Mapping[str, Any], expression: str) -> str:
    steps, wanted = _parsed(expression)
    if steps is None:
        name, _, status = wanted.partition("=")
        conditions = (live.get("status") or {}).get("conditions") or []
        found: Mapping[str, Any] = next((each for each in conditions if str(each.get("type")).lower() == name.lower()), {})
        if str(found.get("status", "")).lower() == (status or "True").lower():
            return ""
        why = " ".join(filter(None, (str(found.get("reason") or ""), str(found.get("message") or ""))))
        return f"{expression}: it is {found.get('status', 'not reported')}" + (f" ({why})" if why else "")
    value: Any = live
    for step in steps:
        value = _below(value, step)
    if value is None:
        return f"{expression}: there is nothing yet"
    shown = value if isinstance(value, str) else json.dumps(value)
    return "" if not wanted or shown == wanted.strip("\"'") else f"{expression}: it is {shown}"


def _below(value: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return value[step] if isinstance(value, list) and step < len(value) else None
    return value.get(step) if isinstance(value, Mapping) else None


def _parsed(expression: str) -> tuple[list[str | int] | None, str]:
    """Steps of a path with the value wanted ("" for any), or None with a condition."""
    if expression.startswith("condition=") and len(expression) > len("condition="):
        return None, expression.removeprefix("condition=")
    found = _JSONPATH.fullmatch(expression)
    if found is None:
        raise ValueError(f"{expression!r} begins with neither condition= nor jsonpath={{…}}")
    steps: list[str | int] = []
    rest = found["path"]
    while rest:
        step = _STEP.match(rest)
        if step is None:
            raise ValueError(f"{expression!r}: the local engine knows names and numbers in a path, not {rest!r}")
        steps.append(int(step["index"]) if step["index"] else step["name"] or step["key"])
        rest = rest[step.end() :]
    return steps, found["value"] or ""
