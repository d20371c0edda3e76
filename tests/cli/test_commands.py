"""Arguments, exit codes, messages and JSON documents of the commands, against AWS's API on loopback."""

# ruff: noqa: ARG001 -- fixtures are named to be had, not always to be used

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from turnout_components.switch_record import Claim, Operator, Traffic
from typer.testing import Result

from tests.cli.conftest import NEW, OLD, Deployed
from turnout.cli import deploying
from turnout.deploy import Outcome

Turnout = Callable[..., Result]


def document(result: Result) -> Any:
    return json.loads(result.stdout)


def test_help_names_the_exit_codes(turnout: Turnout) -> None:
    shown = " ".join(turnout("--help").stdout.split())
    assert "3 refused by the switch" in shown
    assert "4 the cloud is not running or cannot be reached" in shown


def test_every_line_of_the_help_is_whole(turnout: Turnout) -> None:
    for group in ((), ("releases",), ("local",), ("stack",)):
        assert not any(line.endswith("...") for line in turnout(*group, "--help").stdout.splitlines()[1:])


@pytest.mark.parametrize("command", ["up", "preview", "status", "rollback", "flip", "init"])
def test_a_local_stack_without_a_running_cloud_ends_with_4_and_says_how_to_start_it(
    command: str, project: Path, turnout: Turnout
) -> None:
    result = turnout(command)
    assert result.exit_code == 4
    assert result.stderr.startswith(f"error: no local cloud runs in {project}")
    assert "turnout local start" in result.stderr
    assert "Traceback" not in result.output


def test_an_unknown_stack_is_refused_and_the_known_ones_are_named(project: Path, turnout: Turnout) -> None:
    result = turnout("status", "-s", "nope")
    assert result.exit_code == 2
    assert "stacks: local, prod" in result.stderr
    assert str(project) in result.stderr


def test_outside_a_project_a_command_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turnout: Turnout) -> None:
    monkeypatch.chdir(tmp_path)
    result = turnout("status")
    assert result.exit_code == 2
    assert "no Pulumi.yaml" in result.stderr


def test_an_unknown_option_is_a_usage_error(project: Path, turnout: Turnout) -> None:
    assert turnout("up", "--force").exit_code == 2


def test_with_json_an_error_is_a_document_too(project: Path, turnout: Turnout) -> None:
    result = turnout("status", "--json")
    assert document(result)["error"]["code"] == 4
    assert "turnout local start" in document(result)["error"]["message"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("up", "--force"), "No such option: --force"),
        (("stack", "history", "-n", "0"), "Invalid value for '--newest'"),
        (("stack", "import", "/none/state.json"), "file '/none/state.json' does not exist"),
        (("stack", "exprot"), "No such command 'exprot'"),
    ],
)
def test_with_json_a_usage_error_is_a_document_too(words: tuple[str, ...], said: str, turnout: Turnout) -> None:
    result = turnout(*words, "--json")
    assert (result.exit_code, document(result)["error"]["code"]) == (2, 2)
    assert said in document(result)["error"]["message"]
    assert turnout(*words).stdout == ""


def test_many_errors_of_a_deployment_are_told_on_one_screen_each_once() -> None:
    errors = ("refresh: away", "refresh: away", *(f"refresh: {number}" for number in range(40)))
    lines = Outcome("refresh", "local", 1, errors=errors).reason.splitlines()
    assert (lines[0], lines[1], lines[-1], len(lines)) == ("refresh: away", "refresh: 0", "and 29 more of the kind", 13)
    assert Outcome("up", "local", 1, errors=("one", "two")).reason == "one\ntwo"


