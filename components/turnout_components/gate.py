"""The gate in front of the production listener: the effects of a move, around the decision in `resolve`.

`SwitchGate.before` runs as the listener's before-hook: it enters what was deployed in the record, claims the move, raises
floors and waits until the environments that are to carry weight are ready; it raises `SwitchRefused` and leaves the weights
alone when they do not get there. `SwitchGate.after` runs as the after-hook and confirms the move in the record.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from turnout_components.items import Conflict
from turnout_components.live import Group, LiveCloud, ready_targets, shares, utc_now
from turnout_components.readiness import Readiness, Story
from turnout_components.resolve import Decision, Live, SwitchConfig, SwitchRefused, parity, resolve
from turnout_components.standby_plan import StepDowns
from turnout_components.switch_record import Claim, EnvironmentState, Operator, RecordStore, Retained, SwitchRecord, Traffic

LEASE = timedelta(seconds=30)
POLL = 0.5


def located(cloud: LiveCloud, record: SwitchRecord | None) -> SwitchRecord | None:
    """The record with its listener. A first deployment that was cut off may have made one without recording it."""
    if record is None or record.listener is not None or record.claim is None:
        return record
    return record.changed(listener=cloud.listener_of([state.target_group for state in record.environments.values()]))


def observe(cloud: LiveCloud, record: SwitchRecord | None) -> Live:
    """What the cloud says about the record's listener, weights by environment in percent."""
    if record is None:
        return Live(None)
    gone = record.claim is not None and record.claim.by.is_gone()
    weights = cloud.weights(record.listener) if record.listener is not None else None
    if weights is None:
        return Live(None, gone)
    names = {state.target_group: name for name, state in record.environments.items()}
    return Live(shares({names.get(arn, arn): weight for arn, weight in weights.items()}), gone)


