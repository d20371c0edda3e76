"""A whole service on a local cloud of its own: what measurements and end-to-end tests start from.

Deployments run through the engine as a library, in this process, so that a caller can watch each call that changes the
cloud; program, model servers, Envoy and load are processes of their own.
"""

import copy
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import yaml
from turnout_components.gate import Candidate, SwitchGate
from turnout_components.items import DynamoItems, create_table
from turnout_components.live import LiveCloud
from turnout_components.release import parse
from turnout_components.resolve import EnvironmentConfig, SwitchConfig
from turnout_components.standby import StandbyPolicy
from turnout_components.switch_record import RecordStore, SwitchRecord, Traffic

from benchmarks.traffic import Load, load
from examples.digits.releases import manifests
from examples.manifests import release_ids
from turnout.access import Access
from turnout.cloud import client
from turnout.cloud.client import CloudHandle
from turnout.engine.crypto import Secrets
from turnout.engine.deployment import Deployment, Result
from turnout.engine.program import LocalProgram
from turnout.engine.provider import Properties, ProviderConfig, ResourceType
from turnout.engine.store import StackStore
from turnout.providers import registry
from turnout.stacks import load as load_stack

ROOT = Path(__file__).parents[1]
STACK = "local"
PASSPHRASE = "for tests and measurements only"
LISTENER = "aws:lb/listener:Listener"
T = TypeVar("T")
Tell = Callable[[str, str, str], None]
"""Hears of a call that changes the cloud: `before` or `after`, the operation (create, update, delete), the type."""


class Watched:
    """A resource type whose changes are told to `tell` before and after the calls."""

    def __init__(self, kind: ResourceType, tell: Tell) -> None:
        self._kind, self._tell = kind, tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kind, name)

    def create(self, config: ProviderConfig, inputs: Properties, token: str) -> Any:
        return self._told("create", lambda: self._kind.create(config, inputs, token))

    def update(self, config: ProviderConfig, *args: Any) -> Any:
        return self._told("update", lambda: self._kind.update(config, *args))

    def delete(self, config: ProviderConfig, *args: Any) -> None:
        self._told("delete", lambda: self._kind.delete(config, *args))

    def _told(self, operation: str, call: Callable[[], T]) -> T:
        self._tell("before", operation, self._kind.token)
        result = call()
        self._tell("after", operation, self._kind.token)
        return result


