"""Rollouts on the local cloud under load: `python -m benchmarks.rollouts`.

A good release is promoted by canary, one that fails and one that answers wrongly are taken back, all under load; then a bad
release is taken back again and again. Printed: how each ended and after how long, requests lost, and the time from the gate's
verdict until the load balancer's API has answered and until no request reaches the bad release any more. That again with
clients that keep cookies, while somebody has switched target group stickiness on in the middle of the rollout.
The cloud's minute lasts a second (`SPEED`), so CloudWatch has a value a second. `--source prometheus`: the returns with a real
Prometheus, which scrapes the servers four times a second. Figures are of the local cloud.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
from turnout_components.release import name_of

from benchmarks import prometheus
from benchmarks.common import Row, parser, show
from benchmarks.service import Service, release, service
from benchmarks.traffic import Load
from benchmarks.waiting import wait_for
from turnout.access import Access
from turnout.rollout.controller import Controller
from turnout.rollout.status import RolloutStatus, State
from turnout.rollouts import Rollouts

SPEED = 60.0
RATE = 600.0
LOOK = 0.5
"""Seconds between two looks of the driver, half a window. Driver and cloud share the machine with the servers that are judged:
at ten looks a second the 95th percentile went from 3.0 to 5.5 ms when a rollout began, and thresholds are from before."""
APART = 1.0
"""Seconds after a verdict in which the bad release's last request is looked for."""
STICKY_SHARE = 0.5
"""Share of the requests from clients that keep cookies, where stickiness is on."""
QUALITY = {
    "name": "quality",
    "kind": "quality",
    "margin": 0.05,
    "metric": {"namespace": "Turnout", "name": "Quality", "dimensions": {"Service": "$service", "Release": "$release"}},
}
SURE = [{"name": "errors", "kind": "errors", "objective": 0.99}, {"name": "health", "kind": "health"}]
GATES = [*SURE, {"name": "latency", "kind": "latency", "margin": 2.0}]
"""On a machine that is shared, requests wait for a processor now and then: a wider margin than the documents' 1.2."""
CANARY = {"steps": [10, 50, 100], "bake": "10s", "observe": "15s", "extend": "60s", "gates": [*GATES, QUALITY]}
SHORT = {**CANARY, "steps": [50, 100], "gates": GATES}


@dataclass(frozen=True)
class Ended:
    """How a rollout ended. `verdict` and `answered`: Unix seconds of the decision to go back and of the API's answer."""

    status: RolloutStatus
    seconds: float
    verdict: float = 0.0
    answered: float = 0.0

    @property
    def cause(self) -> str:
        """What ended it, in a word."""
        return self.status.cause.partition(":")[0] or self.status.state.value


class _Timed:
    """Notes when the driver's decision to take traffic back was made and when it was done."""

    def __init__(self, controller: Controller) -> None:
        self.verdict = self.answered = 0.0
        moves: Any = controller._moves
        self._put_back = moves.put_back
        moves.put_back = self._noted

    def _noted(self, *args: Any) -> None:
        self.verdict = time.time()
        self._put_back(*args)
        self.answered = time.time()


def rollouts(target: Service) -> Rollouts:
    """The rollouts of a service, without what its stack file says of them: its smoke test would find the bad release before it
    has a request."""
    stack = replace(target._access.stack, config={**target.config, "rollout": {}})
    return Rollouts(Access(stack, target.cloud.endpoint), target.cloud)


def roll_out(target: Service, spec: dict[str, Any], between: Callable[[], None] = lambda: None) -> Ended:
    """Begins a rollout and drives it to its end. `between`: called between two looks."""
    made = rollouts(target)
    chosen = made.spec(spec)
    began = time.monotonic()
    status = made.begin(made.prepare(chosen))
    controller = made.controller(chosen, lambda line: None)
    timed = _Timed(controller)
    while not (tick := controller.tick(status.id)).is_done:
        between()
        time.sleep(LOOK)
    return Ended(tick.status, time.monotonic() - began, timed.verdict, timed.answered)


