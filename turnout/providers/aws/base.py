"""What every AWS type shares: make, configure, look, remove; tags; adoption; drift.

A type says what is particular to it in six small methods; `create`, `find`, `read`, `update` and `delete` of the engine's
protocol are built from these here. `configure` is idempotent, so an adopted half-made object is finished by it."""

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeGuard

from turnout.engine.provider import (
    AutoName,
    Created,
    Fault,
    NotFound,
    Observed,
    Properties,
    ProviderConfig,
    ProviderError,
)
from turnout.providers.aws.clients import Cloud, error_code
from turnout.providers.aws.mapping import reflect, tag_list, tag_map

INTENT_TAG = "turnout:intent"
"""Set at create, by which an interrupted create's object is found again; never reported by a read."""

POLL_SECONDS = 0.1
UNDO_SECONDS = 120


class AwsType:
    """One AWS resource type of the local engine."""

    token: str
    inputs: frozenset[str]
    replace_on: frozenset[str] = frozenset()
    volatile: frozenset[str] = frozenset()
    write_only: frozenset[str] = frozenset()
    delete_before_replace: bool = False
    auto_name: AutoName | None = None

    defaults: ClassVar[Mapping[str, Any]] = {}
    """Undeclared inputs whose drift shows, with AWS's value of them."""
    exact: ClassVar[frozenset[str]] = frozenset({"tags"})
    ordered: ClassVar[frozenset[str]] = frozenset()
    documents: ClassVar[frozenset[str]] = frozenset()
    mapped_tags: ClassVar[bool] = True
    """Whether `tags` is a map that the provider's default tags join."""
    completed: ClassVar[frozenset[str]] = frozenset()
    """Blocks among the inputs that have members of AWS's own in the outputs."""

    def check(self, inputs: Properties) -> list[Fault]:
        """Faults that the inputs alone show."""
        return []

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        """Makes the object, tagged where the type has tags; returns its id."""
        raise NotImplementedError

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """Brings the object from old to new inputs. After make and after an adoption `old` and `outputs` are empty."""

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        """The live object under Pulumi's names, inputs and computed ones; None when it is gone. `tagsAll` holds all tags."""
        raise NotImplementedError

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        """The id of the object that an interrupted make left."""
        raise NotImplementedError

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: "Deadline") -> None:
        """Asks for the object's end; NotFound is success."""
        raise NotImplementedError

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        """Changes tags of the object."""

    def create(self, config: ProviderConfig, inputs: Properties, token: str) -> Created:
        cloud = Cloud(config)
        tags = {**cloud.default_tags, **(inputs.get("tags") or {})} if self._tagged else {}
        id = self.make(cloud, inputs, {**tags, INTENT_TAG: token})
        try:
            self.configure(cloud, id, {}, inputs, {})
            return Created(id, self._outputs(cloud, id, inputs))
        except ProviderError:
            self._undo(cloud, id, inputs)
            raise

    @property
    def _tagged(self) -> bool:
        return self.mapped_tags and "tags" in self.inputs

    def _undo(self, cloud: Cloud, id: str, inputs: Properties) -> None:
        """A create that failed half-way leaves nothing behind; if that fails too, the first failure is what counts."""
        try:
            self.remove(cloud, id, inputs, Deadline(UNDO_SECONDS, id))
        except ProviderError:
            return

    def find(self, config: ProviderConfig, inputs: Properties, token: str) -> Created | None:
        cloud = Cloud(config)
        try:
            id = self.locate(cloud, inputs, token)
        except NotFound:
            return None
        if id is None:
            return None
        self._retag_to(cloud, id, {}, inputs)
        self.configure(cloud, id, {}, inputs, {})
        return Created(id, self._outputs(cloud, id, inputs))

    def read(self, config: ProviderConfig, id: str, inputs: Properties, outputs: Properties) -> Observed | None:
        return self._observe(Cloud(config), id, inputs)

    def update(self, config: ProviderConfig, id: str, old: Properties, new: Properties, outputs: Properties) -> Properties:
        cloud = Cloud(config)
        self.configure(cloud, id, old, new, outputs)
        self._retag_to(cloud, id, old, new)
        return self._outputs(cloud, id, new)

    def delete(self, config: ProviderConfig, id: str, inputs: Properties, outputs: Properties, timeout: float) -> None:
        cloud, deadline = Cloud(config), Deadline(timeout, id)
        try:
            self.remove(cloud, id, inputs, deadline)
        except NotFound:
            return
        deadline.until(lambda: self.look(cloud, id, inputs) is None, "is not gone")

    def _retag_to(self, cloud: Cloud, id: str, old: Properties, new: Properties) -> None:
        if not self._tagged:
            return
        before, after = old.get("tags") or {}, {**cloud.default_tags, **(new.get("tags") or {})}
        add = {key: value for key, value in after.items() if before.get(key) != value}
        drop = [key for key in before if key not in after]
        if add or drop:
            self.retag(cloud, id, add, drop)

    def _outputs(self, cloud: Cloud, id: str, inputs: Properties) -> Properties:
        observed = self._observe(cloud, id, inputs)
        if observed is None:
            raise NotFound(f"{self.token} {id}: gone right after it was made or changed; run again")
        return observed.outputs

    def _observe(self, cloud: Cloud, id: str, inputs: Properties) -> Observed | None:
        try:
            live = self.look(cloud, id, inputs)
        except NotFound:
            return None
        if live is None:
            return None
        if self._tagged and "tagsAll" in live:
            live = {**live, **_split_tags(live["tagsAll"], cloud.default_tags, inputs.get("tags") or {})}
        found = reflect(
            {name: value for name, value in inputs.items() if name not in self.write_only},
            live,
            inputs=self.inputs,
            defaults=self.defaults,
            exact=self.exact,
            ordered=self.ordered,
            documents=self.documents,
        )
        added = {name: {**live[name], **found[name]} for name in self.completed if name in found}
        return Observed(found, {**live, **found, **added, "id": id})


