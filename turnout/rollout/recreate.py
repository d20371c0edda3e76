"""Replaces the active servers in place: the one strategy that takes the service down (ADR 0022).

The engine deletes the old group and makes the new one; this says beforehand how long that may take, measures how long nobody
was healthy, and puts the old release back the same way when the new one does not become healthy in time. What is to be done
stands in the status, so that a run that was killed is taken up by another.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from turnout_components.live import LiveCloud, ready_targets
from turnout_components.release import digest_of, name_of, split_id
from turnout_components.resolve import SwitchRefused
from turnout_components.standby import Launch, time_back
from turnout_components.switch_record import Floor, RecordStore, SwitchRecord
from turnout_components.time_windows import closed_until

from turnout.rollout.start import Start, startable
from turnout.rollout.status import Event, RolloutStatus, Shift, State
from turnout.rollout.store import RolloutStore

LOOK = 0.25
"""Seconds between two looks at the targets."""


@dataclass(frozen=True)
class Engine:
    """What deploys. `write` puts an environment's release into the stack's config, `up` deploys that and says why it failed
    ("" where it did not)."""

    write: Callable[[str, str], None]
    up: Callable[[], str]


def prepare(start: Start, record: SwitchRecord | None, cloud: LiveCloud, release: str) -> RolloutStatus:
    """The status of a replacement of the active environment's release by `release` (id). Nothing is touched.

    Raises `SwitchRefused`."""
    record, now = startable(record, cloud), start.clock()
    assert record.traffic is not None
    environment = record.traffic.active
    state = record.environments[environment]
    group = cloud.group(state.group) if state.group else None
    if state.release is None or group is None:
        raise SwitchRefused(f"{environment} has no servers to replace; run `turnout up`")
    name, digest = split_id(release)
    if digest_of(state.release) == digest:
        raise SwitchRefused(f"{environment} runs {name} already; there is nothing to replace")
    if digest in record.unstable:
        reason = record.unstable[digest].reason
        raise SwitchRefused(f"{name} is marked unstable ({reason}); run `turnout releases accept {name}` to try it again")
    until = closed_until(start.spec.windows, start.spec.freeze, now)
    if until is not None:
        raise SwitchRefused(f"turnout:rollout.windows are closed until {until:%Y-%m-%d %H:%M} UTC; run this again then")
    return RolloutStatus(
        id=f"{name}-{now:%Y%m%d-%H%M%S}",
        spec=start.spec,
        plan=(),
        stable=environment,
        candidate=environment,
        releases={environment: release},
        before=state.release,
        began=now,
        by=str(start.operator),
        standby=start.standby,
        total=max(len(group.in_service), 1),
        step_began=now,
        shifts=(Shift(at=now, weight=100),),
        events=(Event(at=now, what="began", why=f"{start.spec.strategy} by {start.operator}"),),
    )


def announcement(status: RolloutStatus, launches: Sequence[Launch]) -> str:
    """What users will notice, and for how long: as long as the old servers drain, for they get no new request then, and as
    long as new ones take, by the launches of the group that is about to be deleted."""
    new, old = (name_of(str(one)) for one in (status.releases[status.candidate], status.before))
    place = f"{status.candidate} ({status.total} instance{'s' if status.total > 1 else ''})"
    drain, back = status.standby.drain.total_seconds(), time_back(status.total, 0, launches)
    cold = [launch.seconds for launch in launches if not launch.from_warm_pool]
    whole = f": some {drain + median(cold):.0f} s in all" if cold else ""
    return (
        f"DOWNTIME: {new} replaces {old} in place on {place}. Users get 503 while the old servers drain (up to {drain:.0f} s) "
        f"and from then until a new one is healthy, {back}{whole}"
    )


class Recreation:
    """One run. `background` calls what it is given again and again while its block runs."""

    def __init__(
        self,
        rollouts: RolloutStore,
        records: RecordStore,
        cloud: LiveCloud,
        engine: Engine,
        *,
        alert: Callable[[RolloutStatus, Event], None],
        notify: Callable[[str], None],
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        background: Callable[[Callable[[], None]], AbstractContextManager[None]] | None = None,
    ) -> None:
        self._rollouts, self._records, self._cloud, self._engine = rollouts, records, cloud, engine
        self._alert, self._notify, self._clock, self._sleep = alert, notify, clock, sleep
        self._background = background or repeatedly
        self._down = timedelta(0)
        self._down_since: datetime | None = None

    def begin(self, status: RolloutStatus, said: str) -> RolloutStatus:
        """Enters it, tells people (`said`: the announcement), and keeps the environment's size for the new group.

        Raises `SwitchRefused` when somebody was faster."""
        until = status.began + 2 * status.spec.ready_timeout + status.standby.bake

        def entered(record: SwitchRecord) -> SwitchRecord:
            startable(record, self._cloud)
            floors = {**record.floors, status.candidate: Floor(minimum=status.total, until=until)}
            return record.changed(floors=floors).noted(status.began, status.by, "rollout", f"{status.id}: {said}")

        written = self._rollouts.create(status.said(self._clock(), "downtime announced", said))
        self._records.update(entered)
        self._tell(written)
        return written

    def run(self, status: RolloutStatus) -> RolloutStatus:
        """Takes it to its end, from wherever it stands."""
        if status.state.is_over:
            return status
        self._take_up(status)
        if not status.cause:
            status = self._step(status, "replacing", status.releases[status.candidate])
            if status.state.is_over:
                return status
            why, deployed = self._deploy(status, status.releases[status.candidate])
            if not why:
                return self._over(status, State.PROMOTED, "served again")
            status = self._rollouts.update(status.id, lambda found: found.changed(cause=why, unstable=deployed))
        status = self._step(status, "putting back", str(status.before))
        why = self._put_back(status)
        if why:
            failed = f"{status.cause}; and {status.before} could not be put back: {why}; run `turnout up`"
            return self._over(status.changed(cause=failed), State.TAKEN_BACK, "not put back")
        return self._over(status, State.TAKEN_BACK, "put back")

    def look(self) -> None:
        """Counts the time for which no target is healthy."""
        record, now = self._records.read(), self._clock()
        if record is None or record.traffic is None:
            return
        targets = self._cloud.targets(record.environments[record.traffic.active].target_group)
        if self._down_since is not None:
            self._down += now - self._down_since
        self._down_since = None if any(target.state == "healthy" for target in targets) else now

    def _take_up(self, status: RolloutStatus) -> None:
        """Was a run killed with nobody healthy, the time since its step began counts."""
        self._down, self._down_since = timedelta(seconds=status.downtime or 0), None
        self.look()
        if self._down_since is not None:
            self._down_since = status.step_began

    def _step(self, status: RolloutStatus, what: str, release: str) -> RolloutStatus:
        """Written before it is done; what somebody has aborted is over."""
        self._notify(f"{what}: {release}")
        now, down = self._clock(), self._down.total_seconds()

        def begun(found: RolloutStatus) -> RolloutStatus:
            return found if found.state.is_over else found.said(now, what, release).changed(step_began=now, downtime=down)

        return self._rollouts.update(status.id, begun)

    def _deploy(self, status: RolloutStatus, release: str) -> tuple[str, bool]:
        """Why the release does not serve ("" where it does), and whether it was deployed."""
        self._engine.write(status.candidate, release)
        with self._background(self.look):
            failed = self._engine.up()
            return (failed, False) if failed else (self._unready(status), True)

    def _put_back(self, status: RolloutStatus) -> str:
        """Why the old release does not serve; "" where it does. Nothing is deployed where its servers were not touched."""
        release, healthy = self._now(status.candidate)
        if release == status.before and healthy > 0:
            self._engine.write(status.candidate, str(status.before))
            return ""
        return self._deploy(status, str(status.before))[0]

    def _unready(self, status: RolloutStatus) -> str:
        deadline, said = self._clock() + status.spec.ready_timeout, ""
        while True:
            ready = self._now(status.candidate)[1]
            if ready >= status.total:
                return ""
            waits = f"{ready} of {status.total} targets of {status.candidate} are healthy"
            if self._clock() >= deadline:
                return f"not healthy in time ({status.spec.ready_timeout.total_seconds():.0f} s): {waits}"
            if waits != said:
                self._notify(f"… {waits}")
            said = waits
            self._sleep(LOOK)

    def _now(self, environment: str) -> tuple[str | None, int]:
        """The environment's release as recorded, and how many targets of it are healthy."""
        record = self._records.read()
        if record is None:
            return None, 0
        state = record.environments[environment]
        return state.release, ready_targets(self._cloud, state.target_group, state.group)[0]

    def _over(self, status: RolloutStatus, state: State, what: str) -> RolloutStatus:
        self.look()
        now, down = self._clock(), self._down.total_seconds()
        said = f"no healthy target for {down:.1f} s"

        def noted(record: SwitchRecord) -> SwitchRecord:
            if state is State.PROMOTED:
                return record.noted(now, status.by, "promote", f"rollout {status.id}: {said}")
            back = record.noted(now, status.by, "rollback", f"rollout {status.id}: {said}; {status.cause}")
            return back.blamed(status.releases[status.candidate], now, status.by, status.cause) if status.unstable else back

        def ended(found: RolloutStatus) -> RolloutStatus:
            if found.state.is_over:
                return found
            return found.said(now, what, said).changed(state=state, cause=status.cause, ended=now, downtime=down)

        self._records.update(noted)
        over = self._rollouts.update(status.id, ended)
        self._tell(over)
        return over

    def _tell(self, status: RolloutStatus) -> None:
        try:
            self._alert(status, status.events[-1])
        except Exception as error:
            self._notify(f"! the alert could not be sent: {error}")


@contextmanager
def repeatedly(look: Callable[[], None]) -> Iterator[None]:
    """Calls `look` every `LOOK` seconds in a thread while the block runs; a look that fails is made again."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(LOOK):
            with suppress(Exception):
                look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
