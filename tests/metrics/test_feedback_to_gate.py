"""What a pipeline publishes under the digest that answers carry is what the quality gate reads of each side."""

from datetime import timedelta
from typing import Any

from measured_places import LISTENER, START, span
from turnout_components.feedback import METRIC, NAMESPACE, Score, publish
from turnout_components.rollout_spec import Gate, GateKind, Metric, RolloutSpec
from turnout_components.switch_record import EnvironmentState, SwitchRecord

from turnout.analysis.measurement import Moments, Side
from turnout.metrics.cloudwatch import CloudWatchMetrics
from turnout.rollout.measuring import places
from turnout.rollout.status import RolloutStatus

OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64
GATE = Gate(
    name="quality",
    kind=GateKind.QUALITY,
    metric=Metric(namespace=NAMESPACE, name=METRIC, dimensions={"Service": "$service", "Release": "$release"}),
)


def test_each_sides_scores_are_those_of_its_release(client: Any) -> None:
    spec = RolloutSpec(gates=(GATE,))
    environments = {
        "blue": EnvironmentState(target_group="tg/blue", group="g-blue", release=f"digits-1.0.0@{OLD}"),
        "green": EnvironmentState(target_group="tg/green", group="g-green", release=f"digits-2.0.0@{NEW}"),
    }
    record = SwitchRecord(key="digits/prod", listener=LISTENER, environments=environments)
    status = RolloutStatus(
        id="r",
        spec=spec,
        plan=spec.plan(),
        stable="blue",
        candidate="green",
        releases={name: str(state.release) for name, state in environments.items()},
        began=START,
        by="ops",
        total=2,
        step_began=START,
    )
    at = START.timestamp()
    publish(client, "digits", [Score(OLD, at + 1, 1.0, 90), Score(OLD, at + 30, 0.0, 10), Score(NEW, at + 59.9, 1.0, 4)])
    publish(client, "digits", [Score(NEW, at + 60, 0.0, 7)])  # the next minute's
    publish(client, "another", [Score(OLD, at, 0.0, 50)])
    source = CloudWatchMetrics(client, timedelta(minutes=1), timedelta(0))
    both = places(status, record, "digits/prod")
    assert source.missing([GATE], both, START, START + timedelta(minutes=1)) == []
    (found,) = source.read([GATE], {}, both, [span(0)])
    assert found[Side.ACTIVE].samples["quality"] == Moments(100, 90.0, 90.0)
    assert found[Side.CANDIDATE].samples["quality"] == Moments(4, 4.0, 4.0)
