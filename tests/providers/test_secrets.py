"""Secrets: what is written once, what stays of it, and what a rotation leaves alone."""

from collections.abc import Iterator

import pytest

from tests.engine_state.bench import Project
from tests.engine_state.conftest import PLANTED
from tests.providers.conftest import TYPES, World
from turnout.engine.command import LocalEngineCommand
from turnout.engine.provider import Properties

KEY, ALIAS = "aws:kms/key:Key", "aws:kms/alias:Alias"
SECRET, VERSION = "aws:secretsmanager/secret:Secret", "aws:secretsmanager/secretVersion:SecretVersion"
WRITTEN = {"secretId": "s", "secretStringWo": "value", "secretStringWoVersion": 1}
REFUSED: tuple[tuple[str, Properties, str], ...] = (
    (KEY, {"deletionWindowInDays": 6}, "deletionWindowInDays"),
    (KEY, {"deletionWindowInDays": 31}, "deletionWindowInDays"),
    (KEY, {"enableKeyRotation": True, "rotationPeriodInDays": 89}, "rotationPeriodInDays"),
    (KEY, {"enableKeyRotation": True, "rotationPeriodInDays": 2561}, "rotationPeriodInDays"),
    (KEY, {"rotationPeriodInDays": 90}, "rotationPeriodInDays"),
    (KEY, {"enableKeyRotation": True, "customerMasterKeySpec": "RSA_2048"}, "enableKeyRotation"),
    (KEY, {"policy": "{}"}, "policy"),
    (ALIAS, {"name": "turnout", "targetKeyId": "k"}, "name"),
    (ALIAS, {"name": "alias/aws/s3", "targetKeyId": "k"}, "name"),
    (ALIAS, {"name": "alias/turnout"}, "targetKeyId"),
    (SECRET, {"name": "a b"}, "name"),
    (SECRET, {"name": "a" * 513}, "name"),
    (SECRET, {"name": "a", "recoveryWindowInDays": 6}, "recoveryWindowInDays"),
    (SECRET, {"name": "a", "recoveryWindowInDays": 31}, "recoveryWindowInDays"),
    (SECRET, {"name": "a", "policy": "no"}, "policy"),
    (VERSION, {"secretId": "s"}, ""),
    (VERSION, {**WRITTEN, "secretStringWoVersion": None}, "secretStringWoVersion"),
    (VERSION, {**WRITTEN, "secretStringWo": None}, "secretStringWo"),
    (VERSION, {**WRITTEN, "secretString": "value"}, "secretStringWo"),
    (VERSION, {**WRITTEN, "secretStringWo": "x" * 65_537}, "secretStringWo"),
    (VERSION, {"secretId": "s", "secretBinary": "no base64"}, "secretBinary"),
)
GOOD: tuple[tuple[str, Properties], ...] = (
    (KEY, {"deletionWindowInDays": 7, "enableKeyRotation": True, "rotationPeriodInDays": 90}),
    (ALIAS, {"name": "alias/turnout/digits", "targetKeyId": "k"}),
    (SECRET, {"name": "turnout/digits/blue", "recoveryWindowInDays": 0}),
    (SECRET, {"name": "turnout/digits/blue", "recoveryWindowInDays": 30}),
    (VERSION, WRITTEN),
    (VERSION, {"secretId": "s", "secretBinary": "AAEC"}),
)


