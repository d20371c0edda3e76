"""Secrets: what is written once, what stays of it, and what a rotation leaves alone."""

import json
from collections.abc import Iterator

import pytest

from tests.engine_state.bench import Project
from tests.engine_state.conftest import PLANTED
from tests.providers.conftest import TYPES, World
from turnout.engine.command import LocalEngineCommand
from turnout.engine.provider import Properties, ProviderError

KEY, ALIAS = "aws:kms/key:Key", "aws:kms/alias:Alias"
SECRET, VERSION = "aws:secretsmanager/secret:Secret", "aws:secretsmanager/secretVersion:SecretVersion"
ROTATION, POLICY = "aws:secretsmanager/secretRotation:SecretRotation", "aws:secretsmanager/secretPolicy:SecretPolicy"
WRITTEN = {"secretId": "s", "secretStringWo": "value", "secretStringWoVersion": 1}


def rotation(**rules: object) -> Properties:
    return {"secretId": "s", "rotationLambdaArn": "arn:aws:lambda:us-east-1:123456789012:function:f", "rotationRules": rules}


def said(effect: str, principal: object, action: object, **more: object) -> Properties:
    statement = {"Effect": effect, "Principal": principal, "Action": action, "Resource": "*", **more}
    return {"secretArn": "s", "policy": json.dumps({"Version": "2012-10-17", "Statement": statement})}


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
    (ROTATION, {"secretId": "s"}, "rotationRules"),
    (ROTATION, rotation(), "rotationRules"),
    (ROTATION, rotation(automaticallyAfterDays=1, scheduleExpression="rate(1 day)"), "rotationRules"),
    (ROTATION, rotation(automaticallyAfterDays=0), "rotationRules.automaticallyAfterDays"),
    (ROTATION, rotation(automaticallyAfterDays=1001), "rotationRules.automaticallyAfterDays"),
    (ROTATION, rotation(automaticallyAfterDays=1, duration="25h"), "rotationRules.duration"),
    (ROTATION, rotation(automaticallyAfterDays=1, duration="3"), "rotationRules.duration"),
    (ROTATION, rotation(scheduleExpression="rate(3 hours)"), "rotationRules.scheduleExpression"),
    (ROTATION, rotation(scheduleExpression="every day"), "rotationRules.scheduleExpression"),
    (ROTATION, rotation(scheduleExpression="cron(30 8 1 * ? *)"), "rotationRules.scheduleExpression"),
    (ROTATION, rotation(scheduleExpression="cron(0 8 1 * ?)"), "rotationRules.scheduleExpression"),
    (ROTATION, rotation(scheduleExpression="cron(0 8 1 * ? 2030)"), "rotationRules.scheduleExpression"),
    (ROTATION, rotation(scheduleExpression="rate(4 hours)", duration="5h"), "rotationRules.duration"),
    (POLICY, {"secretArn": "s"}, "policy"),
    (POLICY, {"secretArn": "s", "policy": "no"}, "policy"),
    (POLICY, said("Deny", "*", "secretsmanager:*"), "policy"),
    (POLICY, said("Deny", {"AWS": ["*"]}, ["secretsmanager:GetSecretValue", "secretsmanager:PutResourcePolicy"]), "policy"),
    (POLICY, {**said("Allow", "*", "secretsmanager:GetSecretValue"), "blockPublicPolicy": True}, "policy"),
)
GOOD: tuple[tuple[str, Properties], ...] = (
    (KEY, {"deletionWindowInDays": 7, "enableKeyRotation": True, "rotationPeriodInDays": 90}),
    (ALIAS, {"name": "alias/turnout/digits", "targetKeyId": "k"}),
    (SECRET, {"name": "turnout/digits/blue", "recoveryWindowInDays": 0}),
    (SECRET, {"name": "turnout/digits/blue", "recoveryWindowInDays": 30}),
    (VERSION, WRITTEN),
    (VERSION, {"secretId": "s", "secretBinary": "AAEC"}),
    (SECRET, {"name": "a", "policy": "{}"}),
    (ROTATION, rotation(automaticallyAfterDays=1000, duration="24h")),
    (ROTATION, rotation(scheduleExpression="rate(4 hours)", duration="4h")),
    (ROTATION, rotation(scheduleExpression="cron(0 8 ? * SUN#1 *)")),
    (POLICY, said("Allow", "*", "secretsmanager:GetSecretValue")),
    (POLICY, said("Deny", "*", "secretsmanager:GetSecretValue")),
    (POLICY, {**said("Allow", "*", "secretsmanager:*", Condition={"Bool": {}}), "blockPublicPolicy": True}),
    (POLICY, said("Deny", "*", "secretsmanager:*", Condition={"StringNotEquals": {"aws:PrincipalOrgID": "o"}})),
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


def test_a_secret_that_does_not_declare_a_policy_leaves_the_one_beside_it_alone(world: World) -> None:
    kind, inputs = TYPES[SECRET], {"name": world.name(), "recoveryWindowInDays": 0}
    made = world.make(SECRET, **inputs, description="")
    beside = world.make(POLICY, **{**said("Allow", "*", "secretsmanager:GetSecretValue"), "secretArn": made.id})
    kind.update(world.config, made.id, {**inputs, "policy": beside.outputs["policy"]}, inputs, made.outputs)
    observed = kind.read(world.config, made.id, inputs, made.outputs)
    assert observed is not None
    assert observed.inputs == inputs
    assert observed.outputs["policy"] == beside.outputs["policy"]


def test_a_policy_in_another_order_is_no_drift(world: World) -> None:
    secret = world.make(SECRET, name=world.name(), recoveryWindowInDays=0).id
    inputs = {**said("Allow", "*", ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]), "secretArn": secret}
    made = world.make(POLICY, **inputs)
    statement = json.loads(inputs["policy"])["Statement"]
    statement["Action"].reverse()
    turned = json.dumps({"Statement": [dict(reversed(statement.items()))], "Version": "2012-10-17"})
    world.api("secretsmanager").put_resource_policy(SecretId=secret, ResourcePolicy=turned)
    observed = TYPES[POLICY].read(world.config, made.id, inputs, made.outputs)
    assert observed is not None
    assert observed.inputs == inputs


