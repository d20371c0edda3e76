"""What is wrong with the form of config, from pydantic's errors: field, value, reason, and what to write there."""

import difflib
import json
from typing import Any, get_args

from pydantic import BaseModel

from turnout_components.checks import Fault

MISSING = object()
"""The input of an error for what is not there at all."""
SHOWN = 100
"""Characters of a section's value that are shown; the reason names the part that is wrong."""


def shape_fault(root: type[BaseModel], path: tuple[Any, ...], error: Any) -> Fault:
    """A fault at this path of `root`'s config, from one of `ValidationError.errors()`: the description of the field, or of the
    deepest one on the way, says what to write."""
    model, fix = _describe(root, path)
    if error["type"] == "extra_forbidden" and model is not None:
        return unknown(path, error["input"], model)
    field = ".".join(str(part) for part in path)
    if error["type"] == "missing" or error["input"] is MISSING:
        return Fault(field, None, "is missing", fix)
    reason = error["msg"].removeprefix("Value error, ")
    return Fault(field, error["input"], reason[:1].lower() + reason[1:], fix)


def unknown(path: tuple[Any, ...], value: Any, model: type[BaseModel]) -> Fault:
    """A key that its section does not have."""
    known = list(model.model_fields)
    near = difflib.get_close_matches(str(path[-1]), known, n=1)
    fix = f"did you mean {near[0]}?" if near else f"remove it; known here: {', '.join(known)}"
    return Fault(".".join(str(part) for part in path), value, "is no setting", fix)


def line(fault: Fault) -> str:
    """A fault as people read it."""
    value = "(nothing)" if fault.value is None else json.dumps(fault.value, default=str, ensure_ascii=False)
    if len(value) > SHOWN and isinstance(fault.value, dict):
        value = "{…}"
    return f"turnout:{fault.field} = {value}: {fault.reason}" + (f"; {fault.fix}" if fault.fix else "")


def _describe(root: type[BaseModel], path: tuple[Any, ...]) -> tuple[type[BaseModel] | None, str]:
    """The model that the last part of a path belongs to, and the description of the deepest field on the way."""
    model: type[BaseModel] | None = root
    fix = ""
    for part in path[:-1]:
        if isinstance(part, int):
            continue
        if model is None or part not in model.model_fields:
            return None, fix
        field = model.model_fields[part]
        fix = field.description or fix
        model = next((form for form in (field.annotation, *get_args(field.annotation)) if _is_section(form)), None)
    if model is not None and path and path[-1] in model.model_fields:
        fix = model.model_fields[path[-1]].description or fix
    return model, fix


def _is_section(form: Any) -> bool:
    return isinstance(form, type) and issubclass(form, BaseModel)
