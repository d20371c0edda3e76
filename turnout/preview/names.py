"""Names for what a cloud has given: `${blue.arn}` where a plan's values hold an ARN or an id of one of its resources. Pure.

So a text for people holds no account number that it need not, and a pool is found by the name of its target group.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_SHORTEST = 8
"""Characters of an id; shorter ones may be words."""
_TOKEN = re.compile(r"[\w:/.@+=-]{8,}")


class Names:
    """Made of the steps of a preview: the states' ids and outputs. Call it with a text."""

    def __init__(self, steps: Iterable[Mapping[str, Any]]) -> None:
        states = [state for step in steps for state in (step.get("new"), step.get("old")) if state is not None]
        found = sorted(each for state in states for each in _given(state))
        self._names = {value: name for _, name, value in reversed(found)}

    def __call__(self, text: str) -> str:
        return _TOKEN.sub(lambda match: self._named(match[0]), text)

    def _named(self, token: str) -> str:
        """The token, or its beginning up to a `/` or `:`, by its name."""
        end = len(token)
        while end >= _SHORTEST:
            if name := self._names.get(token[:end]):
                return name + token[end:]
            end = max(token.rfind("/", 0, end), token.rfind(":", 0, end))
        return token


def _given(state: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    """What the cloud has given to a resource: rank, name and value; an id that the program chose is no such thing. Of names for
    one value the lowest is taken, whatever order the steps have: a secret's before its version's, which has the same ARN."""
    name = str(state["urn"]).rpartition("::")[2]
    outputs, inputs = state.get("outputs") or {}, state.get("inputs") or {}
    chosen = {value for value in inputs.values() if isinstance(value, str)}
    arns = [(key, value) for key, value in outputs.items() if key == "arn" or key.endswith("Arn")]
    for key, value in (*arns, ("id", state.get("id"))):
        if isinstance(value, str) and len(value) >= _SHORTEST and value not in chosen:
            yield (0 if value == state.get("id") else 1 if key == "arn" else 2), f"${{{name}.{key}}}", value
