"""Experiments as a stack's config writes them, for tests."""

from typing import Any

ASKED: dict[str, Any] = {
    "name": "answers",
    "split": {"control": 25, "candidate": 20, "shorter": 20},
    "metric": {"kind": "conversion", "namespace": "Turnout", "name": "Bought", "dimensions": {"Variant": "$variant"}},
    "smallest": 0.01,
    "usual": 0.1,
    "users_a_day": 20_000,
}
COUNTED = {"kind": "mean", "users": 'n{v="$variant"}', "sum": 's{v="$variant"}', "squares": 'q{v="$variant"}'}
PROMETHEUS = {"source": "prometheus", "url": "http://127.0.0.1:9090"}


def asked(**changes: Any) -> dict[str, Any]:
    """An experiment with these changes."""
    return {**ASKED, **changes}


def bought(**changes: Any) -> dict[str, Any]:
    """The same with these changes of its metric."""
    return asked(metric={**ASKED["metric"], **changes})
