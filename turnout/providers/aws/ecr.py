"""Repository of images, its lifecycle and its policy (terraform-provider-aws internal/service/ecr)."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import INTENT_TAG, AwsType, Deadline, changed
from turnout.providers.aws.clients import Cloud, error_code
from turnout.providers.aws.mapping import tag_list, tag_map
from turnout.providers.aws.s3_settings import of_whom

_PART = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"
_NAME = rf"(?=.{{2,256}}$)(?:{_PART}/)*{_PART}"
_MUTABILITIES = {"MUTABLE", "IMMUTABLE"}
_AGES = {"sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"}
_COUNTS = {"imageCountMoreThan", *_AGES}
_PROPERTIES = "Lifecycle policy properties in Amazon ECR"


class Repository(AwsType):
    """aws_ecr_repository: the id is the name."""

    token = "aws:ecr/repository:Repository"
    inputs = frozenset(
        {"encryptionConfigurations", "forceDelete", "imageScanningConfiguration", "imageTagMutability", "name", "tags"}
    )
    replace_on = frozenset({"name", "encryptionConfigurations"})
    auto_name = AutoName("name", 256)
    defaults: ClassVar[Mapping[str, Any]] = {
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": False},
    }

    def check(self, inputs: Properties) -> list[Fault]:
        """ "CreateRepository", "EncryptionConfiguration" (Amazon ECR API Reference)."""
        meaning = "2 to 256 lower-case letters and digits, parted by . _ - and /"
        faults = rules.matches(inputs, "name", _NAME, meaning, "CreateRepository")
        faults += rules.one_of(inputs, "imageTagMutability", _MUTABILITIES, "PutImageTagMutability")
        blocks = inputs.get("encryptionConfigurations")
        if not isinstance(blocks, list):
            return faults
        if len(blocks) > 1:
            faults.append(Fault("encryptionConfigurations", f"are {len(blocks)}: a repository has one (CreateRepository)"))
        for index, block in enumerate(blocks):
            if not isinstance(block, dict):
                continue
            kind, where = block.get("encryptionType") or "AES256", f"encryptionConfigurations[{index}]"
            if isinstance(kind, str) and kind not in {"AES256", "KMS", "KMS_DSSE"}:
                reason = f"{kind!r} is none of AES256, KMS, KMS_DSSE (EncryptionConfiguration)"
                faults.append(Fault(f"{where}.encryptionType", reason))
            if kind == "AES256" and block.get("kmsKey"):
                faults.append(Fault(f"{where}.kmsKey", "needs encryptionType KMS (EncryptionConfiguration)"))
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        encryption = (inputs.get("encryptionConfigurations") or [None])[0]
        wanted = encryption and {"encryptionType": encryption.get("encryptionType") or "AES256"}
        if encryption and encryption.get("kmsKey"):
            wanted["kmsKey"] = encryption["kmsKey"]
        made = cloud.call(
            "ecr",
            "create_repository",
            repositoryName=inputs["name"],
            imageTagMutability=inputs.get("imageTagMutability"),
            imageScanningConfiguration=inputs.get("imageScanningConfiguration"),
            encryptionConfiguration=wanted,
            tags=tag_list(tags),
        )
        return str(made["repository"]["repositoryName"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old and changed(old, new, "imageTagMutability"):
            wanted = new.get("imageTagMutability") or "MUTABLE"
            cloud.call("ecr", "put_image_tag_mutability", repositoryName=id, imageTagMutability=wanted)
        if old and changed(old, new, "imageScanningConfiguration"):
            scan = new.get("imageScanningConfiguration") or {"scanOnPush": False}
            cloud.call("ecr", "put_image_scanning_configuration", repositoryName=id, imageScanningConfiguration=scan)

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = cloud.call("ecr", "describe_repositories", repositoryNames=[id])["repositories"][0]
        encryption = {"kmsKey": "", **found["encryptionConfiguration"]}
        return {
            "name": id,
            "imageTagMutability": found["imageTagMutability"],
            "imageScanningConfiguration": {"scanOnPush": found["imageScanningConfiguration"]["scanOnPush"]},
            "encryptionConfigurations": [encryption],
            "arn": found["repositoryArn"],
            "registryId": found["registryId"],
            "repositoryUrl": found["repositoryUri"],
            "tagsAll": self._tags(cloud, found["repositoryArn"]),
        }

    @staticmethod
    def _tags(cloud: Cloud, arn: str) -> dict[str, str]:
        return tag_map(cloud.call("ecr", "list_tags_for_resource", resourceArn=arn)["tags"])

    @staticmethod
    def _arn(cloud: Cloud, id: str) -> str:
        found = cloud.call("ecr", "describe_repositories", repositoryNames=[id])["repositories"][0]
        return str(found["repositoryArn"])

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        name = str(inputs["name"])
        return name if self._tags(cloud, self._arn(cloud, name)).get(INTENT_TAG) == token else None

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        arn = self._arn(cloud, id)
        if add:
            cloud.call("ecr", "tag_resource", resourceArn=arn, tags=tag_list(add))
        if drop:
            cloud.call("ecr", "untag_resource", resourceArn=arn, tagKeys=drop)

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """resourceRepositoryDelete. "DeleteRepository": one that holds images goes by force only."""
        try:
            cloud.call("ecr", "delete_repository", repositoryName=id, force=inputs.get("forceDelete") is True)
        except ProviderError as error:
            if error_code(error) != "RepositoryNotEmptyException":
                raise
            raise ProviderError(
                f"ecr delete_repository: RepositoryNotEmptyException: {id} holds images; take them away, or set forceDelete "
                "and update before it is deleted"
            ) from None


class RepositoryPart(AwsType):
    """A document of a repository; the id is the repository's name."""

    inputs = frozenset({"repository", "policy"})
    replace_on = frozenset({"repository"})
    documents = frozenset({"policy"})
    calls: ClassVar[tuple[str, str, str]]
    """The operations that put, get and delete it."""
    member: ClassVar[str]

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        return str(inputs["repository"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if changed(old, new, "policy"):
            cloud.call("ecr", self.calls[0], repositoryName=id, **{self.member: new["policy"]})

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = cloud.call("ecr", self.calls[1], repositoryName=id)
        return {"repository": id, "policy": found[self.member], "registryId": found["registryId"]}

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        id = str(inputs["repository"])
        return id if self.look(cloud, id, inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        cloud.call("ecr", self.calls[2], repositoryName=id)


class LifecyclePolicy(RepositoryPart):
    """aws_ecr_lifecycle_policy: another policy replaces it, the old one first (resourceLifecyclePolicy: ForceNew)."""

    token = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
    replace_on = frozenset({"repository", "policy"})
    delete_before_replace = True
    calls = ("put_lifecycle_policy", "get_lifecycle_policy", "delete_lifecycle_policy")
    member = "lifecyclePolicyText"

    def check(self, inputs: Properties) -> list[Fault]:
        """ "Lifecycle policy properties in Amazon ECR" (Amazon ECR User Guide)."""
        faults = rules.required(inputs, "repository", "policy")
        text = inputs.get("policy")
        if not isinstance(text, str):
            return faults
        try:
            declared = json.loads(text)["rules"]
            priorities = [rule["rulePriority"] for rule in declared]
            last = max(priorities)
            wrong = [f"rule {rule['rulePriority']} {fault}" for rule in declared for fault in _rule_faults(rule, last)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"is no object of rules with rulePriority, selection and action: {error!r} ({_PROPERTIES})"
            return [*faults, Fault("policy", reason)]
        if len(set(priorities)) < len(priorities):
            wrong.append("has a rulePriority twice")
        return faults + [Fault("policy", f"{fault} ({_PROPERTIES})") for fault in wrong]


def _rule_faults(rule: Mapping[str, Any], last: int) -> list[str]:
    """What of a lifecycle rule is refused; `last` is the highest priority."""
    found, selection = [], rule["selection"]
    status, count = selection["tagStatus"], selection["countType"]
    named = bool(selection.get("tagPrefixList") or selection.get("tagPatternList"))
    if status not in ("tagged", "untagged", "any"):
        found.append(f"has tagStatus {status!r}, none of any, tagged, untagged")
    if status == "tagged" and not named:
        found.append("is for tagged images and needs tagPatternList or tagPrefixList")
    if status == "untagged" and named:
        found.append("is for untagged images, which no tag names")
    if status == "any" and rule["rulePriority"] != last:
        found.append("is for any image and must have the highest rulePriority")
    if count not in _COUNTS:
        found.append(f"has countType {count!r}, none of {', '.join(sorted(_COUNTS))}")
    if (count in _AGES) != (selection.get("countUnit") == "days"):
        found.append("counts days (countUnit) exactly where it counts since a time")
    if not isinstance(selection["countNumber"], int) or selection["countNumber"] < 1:
        found.append(f"has countNumber {selection['countNumber']!r}, not a number from 1")
    if rule["action"]["type"] not in ("expire", "transition"):
        found.append(f"has the action {rule['action']['type']!r}, none of expire, transition")
    return found


class RepositoryPolicy(RepositoryPart):
    """aws_ecr_repository_policy."""

    token = "aws:ecr/repositoryPolicy:RepositoryPolicy"
    calls = ("set_repository_policy", "get_repository_policy", "delete_repository_policy")
    member = "policyText"

    def check(self, inputs: Properties) -> list[Fault]:
        """ "SetRepositoryPolicy" (Amazon ECR API Reference)."""
        return rules.required(inputs, "repository", "policy") + of_whom(inputs, "policy", "SetRepositoryPolicy")


TYPES = (Repository(), LifecyclePolicy(), RepositoryPolicy())
