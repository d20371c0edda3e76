"""A pool under load: `python -m benchmarks.capacity`.

A local cloud of its own with the digits stack, a boot that takes minutes, a warm pool, and target tracking. Printed:
the time to in-service from nothing and from the warm pool, a burst from its beginning until the pool is back at its size, and
a flip in the middle of a second burst. The cloud's minutes last a few seconds (`--speed`); bursts are told in its minutes.
Figures are of the local cloud: how long AWS takes to start a machine is the stack's `pool.boot`, not a measurement.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.common import Row, parser, show
from benchmarks.service import Service, service
from benchmarks.traffic import Load, load
from benchmarks.waiting import wait_for

BOOT = {"machine": 60, "image": 60, "model": 60, "resume": 12}
WARM_POOL = {"state": "stopped", "minimum": 1, "maximum_prepared": 6}
PER_TARGET = 60
BASE, BURST = 4.0, 36.0
"""Requests a second: the first needs one instance at `PER_TARGET` a minute of five seconds, both together need four."""


def deploy(target: Service, **changes: Any) -> None:
    """An `up` with these changes of the stack file. Raises `SystemExit` when it fails."""
    if target.up(changes).exit_code:
        raise SystemExit(target.said())


def group(target: Service, environment: str) -> dict[str, Any]:
    """An environment's auto scaling group as AWS's API tells it."""
    name, api = target.record().environments[environment].group, target.api("autoscaling")
    found: dict[str, Any] = api.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]
    return found


def in_service(target: Service, environment: str) -> int:
    """Instances that are in service."""
    return sum(item["LifecycleState"] == "InService" for item in group(target, environment)["Instances"])


def members(target: Service, environment: str) -> int:
    """Instances of the group, whatever they do; without its warm pool."""
    return len(group(target, environment)["Instances"])


def resize(target: Service, environment: str, size: int) -> None:
    """Sets the desired capacity and waits until so many are in service and healthy, and no other is left."""
    api, name = target.api("autoscaling"), target.record().environments[environment].group
    api.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=size)
    wait_for(
        f"{size} in service", lambda: in_service(target, environment) == len(group(target, environment)["Instances"]) == size
    )
    wait_for("health", lambda: target.targets(environment) == ["healthy"] * size)


def to_in_service(target: Service, times: int, ready: Callable[[], object]) -> list[float]:
    """Seconds until one more instance of blue was in service, by the API's own activities; again and again."""
    found = []
    for _ in range(times):
        wait_for("readiness", ready, 120)
        resize(target, "blue", 2)
        found.append(target.live.launches(str(target.record().environments["blue"].group))[0].seconds)
        resize(target, "blue", 1)
    return found


def burst(target: Service, folder: Path, minute: float, flip: bool) -> tuple[Row, list[Load]]:
    """A burst on top of steady load. With `flip` traffic moves in its middle; without, the pool comes back to its size."""
    environment = target.active
    with ExitStack() as users:
        steady = users.enter_context(load(target.url, BASE, folder / f"steady-{flip}.json", slow_share=0))
        with load(target.url, BURST, folder / f"burst-{flip}.json", slow_share=0) as more:
            began = time.monotonic()
            wait_for("three in service", lambda: in_service(target, environment) >= 3, 180)
            row: Row = {
                "burst": "with a flip" if flip else "alone",
                "to 3 in service, min": (time.monotonic() - began) / minute,
            }
            if flip:
                row["instances at the flip"] = in_service(target, environment)
                deploy(target, traffic={"active": target.standby})
                row["of the new active"] = in_service(target, target.active)
                time.sleep(8 * minute)
            row["most"] = in_service(target, target.active)
            if flip:
                row["standby 8 min later"] = in_service(target, target.standby)
        ended = time.monotonic()
        if not flip:
            wait_for("the pool at its size", lambda: in_service(target, environment) == 1, 300)
            row["back at 1 after, min"] = (time.monotonic() - ended) / minute
    row = {key: round(value, 1) if isinstance(value, float) else value for key, value in row.items()}
    return row, [steady, more]


def main() -> None:
    arguments = parser("capacity", "Times to in-service from nothing and from the warm pool; bursts, and what was lost.")
    arguments.add_argument("--speed", type=float, default=12.0, help="how much faster than AWS's the cloud's minutes are")
    arguments.add_argument("--times", type=int, default=3, help="launches of each kind")
    args = arguments.parse_args()
    pool = {"minimum": 1, "maximum": 6, "boot": BOOT}
    with tempfile.TemporaryDirectory() as name, service(Path(name), args.speed, pool=pool) as target:
        deploy(target)
        wait_for("health", lambda: target.targets("blue") == ["healthy"])
        cold = to_in_service(target, args.times, lambda: True)
        deploy(target, pool={"warm_pool": WARM_POOL})
        blue = str(target.record().environments["blue"].group)
        warm = to_in_service(target, args.times, lambda: target.live.warm(blue) >= 1)
        deploy(target, scaling={"target_tracking": {"requests_per_target": PER_TARGET}, "warmup": 30})
        wait_for("health of both", lambda: target.targets("blue") == target.targets("green") == ["healthy"])
        alone, users = burst(target, Path(name), 60 / args.speed, flip=False)
        flipped, more = burst(target, Path(name), 60 / args.speed, flip=True)
    rows: list[Row] = [
        {"in service": kind, "median, s": round(statistics.median(times), 2), "all, s": ", ".join(f"{t:.1f}" for t in times)}
        for kind, times in (("from nothing", cold), ("from the warm pool", warm))
    ]
    ratio = statistics.median(cold) / statistics.median(warm)
    show("time to in-service", rows, f"from nothing takes {ratio:.1f} times as long; boot {BOOT} divided by {args.speed:g}")
    results = [one.result for one in (*users, *more)]
    lost = sum(sum(one.lost.values()) for one in (*users, *more))
    show("a burst", [alone])
    show("a burst with a flip in the middle", [flipped])
    sent = sum(int(result["requests_sent"]) for result in results)
    figures: list[Row] = [{"what": f"requests lost of {sent}", "found": lost, "aim": "0"}]
    note = "the machine's load average: " + ", ".join(f"{value:.1f}" for value in os.getloadavg())
    show("users", figures, note, args.json, in_service=rows, alone=alone, flipped=flipped)
    if lost:
        raise SystemExit("requests were lost")


if __name__ == "__main__":
    main()
