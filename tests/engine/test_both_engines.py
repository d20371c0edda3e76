"""What holds on the local engine holds on Pulumi: the same programs, by the same Automation API, against the same cloud.

The variant `pulumi` runs where a `pulumi` is on the PATH, with its real AWS plugin, a backend of files and a passphrase.
`pytest -m pulumi` runs it alone. Those marked slow have quick twins of a provider in memory in test_deployment.py.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from pulumi import automation as auto
from pulumi.automation.errors import CommandError

from tests.engine.aws_project import Moto, write_project
from tests.moto_server import empty
from turnout.engine.command import LocalEngineCommand
from turnout.providers import registry

HAS_PULUMI = shutil.which("pulumi") is not None
ENGINES = [
    "local",
    pytest.param("pulumi", marks=[pytest.mark.pulumi, pytest.mark.skipif(not HAS_PULUMI, reason="install pulumi")]),
]
TWO = """
one = LogGroup("one", name="one", retention_in_days={days}, opts=on())
two = LogGroup({second!r}, name={second!r}, tags={{"after": one.name}}, opts=on({options}))
pulumi.export("name", one.name)
pulumi.export("token", pulumi.Output.secret("pl4nted-s3cret"))
"""


class Stack:
    """One stack of one engine, and the account that it deploys to."""

    def __init__(self, engine: str, folder: Path, endpoint: str) -> None:
        self._folder = folder
        self._endpoint = endpoint
        self.home = folder / "state"
        self.home.mkdir()
        self.write()
        env = {
            "TURNOUT_LOCAL_ENDPOINT": endpoint,
            "PULUMI_CONFIG_PASSPHRASE": "correct horse",
            "PULUMI_BACKEND_URL": f"file://{self.home}",
            "AWS_EC2_METADATA_DISABLED": "true",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        options = auto.LocalWorkspaceOptions(env_vars=env)
        if engine == "local":
            options.pulumi_command = LocalEngineCommand(self.home, registry())
        self.stack = auto.create_or_select_stack("dev", work_dir=str(folder), opts=options)

    def write(self, days: int = 7, second: str = "two", options: str = "", more: str = "") -> None:
        """The program: two log groups."""
        write_project(self._folder, TWO.format(days=days, second=second, options=options) + more)

    def up(self) -> dict[str, int]:
        """How many resources by operation."""
        return dict(self.stack.up().summary.resource_changes or {})

    @property
    def logs(self) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        return boto3.client("logs", endpoint_url=self._endpoint, **keys)

    def groups(self) -> dict[str, int | None]:
        """Days that each log group keeps, by name."""
        found = self.logs.describe_log_groups()["logGroups"]
        return {each["logGroupName"]: each.get("retentionInDays") for each in found}

    def urns(self) -> set[str]:
        """Names of what the state has."""
        deployment = self.stack.export_stack().deployment or {}
        return {each["urn"].rpartition("::")[2] for each in deployment.get("resources", [])}


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    with Moto() as running:
        yield running


@pytest.fixture(params=ENGINES)
def deployed(request: pytest.FixtureRequest, tmp_path: Path, moto: Moto) -> Stack:
    """A stack after its first `up`."""
    empty(moto.endpoint)
    stack = Stack(request.param, tmp_path, moto.endpoint)
    assert stack.stack.preview().change_summary == {"create": 4}
    assert stack.groups() == {}
    assert stack.up() == {"create": 4}
    return stack


def test_what_was_made_is_found_the_same_and_gone_after_a_destroy(deployed: Stack) -> None:
    assert deployed.groups() == {"one": 7, "two": None}
    assert deployed.up() == {"same": 4}
    assert deployed.stack.destroy().summary.result == "succeeded"
    assert deployed.groups() == {}
    assert deployed.urns() == set()


def test_a_changed_property_is_updated_and_one_that_cannot_be_replaces(deployed: Stack) -> None:
    deployed.write(days=30)
    assert deployed.up() == {"same": 3, "update": 1}
    assert deployed.groups() == {"one": 30, "two": None}
    deployed.write(days=30, options="aliases=[pulumi.Alias(name='two')]", second="renamed")
    assert deployed.up().get("replace") == 1
    assert deployed.groups() == {"one": 30, "renamed": None}


@pytest.mark.slow
def test_what_the_program_no_longer_has_is_deleted(deployed: Stack) -> None:
    deployed.write(second="other")
    changes = deployed.up()
    assert (changes["create"], changes["delete"]) == (1, 1)
    assert deployed.groups() == {"one": 7, "other": None}


def test_drift_is_seen_taken_into_the_state_and_undone(deployed: Stack) -> None:
    deployed.logs.put_retention_policy(logGroupName="one", retentionInDays=30)
    deployed.logs.delete_log_group(logGroupName="two")
    drifted = deployed.stack.preview_refresh()
    assert drifted.change_summary.get("delete") == 1
    assert "two" in deployed.urns()

    deployed.stack.refresh()

    assert "two" not in deployed.urns()
    assert deployed.groups() == {"one": 30}
    changes = deployed.up()
    assert (changes["create"], changes["update"]) == (1, 1)
    assert deployed.groups() == {"one": 7, "two": None}


@pytest.mark.slow
def test_a_failed_program_deletes_nothing_and_the_next_run_goes_on(deployed: Stack) -> None:
    write_project(deployed._folder, "raise ValueError('no idea')")
    with pytest.raises(CommandError, match="no idea"):
        deployed.stack.up()
    assert deployed.groups() == {"one": 7, "two": None}
    deployed.write()
    assert deployed.up() == {"same": 4}


@pytest.mark.slow
def test_a_secret_is_known_as_one_and_in_no_file(deployed: Stack) -> None:
    found = deployed.stack.outputs()
    assert (found["token"].value, found["token"].secret) == ("pl4nted-s3cret", True)
    assert (found["name"].value, found["name"].secret) == ("one", False)
    kept = [path for path in deployed.home.rglob("*") if path.is_file() and path.stat().st_size]
    assert kept
    assert not [path for path in kept if b"pl4nted" in path.read_bytes()]
    deployed.stack.import_stack(deployed.stack.export_stack())
    assert not [path for path in deployed.home.rglob("*") if path.is_file() and b"pl4nted" in path.read_bytes()]
    assert deployed.up() == {"same": 4}


def test_a_hook_that_raises_keeps_the_step_from_happening(deployed: Stack) -> None:
    hook = "hooks=pulumi.ResourceHookBinding(before_update=[refuse])"
    body = """
def refuse(args):
    raise RuntimeError("not now")
LogGroup("one", name="one", retention_in_days=30, opts=on({hook}))
LogGroup("two", name="two", tags={{"after": "one"}}, opts=on())
"""
    write_project(deployed._folder, body.format(hook=hook))
    with pytest.raises(CommandError, match="not now"):
        deployed.stack.up()
    assert deployed.groups() == {"one": 7, "two": None}
    write_project(deployed._folder, body.format(hook=""))
    assert deployed.up()["update"] == 1
    assert deployed.groups() == {"one": 30, "two": None}


@pytest.mark.slow
def test_a_protected_resource_is_not_deleted(deployed: Stack) -> None:
    deployed.write(options="protect=True")
    deployed.up()
    remove: Callable[[], Any] = deployed.stack.destroy
    with pytest.raises(CommandError, match="protect"):
        remove()
    assert "two" in deployed.groups()
    deployed.write()
    deployed.up()
    assert remove().summary.result == "succeeded"
