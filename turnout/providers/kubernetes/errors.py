"""What an API server says in its `Status`, as an operator reads it: on one screen, with whom it concerns."""

from collections.abc import Mapping
from typing import Any

from turnout.engine.provider import NotFound, ProviderError

SHOWN_CAUSES = 8
"""Causes of one refusal that are told; the others are counted."""
LONGEST_CAUSE = 400
"""Characters of one cause."""
_CONFLICT = "FieldManagerConflict"


class ApiError(ProviderError):
    """The API server refused a call. `code` is HTTP's, `reason` the Status's."""

    def __init__(self, message: str, code: int, reason: str, causes: tuple[Mapping[str, Any], ...] = ()) -> None:
        super().__init__(message)
        self.code, self.reason, self.causes = code, reason, causes

    @property
    def is_conflict_of_fields(self) -> bool:
        """Whether another manager owns a field that was to be changed ("Server-Side Apply", Kubernetes: Conflicts)."""
        return any(cause.get("reason") == _CONFLICT for cause in self.causes)


class Absent(NotFound):
    """The object, its namespace or its kind is not there. `about` names what."""

    def __init__(self, message: str, about: str) -> None:
        super().__init__(message)
        self.about = about


def refused(code: int, status: Mapping[str, Any], subject: str) -> ProviderError:
    """The error in an answer that is no success. `subject`: what was asked, of which object."""
    message = str(status.get("message") or f"HTTP {code}")
    details = status.get("details") or {}
    causes = tuple(details.get("causes") or ())
    if code == 404:
        return Absent(f"{subject}: {_short(message)}", f"{details.get('kind', '')}/{details.get('name', '')}")
    lines = _lines(causes)
    text = f"{subject}: {_short(message)}" if len(lines) < 2 else f"{subject}:\n" + "\n".join(lines)
    return ApiError(text, code, str(status.get("reason") or ""), causes)


def conflict(error: ApiError, subject: str, manager: str) -> ApiError:
    """A conflict in words that say who owns what, and the two ways out."""
    lines = _lines(error.causes)
    ways = (
        "leave these fields out of the program, or take them over by the annotation pulumi.com/patchForce: "
        '"true" (enablePatchForce of the provider does it for all)'
    )
    text = f"{subject}: fields that {manager} applies belong to another manager:\n" + "\n".join(lines) + f"\n{ways}"
    return ApiError(text, error.code, error.reason, error.causes)


def _lines(causes: tuple[Mapping[str, Any], ...]) -> list[str]:
    told = [f"  {cause.get('field') or '(object)'}: {_short(str(cause.get('message') or ''))}" for cause in causes]
    more = [f"  and {len(told) - SHOWN_CAUSES} more"] if len(told) > SHOWN_CAUSES else []
    return [*told[:SHOWN_CAUSES], *more]


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= LONGEST_CAUSE else f"{flat[: LONGEST_CAUSE - 1]}…"
