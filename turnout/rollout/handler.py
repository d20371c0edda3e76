"""Drives the rollout of one service in one stack as a Lambda function that a schedule invokes.

What it is to do stands in the rollout's status, so neither a stack file nor Pulumi is needed. Whoever invokes it too often or
kills it changes nothing: the lease in the status says who drives. It runs no commands: a smoke test is left to
`turnout rollout run`.
"""

import functools
import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

import httpx
from botocore.config import Config
from botocore.session import get_session
from pydantic import BaseModel, ConfigDict
from turnout_components.items import DEFAULT_TABLE
from turnout_components.live import utc_now
from turnout_components.platforms import EC2, KUBERNETES, Place, platform
from turnout_components.rollout_spec import StrategyName
from turnout_components.switch_record import Operator, RecordStore

from turnout.rollout.alerts import Alerter
from turnout.rollout.controller import Controller, Tick
from turnout.rollout.mirrors import InstanceMirrors
from turnout.rollout.sources import source
from turnout.rollout.status import LEASE, RolloutStatus
from turnout.rollout.store import NoRollout, RolloutStore

RESERVE = 10.0
"""Seconds before an invocation's end after which no look begins: a look takes one or two."""
LOOK = 5.0
"""Seconds between two looks. A schedule of EventBridge has minutes ("Schedule types in EventBridge Scheduler")."""
CALL = Config(connect_timeout=3, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 3})
"""Bounds of one call, so that no call outlasts the invocation."""
Say = Callable[..., None]


class Settings(BaseModel):
    """What the function's environment says. `endpoint`, `kubeconfig` and `speed`: of a local cloud."""

    model_config = ConfigDict(frozen=True)

    service: str
    stack: str
    region: str
    table: str = DEFAULT_TABLE
    look: float = LOOK
    endpoint: str | None = None
    speed: float = 1.0
    platform: str = EC2
    cluster: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    step_down_image: str | None = None
    step_down_account: str | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Settings":
        """From TURNOUT_SERVICE, TURNOUT_STACK, AWS_REGION, which Lambda sets, and the optional TURNOUT_TABLE, TURNOUT_LOOK,
        TURNOUT_LOCAL_ENDPOINT, TURNOUT_LOCAL_KUBECONFIG and TURNOUT_LOCAL_SPEED; of a cluster TURNOUT_PLATFORM,
        TURNOUT_CLUSTER, TURNOUT_CONTEXT, TURNOUT_STEP_DOWN_IMAGE and TURNOUT_STEP_DOWN_ACCOUNT.

        Raises `pydantic.ValidationError` for what is missing or wrong."""
        local = {name: f"TURNOUT_LOCAL_{name.upper()}" for name in ("endpoint", "kubeconfig", "speed")}
        names = {"region": "AWS_REGION", **local}
        given = {field: environ.get(names.get(field, f"TURNOUT_{field.upper()}")) for field in cls.model_fields}
        return cls.model_validate({field: value for field, value in given.items() if value is not None})

    def place(self) -> Place:
        """Where the switch works."""
        step_down = {"step_down_image": self.step_down_image, "step_down_account": self.step_down_account}
        return Place(self.platform, self.table, self.context, self.cluster, self.kubeconfig, **step_down)


class Context(Protocol):
    """What Lambda tells of an invocation ("Using the Lambda context object to retrieve Python function information")."""

    function_name: str
    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int: ...


def handler(event: object, context: Context) -> dict[str, Any]:  # noqa: ARG001 -- Lambda passes it
    """Drives the rollout that the switch record names until shortly before the invocation's end, or its own.

    Raises what the last look raised, where none of this invocation succeeded: Lambda counts it as an error."""
    # The host is none that another could ask for a process: functions share host names and process numbers.
    operator = Operator(name=context.function_name, host=context.aws_request_id, pid=os.getpid())
    say = functools.partial(_print, request=context.aws_request_id)
    return compose(Settings.of(os.environ)).run(operator, lambda: context.get_remaining_time_in_millis() / 1000, say)


