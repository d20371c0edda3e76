"""What a node's role may do: read its own release and secrets, write its own log, tell its own group, and nothing else."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from turnout_components.mirror_setting import parameter
from turnout_components.naming import arn_partition
from turnout_components.user_data import METRICS_NAMESPACE

_S3 = re.compile(r"^s3://(?P<bucket>[^/]+)/(?P<key>.+)$")
_ECR = re.compile(
    r"^(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?P<suffix>\.cn)?/(?P<name>[^@:]+)[@:]"
)
_WILDCARDS = re.compile(r"([*?$])")
"""What a policy would not take as it is: `${*}` is an asterisk ("IAM policy elements: Variables and tags", IAM User Guide)."""

ASSUME_BY_EC2 = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}],
}
"""The trust policy of a role that EC2 instances take on."""


def streams_with_node_role(release: Mapping[str, Any]) -> bool:
    """True when the release's container itself reads from S3 (an engine that streams weights), with the role of its node."""
    engine = release["engine"]
    return any("s3://" in text for text in [*engine["flags"], *engine.get("env", {}).values()])


def node_policy(
    node: Mapping[str, Any], buckets: Sequence[str] | None = None, secrets_key: str | None = None, own_secrets: str = ""
) -> dict[str, Any]:
    """The inline policy of a node by its document (`user_data.document`).

    `buckets`: where given, the only ones from which a model in S3 may come. `secrets_key`: where given, the only KMS key that
    decrypts secrets whose names begin with `own_secrets`. Raises `ValueError` for a model elsewhere.
    Actions and the resources they take: the services' pages of the Service Authorization Reference. GetAuthorizationToken
    and PutMetricData name no resource; the second is held to this kit's namespace. What is encrypted is decrypted through
    the service that holds it only, and only these objects, secrets and parameters: the encryption context names them.
    """
    region, partition = node["region"], arn_partition(node["region"])
    log = f"arn:{partition}:logs:{region}:*:log-group:{node['log_group']}"
    group = f"arn:{partition}:autoscaling:{region}:*:autoScalingGroup:*:autoScalingGroupName/{node['group']}"
    actions = ("CompleteLifecycleAction", "RecordLifecycleActionHeartbeat", "SetInstanceProtection")
    return {
        "Version": "2012-10-17",
        "Statement": [
            allow("WriteOwnLog", ["logs:CreateLogStream", "logs:PutLogEvents"], [log, f"{log}:*"]),
            *model(node["release"]["model"]["uri"], region, buckets),
            *_images([node["release"]["image"], *([node["mirror"]["image"]] if node.get("mirror") else [])], partition),
            *_mirror(node),
            *secrets(list(node["secrets"].values()), region, secrets_key, own_secrets),
            allow("TellOwnGroup", [f"autoscaling:{action}" for action in actions], [group]),
            allow(
                "PublishMetrics",
                ["cloudwatch:PutMetricData"],
                ["*"],
                {"StringEquals": {"cloudwatch:namespace": METRICS_NAMESPACE}},
            ),
        ],
    }


def refuse_elsewhere(uri: str, buckets: Sequence[str] | None) -> None:
    """Raises `ValueError` for a model in S3 that is in none of `buckets`, where they are given."""
    found = _S3.match(uri)
    if found and buckets is not None and found["bucket"] not in buckets:
        where = ", ".join(buckets) or "(none)"
        raise ValueError(f"model {uri} is in none of the artifact buckets {where}; copy it there, or add {found['bucket']}")