class Service:
    """The local stack's service. `config` is the stack file as the operator has it now, without the project's namespace."""

    def __init__(
        self, home: Path, cloud: CloudHandle, config: dict[str, Any], program: Path = ROOT / "infra", stack: str = STACK
    ) -> None:
        self.home, self.cloud, self.config, self.program, self.stack = home, cloud, config, program, stack
        self.secrets: dict[str, str] = {}
        """More config, with full keys, whose values are secret."""
        self.events: list[dict[str, Any]] = []
        """Of the last deployment."""
        self.hear: Callable[[dict[str, Any]], None] = lambda event: None

    def edit(self, changes: Mapping[str, Any]) -> None:
        """Changes the stack file; nested mappings are merged."""
        self.config = merged(self.config, changes)

    def up(self, changes: Mapping[str, Any] | None = None, tell: Tell | None = None) -> Result:
        """Edits the stack file and deploys it."""
        self.edit(changes or {})
        return self.deployment(tell).up(self._program())

    def preview(self, changes: Mapping[str, Any] | None = None) -> Result:
        """Edits the stack file and previews it."""
        self.edit(changes or {})
        return self.deployment().preview(self._program())

    def destroy(self) -> Result:
        return self.deployment().destroy()

    def deployment(self, tell: Tell | None = None) -> Deployment:
        """One operation's engine."""
        self.events.clear()
        config = {
            f"turnout:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in self.config.items()
        }
        kinds = registry()
        if tell is not None:
            kinds = {token: Watched(kind, tell) for token, kind in kinds.items()}
        return Deployment(self.state(), kinds, self._heard, str(ROOT), config | self.secrets, list(self.secrets))

    def state(self) -> StackStore:
        """The engine's files of this stack."""
        kept = self.home / "salt"
        salt = kept.read_text() if kept.exists() else ""
        return StackStore(self.home, "turnout", self.stack, Secrets(salt, lambda: [PASSPHRASE], lambda text: _keep(kept, text)))

    def elsewhere(self, home: Path) -> "Service":
        """The same service as another operator has it: a checkout and state of their own, the same cloud."""
        shutil.copytree(self.home / "stacks", home / "stacks", dirs_exist_ok=True)
        with suppress(FileNotFoundError):
            shutil.copy(self.home / "salt", home / "salt")
        return Service(home, self.cloud, copy.deepcopy(self.config), self.program, self.stack)

    def said(self) -> str:
        """Every line of the last deployment."""
        return "".join(e["diagnosticEvent"]["message"] for e in self.events if "diagnosticEvent" in e)

    def changed(self) -> list[tuple[str, str, list[str]]]:
        """What the last deployment did: operation, resource, inputs that differed."""
        steps = [e["resOutputsEvent"]["metadata"] for e in self.events if "resOutputsEvent" in e]
        return [(s["op"], s["urn"].rpartition("::")[2], s["diffs"] or []) for s in steps if s["op"] != "same"]

    def _heard(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self.hear(event)

    def _program(self) -> LocalProgram:
        return LocalProgram(self.program, ROOT, {"TURNOUT_LOCAL_ENDPOINT": self.cloud.endpoint})

    @cached_property
    def _access(self) -> Access:
        return Access(load_stack(ROOT, self.stack), self.cloud.endpoint)

    def api(self, name: str) -> Any:
        """A client of an AWS service."""
        return self._access.client(name)

    @property
    def records(self) -> RecordStore:
        return RecordStore(DynamoItems(self.api("dynamodb"), "turnout-switch"), str(self.config["service"]), self.stack)

    @property
    def live(self) -> LiveCloud:
        return self._access.live

    def record(self) -> SwitchRecord:
        """The switch record. Raises `LookupError` before the first deployment."""
        found = self.records.read()
        if found is None or found.traffic is None:
            raise LookupError("nothing is deployed")
        return found

    def weights(self) -> dict[str, int]:
        """What is in force at the load balancer, by environment."""
        record = self.record()
        found = self.live.weights(str(record.listener)) or {}
        return {name: found[state.target_group] for name, state in record.environments.items()}

    @property
    def active(self) -> str:
        traffic = self.record().traffic
        assert traffic is not None
        return str(traffic.active)

    @property
    def standby(self) -> str:
        return next(str(name) for name in self.config["environments"] if name != self.active)

    @property
    def url(self) -> str:
        """Where the production listener really is."""
        return next(str(one["url"]) for one in self._listeners() if one["arn"] == self.record().listener)

    def _listeners(self) -> list[dict[str, Any]]:
        return [one for balancer in self.cloud.state()["load_balancers"] for one in balancer["listeners"]]

    def instances(self, environment: str) -> list[dict[str, Any]]:
        """An environment's instances as the cloud shows them."""
        group = self.record().environments[environment].group
        return [one for one in self.cloud.state()["instances"] if one["group"] == group]

    def targets(self, environment: str) -> list[str]:
        """The states of an environment's targets."""
        return [target.state for target in self.live.targets(self.record().environments[environment].target_group)]

    def load(self, rate: float, **options: Any) -> AbstractContextManager[Load]:
        """Open-loop load on the production listener while the block runs (`traffic.load`)."""
        return load(self.url, rate, self.home / "load.json", **options)

    async def flip(self, to: str) -> float:
        """Moves all traffic as an update does, without the engine: the gate, the load balancer's API, the gate.

        Unix seconds at which the load balancer's API answered."""
        self.edit({"traffic": {"active": to}})
        record, pool, standby = self.record(), self.config["pool"], self.config["traffic"]["standby"]
        size = pool["minimum"], pool["maximum"]
        environments = {n: Candidate(s.target_group, s.group, s.release, *size) for n, s in record.environments.items()}
        wish = SwitchConfig(
            Traffic.all_to(to, list(environments)),
            {name: EnvironmentConfig(c.release, *size) for name, c in environments.items()},
            StandbyPolicy(bake=timedelta(seconds=int(standby["bake"].removesuffix("s")))),
        )
        gate = SwitchGate(self.records, self.live, wish, timeout=timedelta(seconds=60))
        await gate.before(environments, wish.traffic.weights)
        listener = str(record.listener)
        self.live.set_weights(listener, {environments[n].target_group: w for n, w in wish.traffic.weights.items()})
        answered = time.time()
        await gate.after(listener, environments)
        return answered


def merged(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with `changes`, mapping by mapping."""
    result = copy.deepcopy(dict(config))
    for key, value in changes.items():
        held = result.get(key)
        result[key] = merged(held, value) if isinstance(held, Mapping) and isinstance(value, Mapping) else value
    return result


@contextmanager
def service(
    home: Path, speed: float = 5.0, stack: str = STACK, start: Callable[..., CloudHandle] = client.start, **changes: Any
) -> Iterator[Service]:
    """A cloud in `home` with the record's table, and a local stack's config with `changes`; nothing is deployed yet."""
    home.mkdir(parents=True, exist_ok=True)
    cloud = start(home, attached=True, speed=speed, images=[ROOT / "examples"], root=ROOT)
    try:
        made = Service(home, cloud, merged(stack_file(stack), changes), stack=stack)
        create_table(made.api("dynamodb"), "turnout-switch", protect=False)
        yield made
    except BaseException:
        print((home / "cloud" / "daemon.log").read_text()[-4000:], file=sys.stderr)
        raise
    finally:
        cloud.stop()


def stack_file(stack: str = STACK) -> dict[str, Any]:
    """A local stack's config with both environments deployed: 1.0.0 in blue, 2.0.0 in green."""
    content = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{stack}.yaml").read_text())["config"]
    config = {key.removeprefix("turnout:"): value for key, value in content.items()}
    folder = ROOT / config["releases"]
    ids = [parse(folder / f"{config['service']}-{version}.yaml").id for version in ("1.0.0", "2.0.0")]
    deployed = {name: {"release": release_id} for name, release_id in zip(("blue", "green"), ids, strict=True)}
    return merged(config, {"environments": deployed})


def release(version: str) -> str:
    """The id of a release of the digits example."""
    return release_ids(manifests())[f"digits-{version}"]


def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
