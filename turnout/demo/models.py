"""What differs between the models that the story is told with: a stack, three releases, their users; nothing else.

A model's example is never imported. `python -m <package>.load` are its users, `python -m <package>.smoke` asks one environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """A model's part of the story."""

    stack: str
    """Of platform ec2; another platform's has its name behind it."""
    package: str
    prefix: str
    """What a release's name has before the version."""
    versions: tuple[str, str, str]
    """The one that runs, the better one and the bad one."""
    traffic: str
    """The users, in the words of a chapter's title."""
    users: Mapping[str, str]
    """Options of the load."""
    asked: str
    """What the smoke test asks about."""
    steady_seconds: float = 5.0
    """How long traffic is watched where nothing happens."""
    settle_seconds: float = 5.0
    """How long an answer of a release that was left may still come in."""
    bad_seconds: float = 20.0
    """How long the bad release may go unnoticed."""
    bad_errors: int = 10
    """How many errors make it noticed."""

    def stack_on(self, platform: str) -> str:
        """The stack that the story is told in."""
        return self.stack if platform == "ec2" else f"{self.stack}-{platform}"

    @property
    def environment_of(self) -> dict[str, str]:
        """In which environment each version runs."""
        old, new, bad = self.versions
        return {old: "blue", new: "green", bad: "blue"}

    def release(self, version: str) -> str:
        """The release's name."""
        return self.prefix + version


MODELS = {
    "digits": Model(
        stack="local",
        package="examples.digits",
        prefix="digits-",
        versions=("1.0.0", "2.0.0", "3.0.0-bad"),
        traffic="150 requests a second, held-out images, no retries",
        users={"--rate": "150", "--slow-share": "0"},
        asked="images",
    ),
    "llm": Model(
        stack="llm",
        package="examples.llm",
        prefix="smol-",
        versions=("1.0.0", "2.0.0", "3.0.0-bad"),
        traffic="two users with a stream each, some of them long, no retries",
        users={"--users": "2", "--long-share": "0.4", "--long-tokens": "200"},
        asked="questions",
        steady_seconds=10.0,
        settle_seconds=30.0,
        bad_seconds=60.0,
        bad_errors=2,
    ),
}
