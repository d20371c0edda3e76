"""Nodes swapped inside one more under load, on the local cloud with the real driver and the real gates; forth and back."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from benchmarks.rollouts import CANARY, GATES, RATE, accept, deploy, roll_out
from benchmarks.service import Service
from benchmarks.waiting import wait_for
from tests.e2e.standbys import the_other
from turnout.rollout.status import State

NODES = 3
SPEC = {**CANARY, "steps": [10, 60, 100], "gates": GATES, "bake": "5s", "observe": "5s", "max_surge": 1}


@pytest.fixture(scope="module")
def three(target: Service) -> Service:
    """A good release on three nodes with all traffic, the other good one on one."""
    group = target.record().environments[target.active].group
    target.api("autoscaling").set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=NODES)
    deploy(target, the_other(target))
    accept(target)
    wait_for("three healthy", lambda: target.targets(target.active) == ["healthy"] * NODES)
    return target


@contextmanager
def counted(target: Service) -> Iterator[list[int]]:
    """How many nodes both groups had while the block ran, again and again: booting and draining ones are nodes too."""
    groups = [str(state.group) for state in target.record().environments.values()]
    found, over, live = list[int](), threading.Event(), target.live

    def look() -> None:
        while not over.wait(0.05):
            found.append(sum(group.present for name in groups if (group := live.group(name))))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        over.set()
        looking.join()


@pytest.mark.parametrize(
    ("changes", "weights"),
    [
        pytest.param({"steps": [60, 100], "bake": "3s", "observe": "3s"}, [36, 60, 73, 100], id="some"),
        pytest.param({}, [10, 36, 60, 73, 100], id="every", marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(300)
def test_three_nodes_are_swapped_inside_one_more_and_no_request_is_lost(
    three: Service, changes: dict[str, Any], weights: Sequence[int]
) -> None:
    target = three
    with target.load(RATE, slow_share=0.02) as load, counted(target) as nodes:
        load.await_requests(int(4 * RATE))
        ended = roll_out(target, {**SPEC, **changes})
    assert ended.status.state is State.PROMOTED, ended.status.cause
    assert [shift.weight for shift in ended.status.shifts] == weights
    assert max(nodes) == NODES + 1
    assert not {kind: count for kind, count in load.lost.items() if count}
    sides = {name: target.live.group(str(state.group)) for name, state in target.record().environments.items()}
    assert {name: group and len(group.in_service) for name, group in sides.items()} == {
        ended.status.candidate: NODES,
        ended.status.stable: 1,
    }


@pytest.mark.slow  # tests/rollout/test_swap.py has it of a cloud that is acted out
@pytest.mark.timeout(300)
def test_a_bad_one_goes_back_as_the_nodes_come_back(three: Service) -> None:
    """After the test above; the bad one fails for some of its requests."""
    target = three
    deploy(target, "3.0.0-bad")
    accept(target)
    wait_for("one node", lambda: target.targets(target.standby) == ["healthy"])
    with target.load(RATE, slow_share=0.02) as load, counted(target) as nodes:
        time.sleep(5)
        ended = roll_out(target, {**SPEC, "steps": [60, 100]})
    weights = [shift.weight for shift in ended.status.shifts]
    assert ended.status.state is State.TAKEN_BACK, ended.status.cause
    assert weights[-1:] == [0], ended.status.events
    assert max(nodes) <= NODES + 1
    stable = ended.status.stable
    wait_for("three healthy again", lambda: target.targets(stable) == ["healthy"] * NODES)
    assert set(load.lost) <= {"http_500"}, load.lost  # the bad release's own
