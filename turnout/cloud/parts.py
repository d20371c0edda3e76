"""What may run in the daemon beside the account: a cluster, say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any, Protocol

from turnout.cloud.envoy_config import Address
from turnout.cloud.ports import Ports
from turnout.cloud.processes import Registry


class PartError(RuntimeError):
    """A part does not come up; the message says why and what to do."""


@dataclass(frozen=True)
class Tools:
    """What a part shares with the daemon. `wake`: have it look at once; `speed` divides waits; `root`: where servers run;
    `catalogue`: folders of images; `endpoint`: of AWS's API, once the daemon serves."""

    folder: Path
    root: Path
    catalogue: Sequence[Path]
    registry: Registry
    ports: Ports
    wake: Callable[[], None]
    speed: float
    endpoint: Callable[[], str]


class Part(Protocol):
    """Something that serves targets of its own. All but `addresses`, `state` and `targets` is called on the main thread."""

    name: str
    """Its place in the state's document."""

    def start(self) -> None:
        """Comes up; returns when it serves.

        Raises `PartError`."""

    def look(self) -> bool:
        """One look at what is wanted and what is there; whether something is on its way."""

    def addresses(self) -> Mapping[str, Address]:
        """Where its targets listen, by the ids that target groups have for them."""

    def state(self) -> dict[str, Any]:
        """Its part of the state's document."""

    def targets(self) -> list[dict[str, Any]]:
        """Its part of the document for Prometheus."""

    def published(self) -> dict[str, Any]:
        """What state.json says of it, for those that look for a running cloud."""

    def running(self) -> "list[Popen[bytes]]":
        """Its processes, for the daemon to end."""

    def close(self) -> None:
        """Takes up nothing any more, and ends what is not in `running`."""


MakePart = Callable[[Tools], Part]
