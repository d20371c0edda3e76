"""What a node's role may do: read its own release, write its own log, and nothing else."""

import re
from typing import Any

_S3 = re.compile(r"^s3://(?P<bucket>[^/]+)/(?P<key>.+)$")
_ECR = re.compile(
    r"^(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?P<suffix>\.cn)?/(?P<name>[^@:]+)[@:]"
)

ASSUME_BY_EC2 = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}],
}
"""The trust policy of a role that EC2 instances take on."""


def fetches_with_node_role(release: dict[str, Any]) -> bool:
    """True when the release's container reads the model from S3, for which it needs the role of its node."""
    return _S3.match(release["model"]["uri"]) is not None


def node_policy(release: dict[str, Any], service: str, environment: str, region: str) -> dict[str, Any]:
    """The inline policy of a node that runs `release` (`Release.for_storage()`).

    Model in S3: GetObject below its key. Image in ECR: pull of its one repository; GetAuthorizationToken names no
    resource ("Actions, resources, and condition keys for Amazon ECR", Service Authorization Reference). Log group:
    `/turnout/<service>/<environment>`.
    """
    partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
    log = f"arn:{partition}:logs:{region}:*:log-group:/turnout/{service}/{environment}"
    statements = [_allow("WriteOwnLog", ["logs:CreateLogStream", "logs:PutLogEvents"], [log, f"{log}:*"])]
    model = _S3.match(release["model"]["uri"])
    if model:
        key = model["key"].rstrip("/")
        objects = [f"arn:{partition}:s3:::{model['bucket']}/{key}", f"arn:{partition}:s3:::{model['bucket']}/{key}/*"]
        statements.append(_allow("ReadOwnModel", ["s3:GetObject"], objects))
    image = _ECR.match(release["image"])
    if image:
        repository = f"arn:{partition}:ecr:{image['region']}:{image['account']}:repository/{image['name']}"
        pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        statements.append(_allow("PullOwnImage", pull, [repository]))
        statements.append(_allow("LogInToRegistry", ["ecr:GetAuthorizationToken"], ["*"]))
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(sid: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