def model(uri: str, region: str, buckets: Sequence[str] | None) -> list[dict[str, Any]]:
    """The statements with which a model in S3 is read and decrypted; none for one elsewhere.

    Raises `ValueError` as `refuse_elsewhere` does."""
    found = _S3.match(uri)
    if not found:
        return []
    refuse_elsewhere(uri, buckets)
    bucket, partition = found["bucket"], arn_partition(region)
    key = _WILDCARDS.sub(r"${\1}", found["key"])
    keys = [f"{key}*"] if key.endswith("/") else [key, f"{key}/*"]
    objects = [f"arn:{partition}:s3:::{bucket}/{name}" for name in keys]
    context = {"kms:EncryptionContext:aws:s3:arn": [f"arn:{partition}:s3:::{bucket}", *objects]}
    return [allow("ReadOwnModel", ["s3:GetObject"], objects), _decrypt("DecryptOwnModel", "s3", [region], context)]


def _images(images: Sequence[str], partition: str) -> list[dict[str, Any]]:
    found = [match for match in map(_ECR.match, images) if match]
    if not found:
        return []
    repositories = [f"arn:{partition}:ecr:{m['region']}:{m['account']}:repository/{m['name']}" for m in found]
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    return [
        allow("PullOwnImage", pull, sorted(set(repositories))),
        allow("LogInToRegistry", ["ecr:GetAuthorizationToken"], ["*"]),
    ]


def _mirror(node: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parameter of just this group: what the mirror copies and where to."""
    if not node.get("mirror"):
        return []
    region = node["region"]
    arn = f"arn:{arn_partition(region)}:ssm:{region}:*:parameter{parameter(node['group'])}"
    return [allow("ReadOwnMirror", ["ssm:GetParameter"], [arn])]


def secrets(references: Sequence[str], region: str, key: str | None, own: str) -> list[dict[str, Any]]:
    """The statements with which these references (`ssm:/path`, or a secret's ARN) are read and decrypted. `key`: where given,
    the KMS key of those secrets whose names begin with `own`."""
    statements = []
    arns = sorted({reference.partition("#")[0] for reference in references if reference.startswith("arn:")})
    pinned = [arn for arn in arns if key and arn.split(":", 6)[6].startswith(own)]
    others = [arn for arn in arns if arn not in pinned]
    if arns:
        statements.append(allow("ReadOwnSecrets", ["secretsmanager:GetSecretValue"], arns))
    if key and pinned:
        statements.append(_decrypt_secrets("DecryptOwnSecrets", pinned, [key]))
    if others:
        statements.append(_decrypt_secrets("DecryptOtherSecrets", others))
    paths = sorted({reference.removeprefix("ssm:") for reference in references if reference.startswith("ssm:")})
    if paths:
        parameters = [f"arn:{arn_partition(region)}:ssm:{region}:*:parameter{path}" for path in paths]
        statements += [
            allow("ReadOwnParameters", ["ssm:GetParameter"], parameters),
            _decrypt("DecryptOwnParameters", "ssm", [region], {"kms:EncryptionContext:PARAMETER_ARN": parameters}),
        ]
    return statements


def _decrypt_secrets(sid: str, arns: Sequence[str], keys: Sequence[str] = ()) -> dict[str, Any]:
    regions = sorted({arn.split(":")[3] for arn in arns})
    return _decrypt(sid, "secretsmanager", regions, {"kms:EncryptionContext:SecretARN": arns}, keys)


def _decrypt(
    sid: str, service: str, regions: Sequence[str], context: Mapping[str, Sequence[str]], keys: Sequence[str] = ()
) -> dict[str, Any]:
    suffix = ".amazonaws.com.cn" if regions[0].startswith("cn-") else ".amazonaws.com"
    return allow(
        sid,
        ["kms:Decrypt"],
        keys or [f"arn:{arn_partition(region)}:kms:{region}:*:key/*" for region in regions],
        {
            "StringEquals": {"kms:ViaService": [f"{service}.{region}{suffix}" for region in regions]},
            "StringLike": {key: list(values) for key, values in context.items()},
        },
    )


def allow(sid: str, actions: list[str], resources: Sequence[str], condition: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One statement of a policy."""
    statement: dict[str, Any] = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": list(resources)}
    return {**statement, "Condition": condition} if condition else statement