def test_a_rotation_is_configured_and_runs_no_function(world: World) -> None:
    api, secret = world.api("secretsmanager"), world.make(SECRET, name=world.name(), recoveryWindowInDays=0).id
    api.put_secret_value(SecretId=secret, SecretString="first")
    world.make(ROTATION, **{**rotation(scheduleExpression="rate(4 hours)", duration="2h"), "secretId": secret})
    held = api.describe_secret(SecretId=secret)
    assert held["RotationRules"] == {"ScheduleExpression": "rate(4 hours)", "Duration": "2h"}
    assert list(held["VersionIdsToStages"].values()) == [["AWSCURRENT"]]
    assert api.get_secret_value(SecretId=secret)["SecretString"] == "first"
    api.rotate_secret(SecretId=secret)
    assert api.describe_secret(SecretId=secret)["RotationLambdaARN"] == held["RotationLambdaARN"]


def test_a_rotation_without_a_function_is_refused_by_the_cloud(world: World) -> None:
    secret = world.make(SECRET, name=world.name(), recoveryWindowInDays=0).id
    inputs = {"secretId": secret, "rotationRules": {"automaticallyAfterDays": 1}}
    with pytest.raises(ProviderError, match="InvalidRequestException: No Lambda rotation function"):
        TYPES[ROTATION].create(world.config, inputs, "t" * 32)


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

    assert up(PLANTED, 1)["create"] == 5  # stack, the bench's provider, provider, secret, version
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
    assert [str(path) for path in project.files() if PLANTED in path.read_text(errors="replace")] == []
    assert [text for text in said if PLANTED in text] == []
    held = stack.export_stack().deployment["resources"][-1]
    for properties in (held["inputs"], held["outputs"]):
        assert "secretStringWoVersion" in properties
        assert "secretStringWo" not in properties
