"""A smoke set: requests with the answers that are expected of a release, and the limits within which it has to give them.

`smoke.yaml` in the folder of the server's image.toml (docs/model-pipeline.md). It proves that a release loads and makes sense
of requests; how good it is, evaluation and gates say.
"""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from turnout_components.durations import DURATION, Duration

FILE = "smoke.yaml"
_SIZE = re.compile(r"^(?P<number>\d{1,6})(?P<unit>[MG])iB$")
_WORDS = "write $near with $within, $contains or $matches"
_PATH = r"^/[!-~]*$"
_UNITS = {"M": 2**20, "G": 2**30}


class SmokeSetError(ValueError):
    """A smoke set that cannot be read; the message says file, field and fix."""


def _bytes(text: Any) -> Any:
    match = _SIZE.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("write a number and MiB or GiB, such as 512MiB or 4GiB")
    return int(match["number"]) * _UNITS[match["unit"]]


def _as_json(body: Any) -> Any:
    try:
        json.dumps(body, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"is sent as JSON, which has no such value: {error}; write a date in quotes") from None
    return body


def _expectation(expected: Any) -> Any:
    """Refuses words that no answer could meet: `_by_word` would call every answer wrong for them."""
    if isinstance(expected, Mapping):
        if any(str(key).startswith("$") for key in expected) and not _is_word(dict(expected)):
            raise ValueError(f"{expected} is no expectation; {_WORDS}")
        for value in expected.values():
            _expectation(value)
    elif isinstance(expected, list):
        for value in expected:
            _expectation(value)
    return expected


def _is_word(expected: dict[Any, Any]) -> bool:
    match expected:
        case {"$near": wanted, "$within": within} if len(expected) == 2:
            return _is_number(wanted) and _is_number(within)
        case {"$contains": _} if len(expected) == 1:
            return True
        case {"$matches": pattern} if len(expected) == 1:
            try:
                re.compile(str(pattern))
            except re.error as error:
                raise ValueError(f"$matches: {pattern!r} is no pattern: {error}") from None
            return True
    return False


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Strict):
    """What a server may take. `load`: until it says that it is ready; `memory`: resident bytes of it and its children together,
    at any moment; `request`: until an answer is whole; `p95`: of all answers, if it matters."""

    load: Duration = timedelta(minutes=2)
    memory: Annotated[int, BeforeValidator(_bytes)] = 4 * 2**30
    request: Duration = timedelta(seconds=30)
    p95: Duration | None = None


class Case(_Strict):
    """One request and what its answer must hold (`mismatch`)."""

    body: Annotated[Any, AfterValidator(_as_json)]
    expect: Annotated[Any, AfterValidator(_expectation)]


class SmokeSet(_Strict):
    """`right`: least share of the cases whose answer is as expected; every one must be answered with `status`. `waive`: why the
    manifest may lack its provenance, as of a model that others have trained; nothing else can be let pass."""

    path: str = Field(pattern=_PATH)
    ready: str = Field("/ready", pattern=_PATH)
    method: str = Field("POST", pattern="^[A-Z]+$")
    status: int = 200
    tolerance: float = Field(0.0, ge=0)
    right: float = Field(1.0, gt=0, le=1)
    rounds: int = Field(1, ge=1, le=100)
    limits: Limits = Limits()
    cases: tuple[Case, ...] = Field(min_length=1)
    waive: dict[Literal["provenance"], Annotated[str, Field(min_length=1)]] = {}


def read(path: Path) -> SmokeSet:
    """The smoke set in a file.

    Raises `SmokeSetError`."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return SmokeSet.model_validate(content if content is not None else {})
    except FileNotFoundError:
        fix = "write one beside image.toml (docs/model-pipeline.md), or say --smoke"
        raise SmokeSetError(f"no smoke set {path}: {fix}") from None
    except ValidationError as error:
        lines = (f"{path}: {'.'.join(map(str, e['loc'])) or 'smoke set'}: {_said(e)}" for e in error.errors())
        raise SmokeSetError("\n".join(lines)) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SmokeSetError(f"{path}: no smoke set can be read: {str(error).splitlines()[0]}") from None


def _said(error: Any) -> str:
    return f"{error['input']!r}: {DURATION}" if "is no duration" in error["msg"] else str(error["msg"])


def mismatch(expected: Any, found: Any, tolerance: float = 0.0, at: str = "answer") -> str | None:
    """Where an answer differs from what is expected; None where it does not.

    Of an object what is expected must be there, more may be. Numbers may differ by `tolerance`; `{$near: 0.9, $within: 0.05}`
    gives one its own, `{$contains: text}` and `{$matches: pattern}` are for texts."""
    if isinstance(expected, Mapping):
        if any(str(key).startswith("$") for key in expected):
            return _by_word(dict(expected), found, at)
        if not isinstance(found, Mapping):
            return f"{at} is {_short(found)}, not an object"
        missing = [key for key in expected if key not in found]
        if missing:
            return f"{at} has no {missing[0]}"
        faults = (mismatch(expected[key], found[key], tolerance, f"{at}.{key}") for key in expected)
        return next(filter(None, faults), None)
    if isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            return f"{at} is {_short(found)}, not a list of {len(expected)}"
        faults = (
            mismatch(one, other, tolerance, f"{at}[{i}]") for i, (one, other) in enumerate(zip(expected, found, strict=True))
        )
        return next(filter(None, faults), None)
    same = _is_near(expected, found, tolerance) if _is_number(expected) else type(found) is type(expected) and found == expected
    return None if same else f"{at} is {_short(found)}, expected {_short(expected)}"


def _by_word(expected: dict[str, Any], found: Any, at: str) -> str | None:
    text = str(found) if isinstance(found, str) else None
    match expected:
        case {"$near": wanted, "$within": within} if len(expected) == 2 and _is_number(wanted):
            near = _is_near(wanted, found, within)
            return None if near else f"{at} is {_short(found)}, expected {wanted} within {within}"
        case {"$contains": part} if len(expected) == 1:
            there = text is not None and str(part) in text
            return None if there else f"{at} is {_short(found)}, expected {part!r} in it"
        case {"$matches": pattern} if len(expected) == 1:
            there = text is not None and re.search(str(pattern), text) is not None
            return None if there else f"{at} is {_short(found)}, expected to match {pattern!r}"
    return f"{at}: {expected} is no expectation; {_WORDS}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_near(wanted: float, found: Any, within: float) -> bool:
    try:
        return _is_number(found) and abs(found - wanted) <= within
    except OverflowError:  # of an integer beyond every float
        return False


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