def deploy(target: Service, version: str) -> None:
    """Brings a release to the standby, which gives up what it has; waits until it is healthy."""
    standby = target.standby
    kept = target.record().environments[standby].release or ""
    discard = {"traffic": {"standby": {"discard": name_of(kept)}}}
    if target.up({"environments": {standby: {"release": release(version)}}, **discard}).exit_code:
        raise SystemExit(target.said())
    wait_for("health", lambda: set(target.targets(standby)) == {"healthy"})


def accept(target: Service) -> None:
    """Lets every release that was marked unstable be tried again."""
    for mark in list(target.record().unstable.values()):
        target.records.update(lambda record, mark=mark: record.accepted(mark.release, mark.at, "benchmark"))  # type: ignore[misc]


@contextmanager
def deployed(home: Path, make: Callable[..., AbstractContextManager[Service]] = service) -> Iterator[Service]:
    """1.0.0 in blue with all traffic, 2.0.0 in green. `make`: the service in its cloud."""
    with make(home, speed=SPEED, pool={"minimum": 1}, traffic={"gate_timeout": "30s"}) as target:
        if target.up().exit_code:
            raise SystemExit(target.said())
        for name in ("blue", "green"):
            wait_for(f"health of {name}", lambda: set(target.targets(name)) == {"healthy"})  # noqa: B023
        yield target


def story(target: Service) -> tuple[list[Row], Load]:
    """2.0.0 promoted, 3.0.0-bad and 4.0.0-wrong taken back, and an update that moves nothing."""
    rows: list[Row] = []
    with target.load(RATE, slow_share=0.02, feedback=target.cloud.endpoint) as load:
        time.sleep(5)  # what is measured before a rollout: thresholds come from it
        for version, wanted in (("2.0.0", State.PROMOTED), ("3.0.0-bad", State.TAKEN_BACK), ("4.0.0-wrong", State.TAKEN_BACK)):
            if version != "2.0.0":
                deploy(target, version)
            ended = roll_out(target, CANARY)
            rows.append(
                {"release": version, "ended": ended.status.state.value, "by": ended.cause, "seconds": round(ended.seconds, 1)}
            )
            if ended.status.state is not wanted:
                print(f"{version} was to be {wanted.value}: {ended.status.cause}")
            if version == "2.0.0":
                rows.append(still(target))
    return rows, load


def still(target: Service) -> Row:
    """After a promotion the pool grows, and an update moves nothing."""
    api, active = target.api("autoscaling"), target.active
    group = target.record().environments[active].group
    api.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=2)
    wait_for("two instances", lambda: target.targets(active) == ["healthy"] * 2)
    before, began = target.weights(), time.monotonic()
    code = target.up().exit_code
    size = api.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"][0]["DesiredCapacity"]
    kept = code == 0 and target.weights() == before and size == 2
    ended = "nothing moved" if kept else f"moved: {before} → {target.weights()}, {size} instances, code {code}"
    return {"release": "up after it scaled", "ended": ended, "by": "–", "seconds": round(time.monotonic() - began, 1)}


