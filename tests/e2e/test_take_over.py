"""An environment that takes over serves what the other one served. The last test of this service: its groups are large now."""

from benchmarks.service import Service
from benchmarks.waiting import wait_for

RATE = 300


def test_an_environment_that_takes_over_is_as_large_as_the_one_that_it_relieves(running: Service) -> None:
    before, after = running.active, running.standby
    group = running.record().environments[before].group
    running.api("autoscaling").set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=5)
    wait_for("five healthy", lambda: running.targets(before) == ["healthy"] * 5)
    assert len(running.targets(after)) == 1
    with running.load(RATE) as load:
        result = running.up({"traffic": {"active": after}})
    assert result.exit_code == 0, running.said()
    assert load.lost == {}
    assert running.active == after
    taken_over = running.live.group(str(running.record().environments[after].group))
    assert taken_over is not None
    assert len(taken_over.in_service) >= 5
    record = running.record()
    assert record.floors[after].minimum == 5
    assert record.retained is not None
    assert record.retained.minimum == 5
