"""What policies allow, by "Policy evaluation logic" and "IAM JSON policy elements: Condition operators" (IAM User Guide).

moto evaluates neither conditions of these kinds nor resources' policies (`test_why_moto_alone_does_not_do`). An operator or
element that is not known here is an error, not a guess."""

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

Context = Mapping[str, str]
"""Condition keys of a request; a key that is missing is missing in the request."""


def like(pattern: str, value: str) -> bool:
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


def equal(expected: str, value: str) -> bool:
    return expected == value


def below(expected: str, value: str) -> bool:
    return float(value) < float(expected)


POSITIVE = {"StringEquals": equal, "StringLike": like, "Bool": equal, "NumericLessThan": below}
FOR_ALL = "ForAllValues:"
NEGATED = {"StringNotEquals": equal, "ArnNotEquals": like}


def holds(operator: str, key: str, expected: Sequence[str], context: Context) -> bool:
    """One key of a condition: any of the values; a negated operator none of them, and true where the key is missing, as
    ForAllValues is ("Single-valued vs. multivalued context keys"; a context here has one value a key)."""
    if operator == "Null":
        return (str(key not in context).lower()) in expected
    if operator.startswith(FOR_ALL):
        return key not in context or holds(operator.removeprefix(FOR_ALL), key, expected, context)
    if operator in NEGATED:
        return key not in context or not any(NEGATED[operator](value, context[key]) for value in expected)
    return key in context and any(POSITIVE[operator](value, context[key]) for value in expected)


def concerns(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    """Whether a statement is about a request."""
    assert set(statement) <= {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
    return (
        any(like(pattern.lower(), action.lower()) for pattern in _list(statement["Action"]))
        and any(like(pattern, resource) for pattern in _list(statement["Resource"]))
        and all(
            holds(operator, key, _list(expected), context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, expected in keys.items()
        )
    )


def says(policy: Mapping[str, Any], action: str, resource: str, **context: str) -> str | None:
    """`Deny`, `Allow`, or None where no statement is about the request. Dots and colons of keys are written as they are, by
    `**{"aws:SecureTransport": "true"}`."""
    effects = {s["Effect"] for s in policy["Statement"] if concerns(s, action, resource, context)}
    return "Deny" if "Deny" in effects else "Allow" if effects else None


def _list(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value