@pytest.mark.parametrize(("token", "inputs", "property"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_aws_refuses_of_keys_and_secrets_is_a_fault(token: str, inputs: Properties, property: str) -> None:
    given = {name: value for name, value in inputs.items() if value is not None}
    assert property in [fault.property for fault in TYPES[token].check(given)]


@pytest.mark.parametrize(("token", "inputs"), GOOD, ids=lambda value: str(value)[:60])
def test_good_keys_and_secrets_have_no_fault(token: str, inputs: Properties) -> None:
    assert TYPES[token].check(inputs) == []


def test_a_value_that_was_rotated_twice_since_is_no_drift_and_stays(world: World) -> None:
    kind, secret = TYPES[VERSION], world.make(SECRET, name=world.name(), recoveryWindowInDays=0).id
    inputs = {"secretId": secret, "secretStringWo": "seeded", "secretStringWoVersion": 1}
    made = world.make(VERSION, **inputs)
    api = world.api("secretsmanager")
    for value in ("rotated", "rotated again"):
        api.put_secret_value(SecretId=secret, SecretString=value)
    kept = {name: value for name, value in inputs.items() if name != "secretStringWo"}
    observed = kind.read(world.config, made.id, kept, made.outputs)
    assert observed is not None
    assert observed.inputs == kept
    assert observed.outputs["versionStages"] == []
    assert api.get_secret_value(SecretId=secret)["SecretString"] == "rotated again"


def test_a_secret_with_a_recovery_window_is_gone_and_can_be_restored(world: World) -> None:
    kind, inputs = TYPES[SECRET], {"name": world.name(), "recoveryWindowInDays": 7}
    made = kind.create(world.config, inputs, "t" * 32)
    kind.delete(world.config, made.id, inputs, made.outputs, 5)
    assert kind.read(world.config, made.id, inputs, made.outputs) is None
    api = world.api("secretsmanager")
    api.restore_secret(SecretId=made.id)
    assert kind.read(world.config, made.id, inputs, made.outputs) is not None
    api.delete_secret(SecretId=made.id, ForceDeleteWithoutRecovery=True)


def test_a_deleted_key_waits_for_its_window(world: World) -> None:
    inputs = {"deletionWindowInDays": 9}
    made = TYPES[KEY].create(world.config, inputs, "t" * 32)
    TYPES[KEY].delete(world.config, made.id, inputs, made.outputs, 5)
    key = world.api("kms").describe_key(KeyId=made.id)["KeyMetadata"]
    assert key["KeyState"] == "PendingDeletion"
    assert round((key["DeletionDate"] - key["CreationDate"]).total_seconds() / 86_400) == 9


PROGRAM = """
import os, pulumi, pulumi_aws as aws
aws_cloud = aws.Provider("aws", region="us-east-1", access_key="test", secret_key="test",
    skip_credentials_validation=True, skip_metadata_api_check=True, skip_region_validation=True,
    skip_requesting_account_id=True, endpoints=[{"secretsmanager": "%s"}])
on = pulumi.ResourceOptions(provider=aws_cloud)
secret = aws.secretsmanager.Secret("key", name="turnout/planted", recovery_window_in_days=0, opts=on)
version = aws.secretsmanager.SecretVersion("key", secret_id=secret.id, secret_string_wo="%s",
    secret_string_wo_version=%d, opts=on)
pulumi.export("version", version.version_id)
"""


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory, world: World) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("planted"))
    options = project.options({})
    options.pulumi_command = LocalEngineCommand(project.home, TYPES)
    project.options = lambda _: options  # type: ignore[method-assign]
    yield project
    world.api("secretsmanager").delete_secret(SecretId="turnout/planted", ForceDeleteWithoutRecovery=True)


def test_a_value_that_is_only_written_stands_in_no_file_and_no_line_and_never_over_a_rotated_one(
    project: Project, world: World, endpoint: str
) -> None:
    api, said = world.api("secretsmanager"), []

    def up(value: str, version: int) -> dict[str, int]:
        project.program(PROGRAM % (endpoint, value, version))
        result = project.stack().up()
        said.append(result.stdout + result.stderr)
        return dict(result.summary.resource_changes or {})

    def current() -> str:
        return str(api.get_secret_value(SecretId="turnout/planted")["SecretString"])

    assert up(PLANTED, 1)["create"] == 4
    assert current() == PLANTED
    assert up(f"{PLANTED}-other", 1).get("replace") is None
    api.put_secret_value(SecretId="turnout/planted", SecretString="rotated")
    changes = up(PLANTED, 1)
    assert set(changes) == {"same"}
    assert current() == "rotated"
    assert up(f"{PLANTED}-second", 2)["replace"] == 1
    assert current() == f"{PLANTED}-second"

    stack = project.stack()
    said.append(stack.preview().stdout)
    said.append(str(stack.export_stack().deployment))
    files = [path for path in project.folder.rglob("*") if path.is_file() and path.parent.name != "program"]
    assert [str(path) for path in files if PLANTED in path.read_text(errors="replace")] == []
    assert [text for text in said if PLANTED in text] == []
    state = str(stack.export_stack().deployment)
    assert "secretStringWoVersion" in state
    assert "secretStringWo'" not in state
