"""Policies on secrets and rights, each broken and satisfied. No message repeats what could be a secret."""

import base64
import json
from typing import Any

import pytest

from tests.policies.judging import UNKNOWN, Given, judge, told

TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
FUNCTION = "aws:lambda/function:Function"
TASKS = "aws:ecs/taskDefinition:TaskDefinition"
PARAMETER = "aws:ssm/parameter:Parameter"
VALUE = "correct-horse-battery"
SET = {"name": "API_KEY", "value": VALUE}
KEY_ID = "AKIA" + "IOSFODNN7EXAMPLE"


def script(text: str) -> str:
    return base64.b64encode(f"#!/bin/bash\n{text}\n".encode()).decode()


def pod(name: str, value: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"env": [{"name": name, "value": value}]}]}}}}


@pytest.mark.parametrize(
    ("kind", "props"),
    [
        (TEMPLATE, {"userData": told(env={"API_KEY": VALUE})}),
        (TEMPLATE, {"userData": told(flags=(f"--api-key={VALUE}",))}),
        (TEMPLATE, {"userData": told(flags=("--api-key", VALUE))}),
        (TEMPLATE, {"userData": told(env={"UPSTREAM": f"https://me:{VALUE}@example.com"})}),
        (TEMPLATE, {"userData": script(f"export DB_PASSWORD={VALUE}")}),
        (TEMPLATE, {"userData": script(f"aws configure set aws_access_key_id {KEY_ID}")}),
        (TEMPLATE, {"tags": {"token": VALUE}}),
        ("aws:autoscaling/group:Group", {"tags": [{"key": "password", "value": VALUE}]}),
        (FUNCTION, {"environment": {"variables": {"WEBHOOK_SECRET": VALUE}}}),
        (FUNCTION, {"environment": {"variables": {"ANY": KEY_ID}}}),
        (TASKS, {"containerDefinitions": json.dumps([{"environment": [{"name": "HF_TOKEN", "value": VALUE}]}])}),
        (PARAMETER, {"type": "String", "name": "/svc/api_key", "value": VALUE}),
        (PARAMETER, {"type": "StringList", "name": "/svc/any", "value": KEY_ID}),
        ("kubernetes:apps/v1:Deployment", pod("API_KEY", VALUE)),
        ("kubernetes:core/v1:Secret", {"stringData": {"key": VALUE}}),
        ("kubernetes:core/v1:ConfigMap", {"data": {"api-token": VALUE}}),
        (FUNCTION, {"environment": {"variables": {"dbPassword": VALUE}}}),
        (FUNCTION, {"environment": {"variables": {"ANY": "glpat-" + "x" * 20}}}),
        ("aws:codebuild/project:Project", {"environment": {"environmentVariables": [{"name": "TOKEN", "value": VALUE}]}}),
        ("aws:sagemaker/model:Model", {"primaryContainer": {"environment": {"HF_TOKEN": VALUE}}}),
        ("aws:batch/jobDefinition:JobDefinition", {"containerProperties": json.dumps({"environment": [SET]})}),
        (PARAMETER, {"type": "String", "name": "/svc/api_key", "insecureValue": VALUE}),
        ("aws:ec2/launchConfiguration:LaunchConfiguration", {"userData": f"export DB_PASSWORD={VALUE}"}),
    ],
)
def test_a_secret_in_plain_text_is_told_and_not_repeated(kind: str, props: dict[str, Any]) -> None:
    said = judge("no-plain-text-secret", Given(kind, props, "thing")).said
    assert said.startswith(f"thing ({kind})")
    assert VALUE not in said
    assert KEY_ID not in said


@pytest.mark.parametrize(
    ("kind", "props"),
    [
        (TEMPLATE, {"userData": told(flags=("--max-tokens=512", "--token", "--verbose"), env={"MAX_TOKENS": "8192"})}),
        (TEMPLATE, {"userData": script("export DB_PASSWORD=$(aws secretsmanager get-secret-value)")}),
        (TEMPLATE, {"tags": {"Name": VALUE}}),
        (FUNCTION, {"environment": {"variables": {"API_KEY": "arn:aws:secretsmanager:us-east-1:1:secret:x"}}}),
        (FUNCTION, {"environment": {"variables": {"API_KEY": "ssm:/svc/key", "USE_TOKEN": "true"}}}),
        (FUNCTION, {"environment": {"variables": {"API_KEY": UNKNOWN}}}),
        (PARAMETER, {"type": "SecureString", "name": "/svc/api_key", "value": VALUE}),
        (PARAMETER, {"type": "String", "name": "/svc/mirror", "value": "{}"}),
        ("kubernetes:apps/v1:Deployment", pod("API_KEY", None)),
        ("kubernetes:core/v1:ConfigMap", {"data": {"mode": "fast"}}),
        (TEMPLATE, {"userData": script("TOKEN=`curl -X PUT http://169.254.169.254/latest/api/token`")}),
        (FUNCTION, {"environment": {"variables": {"maxTokens": "many", "tokenizer": "fast"}}}),
        (
            "aws:codebuild/project:Project",
            {"environment": {"environmentVariables": [{**SET, "type": "SECRETS_MANAGER", "value": "svc/key"}]}},
        ),
    ],
)
def test_references_and_what_is_no_secret_pass(kind: str, props: dict[str, Any]) -> None:
    assert judge("no-plain-text-secret", Given(kind, props)).passed