def decide(
    store: RecordStore,
    cloud: LiveCloud,
    config: SwitchConfig,
    *,
    settle: bool,
    step_downs: StepDowns | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Decision:
    """Reads record and cloud and resolves; with `settle` (never in a preview) writes the record that the decision corrects,
    and puts the standby's step-downs right.

    Raises `SwitchRefused`, `RecordError`."""
    while True:
        record = located(cloud, store.read())
        decision = resolve(config, record, observe(cloud, record), clock())
        if not settle:
            return decision
        with contextlib.suppress(Conflict):
            if decision.record is not None:
                record = store.write(decision.record)
            if record is not None and record.traffic is not None and step_downs is not None and not decision.moves:
                step_downs.tend(record, config.standby)
            return decision


@dataclass(frozen=True)
class Candidate:
    """An environment as the update has deployed it."""

    target_group: str
    group: str | None
    release: str | None
    minimum: int
    maximum: int


class SwitchGate:
    """One update's gate. `notify` gets a line whenever what it waits for changes."""

    def __init__(
        self,
        store: RecordStore,
        cloud: LiveCloud,
        config: SwitchConfig,
        *,
        timeout: timedelta,
        step_downs: StepDowns | None = None,
        operator: Operator | None = None,
        notify: Callable[[str], None] = lambda line: None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._step_downs = step_downs
        self._cloud = cloud
        self._config = config
        self._timeout = timeout
        self._operator = operator or Operator.current()
        self._notify = notify
        self._clock = clock
        self._sleep = sleep
        self._token: str | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    async def before(self, environments: Mapping[str, Candidate], weights: Mapping[str, int]) -> None:
        """Returns when the listener may be created or updated with `weights` (percent by environment).

        Raises `SwitchRefused`; then nothing has moved and the claim is released. Always with words: Pulumi's Python SDK takes
        a hook's exception with an empty message for success."""
        try:
            await self._open(environments, weights)
        except SwitchRefused:
            raise
        except Exception as error:
            raise SwitchRefused(f"the gate failed ({type(error).__name__}: {error}); the weights stay") from error

    async def _open(self, environments: Mapping[str, Candidate], weights: Mapping[str, int]) -> None:
        record = located(self._cloud, await asyncio.to_thread(self._store.read))
        live = await asyncio.to_thread(observe, self._cloud, record)
        decision = resolve(self._config, record, live, self._clock())
        if decision.traffic.weights != dict(weights):
            raise SwitchRefused(f"what is to happen changed since the update began ({decision.reason}); run it again")
        if not decision.moves:
            await asyncio.to_thread(self._enter, environments)
            return
        record = decision.record or record or SwitchRecord(key=self._store.key)
        await self._claim(self._entered(record, environments), decision.traffic)
        self._renewal = asyncio.create_task(self._renew())
        raised: dict[str, Group] = {}
        try:
            await asyncio.to_thread(self._clear_step_downs, environments, decision.traffic)
            await self._wait_until_ready(environments, decision.traffic, live.weights or {}, raised)
        except BaseException:
            await self._give_up(raised)
            raise

    async def after(self, listener: str, environments: Mapping[str, Candidate]) -> None:
        """Confirms the move.

        Raises `SwitchRefused` when the claim was broken; then the record's weights are back in force."""
        try:
            await self._close(listener, environments)
        except SwitchRefused:
            raise
        except Exception as error:
            raise SwitchRefused(
                f"the move happened and was not recorded ({type(error).__name__}: {error}); the next `turnout up` settles it"
            ) from error

    async def _close(self, listener: str, environments: Mapping[str, Candidate]) -> None:
        why = await asyncio.to_thread(self._cloud.refusal, listener, wait=True)
        if self._renewal is not None:
            self._renewal.cancel()
        async with self._writing:
            if why is not None:
                await asyncio.to_thread(self._take_back, listener, environments, why)
            await asyncio.to_thread(self._confirm, listener, environments)
        await asyncio.to_thread(self._tend)

    def _take_back(self, listener: str, environments: Mapping[str, Candidate], why: str) -> None:
        """What is written and not put in force moves nothing: the record's weights are written again and the claim ends. A
        first deployment has none to go back to."""
        record = self._store.read()
        if self._token is None or record is None or record.traffic is None:
            raise SwitchRefused(f"{listener} is written and not in force: {why}")
        traffic = record.traffic
        self._cloud.set_weights(listener, {environments[name].target_group: w for name, w in traffic.weights.items()})
        self._store.update(self._released)
        raise SwitchRefused(f"the new weights are not in force: {why}; {listener} says {traffic} again")

    def _released(self, record: SwitchRecord) -> SwitchRecord:
        ours = record.claim is not None and record.claim.token == self._token
        return record.changed(claim=None) if ours else record

    def _tend(self, due: bool = True) -> None:
        """Traffic has moved and that is recorded, or the move is given up: what happens to the standby later must not make
        this fail. Without `due` what was due meanwhile is left to the next update: the move may be tried again."""
        record = self._store.read()
        if record is None or self._step_downs is None:
            return
        try:
            for line in self._step_downs.tend(record, self._config.standby, due=due):
                self._notify(line)
        except Exception as error:
            self._notify(f"the standby's step-down is not arranged ({type(error).__name__}: {error}); the next up does it")

    def _clear_step_downs(self, environments: Mapping[str, Candidate], to: Traffic) -> None:
        """Who is to carry traffic does not step down."""
        for name, weight in to.weights.items():
            group = environments[name].group
            if self._step_downs is not None and weight > 0 and group:
                self._step_downs.clear(group)

    def _entered(self, record: SwitchRecord, environments: Mapping[str, Candidate]) -> SwitchRecord:
        states = {
            name: EnvironmentState(target_group=e.target_group, group=e.group, release=e.release)
            for name, e in environments.items()
        }
        return record.deployed(states, self._clock(), str(self._operator))

    def _enter(self, environments: Mapping[str, Candidate]) -> None:
        """Enters what the update has deployed. Before the listener changes: that is what makes an update, killed here, come
        back to these hooks."""
        record = self._store.read()
        if record is not None and self._entered(record, environments) != record:
            self._store.update(lambda found: self._entered(found, environments))

    async def _claim(self, record: SwitchRecord, to: Traffic) -> None:
        self._token = uuid4().hex
        now = self._clock()
        bake = self._config.standby.bake.total_seconds()
        claim = Claim(token=self._token, by=self._operator, began=now, expires=now + LEASE, to=to, bake=bake)
        try:
            await asyncio.to_thread(self._store.write, record.changed(claim=claim))
        except Conflict:
            self._token = None
            raise SwitchRefused(
                "somebody else began to move traffic at this moment; run `turnout status`, then run this again"
            ) from None

    async def _renew(self) -> None:
        while True:
            await self._sleep(LEASE.total_seconds() / 3)
            await self._update_claim()

    async def _update_claim(self, **fields: object) -> None:
        """Renews our claim with these fields changed.

        Raises `SwitchRefused` when it is ours no more."""

        def renewed(record: SwitchRecord) -> SwitchRecord:
            if record.claim is None or record.claim.token != self._token:
                raise SwitchRefused(f"the move was called off; traffic stays at {record.traffic}")
            return record.changed(claim=record.claim.model_copy(update={**fields, "expires": self._clock() + LEASE}))

        async with self._writing:
            await asyncio.to_thread(self._store.update, renewed)

    async def _wait_until_ready(
        self, environments: Mapping[str, Candidate], to: Traffic, carrying: Mapping[str, int], raised: dict[str, Group]
    ) -> None:
        deadline = self._clock() + self._timeout
        gaining = [name for name, weight in to.weights.items() if weight > carrying.get(name, 0)]
        began = await asyncio.to_thread(self._in_service, environments)

        def serving() -> dict[str, int]:
            """Instances in service, without those that this move itself has added."""
            found = self._in_service(environments)
            return {name: min(count, began[name]) if name in gaining else count for name, count in found.items()}

        story = Story(self._cloud, self._notify, self._clock)
        while True:
            if self._renewal is not None and self._renewal.done():
                self._renewal.result()
            needed = self._needed(environments, to, carrying, await asyncio.to_thread(serving))
            await asyncio.to_thread(self._raise_minimums, environments, needed, raised)
            readiness = await asyncio.to_thread(self._readiness, environments, needed)
            if all(r.ready >= r.needed for r in readiness.values()):
                in_service = await asyncio.to_thread(serving)
                if self._needed(environments, to, carrying, in_service) != needed:
                    continue
                retained = await asyncio.to_thread(self._retained, to, environments, in_service)
                await self._update_claim(floors=needed, retained=retained)
                return
            if self._clock() >= deadline:
                raise SwitchRefused(
                    f"not ready after {self._timeout.total_seconds():.0f} s, so the weights stay "
                    f"({await asyncio.to_thread(story.whole, readiness)}). Look at the servers' log (the pool's log group, or "
                    "`turnout local logs`), then run this again"
                )
            await asyncio.to_thread(story.tell, readiness)
            await self._sleep(POLL)

    def _in_service(self, environments: Mapping[str, Candidate]) -> dict[str, int]:
        groups = {name: self._cloud.group(e.group) if e.group else None for name, e in environments.items()}
        return {name: len(group.in_service) if group else 0 for name, group in groups.items()}

    def _needed(
        self,
        environments: Mapping[str, Candidate],
        to: Traffic,
        carrying: Mapping[str, int],
        in_service: Mapping[str, int],
    ) -> dict[str, int]:
        counts = parity(to.weights, carrying, in_service)
        needed = {name: max(count, environments[name].minimum, 1) for name, count in counts.items()}
        for name, count in needed.items():
            if count > environments[name].maximum:
                raise SwitchRefused(
                    f"{name} would need {count} instances to take over and its maximum is {environments[name].maximum}; "
                    f"raise turnout:pool.maximum to {count} or more"
                )
        return needed

    def _raise_minimums(
        self, environments: Mapping[str, Candidate], needed: Mapping[str, int], raised: dict[str, Group]
    ) -> None:
        for name, count in needed.items():
            group = environments[name].group
            found = self._cloud.group(group) if group else None
            if found is not None and found.minimum < count:
                raised.setdefault(name, found)
                self._cloud.set_minimum(found.name, count, environments[name].maximum)

    def _readiness(self, environments: Mapping[str, Candidate], needed: Mapping[str, int]) -> dict[str, Readiness]:
        return {
            name: Readiness(
                count,
                *ready_targets(self._cloud, environments[name].target_group, environments[name].group),
                environments[name].group,
            )
            for name, count in needed.items()
        }

    def _retained(self, to: Traffic, environments: Mapping[str, Candidate], in_service: Mapping[str, int]) -> Retained | None:
        record = self._store.read()
        if record is None or record.traffic is None or record.traffic.active == to.active:
            return None
        left = record.traffic.active
        release = environments[left].release
        if release is None:
            return None
        until = self._clock() + self._config.standby.retain_for
        return Retained(
            environment=left, release=release, minimum=in_service[left], maximum=environments[left].maximum, until=until
        )

    async def _give_up(self, raised: Mapping[str, Group]) -> None:
        if self._renewal is not None:
            self._renewal.cancel()

        def restore() -> None:
            for before in raised.values():
                self._cloud.restore(before)
            self._store.update(self._released)

        async with self._writing:
            with contextlib.suppress(Exception):
                await asyncio.to_thread(restore)
                await asyncio.to_thread(self._tend, due=False)

    def _confirm(self, listener: str, environments: Mapping[str, Candidate]) -> None:
        token, now = self._token, self._clock()

        def confirmed(record: SwitchRecord) -> SwitchRecord:
            role = self._step_downs.role_arn if self._step_downs else None
            entered = self._entered(record, environments).changed(listener=listener, step_down_role=role)
            if token is None:
                return entered
            if record.claim is None or record.claim.token != token:
                raise _Broken(record)
            return entered.confirmed(record.claim, now).retaining(self._config.standby.retain_for)

        try:
            self._store.update(confirmed)
        except _Broken as broken:
            traffic = broken.record.traffic
            if traffic is not None:
                weights = {environments[name].target_group: weight for name, weight in traffic.weights.items()}
                self._cloud.set_weights(listener, weights)
            raise SwitchRefused(f"the move was called off while it happened; the weights are back at {traffic}") from None


class _Broken(Exception):
    def __init__(self, record: SwitchRecord) -> None:
        self.record = record
