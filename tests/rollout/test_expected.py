"""What a rollout says beforehand that it will see."""

from datetime import timedelta

import pytest
from rollout_world import World

from turnout.analysis.budget import Stage
from turnout.rollout.expected import expected, stages, usual

QUALITY = {"name": "quality", "kind": "quality", "metric": {"namespace": "T", "name": "Q"}}


def prepared(rate: float):
    world = World(rate=rate)
    return world.rollouts.read(world.start(strategy="canary", gates=[{"name": "errors", "kind": "errors"}, QUALITY]))


def test_what_is_usual_is_what_was_measured_of_the_active_side():
    status = prepared(200)
    errors, quality = (usual(gate, status.windows) for gate in status.gates)
    assert errors is not None
    assert errors.per_second == pytest.approx(200)
    assert errors.rate == pytest.approx(0.002, rel=0.3)
    assert quality is not None
    assert quality.rate == pytest.approx(0.95, abs=0.005)
    assert quality.deviation == pytest.approx(0.218, abs=0.01)


def test_a_gate_of_which_nothing_was_measured_has_no_line():
    status = prepared(200)
    assert {line.gate for line in expected(status.changed(windows=()))} == set()
    assert {line.gate for line in expected(status)} == {"errors", "quality"}


def test_each_weight_is_looked_at_for_its_bake_and_its_extension():
    minutes = [timedelta(minutes=each) for each in (5, 20, 10, 25)]
    assert stages(prepared(200)) == (
        *(Stage(weight, minutes[0], minutes[1]) for weight in (5, 25, 50)),
        Stage(100, minutes[2], minutes[3]),
    )


def test_more_traffic_lets_more_be_seen():
    little, much = ({(line.gate, line.weight): line for line in expected(prepared(rate))} for rate in (20, 2000))
    assert not little["errors", 50].suffices
    assert much["errors", 50].suffices
    assert all(much[key].passes >= little[key].passes - 0.05 for key in little)
