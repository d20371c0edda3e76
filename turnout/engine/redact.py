"""Keeps secrets out of text that was written by others: providers' messages, programs' output, exceptions."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from turnout.engine.values import Secret

MASK = "[secret]"
_SHORTEST = 3
"""Shorter texts stand in too many other words; Pulumi's own filter of logs has the same bound."""
_SHORTEST_MARKED = 6


class Redactor:
    """Knows secrets and takes them out of text and of event trees."""

    def __init__(self) -> None:
        self._texts: set[str] = set()
        self._by_length: list[str] = []

    def learn(self, value: Any) -> None:
        """Every text inside `value` is a secret."""
        found = {text for leaf in _leaves(value) for text in (leaf, *leaf.splitlines()) if len(text) >= _SHORTEST}
        if not found <= self._texts:
            self._texts |= found
            self._by_length = sorted(self._texts, key=len, reverse=True)

    def learn_marked(self, value: Any) -> None:
        """Every `Secret` inside `value`, unless so short that it also stands in innocent words ("test", a port)."""
        for marked in _marked(value):
            self.learn([leaf for leaf in _leaves(marked.value) if len(leaf) >= _SHORTEST_MARKED])

    def learn_plaintext(self, text: str) -> None:
        """What a `Secrets` encrypts or decrypts: the JSON of a marked value, or the text of a config value."""
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        self.learn_marked(Secret(value))

    def clean(self, value: Any) -> Any:
        """The same text, list or mapping with every known secret masked. Keys are left alone."""
        if isinstance(value, str):
            for secret in self._by_length:
                if secret in value:
                    value = value.replace(secret, MASK)
            return value
        if isinstance(value, Mapping):
            return {key: self.clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean(item) for item in value]
        return value


def without_secrets(text: str, *values: Any) -> str:
    """`text` without the secrets that stand in `values`."""
    redactor = Redactor()
    for value in values:
        redactor.learn_marked(value)
    return str(redactor.clean(text))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Secret):
        yield from _leaves(value.value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, Iterable):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _marked(value: Any) -> Iterator[Secret]:
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _marked(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _marked(item)