def _split_tags(every: Mapping[str, str], defaults: Mapping[str, str], declared: Mapping[str, str]) -> Properties:
    shown = {key: value for key, value in every.items() if key != INTENT_TAG and not key.startswith("aws:")}
    own = {key: value for key, value in shown.items() if key in declared or defaults.get(key) != value}
    return {"tags": own, "tagsAll": shown}


class Deadline:
    """How long an operation on an object may take."""

    def __init__(
        self,
        seconds: float,
        subject: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds, self.subject = seconds, subject
        self._clock, self._sleep, self._end = clock, sleep, clock() + seconds

    def until(self, condition: Callable[[], bool], still: str) -> None:
        """Polls until the condition holds. Raises ProviderError with what is `still` the case at the end."""
        while not _holds(condition):
            if self._clock() >= self._end:
                raise ProviderError(f"{self.subject} {still} after {self.seconds:g} s")
            self._sleep(POLL_SECONDS)

    def retry(self, attempt: Callable[[], object], codes: frozenset[str]) -> None:
        """Calls until it works; an error code named in `codes` is tried again while there is time."""
        while True:
            try:
                attempt()
                return
            except ProviderError as error:
                if error_code(error) not in codes or self._clock() >= self._end:
                    raise
            self._sleep(POLL_SECONDS)


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except NotFound:
        return True


class Ec2Type(AwsType):
    """An EC2 object that is described by its id, tagged by CreateTags and found by its intent tag."""

    kind: ClassVar[str]
    """EC2's resource type in tag specifications and ARNs."""
    describe: ClassVar[tuple[str, str, str, str]]
    """Operation, its ids parameter, the result's list, the id's member."""
    filter_parameter: ClassVar[str] = "Filters"

    def tag_specifications(self, tags: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{"ResourceType": self.kind, "Tags": tag_list(tags)}]

    def described(self, cloud: Cloud, id: str) -> dict[str, Any] | None:
        operation, parameter, result, _ = self.describe
        try:
            found = cloud.call("ec2", operation, **{parameter: [id]})[result]
        except NotFound:
            return None
        return dict(found[0]) if found else None

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        operation, _, result, member = self.describe
        wanted = [{"Name": f"tag:{INTENT_TAG}", "Values": [token]}]
        found = cloud.pages("ec2", operation, result, **{self.filter_parameter: wanted})
        mine = [item for item in found if tag_map(item.get("Tags")).get(INTENT_TAG) == token]  # moto skips filters it lacks
        return str(mine[0][member]) if mine else None

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        if add:
            cloud.call("ec2", "create_tags", Resources=[id], Tags=tag_list(add))
        if drop:
            cloud.call("ec2", "delete_tags", Resources=[id], Tags=[{"Key": key} for key in drop])

    def arn(self, cloud: Cloud, id: str, owner: str | None) -> str:
        return f"arn:aws:ec2:{cloud.region}:{owner or '123456789012'}:{self.kind}/{id}"


def known(value: Any) -> TypeGuard[Any]:
    """Whether a value is there to be judged: not None and not the engine's sentinel for an unknown."""
    return isinstance(value, (str, int, float, bool, list, dict))


def changed(old: Properties, new: Properties, *names: str) -> bool:
    """Whether one of the inputs differs, an undeclared one counting as None."""
    return any(old.get(name) != new.get(name) for name in names)
