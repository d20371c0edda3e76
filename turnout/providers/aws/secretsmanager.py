"""Secret, its versions, rotation and policy (terraform-provider-aws internal/service/secretsmanager).

No read asks for a value: what a version holds, and what is current, is not for a state to know."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, NotFound, Properties, ProviderConfig
from turnout.providers.aws import rules
from turnout.providers.aws.base import INTENT_TAG, AwsType, Deadline, changed
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.mapping import tag_list, tag_map

MOST_BYTES = 65_536
"""AWS "CreateSecret", SecretString."""

NO_POLICY = "{}"
"""A secret's `policy` that takes the one away that there is; one that is not declared is left alone, because a SecretPolicy may
have put it (resourceSecret: Optional, Computed)."""


class Secret(AwsType):
    """aws_secretsmanager_secret: the id is its ARN. One that is scheduled for deletion counts as gone (findSecretByID)."""

    token = "aws:secretsmanager/secret:Secret"
    inputs = frozenset({"name", "description", "kmsKeyId", "policy", "recoveryWindowInDays", "tags"})
    replace_on = frozenset({"name"})
    auto_name = AutoName("name", 512)
    documents = frozenset({"policy"})
    defaults: ClassVar[Mapping[str, Any]] = {"description": ""}

    def check(self, inputs: Properties) -> list[Fault]:
        """AWS "CreateSecret" and "DeleteSecret" (AWS Secrets Manager API Reference); validSecretName."""
        meaning = "1 to 512 letters, digits and /_+=.@-"
        faults = rules.matches(inputs, "name", r"[A-Za-z0-9/_+=.@-]{1,512}", meaning, "CreateSecret")
        if inputs.get("recoveryWindowInDays") != 0:
            faults += rules.between(inputs, "recoveryWindowInDays", 7, 30, "DeleteSecret; 0 deletes without recovery")
        return faults + ([] if inputs.get("policy") == NO_POLICY else rules.document(inputs, "policy", "PutResourcePolicy"))

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        """CreateSecret: ResourceExistsException for a name in use, also by a secret that is scheduled for deletion."""
        made = cloud.call(
            "secretsmanager",
            "create_secret",
            Name=inputs["name"],
            Description=inputs.get("description"),
            KmsKeyId=inputs.get("kmsKeyId"),
            Tags=tag_list(tags),
        )
        return str(made["ARN"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old and changed(old, new, "description", "kmsKeyId"):
            description, key = new.get("description") or "", new.get("kmsKeyId")
            cloud.call("secretsmanager", "update_secret", SecretId=id, Description=description, KmsKeyId=key)
        if new.get("policy") and changed(old, new, "policy"):
            put_policy(cloud, id, new["policy"])

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        secret = cloud.call("secretsmanager", "describe_secret", SecretId=id)
        if secret.get("DeletedDate"):
            return None
        return {
            "name": secret["Name"],
            "description": secret.get("Description") or "",
            "kmsKeyId": secret.get("KmsKeyId"),
            "policy": policy_of(cloud, id) or (NO_POLICY if inputs.get("policy") == NO_POLICY else ""),
            "arn": secret["ARN"],
            "tagsAll": tag_map(secret.get("Tags")),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        secret = cloud.call("secretsmanager", "describe_secret", SecretId=inputs["name"])
        mine = tag_map(secret.get("Tags")).get(INTENT_TAG) == token and not secret.get("DeletedDate")
        return str(secret["ARN"]) if mine else None

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        if add:
            cloud.call("secretsmanager", "tag_resource", SecretId=id, Tags=tag_list(add))
        if drop:
            cloud.call("secretsmanager", "untag_resource", SecretId=id, TagKeys=drop)

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """resourceSecretDelete: recoveryWindowInDays 0 is ForceDeleteWithoutRecovery."""
        if self.look(cloud, id, inputs) is None:
            return
        window = inputs.get("recoveryWindowInDays")
        how = {"ForceDeleteWithoutRecovery": True} if window == 0 else {"RecoveryWindowInDays": int(window or 30)}
        cloud.call("secretsmanager", "delete_secret", SecretId=id, **how)


def put_policy(cloud: Cloud, id: str, policy: str | None, block_public: bool | None = None) -> None:
    if policy and policy != NO_POLICY:
        cloud.call("secretsmanager", "put_resource_policy", SecretId=id, ResourcePolicy=policy, BlockPublicPolicy=block_public)
    elif policy_of(cloud, id):
        cloud.call("secretsmanager", "delete_resource_policy", SecretId=id)


def policy_of(cloud: Cloud, id: str) -> str | None:
    return cloud.call("secretsmanager", "get_resource_policy", SecretId=id).get("ResourcePolicy")


CURRENT = "AWSCURRENT"


class SecretVersion(AwsType):
    """aws_secretsmanager_secret_version: one put value, by id `<secret>|<version>`.

    `secretStringWo` is sent when the version is made and never again: another `secretStringWoVersion` makes another version
    (ForceNew). A value that somebody else put since is no drift. `versionStages` are labels that the version is made with; a
    program that gives them and lets a rotation move AWSCURRENT on ignores their changes."""

    token = "aws:secretsmanager/secretVersion:SecretVersion"
    inputs = frozenset({"secretId", "secretString", "secretBinary", "secretStringWo", "secretStringWoVersion", "versionStages"})
    replace_on = frozenset({"secretId", "secretString", "secretBinary", "secretStringWoVersion"})
    write_only = frozenset({"secretStringWo"})

    def check(self, inputs: Properties) -> list[Fault]:
        """AWS "PutSecretValue"; resourceSecretVersion: ConflictsWith, RequiredWith."""
        faults = rules.required(inputs, "secretId")
        values = [name for name in ("secretString", "secretBinary", "secretStringWo") if inputs.get(name) is not None]
        if len(values) > 1:
            faults.append(Fault(values[1], f"{' and '.join(values)} exclude each other (PutSecretValue)"))
        elif not values and inputs.get("secretStringWoVersion") is None:
            faults.append(Fault("", "needs one of secretStringWo, secretString, secretBinary (PutSecretValue)"))
        for one, other in (("secretStringWo", "secretStringWoVersion"), ("secretStringWoVersion", "secretStringWo")):
            if inputs.get(one) is not None and inputs.get(other) is None:
                faults.append(Fault(other, f"is required with {one} (resourceSecretVersion: RequiredWith)"))
        for name in ("secretString", "secretStringWo"):
            value = inputs.get(name)
            if isinstance(value, str) and not 1 <= len(value.encode()) <= MOST_BYTES:
                faults.append(Fault(name, f"{len(value.encode())} bytes are outside 1..{MOST_BYTES} (PutSecretValue)"))
        return faults + rules.matches(
            inputs, "secretBinary", r"[A-Za-z0-9+/]+={0,2}", "the bytes in base64", "resourceSecretVersion"
        )

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        binary, token = inputs.get("secretBinary"), tags.get(INTENT_TAG)
        made = cloud.call(
            "secretsmanager",
            "put_secret_value",
            ClientRequestToken=token,
            SecretId=inputs["secretId"],
            SecretString=inputs.get("secretStringWo") or inputs.get("secretString"),
            SecretBinary=b64decode(binary) if binary else None,
            VersionStages=inputs.get("versionStages"),
        )
        return f"{inputs['secretId']}|{made['VersionId']}"

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """resourceSecretVersionUpdate: a label moves here from the version that has it, and one that is taken away goes;
        AWSCURRENT never does ("UpdateSecretVersionStage")."""
        secret, version = id.split("|", 1)
        wanted = new.get("versionStages")
        if not old or not changed(old, new, "versionStages") or wanted is None:
            return
        held = {stage: name for name, stages in self._versions(cloud, secret) for stage in stages}
        stages = {stage for stage, name in held.items() if name == version}
        move = "update_secret_version_stage"
        for stage in sorted(set(wanted) - stages):
            members = {"MoveToVersionId": version, "RemoveFromVersionId": held.get(stage)}
            cloud.call("secretsmanager", move, SecretId=secret, VersionStage=stage, **members)
        for stage in sorted(stages - set(wanted) - {CURRENT}):
            cloud.call("secretsmanager", move, SecretId=secret, VersionStage=stage, RemoveFromVersionId=version)

    @staticmethod
    def _versions(cloud: Cloud, secret: str) -> list[tuple[str, list[str]]]:
        found = cloud.call("secretsmanager", "describe_secret", SecretId=secret)
        if found.get("DeletedDate"):
            raise NotFound(f"secretsmanager describe_secret: ResourceNotFoundException: {secret} is scheduled for deletion")
        return [(version, list(stages)) for version, stages in (found.get("VersionIdsToStages") or {}).items()]

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        """A version without labels is as good as gone to AWS, yet written it was: it stays, so that no later update puts its
        value over the current one."""
        secret, version = id.split("|", 1)
        arn = cloud.call("secretsmanager", "describe_secret", SecretId=secret)["ARN"]
        stages = dict(self._versions(cloud, secret)).get(version, [])
        return {
            "secretId": secret,
            "arn": arn,
            "secretArn": arn,
            "versionId": version,
            "versionStages": sorted(stages),
            "hasSecretStringWo": inputs.get("secretStringWoVersion") is not None,
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        found = [version for version, _ in self._versions(cloud, inputs["secretId"])]
        return f"{inputs['secretId']}|{token}" if token in found else None

    def delete(self, config: ProviderConfig, id: str, inputs: Properties, outputs: Properties, timeout: float) -> None:
        """resourceSecretVersionDelete takes off labels that a program put on; AWSCURRENT stays, and the value goes with its
        secret."""


TYPES = (Secret(), SecretVersion())
