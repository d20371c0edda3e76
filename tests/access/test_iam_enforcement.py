"""What a node of one environment can read: by moto's enforcement of the policies that the components declare, and, where that
does not look, by an evaluation of the documents themselves."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import settings
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.secretsmanager.responses import SecretsManagerResponse
from moto.ssm.responses import SimpleSystemManagerResponse
from turnout_components.access_policies import key_policy, secret_policy
from turnout_components.store_rules import bucket_policy

from tests.access.conftest import BUCKET, ENVIRONMENTS, Deployed
from tests.access.policies import says

ACCOUNT = "123456789012"
PAIRS = [(mine, other) for mine in ENVIRONMENTS for other in ENVIRONMENTS if mine != other]
BOTH = pytest.mark.parametrize(("mine", "other"), PAIRS)
VERSION = dict(zip(ENVIRONMENTS, ("1.0", "2.0"), strict=True))


@pytest.fixture
def enforced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """moto asks for the role's policies. Its own hook tells it which secret and parameter a request is about."""

    def of_secret(response: Any) -> str:
        return str(json.loads(response.body)["SecretId"])

    def of_parameter(response: Any) -> str:
        return f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter{json.loads(response.body)['Name']}"

    monkeypatch.setattr(SecretsManagerResponse, "_determine_resource", of_secret, raising=False)
    monkeypatch.setattr(SimpleSystemManagerResponse, "_determine_resource", of_parameter, raising=False)
    monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
    yield
    monkeypatch.undo()


