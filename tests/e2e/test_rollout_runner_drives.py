"""A whole canary driven by the Lambda function's handler against the running local cloud, one invocation of it killed."""

import io
import os
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.service import ROOT, STACK, Service, release, service
from benchmarks.waiting import wait_for
from turnout.rollout import handler
from turnout.rollout.status import State
from turnout.rollouts import Rollouts

SPEED = 60
KILLED = """
from turnout.rollout.handler import handler

class Context:
    function_name, aws_request_id = "runner", "killed"

    def get_remaining_time_in_millis(self):
        return 75_000

handler({}, Context())
"""


@dataclass
class Context:
    """One invocation as Lambda tells of it."""

    aws_request_id: str
    function_name: str = "runner"
    timeout: float = 25.0
    began: float = field(default_factory=time.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self.timeout - time.monotonic() + self.began))


def deployed_with_its_runner(made: Service) -> None:
    """The stack names its runner, whose archive must be there first."""
    refused = made.preview({"runner": {"code_bucket": "archives", "code_key": "runner.zip"}})
    assert refused.exit_code == 2
    assert "turnout:runner = s3://archives/runner.zip: cannot be read" in made.said()
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("turnout/__init__.py", "")
    made.api("s3").create_bucket(Bucket="archives")
    made.api("s3").put_object(Bucket="archives", Key="runner.zip", Body=held.getvalue())
    assert made.up().exit_code == 0, made.said()
    assert "the local cloud does not run the rollout runner" in made.said()


def environment(found: Service) -> dict[str, str]:
    """What the function has in its environment in the local cloud, what Lambda adds, and where the local cloud is."""
    name = f"{found.config['service']}-{STACK}-rollout-runner"
    declared = found.api("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    return {
        **declared,
        "TURNOUT_LOOK": "0.5",
        "AWS_REGION": str(found.config["region"]),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "TURNOUT_LOCAL_ENDPOINT": found.cloud.endpoint,
        "TURNOUT_LOCAL_SPEED": str(SPEED),
    }


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_canary_is_promoted_although_one_invocation_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    green = {"green": {"release": release("2.0.0")}}
    with service(tmp_path, speed=SPEED, pool={"minimum": 1}, environments=green) as made:
        deployed_with_its_runner(made)
        for name in ("blue", "green"):
            wait_for(f"healthy target of {name}", lambda name=name: set(made.targets(name)) == {"healthy"})  # type: ignore[misc]
        with made.load(300) as load:
            rollouts = begun(made)
            rollout = rollouts.current(None)
            killed = kill_one(made, rollouts, rollout)
            documents = invoked_until_idle(made, monkeypatch)
        status, record = rollouts.store.read(rollout), made.record()
        assert status.state is State.PROMOTED, status.cause
        assert [shift.weight for shift in status.shifts] == [5, 25, 50, 100]
        assert f"taken over from runner@killed (pid {killed})" in [event.what for event in status.events]
        assert made.weights() == {"blue": 0, "green": 100}
        assert record.rollout is None
        assert documents[-1]["state"] == "promoted"
        assert load.lost == {}


def begun(made: Service) -> Rollouts:
    """A rollout under load, begun as an operator does."""
    rollouts = Rollouts(made._access, made.cloud)
    gates = [{"name": "errors", "kind": "errors", "margin": 5}, {"name": "latency", "kind": "latency", "margin": 3}]
    times = {"bake": "10s", "observe": "10s", "extend": "40s"}
    spec = rollouts.spec({**times, "steps": [5, 25, 50, 100], "gates": gates, "smoke_test": None})
    time.sleep(8)  # the active side's response times, which a threshold is made of
    rollouts.begin(rollouts.prepare(spec))
    return rollouts


def kill_one(made: Service, rollouts: Rollouts, rollout: str) -> int:
    """kill -9 of an invocation, once it has moved traffic; its process."""
    environ = {**os.environ, **environment(made)}
    first = subprocess.Popen([sys.executable, "-c", KILLED], env=environ, cwd=ROOT)
    try:
        wait_for("weight at the candidate", lambda: rollouts.store.read(rollout).weight >= 5)
    finally:
        first.kill()
        first.wait()
    return first.pid


def invoked_until_idle(made: Service, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Invocations in this process, one after the other, until nothing is to be done."""
    for name, value in environment(made).items():
        monkeypatch.setenv(name, value)
    handler.compose.cache_clear()
    found: list[dict[str, Any]] = []
    for number in range(20):
        document = handler.handler({}, Context(f"request-{number}"))
        if document["rollout"] is None:
            return found
        found.append(document)
    raise AssertionError(f"not over: {found[-1]}")
