"""Where rollouts are kept: an item each in the switch's table, and one that names them."""

from collections.abc import Callable

from pydantic import BaseModel, ValidationError
from turnout_components.items import Conflict, Holder, Items, unreadable

from turnout.rollout.status import RolloutStatus

REMEMBERED = 50
"""Rollouts that the history names."""


class NoRollout(Exception):
    """There is no rollout of that name, or none at all."""


class _Index(BaseModel):
    generation: int
    ids: list[str]


class RolloutStore:
    """The rollouts of `<service>/<stack>`; every write has the generation that was read as its condition."""

    def __init__(self, items: Items, service: str, stack: str) -> None:
        self._items = items
        self.key = f"{service}/{stack}"

    def read(self, rollout: str) -> RolloutStatus:
        """The status of the rollout.

        Raises `NoRollout` where there is none; `RecordError`, `TableMissing`."""
        body = self._items.read(self._id(rollout))
        if body is None:
            raise NoRollout(f"no rollout {rollout} of {self.key}; `turnout rollout history` lists them")
        try:
            return RolloutStatus.model_validate_json(body)
        except ValidationError as error:
            raise unreadable(self._items, rollout, "rollout", error) from None

    def write(self, status: RolloutStatus) -> RolloutStatus:
        """Writes the status if nobody wrote since it was read; returns it with its new generation.

        Raises `Conflict`, `TableMissing`."""
        written = status.changed(generation=status.generation + 1)
        lease = status.lease
        holder = Holder(str(lease.by), status.began, lease.expires) if lease is not None else None
        self._items.write(self._id(status.id), written.model_dump_json(), status.generation, holder)
        return written

    def update(self, rollout: str, change: Callable[[RolloutStatus], RolloutStatus], attempts: int = 20) -> RolloutStatus:
        """Reads, changes and writes, again while others write in between.

        Raises `NoRollout`; `Conflict` after the last attempt; whatever `change` raises."""
        while True:
            attempts -= 1
            try:
                return self.write(change(self.read(rollout)))
            except Conflict:
                if attempts == 0:
                    raise

    def create(self, status: RolloutStatus) -> RolloutStatus:
        """Writes a new rollout, and its id to those that the history names."""
        self._remember(status.id)
        return self.write(status)

    def ids(self) -> list[str]:
        """The newest rollouts first; one that was cut off while it was made may have no status."""
        return self._index()[1]

    def _remember(self, rollout: str, attempts: int = 20) -> None:
        while True:
            attempts -= 1
            generation, known = self._index()
            try:
                body = _Index(generation=generation + 1, ids=[rollout, *known][:REMEMBERED]).model_dump_json()
                self._items.write(self._id(""), body, generation)
                return
            except Conflict:
                if attempts == 0:
                    raise

    def _index(self) -> tuple[int, list[str]]:
        body = self._items.read(self._id(""))
        if body is None:
            return 0, []
        try:
            found = _Index.model_validate_json(body)
        except ValidationError as error:
            raise unreadable(self._items, self._id(""), "history", error) from None
        return found.generation, found.ids

    def _id(self, rollout: str) -> str:
        return f"{self.key}/rollouts/{rollout}"
