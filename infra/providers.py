"""The stack's way to AWS: its one explicit provider, and the decision of the switch that is made before the resources."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
from botocore.exceptions import BotoCoreError, ClientError
from pulumi_aws import Provider, ProviderArgs
from turnout_components.artifact import S3Files, verify
from turnout_components.clients import LOCAL_KEY, aws_client
from turnout_components.cluster_api import ClusterError
from turnout_components.gate import decide
from turnout_components.items import RecordError, TableMissing
from turnout_components.live import utc_now
from turnout_components.naming import secret_prefix
from turnout_components.platforms import Place, platform
from turnout_components.resolve import Decision, Live, SwitchRefused, resolve
from turnout_components.switch_record import RecordStore

from infra.config import ENVIRONMENTS, Platform, Runner
from infra.settings import CONFIG_REFUSED, Settings

LOCAL_SERVICES = (
    *("acm", "autoscaling", "cloudwatch", "dynamodb", "ec2", "ecr", "eks", "elbv2", "events", "iam", "kms", "lambda", "logs"),
    *("route53", "s3", "scheduler", "secretsmanager", "sns", "sqs", "ssm", "sts", "wafv2"),
)
"""Services whose calls go to the local cloud; the local engine refuses a provider without them."""


def aws_provider(settings: Settings) -> Provider:
    """AWS in the stack's region; the local cloud for a local stack; without any call of its own for an offline preview."""
    if settings.endpoint is not None:
        args = ProviderArgs(
            region=settings.region,
            access_key=LOCAL_KEY,
            secret_key=LOCAL_KEY,
            endpoints=[{service: settings.endpoint for service in LOCAL_SERVICES}],
            **_SKIP_CHECKS,
        )
        return Provider("aws", args)
    tags = {"turnout:service": settings.service, "turnout:stack": pulumi.get_stack()}
    checks = _SKIP_CHECKS if settings.offline else {}
    return Provider("aws", ProviderArgs(region=settings.region, default_tags={"tags": tags}, **checks))


_SKIP_CHECKS = {
    "skip_credentials_validation": True,
    "skip_metadata_api_check": True,
    "skip_region_validation": True,
    "skip_requesting_account_id": True,
}


def decide_traffic(settings: Settings) -> Decision:
    """Weights and sizes for this update, from config, switch record and what is live. In an update (not in a preview) the
    record is put right first where it and the load balancer disagree.

    Raises `SwitchRefused`; without a record table the program ends as for a fault of config."""
    now = utc_now()
    config = settings.switch_config(now)
    if settings.offline:
        return replace(resolve(config, None, Live(None), now), reason="weights: as recorded at apply")

    def client(service: str) -> Any:
        return aws_client(service, settings.region, settings.endpoint)

    there = platform(place(settings), client)
    store = RecordStore(there.items, settings.service, pulumi.get_stack())
    try:
        if settings.platform is not Platform.KUBERNETES:
            _verify_files(settings, lambda: client("s3"))
            _warn_of_empty_secrets(settings, lambda: client("secretsmanager"))
        return decide(store, there.live, config, settle=not pulumi.runtime.is_dry_run(), step_downs=there.step_downs)
    except TableMissing as error:
        print(error, file=sys.stderr)
        sys.exit(CONFIG_REFUSED)
    except RecordError as error:
        raise SwitchRefused(str(error)) from None
    except (BotoCoreError, ClientError, ClusterError) as error:
        raise SwitchRefused(f"record or load balancer cannot be read: {error}. Check credentials and network") from None


def place(settings: Settings) -> Place:
    """Where the switch works."""
    return Place(
        platform=settings.platform.value,
        table=settings.record_table,
        cluster=(settings.cluster.name or settings.service) if settings.cluster else None,
        **settings.reach(),
    )


def _verify_files(settings: Settings, s3: Callable[[], Any]) -> None:
    """Ends the program, as for a fault of config, when a release's model in S3 is missing or not what its manifest says, as
    far as S3 knows without sending the files (nodes read every byte before they serve), or a runner's archive is missing."""
    faults = []
    for name in ENVIRONMENTS:
        release = settings.release(name)
        if release is None or not release.model.uri.startswith("s3://"):
            continue
        for line in verify(release.model, S3Files(s3()), whole=False):
            fix = "upload what is missing (`turnout releases create --upload`)"
            faults.append(f"turnout:environments.{name}.release = {release.id}: {line}; {fix}")
    faults += _archive_faults(settings.runner, s3) if settings.runner else []
    if faults:
        print("\n".join(faults), file=sys.stderr)
        sys.exit(CONFIG_REFUSED)


def _archive_faults(runner: Runner, s3: Callable[[], Any]) -> list[str]:
    """A line where the runner's archive cannot be read."""
    uri = f"s3://{runner.code_bucket}/{runner.code_key}"
    version = {"VersionId": runner.code_version} if runner.code_version else {}
    which = "".join(f" version {each}" for each in version.values())
    try:
        s3().head_object(Bucket=runner.code_bucket, Key=runner.code_key, **version)
    except ClientError as error:
        reason = f"cannot be read ({error.response['Error']['Code']})"
        return [f"turnout:runner = {uri}{which}: {reason}; upload it there (docs/rollout-runner.md)"]
    return []


def _warn_of_empty_secrets(settings: Settings, secretsmanager: Callable[[], Any]) -> None:
    """Says which secrets have no value: no new server starts before they do."""
    for environment in ENVIRONMENTS if settings.secrets.names else ():
        prefix = secret_prefix(settings.service, pulumi.get_stack(), environment)
        for variable in settings.secrets.names if settings.release(environment) else ():
            if variable not in settings.seeds and not _has_value(secretsmanager(), f"{prefix}{variable}"):
                put = f"aws secretsmanager put-secret-value --secret-id {prefix}{variable} --secret-string …"
                pulumi.log.warn(f"{environment}: {variable} has no value, and no new server starts without: {put}")


def _has_value(secretsmanager: Any, name: str) -> bool:
    """Whether a version of the secret is current; its value is not read."""
    try:
        versions = secretsmanager.describe_secret(SecretId=name).get("VersionIdsToStages") or {}
    except secretsmanager.exceptions.ResourceNotFoundException:
        return False
    return any("AWSCURRENT" in stages for stages in versions.values())
