"""Who is told of a return, what they are told, and what happens when they cannot be."""

import json
from typing import Any

import httpx
import pytest
from rollout_world import Behaviour, World
from turnout_components.rollout_spec import Alerts

from turnout.rollout.alerts import Alerter, AlertFailed
from turnout.rollout.status import RolloutStatus

SECRET = "https://hooks.example.com/T0/B0/planted-secret"
TOPIC = "arn:aws:sns:us-east-1:123456789012:rollouts"


def taken_back(**spec: Any) -> tuple[World, RolloutStatus]:
    world = World()
    world.metrics.candidate = Behaviour(errors=0.08)
    return world, world.drive(world.controller(), world.start(strategy="canary", **spec))


class Aws:
    """The three services that an alert may need."""

    def __init__(self, fails: bool = False) -> None:
        self.published: list[dict[str, str]] = []
        self.fails = fails

    def __call__(self, _: str) -> "Aws":
        return self

    def publish(self, **call: str) -> None:
        if self.fails:
            raise RuntimeError("AuthorizationError")
        self.published.append(call)

    def get_parameter(self, **_: Any) -> Any:
        return {"Parameter": {"Value": SECRET}}

    def get_secret_value(self, **_: Any) -> Any:
        return {"SecretString": SECRET}


def alerter(alerts: Alerts, aws: Aws, status: int = 200) -> tuple[Alerter, list[httpx.Request]]:
    posted: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        posted.append(request)
        return httpx.Response(status)

    return Alerter(alerts, "svc/dev", aws, httpx.Client(transport=httpx.MockTransport(answer))), posted


def test_an_alert_names_the_gate_its_numbers_and_what_was_done():
    world, status = taken_back()
    aws = Aws()
    alert, posted = alerter(Alerts(topic=TOPIC, webhook=SECRET), aws)
    alert(status, world.alerts[0])
    (published,) = aws.published
    assert published["TopicArn"] == TOPIC
    assert published["Subject"] == "svc/dev: traffic goes back to blue"
    for part in ("errors", "requests failed", "times", "blue 100 %, green 0 %", status.id, "gate latency"):
        assert part in published["Message"]
    told = json.loads(posted[0].content)
    assert told["traffic"] == {"blue": 100, "green": 0}
    gate = next(each for each in told["gates"] if each["gate"] == "errors")
    assert gate["verdict"] == "fail"
    assert gate["numbers"]


@pytest.mark.parametrize(
    "where", ["ssm:/turnout/hook", "arn:aws:secretsmanager:us-east-1:123456789012:secret:hook-AbCdEf"], ids=["ssm", "secret"]
)
def test_a_webhooks_address_may_stay_where_it_is_kept(where: str):
    world, status = taken_back()
    alert, posted = alerter(Alerts(webhook=where), Aws())
    alert(status, world.alerts[0])
    assert str(posted[0].url) == SECRET


def test_one_way_that_fails_does_not_hold_the_other_up_and_no_address_is_named():
    world, status = taken_back()
    alert, posted = alerter(Alerts(topic=TOPIC, webhook=SECRET), Aws(fails=True), status=500)
    with pytest.raises(AlertFailed) as failed:
        alert(status, world.alerts[0])
    assert len(posted) == 1
    assert str(failed.value) == "SNS: AuthorizationError; webhook answered 500"


def test_what_could_not_be_told_is_told_at_the_next_look():
    world = World()
    world.metrics.candidate = Behaviour(errors=0.08)
    rollout, controller = world.start(strategy="canary"), world.controller()
    deaf = [True]

    def alert(_: RolloutStatus, event: Any) -> None:
        if deaf[0]:
            raise AlertFailed("webhook answered 500")
        world.alerts.append(event)

    controller._alert = alert
    while not controller.tick(rollout).status.state.is_over:
        world.clock.sleep_now(5)
    assert world.cloud.weights_put[-1] == 0
    assert not world.alerts
    assert not controller.tick(rollout).is_done
    deaf[0] = False
    assert controller.tick(rollout).is_done
    assert [event.what for event in world.alerts] == ["traffic goes back to blue"]
    controller.tick(rollout)
    assert len(world.alerts) == 1


def test_nobody_waits_for_ever_for_a_webhook_that_is_gone():
    world = World()
    world.metrics.candidate = Behaviour(errors=0.08)
    rollout, controller = world.start(strategy="canary"), world.controller()

    def deaf(_: RolloutStatus, event: Any) -> None:
        raise AlertFailed(f"webhook answered 500 to {event.what}")

    controller._alert = deaf
    status = world.drive(controller, rollout)
    assert status.alerts
    assert controller.tick(rollout).is_done