class Runner:
    """What is kept from one invocation to the next: clients, and what is known to be over. `controller` makes a driver."""

    def __init__(
        self,
        records: RecordStore,
        rollouts: RolloutStore,
        controller: Callable[[RolloutStatus, Operator, Callable[[str], None]], Controller],
        *,
        look: float = LOOK,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._records, self._rollouts, self._controller = records, rollouts, controller
        self._look, self._sleep, self._clock = look, sleep, clock
        self._settled = -1
        """Generation of the switch record at which nothing was left to be done."""

    def run(self, operator: Operator, remaining: Callable[[], float], say: Say) -> dict[str, Any]:
        """One invocation, which has so many seconds left. `say` takes a level and a message, and writes a line."""
        rollout = self._to_drive()
        if rollout is None:
            return {"rollout": None}
        say = functools.partial(say, rollout=rollout)
        status = self._rollouts.read(rollout)
        controller = self._controller(status, operator, functools.partial(say, "info"))
        try:
            tick, looks = self._drive(controller, rollout, remaining, say)
        finally:
            _release(controller, rollout, say)
        return {
            "rollout": rollout,
            "state": tick.status.state.value,
            "weight": tick.status.weight,
            "waits": tick.waits,
            "driven_by": str(tick.driven_by) if tick.driven_by else None,
            "looks": looks,
        }

    def _to_drive(self) -> str | None:
        """The rollout that is under way, or the newest where its driver ended before it had told people of its end, or where it
        was ended from outside. One read where nothing has changed since nothing was to be done."""
        record = self._records.read()
        if record is None or record.generation == self._settled:
            return None
        if record.rollout is not None:
            return record.rollout
        newest = next(iter(self._rollouts.ids()), None)
        status = self._known(newest) if newest else None
        if status is None or not (status.alerts or self._was_ended_from_outside(status)):
            if status is None or status.state.is_over:
                self._settled = record.generation
            return None
        return newest if status.holder(self._clock(), "") is None else None

    def _was_ended_from_outside(self, status: RolloutStatus) -> bool:
        """Whether a rollback by hand left its end, and that of its mirror, to a driver; one that has just begun may not be in
        the switch record yet."""
        is_driven = not status.state.is_over and status.spec.strategy is not StrategyName.RECREATE
        return is_driven and self._clock() - status.began > LEASE

    def _known(self, rollout: str) -> RolloutStatus | None:
        try:
            return self._rollouts.read(rollout)
        except NoRollout:
            return None

    def _drive(self, controller: Controller, rollout: str, remaining: Callable[[], float], say: Say) -> tuple[Tick, int]:
        tick, looks, said = None, 0, ""
        while True:
            try:
                tick, looks = controller.tick(rollout), looks + 1
                waits = f"{tick.driven_by} drives it" if tick.driven_by else tick.waits
                if waits and waits != said:
                    say("info", waits)
                said = waits
            except Exception as error:
                say("error", f"{type(error).__name__}: {error}")
                if tick is None and remaining() <= RESERVE + self._look:
                    raise
            if tick is not None and (tick.is_done or remaining() <= RESERVE + self._look):
                return tick, looks
            self._sleep(self._look)


def _release(controller: Controller, rollout: str, say: Say) -> None:
    """Without it the next driver waits for the lease's end."""
    try:
        controller.release(rollout)
    except Exception as error:
        say("error", f"the lease is kept until it ends: {type(error).__name__}: {error}")


@functools.cache
def compose(settings: Settings, sleep: Callable[[float], None] = time.sleep, clock: Callable[[], datetime] = utc_now) -> Runner:
    """A runner with clients of AWS, or of a local cloud; made once for as long as Lambda keeps the process."""
    session = get_session()

    @functools.cache
    def client(service: str) -> Any:
        return session.create_client(service, region_name=settings.region, endpoint_url=settings.endpoint, config=CALL)

    there = platform(settings.place(), client, clock=clock)
    store = (there.items, settings.service, settings.stack)
    records, rollouts = RecordStore(*store), RolloutStore(*store)

    def controller(status: RolloutStatus, operator: Operator, notify: Callable[[str], None]) -> Controller:
        metrics = source(status.spec.metrics, client, settings.speed)
        return Controller(
            rollouts,
            records,
            there.live,
            metrics,
            step_downs=there.step_downs,
            alert=Alerter(status.spec.alerts, rollouts.key, client, httpx.Client()),
            notify=notify,
            operator=operator,
            clock=clock,
            mirrors=None
            if settings.platform == KUBERNETES
            else InstanceMirrors(client, rollouts.key, metrics.period, metrics.delay),
        )

    return Runner(records, rollouts, controller, look=settings.look, sleep=sleep, clock=clock)


def _print(level: str, message: str, **fields: str) -> None:
    """One line of the log, as an object of JSON."""
    print(json.dumps({"level": level, "message": message, **fields}), flush=True)
