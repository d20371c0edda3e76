"""What a rollout waits for, said to somebody who does not drive it."""

from rollout_world import World

from turnout.rollout.status import State

ROUTERS = ("listener", "gateway")


def test_who_only_looks_is_told_what_the_driver_waits_for_and_writes_nothing() -> None:
    world = World()
    rollout = world.start(strategy="canary")
    waits = world.controller().tick(rollout).waits
    status, calls = world.rollouts.read(rollout), list(world.cloud.calls)
    assert waits
    assert world.controller().waits(status) == waits
    assert (world.rollouts.read(rollout), world.cloud.calls) == (status, calls)


def test_what_is_over_waits_for_nothing() -> None:
    world = World()
    status = world.drive(world.controller(), world.start(strategy="canary"))
    assert status.state is State.PROMOTED
    assert world.controller().waits(status) == ""
