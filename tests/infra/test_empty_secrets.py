"""Secrets that a stack names and that have no value are told about before servers miss them."""

from typing import Any

import boto3
import pulumi
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from stack_config import LOCAL, config

from infra import providers
from infra.settings import parse


class NoTable:
    """A DynamoDB without the record's table: the decision ends there."""

    def __getattr__(self, name: str) -> Any:
        def call(**_: Any) -> Any:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, name)

        return call


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch, root: Any) -> Any:
    """What an update of a stack with these secrets warns of."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", said.append)
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    monkeypatch.setattr(providers, "verify", lambda *_, **__: [])
    with mock_aws():
        api = boto3.client("secretsmanager", region_name="us-east-1")
        monkeypatch.setattr(providers, "aws_client", lambda service, *_: api if service == "secretsmanager" else NoTable())

        def decide(**changes: Any) -> list[str]:
            said.clear()
            with pytest.raises(SystemExit):
                providers.decide_traffic(parse(config(root, **changes), root, LOCAL))
            return list(said)

        yield api, decide


def test_a_secret_that_is_missing_or_empty_is_told_with_the_command_that_fills_it(warned: Any) -> None:
    api, decide = warned
    named = {"secrets__names": ["KEY"]}
    (line,) = decide(**named)
    assert line.startswith("blue: KEY has no value, and no new server starts without: aws secretsmanager put-secret-value")
    assert "turnout/llm/dev/blue/KEY" in line
    api.create_secret(Name="turnout/llm/dev/blue/KEY")
    assert len(decide(**named)) == 1
    api.put_secret_value(SecretId="turnout/llm/dev/blue/KEY", SecretString="a value")
    assert decide(**named) == []


def test_what_this_update_seeds_is_not_missed(warned: Any) -> None:
    _, decide = warned
    assert decide(secrets__names=["KEY"], seeds={"KEY": "a value"}) == []
    assert decide() == []
