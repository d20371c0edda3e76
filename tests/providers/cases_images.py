"""Repositories of images, and their documents."""

import json
from typing import Any

from tests.providers.cases_storage import key
from tests.providers.conftest import World
from tests.providers.samples import RETAG, TAGS, Case
from turnout.engine.provider import Properties

REPOSITORY = "aws:ecr/repository:Repository"
LIFECYCLE, POLICY = "aws:ecr/lifecyclePolicy:LifecyclePolicy", "aws:ecr/repositoryPolicy:RepositoryPolicy"


def repository(world: World) -> str:
    return world.make(REPOSITORY, name=f"turnout/{world.name('images')}").id


def rule(priority: int = 1, days: int = 30, **changes: Any) -> Properties:
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}
    held = {name: value for name, value in {**selection, **changes}.items() if value is not None}
    return {"rulePriority": priority, "description": "old ones go", "selection": held, "action": {"type": "expire"}}


def lifecycle(*rules: Properties) -> str:
    return json.dumps({"rules": list(rules)})


def pulls(*actions: str) -> str:
    principal = {"AWS": "arn:aws:iam::123456789012:root"}
    statement = {"Sid": "pull", "Effect": "Allow", "Principal": principal, "Action": list(actions)}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


IMAGES = (
    Case(
        REPOSITORY,
        lambda w: {
            "name": f"turnout/{w.name('images')}",
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": key(w)}],
            "tags": TAGS,
        },
        lambda _: [
            {"imageTagMutability": "MUTABLE"},
            {"imageTagMutability": "IMMUTABLE"},
            {"imageTagMutability": None},
            {"imageScanningConfiguration": {"scanOnPush": False}},
            {"imageScanningConfiguration": {"scanOnPush": True}},
            {"imageScanningConfiguration": None},
            {"imageScanningConfiguration": {"scanOnPush": True}},
            *RETAG,
        ],
        {
            "imageTagMutability": lambda w, m: w.api("ecr").put_image_tag_mutability(
                repositoryName=m.id, imageTagMutability="MUTABLE"
            ),
            "imageScanningConfiguration": lambda w, m: w.api("ecr").put_image_scanning_configuration(
                repositoryName=m.id, imageScanningConfiguration={"scanOnPush": False}
            ),
            "tags": lambda w, m: w.api("ecr").untag_resource(resourceArn=m.outputs["arn"], tagKeys=["team"]),
        },
        ("arn", "registryId", "repositoryUrl"),
    ),
    Case(
        LIFECYCLE,
        lambda w: {"repository": repository(w), "policy": lifecycle(rule())},
        drifts={
            "policy": lambda w, m: w.api("ecr").put_lifecycle_policy(
                repositoryName=m.id, lifecyclePolicyText=lifecycle(rule(days=1))
            )
        },
        outputs=("registryId",),
    ),
    Case(
        POLICY,
        lambda w: {"repository": repository(w), "policy": pulls("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")},
        lambda _: [{"policy": pulls("ecr:BatchGetImage")}],
        {
            "policy": lambda w, m: w.api("ecr").set_repository_policy(
                repositoryName=m.id, policyText=pulls("ecr:DescribeImages")
            )
        },
        ("registryId",),
    ),
)
