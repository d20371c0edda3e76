"""Keys, and the secrets that they encrypt."""

from typing import Any

from tests.providers.conftest import World
from tests.providers.samples import RETAG, TAGS, Case, policy
from turnout.engine.provider import Created

SECRET = "aws:secretsmanager/secret:Secret"


FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:rotate"


def rotate(world: World, made: Created, **members: Any) -> Any:
    return world.api("secretsmanager").rotate_secret(SecretId=made.id, **members)


def key(world: World) -> Created:
    return world.make("aws:kms/key:Key", description="of a test", deletionWindowInDays=7)


def secret(world: World) -> str:
    return world.make(SECRET, name=world.name("secret"), recoveryWindowInDays=0).id


def strange_stage(world: World, made: Created) -> Any:
    secret, version = made.id.split("|")
    return world.api("secretsmanager").update_secret_version_stage(
        SecretId=secret, VersionStage="strange", MoveToVersionId=version
    )


def tag_key(world: World, made: Created) -> Any:
    return world.api("kms").tag_resource(KeyId=made.id, Tags=[{"TagKey": "stranger", "TagValue": "1"}])


SECRETS = (
    Case(
        "aws:kms/key:Key",
        lambda _: {"description": "secrets", "deletionWindowInDays": 7, "enableKeyRotation": True, "tags": TAGS},
        lambda _: [
            {"description": None},
            {"rotationPeriodInDays": 180},
            {"rotationPeriodInDays": None, "enableKeyRotation": False},
            {"policy": policy("kms:*")},
            {"isEnabled": False},
            {"isEnabled": True},
            *RETAG,
        ],
        {
            "enableKeyRotation": lambda w, m: w.api("kms").disable_key_rotation(KeyId=m.id),
            "isEnabled": lambda w, m: w.api("kms").disable_key(KeyId=m.id),
            "description": lambda w, m: w.api("kms").update_key_description(KeyId=m.id, Description="other"),
            "tags": tag_key,
        },
        ("arn", "keyId"),
        computed=frozenset({"policy"}),
    ),
    Case(
        "aws:kms/alias:Alias",
        lambda w: {"name": f"alias/turnout/{w.name()}", "targetKeyId": key(w).id},
        lambda w: [{"targetKeyId": key(w).id}, {"targetKeyId": key(w).outputs["arn"]}],
        {"targetKeyId": lambda w, m: w.api("kms").update_alias(AliasName=m.id, TargetKeyId=key(w).id)},
        ("arn", "targetKeyArn"),
    ),
    Case(
        "aws:kms/keyPolicy:KeyPolicy",
        lambda w: {"keyId": key(w).id, "policy": policy("kms:*")},
        lambda w: [{"policy": policy("kms:Describe*")}],
        {
            "policy": lambda w, m: w.api("kms").put_key_policy(
                KeyId=m.id, PolicyName="default", Policy=policy("kms:DescribeKey")
            )
        },
        stays=True,
    ),
    Case(
        SECRET,
        lambda w: {
            "name": f"turnout/{w.name('secret')}",
            "description": "of blue",
            "kmsKeyId": key(w).outputs["arn"],
            "recoveryWindowInDays": 0,
            "tags": TAGS,
        },
        lambda w: [
            {"description": "of green"},
            {"kmsKeyId": key(w).outputs["arn"]},
            {"policy": policy("secretsmanager:GetSecretValue")},
            {"policy": policy("secretsmanager:DescribeSecret")},
            {"policy": "{}"},
            *RETAG,
        ],
        {
            "description": lambda w, m: w.api("secretsmanager").update_secret(SecretId=m.id, Description="other"),
            "tags": lambda w, m: w.api("secretsmanager").untag_resource(SecretId=m.id, TagKeys=["team"]),
        },
        ("arn",),
        computed=frozenset({"policy"}),
    ),
    Case(
        "aws:secretsmanager/secretVersion:SecretVersion",
        lambda w: {"secretId": secret(w), "secretString": "one", "versionStages": ["AWSCURRENT", "standby"]},
        lambda _: [{"versionStages": ["AWSCURRENT", "canary"]}, {"versionStages": ["AWSCURRENT"]}],
        {"versionStages": strange_stage},
        ("arn", "secretArn", "versionId", "versionStages"),
        stays=True,
    ),
    Case(
        "aws:secretsmanager/secretVersion:SecretVersion",
        lambda w: {"secretId": secret(w), "secretStringWo": "a-planted-value", "secretStringWoVersion": 1},
        outputs=("arn", "secretArn", "versionId", "versionStages", "hasSecretStringWo"),
        stays=True,
    ),
    Case(
        "aws:secretsmanager/secretRotation:SecretRotation",
        lambda w: {"secretId": secret(w), "rotationLambdaArn": FUNCTION, "rotationRules": {"automaticallyAfterDays": 30}},
        lambda _: [
            {"rotationRules": {"automaticallyAfterDays": 7, "duration": "3h"}},
            {"rotationRules": {"scheduleExpression": "rate(12 hours)", "duration": "2h"}},
            {"rotationRules": {"scheduleExpression": "cron(0 8 1 * ? *)"}},
            {"rotationLambdaArn": f"{FUNCTION}-other"},
        ],
        {
            "rotationRules": lambda w, m: rotate(w, m, RotationRules={"AutomaticallyAfterDays": 1}),
            "rotationLambdaArn": lambda w, m: rotate(w, m, RotationLambdaARN=f"{FUNCTION}-strange"),
        },
        ("rotationEnabled",),
    ),
    Case(
        "aws:secretsmanager/secretPolicy:SecretPolicy",
        lambda w: {"secretArn": secret(w), "policy": policy("secretsmanager:GetSecretValue"), "blockPublicPolicy": True},
        lambda _: [{"policy": policy("secretsmanager:DescribeSecret")}],
        {
            "policy": lambda w, m: w.api("secretsmanager").put_resource_policy(
                SecretId=m.id, ResourcePolicy=policy("secretsmanager:*")
            )
        },
    ),
)