def denied(call: Any, **arguments: Any) -> bool:
    """Whether access is denied; moto says so in XML, which clients of JSON services know by its status only."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def secret_of(deployed: Deployed, environment: str) -> str:
    return str(deployed.made[environment]["references"]["HF_TOKEN"])


@BOTH
def test_a_role_reads_its_own_secret_and_no_other_s(deployed: Deployed, mine: str, other: str, request: Any) -> None:
    api = deployed.api("secretsmanager", deployed.keys_of(mine))
    request.getfixturevalue("enforced")
    assert api.get_secret_value(SecretId=secret_of(deployed, mine))["SecretString"] == f"value of {mine}"
    assert denied(api.get_secret_value, SecretId=secret_of(deployed, other))


@pytest.mark.parametrize("mine", ENVIRONMENTS)
def test_a_role_reads_its_secrets_and_does_nothing_else_to_them(deployed: Deployed, mine: str, request: Any) -> None:
    own, api = secret_of(deployed, mine), deployed.api("secretsmanager", deployed.keys_of(mine))
    request.getfixturevalue("enforced")
    assert denied(api.put_secret_value, SecretId=own, SecretString="x")
    assert denied(api.describe_secret, SecretId=own)
    assert denied(api.delete_secret, SecretId=own)


@BOTH
def test_a_role_reads_its_own_parameter_and_no_other_s(deployed: Deployed, mine: str, other: str, request: Any) -> None:
    api = deployed.api("ssm", deployed.keys_of(mine))
    request.getfixturevalue("enforced")
    assert api.get_parameter(Name=f"/svc/{mine}/api-key", WithDecryption=True)["Parameter"]["Value"] == mine
    assert denied(api.get_parameter, Name=f"/svc/{other}/api-key", WithDecryption=True)
    assert denied(api.get_parameter, Name=f"/svc/{mine}", WithDecryption=True)


@BOTH
def test_a_role_reads_its_own_release_s_model_and_no_other_s(deployed: Deployed, mine: str, other: str, request: Any) -> None:
    api = deployed.api("s3", deployed.keys_of(mine))
    request.getfixturevalue("enforced")
    for name in ("SHA256SUMS", "part/weights.bin"):
        assert api.get_object(Bucket=BUCKET, Key=f"llm/{VERSION[mine]}/{name}")["Body"].read() == mine.encode()
        assert denied(api.get_object, Bucket=BUCKET, Key=f"llm/{VERSION[other]}/{name}")
    assert denied(api.put_object, Bucket=BUCKET, Key=f"llm/{VERSION[mine]}/SHA256SUMS", Body=b"")
    assert denied(api.list_objects_v2, Bucket=BUCKET)


@BOTH
def test_a_role_decrypts_through_secrets_manager_its_own_secret_with_its_own_key(
    deployed: Deployed, mine: str, other: str
) -> None:
    policy, keys = deployed.role_policy(mine), {name: deployed.made[name]["key"] for name in ENVIRONMENTS}

    def decrypt(key: str, secret: str, service: str = "secretsmanager") -> str | None:
        context = {
            "kms:ViaService": f"{service}.us-east-1.amazonaws.com",
            "kms:EncryptionContext:SecretARN": secret_of(deployed, secret),
        }
        return says(policy, "kms:Decrypt", keys[key], **context)

    assert decrypt(mine, mine) == "Allow"
    assert decrypt(other, mine) is None
    assert decrypt(mine, other) is None
    assert decrypt(mine, mine, "s3") is None
    assert says(policy, "kms:Decrypt", keys[mine]) is None
    assert says(policy, "kms:GenerateDataKey", keys[mine]) is None


def test_the_keys_live_with_their_policies_and_the_secrets_with_theirs(deployed: Deployed) -> None:
    kms, manager = deployed.api("kms"), deployed.api("secretsmanager")
    for environment in ENVIRONMENTS:
        key = deployed.made[environment]["key"]
        assert json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]) == key_policy(key, ["secretsmanager"])
        assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
        live = manager.get_resource_policy(SecretId=secret_of(deployed, environment))["ResourcePolicy"]
        assert json.loads(live) == secret_policy("svc", environment)


@pytest.mark.parametrize(
    ("tags", "effect"),
    [
        ({}, None),
        ({"service": "svc"}, None),
        ({"environment": "blue"}, None),
        ({"service": "svc", "environment": "blue"}, None),
        ({"service": "svc", "environment": "green"}, "Deny"),
        ({"service": "other", "environment": "blue"}, "Deny"),
        ({"service": "other", "environment": "green"}, "Deny"),
        ({"service": "other"}, None),
    ],
    ids=str,
)
def test_a_role_tagged_as_another_s_is_denied_and_an_operator_or_a_rotation_is_not(
    tags: dict[str, str], effect: str | None
) -> None:
    context = {f"aws:PrincipalTag/turnout:{tag}": value for tag, value in tags.items()}
    assert says(secret_policy("svc", "blue"), "secretsmanager:GetSecretValue", "arn:any", **context) == effect
    assert says(secret_policy("svc", "blue"), "secretsmanager:PutSecretValue", "arn:any", **context) is None


def test_nobody_decrypts_with_the_key_itself_and_the_account_never_loses_it(deployed: Deployed) -> None:
    policy = key_policy(deployed.made["blue"]["key"], ["secretsmanager"])
    through = {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}
    for action in ("kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt", "kms:ReEncryptFrom"):
        assert says(policy, action, "*", **through) == "Allow"
        assert says(policy, action, "*") is None
        assert says(policy, action, "*", **{"kms:ViaService": "s3.us-east-1.amazonaws.com"}) is None
    assert says(policy, "kms:CreateGrant", "*", **through) is None
    for action in ("kms:PutKeyPolicy", "kms:CreateAlias", "kms:ScheduleKeyDeletion", "kms:EnableKeyRotation"):
        assert says(policy, action, "*") == "Allow"


TLS = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
ARN, KEY = f"arn:aws:s3:::{BUCKET}", f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1"
ENCRYPTION = "s3:x-amz-server-side-encryption"


@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"])
@pytest.mark.parametrize(
    ("transport", "effect"),
    [
        (TLS, None),
        ({**TLS, "s3:TlsVersion": "1.2"}, None),
        ({**TLS, "s3:TlsVersion": "1.1"}, "Deny"),
        ({"aws:SecureTransport": "false"}, "Deny"),
    ],
    ids=str,
)
def test_the_bucket_answers_tls_of_today_only(action: str, transport: dict[str, str], effect: str | None) -> None:
    assert says(bucket_policy(ARN, KEY), action, f"{ARN}/llm/1.0/SHA256SUMS", **transport) == effect
    assert says(bucket_policy(ARN, KEY), "s3:ListBucket", ARN, **transport) == effect


@pytest.mark.parametrize(
    ("headers", "effect"),
    [
        ({}, None),
        ({ENCRYPTION: "aws:kms"}, None),
        ({ENCRYPTION: "aws:kms", f"{ENCRYPTION}-aws-kms-key-id": KEY}, None),
        ({ENCRYPTION: "AES256"}, "Deny"),
        ({ENCRYPTION: "aws:kms", f"{ENCRYPTION}-aws-kms-key-id": f"{KEY}0"}, "Deny"),
    ],
    ids=str,
)
def test_an_upload_is_encrypted_by_the_bucket_s_default_or_just_so(headers: dict[str, str], effect: str | None) -> None:
    assert says(bucket_policy(ARN, KEY), "s3:PutObject", f"{ARN}/x", **TLS, **headers) == effect


def test_why_moto_alone_does_not_do() -> None:
    """A condition that holds nowhere denies nothing in AWS; moto denies by a statement that does not apply, and by a transport
    that was TLS. As soon as this fails, `policies.py` can go."""
    of_s3 = {
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": "*",
        "Condition": {"StringEquals": {"kms:ViaService": ["s3"]}},
    }
    of_all = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}
    both = {"Statement": [of_s3, of_all]}
    answer = IAMPolicy(json.dumps(both)).is_action_permitted("kms:Decrypt", KEY, None, {"kms:ViaService": "ssm"})
    assert answer is PermissionResult.DENIED
    assert says(both, "kms:Decrypt", KEY, **{"kms:ViaService": "ssm"}) == "Allow"
    tls = IAMPolicy(json.dumps(bucket_policy(ARN, KEY)))
    assert tls.is_action_permitted("s3:GetObject", f"{ARN}/x", None, dict(TLS)) is PermissionResult.DENIED