@pytest.mark.parametrize("command", [("up",), ("destroy", "--yes"), ("flip",)])
def test_a_stack_in_aws_is_not_changed_without_pulumi(
    command: tuple[str, ...], project: Path, turnout: Turnout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    result = turnout(*command, "-s", "prod")
    assert result.exit_code == 2
    assert "only Pulumi deploys" in result.stderr


def test_destroy_asks_and_without_a_terminal_wants_yes(project: Path, turnout: Turnout) -> None:
    result = turnout("destroy")
    assert result.exit_code == 2
    assert "--yes" in result.stderr


def test_init_makes_the_table_once(project: Path, aws: Callable[[str], Any], turnout: Turnout) -> None:
    first, second = turnout("init", "--json"), turnout("init", "--json")
    assert document(first) == {"table": "turnout-switch", "made": True, "stack": "local"}
    assert document(second)["made"] is False
    table = aws("dynamodb").describe_table(TableName="turnout-switch")["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


@pytest.mark.usefixtures("aws")
def test_without_the_table_status_names_init(project: Path, turnout: Turnout) -> None:
    result = turnout("status")
    assert result.exit_code == 2
    assert "turnout init" in result.stderr


def test_before_the_first_up_status_says_so_and_rollback_and_flip_are_refused(
    project: Path, aws: Callable[[str], Any], turnout: Turnout
) -> None:
    turnout("init")
    assert "nothing is deployed" in turnout("status").stdout
    assert turnout("rollback").exit_code == 3
    assert turnout("flip").exit_code == 3


def test_status_shows_weights_targets_and_what_is_kept(deployed: Deployed, turnout: Turnout) -> None:
    found = document(turnout("status", "--json"))
    assert (found["deployed"], found["active"], found["agrees"], found["moving"]) == (True, "green", True, None)
    blue, green = found["environments"]
    assert (blue["weight_live"], green["weight_live"]) == (0, 100)
    assert green["targets"] == {"healthy": 2}
    assert green["instances"] == {"minimum": 2, "in_service": 2, "maximum": 4}
    assert found["retained"]["environment"] == "blue"
    shown = turnout("status").stdout
    assert "green ●" in shown
    assert "kept for rollback: blue with digits-1.0.0 11111111\n" in shown
    assert "  full, 2 of 2 instances serve; it can take all traffic at once\n" in shown


def test_status_says_what_is_left_of_the_standby_and_how_long_it_takes_to_come_back(
    deployed: Deployed, turnout: Turnout, aws: Callable[[str], Any]
) -> None:
    aws("autoscaling").update_auto_scaling_group(AutoScalingGroupName="digits-blue", MinSize=1, DesiredCapacity=1)
    shown = turnout("status").stdout
    assert "  warm, 1 of 2 instances serve; it can take all traffic after a time not known yet (1 from nothing; " in shown
    aws("autoscaling").update_auto_scaling_group(AutoScalingGroupName="digits-blue", MinSize=0, MaxSize=0, DesiredCapacity=0)
    assert document(turnout("status", "--json"))["retained"]["level"] == "cold"


def test_a_standby_that_carries_weight_again_is_not_said_to_be_kept(deployed: Deployed, turnout: Turnout) -> None:
    weights = [{"TargetGroupArn": deployed.groups[n], "Weight": w} for n, w in (("blue", 10), ("green", 90))]
    action = {"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}
    deployed.elbv2.modify_listener(ListenerArn=deployed.listener, DefaultActions=[action])
    assert document(turnout("status", "--json"))["retained"] is None
    assert "kept for rollback" not in turnout("status").stdout


def test_after_a_destroy_no_old_weight_is_shown(deployed: Deployed, turnout: Turnout) -> None:
    deployed.elbv2.delete_listener(ListenerArn=deployed.listener)
    found = document(turnout("status", "--json"))
    assert [environment["weight_recorded"] for environment in found["environments"]] == [None, None]


def test_after_a_destroy_with_a_kept_standby_status_asks_for_nothing_that_is_gone(deployed: Deployed, turnout: Turnout) -> None:
    deployed.elbv2.delete_listener(ListenerArn=deployed.listener)
    for arn in deployed.groups.values():
        deployed.elbv2.delete_target_group(TargetGroupArn=arn)
    result = turnout("status")
    assert result.exit_code == 0
    assert "nothing is deployed" in result.stdout


@pytest.mark.parametrize(("code", "left"), [(0, []), (1, ["digits-blue-warm-pool"])])
def test_a_destroy_ends_the_schedule_that_a_flip_arranged(
    deployed: Deployed, aws: Callable[[str], Any], turnout: Turnout, monkeypatch: pytest.MonkeyPatch, code: int, left: list[str]
) -> None:
    scheduler = aws("scheduler")
    target = {"Arn": "arn:aws:scheduler:::aws-sdk:autoscaling:deleteWarmPool", "RoleArn": "arn:aws:iam::123456789012:role/r"}
    schedule = {"Name": "digits-blue-warm-pool", "ScheduleExpression": "at(2099-01-01T00:00:00)"}
    scheduler.create_schedule(**schedule, FlexibleTimeWindow={"Mode": "OFF"}, Target=target)
    outcome = Outcome("destroy", "local", code)
    monkeypatch.setattr(deploying, "execute", lambda session, operation: outcome)
    assert turnout("destroy", "--yes").exit_code == code
    assert [found["Name"] for found in scheduler.list_schedules()["Schedules"]] == left


def test_status_tells_that_live_weights_are_not_the_recorded_ones(deployed: Deployed, turnout: Turnout) -> None:
    deployed.store.update(lambda r: r.changed(traffic=Traffic.all_to("blue", ("blue", "green"))))
    shown = turnout("status").stdout
    assert "not the recorded ones" in shown
    assert "config says green, traffic is at blue" in shown


def test_status_names_who_moves_traffic(deployed: Deployed, turnout: Turnout) -> None:
    now = datetime.now(UTC)
    claim = Claim(
        token="t",
        by=Operator(name="bob", host="elsewhere", pid=7),
        began=now,
        expires=now + timedelta(seconds=30),
        to=Traffic.all_to("blue", ("blue", "green")),
        bake=0,
    )
    deployed.store.update(lambda r: r.changed(claim=claim))
    assert "moving: green 100 / blue 0 → blue 100 / green 0 by bob@elsewhere (pid 7)" in turnout("status").stdout


def test_rollback_moves_all_traffic_and_prints_the_config_line(deployed: Deployed, turnout: Turnout) -> None:
    done = document(turnout("rollback", "--reason", "bad answers", "--json"))
    assert deployed.weights() == {"blue": 100, "green": 0}
    assert done["after"] == {"active": "blue", "weights": {"blue": 100, "green": 0}}
    assert (done["release"], done["unstable"]) == (OLD, NEW)
    assert done["config"] == "turnout:traffic.active: blue"
    record = deployed.store.read()
    assert record is not None
    assert record.unstable["sha256:" + "2" * 64].reason == "bad answers"


def test_a_second_rollback_is_refused_and_moves_nothing(deployed: Deployed, turnout: Turnout) -> None:
    assert turnout("rollback").exit_code == 0
    again = turnout("rollback")
    assert again.exit_code == 3
    assert again.stderr.startswith("error: switch: no standby is kept")
    assert deployed.weights() == {"blue": 100, "green": 0}


def test_releases_shows_the_unstable_mark_and_accept_takes_it_off(deployed: Deployed, turnout: Turnout) -> None:
    turnout("rollback")
    found = document(turnout("releases", "list", "--json"))
    assert [entry["kind"] for entry in found["history"]] == ["rollback", "flip"]
    assert {row["id"] for row in found["without_manifest"]} == {OLD, NEW}
    assert turnout("releases", "accept", "digits-2.0.0").exit_code == 0
    record = deployed.store.read()
    assert record is not None
    assert record.unstable == {}


def test_accept_of_a_release_that_is_not_marked_is_refused(deployed: Deployed, turnout: Turnout) -> None:
    result = turnout("releases", "accept", "digits-2.0.0")
    assert result.exit_code == 2
    assert "marked: none" in result.stderr


def test_a_broken_manifest_is_shown_beside_the_others(deployed: Deployed, project: Path, turnout: Turnout) -> None:
    (project / "releases/digits-9.yaml").write_text("image: digits:latest\n")
    row = document(turnout("releases", "list", "--json"))["releases"][0]
    assert row["name"] == "digits-9"
    assert "image" in row["fault"]


def test_logs_without_a_cloud_are_refused_and_an_instance_is_found_by_a_part_of_its_id(project: Path, turnout: Turnout) -> None:
    assert turnout("local", "logs").exit_code == 2
    folder = project / ".turnout/cloud/instances/i-0abc"
    folder.mkdir(parents=True)
    (folder / "server.log").write_text("ready\n")
    assert turnout("local", "logs", "0ab").stdout == "ready\n"
    assert "i-0abc" in turnout("local", "logs", "xyz").stderr


def test_stopping_no_cloud_is_no_error(project: Path, turnout: Turnout) -> None:
    assert document(turnout("local", "stop", "--json")) == {"stopped": False}
    assert turnout("local", "status").exit_code == 4


@pytest.mark.usefixtures("deployed")
def test_rollback_imports_neither_pulumi_nor_rich_nor_boto3() -> None:
    code = (
        "import sys\nfrom turnout.cli import app\n"
        "try: app(['rollback'])\nexcept SystemExit as end: assert end.code == 0, end.code\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('pulumi', 'pulumi_aws', 'grpc', 'rich', 'boto3', 'moto')])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[]"


def test_an_error_that_nobody_foresaw_is_one_screen_without_a_trace(
    project: Path, turnout: Turnout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(stack: str) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("turnout.cli.status.show", broken)
    result = turnout("status")
    assert result.exit_code == 1
    assert "ZeroDivisionError: oops" in result.stderr
    assert "Traceback" not in result.output


def test_an_interrupted_command_ends_with_130(project: Path, turnout: Turnout, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(stack: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("turnout.cli.status.show", interrupted)
    assert turnout("status").exit_code == 130