def stick(target: Service) -> None:
    """Switches target group stickiness on, as somebody at the console might, once both sides carry weight."""
    elbv2, listener = target.api("elbv2"), target.record().listener
    (action,) = elbv2.describe_listeners(ListenerArns=[listener])["Listeners"][0]["DefaultActions"]
    config = action["ForwardConfig"]
    if all(group["Weight"] for group in config["TargetGroups"]) and not config["TargetGroupStickinessConfig"]["Enabled"]:
        sticky = {**config, "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 600}}
        elbv2.modify_listener(ListenerArn=listener, DefaultActions=[{"Type": "forward", "ForwardConfig": sticky}])


def returns(target: Service, times: int, sticky: bool = False, spec: dict[str, Any] = SHORT) -> tuple[list[Ended], Load]:
    """The bad release of the standby tried and taken back again and again, each with half of the requests; `sticky`: with
    stickiness, and clients that keep cookies."""
    found = []
    with target.load(RATE, slow_share=0.02, sticky_share=STICKY_SHARE if sticky else 0.0) as load:
        time.sleep(5)
        for _ in range(times):
            found.append(roll_out(target, spec, (lambda: stick(target)) if sticky else lambda: None))
            accept(target)
            time.sleep(2 * APART)
    return found, load


def exposure(target: Service, spec: dict[str, Any]) -> float:
    """A driver that stops between its check and its call to the load balancer, as by SIGSTOP, and wakes when another host has
    taken traffic back: milliseconds from the API's answer to its stale weight until the answer to its own correction."""
    made = rollouts(target)
    chosen = made.spec(spec)
    status = made.begin(made.prepare(chosen))
    sleeper = made.controller(chosen, lambda line: None)
    stopped, awake, answered = Event(), Event(), list[float]()
    live: Any = made.access.live
    put = live.set_weights

    def late(*args: Any, **options: Any) -> Any:
        if not stopped.is_set():
            stopped.set()
            awake.wait()
        done = put(*args, **options)
        answered.append(time.perf_counter())
        return done

    live.set_weights = late

    def drive() -> None:
        while not stopped.is_set():
            sleeper.tick(status.id)
            time.sleep(LOOK)

    driver = Thread(target=drive)
    driver.start()
    stopped.wait()
    rollouts(target).controller(chosen, lambda line: None).abort(status.id, "its driver is stopped")
    awake.set()
    driver.join()
    time.sleep(APART)  # rollouts are named by the second
    stale, corrected = answered
    return 1000 * (corrected - stale)


def after_verdict(ended: list[Ended], load: Load, sticky: bool = False) -> list[float]:
    """Milliseconds from each verdict until the last request that the bad release answered was sent (negative: before);
    `sticky`: of clients that keep cookies."""
    sent = load.sent_at("3.0.0-bad", sticky)
    found = []
    for each in ended:
        last = sent[np.searchsorted(sent, load.at(each.verdict) + APART) - 1]
        found.append(1000 * (last - load.at(each.verdict)))
    return found


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


def main() -> None:
    arguments = parser("rollouts", "Rollouts on a local cloud under load, and how fast a bad one is taken back.")
    arguments.add_argument("--returns", type=int, default=12, help="how often a bad release is taken back")
    arguments.add_argument(
        "--source",
        choices=("cloudwatch", "prometheus"),
        default="cloudwatch",
        help="who measures; with a real prometheus only the returns are measured: scores are in CloudWatch",
    )
    args = arguments.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="turnout-rollouts-")))
        target = stack.enter_context(deployed(home))
        rows: list[Row] = []
        spec: dict[str, Any] = SHORT
        if args.source == "prometheus":
            server = stack.enter_context(prometheus.beside(target))
            spec = {**SHORT, "gates": prometheus.GATES, "metrics": server.source}
        else:
            rows, load = story(target)
            lost = {kind: count for kind, count in load.lost.items() if count}
            sent = load.result["requests_sent"]
            show(f"Rollouts under {RATE:.0f} requests/s", rows, f"{sent} requests, lost: {lost or 'none'}")
        deploy(target, "3.0.0-bad")
        accept(target)
        ended, again = returns(target, args.returns, spec=spec)
        stuck, cookies = returns(target, args.returns, sticky=True, spec=spec)
        stale = [exposure(target, spec) for _ in range(args.returns)]
        api = [1000 * (each.answered - each.verdict) for each in ended]
        plane, sticky = after_verdict(ended, again), after_verdict(stuck, cookies, sticky=True)
        taken: list[Row] = [
            {"from the verdict until": what, "median (range) ms": _spread(values)}
            for what, values in (
                ("the load balancer's API has answered", api),
                ("the last request was sent that the bad release answered", plane),
                ("the last one of a client with a stickiness cookie was sent", sticky),
            )
        ]
        stood = "(beside it: a driver stopped before its write: its stale weight stood for)"
        taken.append({"from the verdict until": stood, "median (range) ms": _spread(stale)})
        losses = {kind: again.lost.get(kind, 0) + cookies.lost.get(kind, 0) for kind in again.lost.keys() | cookies.lost.keys()}
        sent = again.result["requests_sent"] + cookies.result["requests_sent"]
        note = f"{len(ended)} returns from 50 %, and as many with stickiness; {sent} requests, lost: {losses or 'none'}"
        show(
            f"A bad release is taken back, measured by {args.source}",
            taken,
            note,
            args.json,
            rollouts=rows,
            api_ms=api,
            plane_ms=plane,
            sticky_ms=sticky,
            stale_ms=stale,
        )


if __name__ == "__main__":
    main()