def test_user_data_that_is_not_known_yet_is_undecided_and_its_tags_are_judged_all_the_same() -> None:
    found = judge("no-plain-text-secret", Given(TEMPLATE, {"userData": UNKNOWN, "tags": {"token": VALUE}}))
    assert (len(found.violations), len(found.undecided)) == (1, 1)


ADMIN = "policy/AdministratorAccess"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"


def rights(action: Any, resource: Any, **more: Any) -> str:
    return json.dumps({"Statement": [{"Sid": "Do", "Effect": "Allow", "Action": action, "Resource": resource, **more}]})


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", "*"),
        (["s3:*"], ["arn:aws:s3:::mine/*"]),
        (["ecr:GetAuthorizationToken"], ["*"]),
        (["logs:PutLogEvents"], ["arn:aws:logs:*:*:*"]),
        ("logs:*", "arn:aws:logs:us-east-1:123456789012:*"),
    ],
)
def test_rights_that_name_actions_or_resources_pass(action: Any, resource: Any) -> None:
    assert judge("no-wildcard-rights", Given(ROLE_POLICY, {"policy": rights(action, resource)})).passed
    denied = json.dumps({"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
    assert judge("no-wildcard-rights", Given(ROLE_POLICY, {"policy": denied})).passed


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("*", "*"),
        ("s3:*", "*"),
        (["ec2:RunInstances", "s3:Get*"], ["*"]),
        ("s3:*", ["arn:aws:s3:::a", "arn:aws:*:*:*:*"]),
        ("s3:*", "arn:aws:s3:::*"),
    ],
)
def test_wildcards_of_actions_on_every_resource_are_told(action: Any, resource: Any) -> None:
    text = rights(action, resource)
    said = judge("no-wildcard-rights", Given(ROLE_POLICY, {"policy": text}, "node")).said
    assert said.startswith(f"node ({ROLE_POLICY}): policy Do")
    assert judge("no-wildcard-rights", Given("aws:iam/role:Role", {"inlinePolicies": [{"policy": text}]})).violations
    conditioned = rights(action, resource, Condition={"Bool": {"aws:SecureTransport": "true"}})
    assert judge("no-wildcard-rights", Given(ROLE_POLICY, {"policy": conditioned})).violations


def test_what_is_allowed_but_for_a_list_and_administrators_are_told() -> None:
    text = json.dumps({"Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}})
    assert judge("no-wildcard-rights", Given(ROLE_POLICY, {"policy": text})).violations
    attachment = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    assert judge(
        "no-wildcard-rights", Given(attachment, {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"})
    ).violations
    assert judge("no-wildcard-rights", Given(attachment, {"policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"})).passed
    of_user = Given(attachment.replace("role", "user").replace("Role", "User"), {"policyArn": f"arn:aws:iam::aws:{ADMIN}"})
    of_role = Given(
        "aws:iam/role:Role", {"managedPolicyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess", f"arn:aws:iam::aws:{ADMIN}"]}
    )
    for given in (of_user, of_role):
        assert "allows nearly everything" in judge("no-wildcard-rights", given).said


def test_a_policy_that_is_not_known_yet_is_undecided() -> None:
    for props in ({"policy": UNKNOWN},):
        found = judge("no-wildcard-rights", Given(ROLE_POLICY, props))
        assert (found.violations, len(found.undecided)) == ([], 1)


def test_secrets_are_advised_to_rotate() -> None:
    secret = Given("aws:secretsmanager/secret:Secret", {"arn": UNKNOWN}, "key")
    rotation = Given("aws:secretsmanager/secretRotation:SecretRotation", {}, "rotation", needs={"secretId": (secret,)})
    assert judge("secret-rotation", secret, rotation).passed
    assert "turnout:secrets.rotation" in judge("secret-rotation", secret).said
    assert judge("secret-rotation", Given(secret.type, {}, "key", "local")).passed
