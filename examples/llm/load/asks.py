"""What the users ask: short questions whose answer can be judged and essays that take long, in an order fixed by a seed."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

QUESTIONS = Path(__file__).parent.parent / "questions.yaml"


class Ask(NamedTuple):
    """One request. `words`: what a right answer holds one of; empty where nobody judges."""

    text: str
    words: tuple[str, ...]
    max_tokens: int
    long: bool

    def right(self, answer: str) -> bool | None:
        """Whether the answer is right; None where it cannot be judged."""
        return any(word.lower() in answer.lower() for word in self.words) if self.words else None


def questions(max_tokens: int = 24) -> list[Ask]:
    """The questions that can be judged, in the file's order."""
    content = yaml.safe_load(QUESTIONS.read_text())
    return [Ask(one["ask"], tuple(one["words"]), max_tokens, False) for one in content["questions"]]


def essays(max_tokens: int) -> list[Ask]:
    """The requests for long answers."""
    return [Ask(text, (), max_tokens, True) for text in yaml.safe_load(QUESTIONS.read_text())["essays"]]


def asks(seed: int, long_share: float, long_tokens: int) -> Iterator[Ask]:
    """Requests without end: `long_share` (0 to 1) of them essays of `long_tokens` tokens at most."""
    chance = random.Random(seed)
    short, long = questions(), essays(long_tokens)
    while True:
        yield chance.choice(long if chance.random() < long_share else short)
