"""One deployment of what the components declare for two environments, on the local engine and moto."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.engine_state.bench import Project
from tests.moto_server import empty, moto_server
from turnout.engine.command import LocalEngineCommand
from turnout.providers import registry
from turnout.providers.aws.clients import ENDPOINT_KEYS

ENVIRONMENTS = ("blue", "green")
BUCKET = "turnout-models"
PROVIDER = """
import pulumi
import pulumi_aws as aws
from turnout_components import node_access, node_document
from turnout_components.artifact_store import ArtifactStore
from turnout_components.naming import secret_prefix
from turnout_components.service_secrets import ServiceSecrets

provider = aws.Provider("aws", region="us-east-1", access_key="test", secret_key="test",
    skip_credentials_validation=True, skip_metadata_api_check=True, skip_region_validation=True,
    skip_requesting_account_id=True, endpoints=[dict.fromkeys({keys!r}, {endpoint!r})])
on = pulumi.ResourceOptions(provider=provider)
"""
PROGRAM = """
bucket = {bucket!r}
for environment, version in (("blue", "1.0"), ("green", "2.0")):
    release = dict(name=f"llm-{{version}}", digest="sha256:" + "cd" * 32, engine=dict(name="vllm", flags=[]),
        image="123456789012.dkr.ecr.us-east-1.amazonaws.com/serving/vllm@sha256:" + "ab" * 32,
        model=dict(name="llm", version=version, uri=f"s3://{{bucket}}/llm/{{version}}/", sha256="sha256:" + "ab" * 32))
    secrets = ServiceSecrets(f"svc-{{environment}}-secrets", dict(service="svc", environment=environment,
        seeds=dict(HF_TOKEN=f"value of {{environment}}"), recovery_window_days=0,
        references=dict(API_KEY=f"ssm:/svc/{{environment}}/api-key")), on)
    named = node_document.named("dev", dict(service="svc", environment=environment, region="us-east-1", release=release))
    node = secrets.references.apply(lambda references, named=named:
        node_document.node(named, dict(port=8000, drain=30), dict(secrets=references)))
    owner = pulumi.ComponentResource("test:index:Pool", f"svc-{{environment}}", {{}}, on)
    tags = pulumi.Output.from_input({{"turnout:service": "svc", "turnout:environment": environment}})
    _, role, _ = node_access.identity(owner, f"svc-{{environment}}-pool", node, [bucket], secrets.key_arn,
        secret_prefix("svc", "dev", environment), tags)
    pulumi.export(environment, dict(role=role.arn, name=role.name, key=secrets.key_arn, references=secrets.references))
"""


@dataclass(frozen=True)
class Deployed:
    """The account with both environments; `made` holds the program's outputs by environment."""

    endpoint: str
    made: dict[str, dict[str, Any]]

    def api(self, service: str, keys: dict[str, str] | None = None) -> Any:
        given = keys or {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, region_name="us-east-1", endpoint_url=self.endpoint, **given)

    def keys_of(self, environment: str) -> dict[str, str]:
        """Credentials of the environment's role."""
        answer = self.api("sts").assume_role(RoleArn=self.made[environment]["role"], RoleSessionName="i-0123456789abcdef0")
        found = answer["Credentials"]
        return {
            "aws_access_key_id": found["AccessKeyId"],
            "aws_secret_access_key": found["SecretAccessKey"],
            "aws_session_token": found["SessionToken"],
        }

    def role_policy(self, environment: str) -> dict[str, Any]:
        iam, role = self.api("iam"), self.made[environment]["name"]
        (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
        policy: dict[str, Any] = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        return policy


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_server() as url:
        empty(url)
        yield url


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose stacks the local engine makes in moto."""
    return in_moto(Project(tmp_path))


def in_moto(project: Project) -> Project:
    options = project.options({})
    options.pulumi_command = LocalEngineCommand(project.home, registry())
    project.options = lambda _: options  # type: ignore[method-assign]
    return project


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Iterator[Deployed]:
    project = in_moto(Project(tmp_path_factory.mktemp("access")))
    project.program(PROVIDER.format(endpoint=endpoint, keys=sorted(ENDPOINT_KEYS)) + PROGRAM.format(bucket=BUCKET))
    stack = project.stack()
    outputs = stack.up().outputs
    account = Deployed(endpoint, {environment: outputs[environment].value for environment in ENVIRONMENTS})
    s3, ssm = account.api("s3"), account.api("ssm")
    s3.create_bucket(Bucket=BUCKET)
    for environment, version in zip(ENVIRONMENTS, ("1.0", "2.0"), strict=True):
        for name in ("SHA256SUMS", "part/weights.bin"):
            s3.put_object(Bucket=BUCKET, Key=f"llm/{version}/{name}", Body=environment.encode())
        ssm.put_parameter(Name=f"/svc/{environment}/api-key", Value=environment, Type="SecureString")
    yield account
    stack.destroy()
