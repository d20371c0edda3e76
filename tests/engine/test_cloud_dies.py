"""The cloud goes away, or refuses, in the middle of an update: told in one message, and the next run takes up the state."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from pulumi import automation as auto
from pulumi.automation.errors import CommandError

from tests.engine.aws_project import Moto, write_project
from turnout.engine.command import LocalEngineCommand
from turnout.providers import registry

CHAIN = """
import asyncio, pathlib
first = LogGroup("first", name="first", opts=on())
async def later(arn):
    go = pathlib.Path(os.environ["GO_ON"])
    while not go.exists():
        await asyncio.sleep(0.02)
    return arn
LogGroup("second", name="second", tags={"after": first.arn.apply(later)}, opts=on())
"""


def stack_in(folder: Path, moto: Moto) -> auto.Stack:
    env = {"TURNOUT_LOCAL_ENDPOINT": moto.endpoint, "GO_ON": str(folder / "go-on"), "PULUMI_CONFIG_PASSPHRASE": "x"}
    command = LocalEngineCommand(folder / "home", registry())
    options = auto.LocalWorkspaceOptions(pulumi_command=command, env_vars=env)
    return auto.create_or_select_stack("dev", work_dir=str(folder), opts=options)


def groups(moto: Moto) -> list[str]:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    logs = boto3.client("logs", endpoint_url=moto.endpoint, **keys)
    return sorted(each["logGroupName"] for each in logs.describe_log_groups()["logGroups"])


def failure(call: Any, *args: Any, **more: Any) -> str:
    with pytest.raises(CommandError) as caught:
        call(*args, **more)
    said = str(caught.value)
    assert "code: 1\n" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 40
    return said


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    with Moto() as running:
        yield running


def test_a_cloud_that_dies_in_mid_update_is_named_and_the_next_run_goes_on(tmp_path: Path) -> None:
    write_project(tmp_path, CHAIN)
    with Moto() as moto:
        stack = stack_in(tmp_path, moto)

        def hear(line: str) -> None:
            if "first created" in line:
                moto.kill()
                (tmp_path / "go-on").touch()

        said = failure(stack.up, on_output=hear)
        assert "second: logs create_log_group: Could not connect" in said
        assert moto.endpoint in said
        kept = {each["urn"].rpartition("::")[2] for each in (stack.export_stack().deployment or {})["resources"]}
        assert {"first", "aws"} <= kept
        assert "Could not connect" in failure(stack.refresh)
        assert {each["urn"].rpartition("::")[2] for each in (stack.export_stack().deployment or {})["resources"]} == kept

        moto.start()  # with an empty account, as a new local cloud has it
        done = stack.up(refresh=True)

        assert "first is gone, not by this engine" in done.stdout
        assert groups(moto) == ["first", "second"]
        assert set(stack.up().summary.resource_changes or {}) == {"same"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ('retention_in_days="soon"', r"retention_?[iI]n_?[dD]ays.*soon"),
        ("tags=[1, 2]", r"tags"),
    ],
)
def test_a_value_of_the_wrong_type_is_told_with_its_name_and_can_be_mended(
    given: str, told: str, moto: Moto, tmp_path: Path
) -> None:
    write_project(tmp_path, f"LogGroup({tmp_path.name!r}, name={tmp_path.name!r}, {given}, opts=on())")
    stack = stack_in(tmp_path, moto)
    said = failure(stack.up)
    assert re.search(told, said), said
    write_project(tmp_path, f"LogGroup({tmp_path.name!r}, name={tmp_path.name!r}, retention_in_days=7, opts=on())")
    stack_in(tmp_path, moto).up(refresh=True)
    assert tmp_path.name in groups(moto)
