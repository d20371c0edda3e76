"""A node's life as its user data makes it: launch, serving, drain, warm pool, and releases that do not come up."""

import http.client
import os
import threading
from pathlib import Path

import pytest
from machine import DIGEST, ENDED, IMAGE, LAUNCHED, PROJECT, Machine, sha256, wait_for
from services import INSTANCE

MODEL = (PROJECT / "examples/digits/models/1.0.0.onnx").read_bytes()
ABANDONED = ("turnout-launch", "ABANDON")
FLAGS = ("--drain-seconds=0.2",)


def ask(machine: Machine, path: str = f"/ready?release={DIGEST}", method: str = "GET", **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", machine.port, timeout=30)
    try:
        body = f'{{"image": {[0] * 64}}}' if method == "POST" else None
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def put_model(machine: Machine, content: bytes = MODEL) -> dict[str, object]:
    machine.put({"digits/1.0.0.onnx": content})
    return machine.release("s3://models/digits/1.0.0.onnx", sha256(MODEL), FLAGS)


def test_a_node_serves_with_its_secrets_joins_and_leaves_when_it_has_drained(machine: Machine) -> None:
    secret = machine.api("secretsmanager").create_secret(Name="svc/db", SecretString='{"password": "it\'s a \\"secret\\""}')
    machine.api("ssm").put_parameter(Name="/svc/key", Value="planted-key\nof two lines", Type="SecureString")
    release = put_model(machine)
    machine.extra["TURNOUT_BEAT"] = "1"
    machine.metadata.goes_to("InService")
    machine.boot(release, secrets={"DB_PASSWORD": f"{secret['ARN']}#password", "API_KEY": "ssm:/svc/key"})

    machine.wait_for_results(LAUNCHED)
    assert ask(machine) == 200
    completed = machine.scaling.of("CompleteLifecycleAction")[0]
    assert (completed["AutoScalingGroupName"], completed["InstanceId"]) == (
        "svc-prod-green-cdcdcdcdcdcd",
        "i-0123456789abcdef0",
    )
    beats = machine.scaling.of("RecordLifecycleActionHeartbeat")
    assert {beat["LifecycleHookName"] for beat in beats} == {"turnout-launch"}

    (run,) = machine.docker_calls("run")
    assert run[run.index("--gpus") + 1] == "all"
    assert run[run.index("--log-driver") + 1] == "awslogs"
    assert {"awslogs-group=/turnout/svc/green", f"awslogs-stream={INSTANCE}"} <= set(run)
    assert machine.docker_calls("login") == [["login", "--username", "AWS", "--password-stdin", IMAGE.partition("/")[0]]]

    environment = Path(f"/proc/{machine.container()}/environ").read_bytes().split(b"\0")
    assert b'DB_PASSWORD=it\'s a "secret"' in environment
    assert b"API_KEY=planted-key\nof two lines" in environment
    assert machine.files_with(b"planted-key") == []
    assert machine.files_with(b"it's a") == []

    answers: list[int] = []
    slow = threading.Thread(target=lambda: answers.append(ask(machine, "/v1/predict", "POST", x_slow="1")))
    slow.start()
    wait_for("a request in flight", lambda: b"digits_requests_in_flight 1.0" in metrics(machine))
    machine.metadata.goes_to("Terminated")
    machine.wait_for_results(LAUNCHED, ENDED)
    slow.join()
    assert answers == [200]
    assert ask(machine) == 0
    assert machine.container() is None
    assert [b for b in machine.scaling.of("RecordLifecycleActionHeartbeat") if b["LifecycleHookName"] == "turnout-terminate"]
    order = [call["Action"] for call in machine.scaling.calls]
    assert order[-1] == "CompleteLifecycleAction"


def metrics(machine: Machine) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", machine.port, timeout=30)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read()
    finally:
        connection.close()


def test_a_model_that_was_changed_is_not_served_and_the_launch_is_abandoned(machine: Machine) -> None:
    release = put_model(machine, MODEL + b"changed")
    machine.metadata.goes_to("InService")
    machine.boot(release)
    machine.wait_for_results(ABANDONED)
    assert machine.docker_calls("run") == []
    assert [path.name for path in machine.models.iterdir()] == [".new"]
    assert "the release says sha256:" in (machine.run_folder / "refused").read_text()
    assert "given up: model s3://models/digits/1.0.0.onnx has sha256:" in machine.log()


def test_a_server_that_ends_again_and_again_is_abandoned(machine: Machine) -> None:
    machine.image(["false"])
    machine.metadata.goes_to("InService")
    machine.boot(machine.release())
    machine.wait_for_results(ABANDONED)
    assert len(machine.docker_calls("run")) > 5
    assert "the server ended 5 times before it answered" in machine.log()


def test_a_server_that_does_not_answer_in_time_is_abandoned(machine: Machine) -> None:
    machine.image(["sleep", "1000"])
    machine.metadata.goes_to("InService")
    machine.boot(machine.release(), launch_timeout=2)
    machine.wait_for_results(ABANDONED)
    assert "given up: no answer within 2 s" in machine.log()


def test_an_instance_of_a_warm_pool_prepares_joins_returns_and_joins_again(machine: Machine) -> None:
    machine.metadata.goes_to("Warmed:Stopped")
    machine.boot(machine.release(flags=FLAGS))
    machine.wait_for_results(LAUNCHED)
    assert ask(machine) == 200
    machine.metadata.goes_to("InService")
    machine.wait_for_results(LAUNCHED, LAUNCHED)
    machine.metadata.goes_to("Warmed:Stopped")
    machine.wait_for_results(LAUNCHED, LAUNCHED, ENDED)
    assert machine.container() is None
    machine.metadata.goes_to("InService")
    machine.wait_for_results(LAUNCHED, LAUNCHED, ENDED, LAUNCHED)
    assert ask(machine) == 200
    machine.metadata.goes_to("Terminated")
    machine.wait_for_results(LAUNCHED, LAUNCHED, ENDED, LAUNCHED, ENDED)


def test_a_launch_that_the_group_takes_back_is_not_completed(machine: Machine) -> None:
    machine.image(["sleep", "1000"])
    machine.metadata.goes_to("InService")
    machine.boot(machine.release())
    wait_for("a container", machine.container)
    machine.metadata.goes_to("Terminated")
    machine.wait_for_results(ENDED)


def test_a_server_that_dies_starts_again_without_fetching_anything(machine: Machine) -> None:
    release = put_model(machine)
    machine.metadata.goes_to("InService")
    machine.boot(release)
    machine.wait_for_results(LAUNCHED)
    machine.api("s3").delete_object(Bucket="models", Key="digits/1.0.0.onnx")
    first = machine.container()
    assert first is not None
    os.kill(first, 9)
    wait_for("another container", lambda: machine.container() not in (None, first))
    wait_for("an answer", lambda: ask(machine) == 200)
    assert len(machine.docker_calls("pull")) == 1
    assert machine.scaling.results() == [LAUNCHED]


def test_a_spot_notice_is_told_once(machine: Machine) -> None:
    machine.metadata.values["meta-data/spot/instance-action"] = '{"action": "terminate"}'
    machine.metadata.goes_to("InService")
    machine.boot(machine.release(flags=FLAGS))
    machine.wait_for_results(LAUNCHED)
    wait_for("a notice", lambda: '{"action": "terminate"}' in machine.log())
    machine.metadata.values["meta-data/events/recommendations/rebalance"] = '{"noticeTime": "t"}'
    wait_for("another", lambda: '{"noticeTime": "t"}' in machine.log())
    assert machine.log().count("notice: ") == 2


@pytest.mark.parametrize("hooks", [{}, {"launch": "turnout-launch"}])
def test_only_hooks_that_are_declared_are_completed(machine: Machine, hooks: dict[str, str]) -> None:
    machine.metadata.goes_to("InService")
    machine.boot(machine.release(flags=FLAGS), hooks=hooks)
    wait_for("an answer", lambda: ask(machine) == 200)
    wait_for("the hook's turn", lambda: len(machine.scaling.results()) == len(hooks))
    machine.metadata.goes_to("Terminated")
    wait_for("the drain's end", lambda: machine.container() is None)
    machine.metadata.goes_to("InService")
    wait_for("the end of what follows a drain", lambda: machine.log().count("goes to InService") == 2)
    assert {call["LifecycleHookName"] for call in machine.scaling.calls} == set(hooks.values())
