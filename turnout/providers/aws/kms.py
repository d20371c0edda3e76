"""KMS key, its policy and alias (terraform-provider-aws internal/service/kms/key.go, key_policy.go, alias.go)."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import Fault, NotFound, Properties, ProviderConfig
from turnout.providers.aws import rules
from turnout.providers.aws.base import INTENT_TAG, AwsType, Deadline, changed, known
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.mapping import same_json

WAITING = ("PendingDeletion", "PendingReplicaDeletion")
"""States of a key that counts as gone."""
USAGES = {"ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"}


class Key(AwsType):
    """aws_kms_key. Its end is ScheduleKeyDeletion; a key that waits for it counts as gone (findKeyByID)."""

    token = "aws:kms/key:Key"
    inputs = frozenset(
        {
            "bypassPolicyLockoutSafetyCheck",
            "customerMasterKeySpec",
            "deletionWindowInDays",
            "description",
            "enableKeyRotation",
            "isEnabled",
            "keyUsage",
            "multiRegion",
            "policy",
            "rotationPeriodInDays",
            "tags",
        }
    )
    replace_on = frozenset({"customerMasterKeySpec", "keyUsage", "multiRegion"})
    documents = frozenset({"policy"})
    defaults: ClassVar[Mapping[str, Any]] = {"isEnabled": True, "enableKeyRotation": False}

    def check(self, inputs: Properties) -> list[Fault]:
        """AWS "ScheduleKeyDeletion" and "EnableKeyRotation" (AWS KMS API Reference)."""
        faults = rules.between(inputs, "deletionWindowInDays", 7, 30, "ScheduleKeyDeletion")
        faults += rules.between(inputs, "rotationPeriodInDays", 90, 2560, "EnableKeyRotation")
        faults += rules.one_of(inputs, "keyUsage", USAGES, "CreateKey")
        faults += rules.document(inputs, "policy", "CreateKey")
        if isinstance(inputs.get("description"), str) and len(inputs["description"]) > 8192:
            faults.append(Fault("description", "has more than 8192 characters (CreateKey)"))
        rotates, spec = inputs.get("enableKeyRotation"), inputs.get("customerMasterKeySpec")
        if known(inputs.get("rotationPeriodInDays")) and rotates in (None, False):
            faults.append(Fault("rotationPeriodInDays", "needs enableKeyRotation (resourceKeyCreate: RequiredWith)"))
        if rotates is True and isinstance(spec, str) and spec != "SYMMETRIC_DEFAULT":
            faults.append(Fault("enableKeyRotation", f"a key of {spec} does not rotate by itself (EnableKeyRotation)"))
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        made = cloud.call(
            "kms",
            "create_key",
            Description=inputs.get("description"),
            KeyUsage=inputs.get("keyUsage") or "ENCRYPT_DECRYPT",
            KeySpec=inputs.get("customerMasterKeySpec") or "SYMMETRIC_DEFAULT",
            MultiRegion=inputs.get("multiRegion"),
            Policy=inputs.get("policy"),
            BypassPolicyLockoutSafetyCheck=inputs.get("bypassPolicyLockoutSafetyCheck"),
            Tags=_tags(tags),
        )
        return str(made["KeyMetadata"]["KeyId"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """resourceKeyUpdate: a key is enabled before, and disabled after everything else."""
        enabled = new.get("isEnabled") is not False
        if enabled and old.get("isEnabled") is False:
            cloud.call("kms", "enable_key", KeyId=id)
        if changed(old, new, "enableKeyRotation", "rotationPeriodInDays"):
            self._rotate(cloud, id, old, new)
        if old and changed(old, new, "description"):
            cloud.call("kms", "update_key_description", KeyId=id, Description=new.get("description") or "")
        if old and changed(old, new, "policy") and new.get("policy"):
            cloud.call("kms", "put_key_policy", KeyId=id, PolicyName="default", Policy=new["policy"])
        if not enabled and old.get("isEnabled") is not False:
            cloud.call("kms", "disable_key", KeyId=id)

    @staticmethod
    def _rotate(cloud: Cloud, id: str, old: Properties, new: Properties) -> None:
        if new.get("enableKeyRotation"):
            cloud.call("kms", "enable_key_rotation", KeyId=id, RotationPeriodInDays=new.get("rotationPeriodInDays"))
        elif old.get("enableKeyRotation"):
            cloud.call("kms", "disable_key_rotation", KeyId=id)

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        key = cloud.call("kms", "describe_key", KeyId=id)["KeyMetadata"]
        if key["KeyState"] in WAITING:
            return None
        rotation: Mapping[str, Any] = {}
        if key["KeySpec"] == "SYMMETRIC_DEFAULT":
            rotation = cloud.call("kms", "get_key_rotation_status", KeyId=id)
        return {
            "description": key.get("Description") or "",
            "keyUsage": key["KeyUsage"],
            "customerMasterKeySpec": key["KeySpec"],
            "isEnabled": key["KeyState"] != "Disabled",
            "multiRegion": key.get("MultiRegion", False),
            "enableKeyRotation": rotation.get("KeyRotationEnabled", False),
            **({"rotationPeriodInDays": rotation["RotationPeriodInDays"]} if "RotationPeriodInDays" in rotation else {}),
            "policy": cloud.call("kms", "get_key_policy", KeyId=id, PolicyName="default")["Policy"],
            "keyId": key["KeyId"],
            "arn": key["Arn"],
            "tagsAll": self._tags_of(cloud, id),
        }

    @staticmethod
    def _tags_of(cloud: Cloud, id: str) -> dict[str, str]:
        found = cloud.call("kms", "list_resource_tags", KeyId=id)["Tags"]
        return {tag["TagKey"]: tag["TagValue"] for tag in found}

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        for key in cloud.pages("kms", "list_keys", "Keys"):
            id = str(key["KeyId"])
            if self._tags_of(cloud, id).get(INTENT_TAG) == token and self.look(cloud, id, inputs):
                return id
        return None

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        if add:
            cloud.call("kms", "tag_resource", KeyId=id, Tags=_tags(add))
        if drop:
            cloud.call("kms", "untag_resource", KeyId=id, TagKeys=drop)

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """resourceKeyDelete; KMSInvalidStateException: it waits for its end already."""
        if self.look(cloud, id, inputs) is not None:
            window = inputs.get("deletionWindowInDays")
            cloud.call("kms", "schedule_key_deletion", KeyId=id, PendingWindowInDays=window or 30)


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": str(value)} for key, value in sorted(tags.items())]


class Alias(AwsType):
    """aws_kms_alias: the id is its name. The target may be a key's id or ARN (resourceAliasRead keeps the form)."""

    token = "aws:kms/alias:Alias"
    inputs = frozenset({"name", "targetKeyId"})
    replace_on = frozenset({"name"})

    def check(self, inputs: Properties) -> list[Fault]:
        """AWS "CreateAlias" (AWS KMS API Reference), AliasName."""
        meaning = "alias/ and then letters, digits, /, _ and -, not beginning with alias/aws/"
        faults = rules.required(inputs, "name", "targetKeyId")
        return faults + rules.matches(inputs, "name", r"alias/(?!aws/)[A-Za-z0-9/_-]{1,250}", meaning, "CreateAlias")

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        cloud.call("kms", "create_alias", AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
        return str(inputs["name"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old and changed(old, new, "targetKeyId"):
            cloud.call("kms", "update_alias", AliasName=id, TargetKeyId=new["targetKeyId"])

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = [alias for alias in cloud.pages("kms", "list_aliases", "Aliases") if alias["AliasName"] == id]
        if not found:
            return None
        key = cloud.call("kms", "describe_key", KeyId=found[0]["TargetKeyId"])["KeyMetadata"]
        declared = str(inputs.get("targetKeyId") or "")
        return {
            "name": id,
            "targetKeyId": key["Arn"] if declared.startswith("arn:") else key["KeyId"],
            "targetKeyArn": key["Arn"],
            "arn": found[0]["AliasArn"],
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        return str(inputs["name"]) if self.look(cloud, inputs["name"], inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        cloud.call("kms", "delete_alias", AliasName=id)


class KeyPolicy(AwsType):
    """aws_kms_key_policy: the policy of a key that is declared apart from it. The id is the key's (resourceKeyPolicyCreate)."""

    token = "aws:kms/keyPolicy:KeyPolicy"
    inputs = frozenset({"keyId", "policy", "bypassPolicyLockoutSafetyCheck"})
    replace_on = frozenset({"keyId"})
    documents = frozenset({"policy"})

    def check(self, inputs: Properties) -> list[Fault]:
        return rules.required(inputs, "keyId", "policy") + rules.document(inputs, "policy", "PutKeyPolicy")

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        self._put(cloud, inputs["keyId"], inputs["policy"], inputs.get("bypassPolicyLockoutSafetyCheck"))
        return str(inputs["keyId"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if changed(old, new, "policy"):
            self._put(cloud, id, new["policy"], new.get("bypassPolicyLockoutSafetyCheck"))

    @staticmethod
    def _put(cloud: Cloud, key: str, policy: str, unsafe: bool | None) -> None:
        cloud.call(
            "kms", "put_key_policy", KeyId=key, PolicyName="default", Policy=policy, BypassPolicyLockoutSafetyCheck=unsafe
        )

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        key = cloud.call("kms", "describe_key", KeyId=id)["KeyMetadata"]
        if key["KeyState"] in WAITING:
            return None
        return {"keyId": id, "policy": cloud.call("kms", "get_key_policy", KeyId=id, PolicyName="default")["Policy"]}

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        """A key always has a policy: it is the made one when it says the same."""
        live = self.look(cloud, inputs["keyId"], inputs)
        return str(inputs["keyId"]) if live is not None and same_json(inputs["policy"], live["policy"]) else None

    def delete(self, config: ProviderConfig, id: str, inputs: Properties, outputs: Properties, timeout: float) -> None:
        """resourceKeyPolicyDelete puts the default policy back ("Default key policy", AWS KMS Developer Guide)."""
        cloud = Cloud(config)
        try:
            arn = str(cloud.call("kms", "describe_key", KeyId=id)["KeyMetadata"]["Arn"])
            _, partition, _, _, account, _ = arn.split(":", 5)
            root = {"AWS": f"arn:{partition}:iam::{account}:root"}
            statement = {
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": root,
                "Action": "kms:*",
                "Resource": "*",
            }
            self._put(cloud, id, json.dumps({"Version": "2012-10-17", "Statement": [statement]}), None)
        except NotFound:
            return


TYPES = (Key(), Alias(), KeyPolicy())
