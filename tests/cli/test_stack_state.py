"""`turnout refresh` and `turnout stack …` over a real deployment to AWS's API on loopback."""

import json
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from turnout.providers.aws.clients import ENDPOINT_KEYS

Turnout = Callable[..., Result]
PROGRAM = f"""
import os
import pulumi
import pulumi_aws as aws

provider = aws.Provider("aws", region="us-east-1", access_key="test", secret_key="test", skip_credentials_validation=True,
    skip_metadata_api_check=True, skip_region_validation=True, skip_requesting_account_id=True,
    endpoints=[dict.fromkeys({sorted(ENDPOINT_KEYS)!r}, os.environ["TURNOUT_LOCAL_ENDPOINT"])])
for name in ("one", "two"):
    aws.cloudwatch.LogGroup(name, name=name, retention_in_days=7, tags={{"team": "a"}},
        opts=pulumi.ResourceOptions(provider=provider))
pulumi.export("weights", {{"blue": 100}})
pulumi.export("token", pulumi.Output.secret("pl4nted-s3cret"))
"""


@pytest.fixture
def deployed(project: Path, aws: Callable[[str], Any], turnout: Turnout) -> Callable[[str], Any]:
    """Two log groups by `turnout up`; clients of the account that they are in."""
    (project / "infra").mkdir()
    (project / "infra" / "__main__.py").write_text(PROGRAM)
    done = turnout("up")
    assert done.exit_code == 0, done.output
    return aws


def urns(state: Any) -> list[str]:
    return [each["urn"] for each in state["deployment"]["resources"]]


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_drift_is_shown_by_property_previewed_first_then_taken_into_the_state(
    deployed: Callable[[str], Any], turnout: Turnout
) -> None:
    assert "no drift: the cloud is as the state has it" in turnout("refresh").stdout
    deployed("logs").put_retention_policy(logGroupName="one", retentionInDays=30)
    deployed("logs").delete_log_group(logGroupName="two")

    shown = turnout("refresh", "--preview")
    assert shown.exit_code == 0
    assert "refresh (preview) stack local with local engine (not Pulumi)" in shown.stdout
    assert "retentionInDays: 7 => 30" in shown.stdout
    assert "drift: 1 changed, 1 gone; the state is as it was" in shown.stdout
    taken = document(turnout("refresh", "--json"))
    found = {each["urn"]: (each["type"], each["gone"], each["properties"]) for each in taken["drift"]}
    kind = "aws:cloudwatch/logGroup:LogGroup"
    assert found == {
        f"urn:pulumi:local::turnout::{kind}::one": (kind, False, ["retentionInDays: 7 => 30"]),
        f"urn:pulumi:local::turnout::{kind}::two": (kind, True, []),
    }
    assert document(turnout("refresh", "--json"))["drift"] == []

    done = turnout("up")
    assert done.exit_code == 0, done.output
    (group,) = deployed("logs").describe_log_groups(logGroupNamePrefix="one")["logGroups"]
    assert group["retentionInDays"] == 7


def test_an_update_shows_the_drift_that_it_undoes(deployed: Callable[[str], Any], project: Path, turnout: Turnout) -> None:
    settings = project / "Pulumi.yaml"
    settings.write_text(settings.read_text() + "options: {refresh: always}\n")
    deployed("logs").put_retention_policy(logGroupName="one", retentionInDays=30)

    shown = turnout("up").stdout

    assert "one drifted (in the state => in the cloud)" in shown
    assert "retentionInDays: 7 => 30" in shown


@pytest.mark.usefixtures("deployed")
def test_stacks_history_and_outputs_are_told_without_a_cloud(monkeypatch: pytest.MonkeyPatch, turnout: Turnout) -> None:
    monkeypatch.delenv("TURNOUT_LOCAL_ENDPOINT")
    (row,) = document(turnout("stack", "ls", "--json"))
    assert (row["name"], row["resources"], row["held"], row["engine"]) == ("local", 4, False, "local engine (not Pulumi)")
    assert datetime.fromisoformat(row["updated"]).utcoffset() == timedelta(0)
    assert "T" in row["updated"]
    assert "local engine (not Pulumi)" in turnout("stack", "ls").stdout
    (update,) = document(turnout("stack", "history", "--json"))
    assert (update["version"], update["kind"], update["result"], update["changes"]) == (1, "update", "succeeded", {"create": 4})
    shown = turnout("stack", "history").stdout
    assert "updates of local by the local engine (not Pulumi)" in shown
    assert "4 create" in shown
    assert document(turnout("stack", "output", "--json")) == {"weights": {"blue": 100}, "token": "[secret]"}
    assert turnout("stack", "output", "weights").stdout == '{"blue": 100}\n'
    refused = turnout("stack", "output", "wieghts")
    assert refused.exit_code == 2
    assert "no output wieghts; outputs: token, weights" in refused.stderr


@pytest.mark.usefixtures("deployed")
def test_an_export_keeps_secrets_encrypted_and_comes_back(tmp_path: Path, turnout: Turnout) -> None:
    file = tmp_path / "state.json"
    file.write_text("an older one")
    file.chmod(0o644)
    assert document(turnout("stack", "export", "--file", str(file), "--json")) == {"file": str(file), "resources": 4}
    assert file.stat().st_mode & 0o077 == 0
    assert "pl4nted" not in file.read_text()
    nowhere = turnout("stack", "export", "--file", str(tmp_path / "none/state.json"))
    assert (nowhere.exit_code, "state.json cannot be written: No such file" in nowhere.stderr) == (2, True)
    shown = turnout("stack", "export").stdout
    assert "pl4nted" not in shown
    assert urns(json.loads(shown)) == urns(json.loads(file.read_text()))
    checkpoint = tmp_path / ".turnout/stacks/turnout/local/checkpoint.json"
    checkpoint.write_text("{")

    assert "is truncated or damaged" in turnout("up").stderr
    assert turnout("stack", "import", str(file)).exit_code == 0
    assert document(turnout("up", "--json"))["changes"] == {"same": 4}


@pytest.mark.usefixtures("deployed")
def test_what_another_host_holds_is_told_and_can_be_freed(tmp_path: Path, turnout: Turnout) -> None:
    left = {"user": "ann", "host": f"not-{socket.gethostname()}", "pid": 7, "since": "2026-01-01T00:00:00Z"}
    (tmp_path / ".turnout/stacks/turnout/local/lock.holder").write_text(json.dumps(left))
    refused = turnout("refresh")
    assert refused.exit_code == 2
    assert f"locked by ann@{left['host']} (pid 7) since 2026-01-01T00:00:00Z" in refused.stderr
    assert "turnout stack cancel" in refused.stderr

    assert "is free" in turnout("stack", "cancel").stdout
    assert turnout("refresh").exit_code == 0
    again = turnout("stack", "cancel")
    assert again.exit_code == 1
    assert "no update of 'local' is in progress" in again.stderr


@pytest.mark.parametrize("command", [["output"], ["history"], ["export"], ["cancel"]])
def test_a_stack_that_was_never_deployed_is_told(command: list[str], project: Path, turnout: Turnout) -> None:
    refused = turnout("stack", *command)
    assert refused.exit_code == 2, refused.output
    assert "keeps no stack local: nothing was deployed here" in refused.stderr
    assert not (project / ".turnout").exists()


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("command", [["refresh"], ["stack", "ls"], ["stack", "export"]])
def test_state_in_aws_is_left_to_pulumi(command: list[str], turnout: Turnout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    refused = turnout(*command, "-s", "prod")
    assert refused.exit_code == 2
    assert "stack prod is in AWS" in refused.stderr
