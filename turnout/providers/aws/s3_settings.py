"""What is set on a bucket: versioning, encryption, access, policy, ownership (terraform-provider-aws internal/service/s3).

The id of each is the bucket's name."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import Fault, Properties, ProviderConfig
from turnout.providers.aws import rules
from turnout.providers.aws.base import AwsType, Deadline
from turnout.providers.aws.clients import Cloud, client
from turnout.providers.aws.mapping import from_members, to_members
from turnout.providers.aws.s3 import ask

_ALGORITHMS = {"AES256", "aws:kms", "aws:kms:dsse"}
_OWNERSHIPS = {"BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"}
_FLAGS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_NAMES = {"sseAlgorithm": "SSEAlgorithm", "kmsMasterKeyId": "KMSMasterKeyID", "id": "ID"}


class BucketSetting(AwsType):
    """One setting, put whole by one call and taken away by another."""

    replace_on = frozenset({"bucket"})
    put_operation: ClassVar[str]
    delete_operation: ClassVar[str]

    def body(self, cloud: Cloud, inputs: Properties) -> dict[str, Any]:
        """The members of the call that puts the setting."""
        raise NotImplementedError

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        return str(inputs["bucket"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old != new:
            cloud.call("s3", self.put_operation, Bucket=id, **self.body(cloud, new))

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        id = str(inputs["bucket"])
        return id if self.look(cloud, id, inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        cloud.call("s3", self.delete_operation, Bucket=id)


def members(cloud: Cloud, operation: str, path: tuple[str, ...], value: Any) -> Any:
    """A Pulumi value as the member at `path` of an operation's input wants it."""
    shape = client(cloud.config, "s3").meta.service_model.operation_model(operation).input_shape
    for name in path:
        shape = shape.members[name]
    return to_members(shape, value, _NAMES)


def from_s3(value: Any) -> Any:
    """boto3's members under Pulumi's names."""
    return from_members(value, _NAMES)


class BucketVersioning(BucketSetting):
    """aws_s3_bucket_versioning. A bucket never goes back to none: its end suspends it (resourceBucketVersioningDelete)."""

    token = "aws:s3/bucketVersioning:BucketVersioning"
    inputs = frozenset({"bucket", "versioningConfiguration"})
    put_operation = "put_bucket_versioning"

    def check(self, inputs: Properties) -> list[Fault]:
        """ "PutBucketVersioning" (Amazon S3 API Reference)."""
        faults = rules.required(inputs, "bucket", "versioningConfiguration")
        status = "versioningConfiguration.status"
        faults += rules.one_of(inputs, status, {"Enabled", "Suspended"}, "PutBucketVersioning")
        if rules.at(inputs, "versioningConfiguration.mfaDelete") == "Enabled":
            reason = (
                "needs the account owner's MFA code in each call, which the local engine does not take (PutBucketVersioning)"
            )
            faults.append(Fault("versioningConfiguration.mfaDelete", reason))
        return faults

    def body(self, cloud: Cloud, inputs: Properties) -> dict[str, Any]:
        return {"VersioningConfiguration": {"Status": inputs["versioningConfiguration"]["status"]}}

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = ask(cloud, "get_bucket_versioning", id).get("Status")
        return {"bucket": id, "versioningConfiguration": {"status": found, "mfaDelete": "Disabled"}} if found else None

    def delete(self, config: ProviderConfig, id: str, inputs: Properties, outputs: Properties, timeout: float) -> None:
        cloud = Cloud(config)
        if self._observe(cloud, id, inputs) is not None:
            cloud.call("s3", self.put_operation, Bucket=id, VersioningConfiguration={"Status": "Suspended"})


class BucketServerSideEncryptionConfiguration(BucketSetting):
    """aws_s3_bucket_server_side_encryption_configuration. Every bucket has SSE-S3 by itself: it is no setting of a program that
    declares something else ("Setting default server-side encryption behavior for Amazon S3 buckets", Amazon S3 User Guide)."""

    token = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    inputs = frozenset({"bucket", "rules"})
    put_operation, delete_operation = "put_bucket_encryption", "delete_bucket_encryption"

    def check(self, inputs: Properties) -> list[Fault]:
        """ "PutBucketEncryption", "ServerSideEncryptionByDefault" (Amazon S3 API Reference)."""
        faults = rules.required(inputs, "bucket", "rules")
        declared = inputs.get("rules")
        if not isinstance(declared, list):
            return faults
        if len(declared) != 1:
            faults.append(Fault("rules", f"are {len(declared)}: a bucket has one (PutBucketEncryption)"))
        for index, rule in enumerate(declared):
            default = rules.at(rule, "applyServerSideEncryptionByDefault") if isinstance(rule, dict) else None
            if not isinstance(default, dict):
                continue
            where, algorithm = f"rules[{index}].applyServerSideEncryptionByDefault", default.get("sseAlgorithm")
            if isinstance(algorithm, str) and algorithm not in _ALGORITHMS:
                reason = f"{algorithm!r} is none of {', '.join(sorted(_ALGORITHMS))} (ServerSideEncryptionByDefault)"
                faults.append(Fault(f"{where}.sseAlgorithm", reason))
            if algorithm == "AES256" and default.get("kmsMasterKeyId"):
                reason = "is for aws:kms and aws:kms:dsse only (ServerSideEncryptionByDefault)"
                faults.append(Fault(f"{where}.kmsMasterKeyId", reason))
            if algorithm == "aws:kms:dsse" and rule.get("bucketKeyEnabled") is True:
                reason = "goes with aws:kms only (Using dual-layer server-side encryption with AWS KMS keys)"
                faults.append(Fault(f"rules[{index}].bucketKeyEnabled", reason))
        return faults

    def body(self, cloud: Cloud, inputs: Properties) -> dict[str, Any]:
        path = ("ServerSideEncryptionConfiguration", "Rules")
        wanted = members(cloud, "PutBucketEncryption", path, inputs["rules"])
        return {"ServerSideEncryptionConfiguration": {"Rules": wanted}}

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = ask(cloud, "get_bucket_encryption", id).get("ServerSideEncryptionConfiguration") or {}
        live = [_with_flag(rule) for rule in from_s3(found.get("Rules") or [])]
        if not live or (_algorithm(live) == "AES256" and _algorithm(inputs.get("rules")) != "AES256"):
            return None
        return {"bucket": id, "rules": live}

    def delete(self, config: ProviderConfig, id: str, inputs: Properties, outputs: Properties, timeout: float) -> None:
        cloud = Cloud(config)
        if self._observe(cloud, id, inputs) is not None:
            cloud.call("s3", self.delete_operation, Bucket=id)


def _with_flag(rule: Properties) -> Properties:
    return {**rule, "bucketKeyEnabled": rule.get("bucketKeyEnabled", False)}


def _algorithm(declared: Any) -> str | None:
    default = declared[0].get("applyServerSideEncryptionByDefault") if isinstance(declared, list) and declared else None
    return default.get("sseAlgorithm") if isinstance(default, dict) else None


class BucketPublicAccessBlock(BucketSetting):
    """aws_s3_bucket_public_access_block: what is not declared is off."""

    token = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    inputs = frozenset({"bucket", *_FLAGS})
    defaults: ClassVar[Mapping[str, Any]] = dict.fromkeys(_FLAGS, False)
    put_operation, delete_operation = "put_public_access_block", "delete_public_access_block"

    def check(self, inputs: Properties) -> list[Fault]:
        return rules.required(inputs, "bucket")

    def body(self, cloud: Cloud, inputs: Properties) -> dict[str, Any]:
        flags = {f"{name[:1].upper()}{name[1:]}": inputs.get(name) is True for name in _FLAGS}
        return {"PublicAccessBlockConfiguration": flags}

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = ask(cloud, "get_public_access_block", id).get("PublicAccessBlockConfiguration")
        return {"bucket": id, **from_s3(found)} if found else None


class BucketOwnershipControls(BucketSetting):
    """aws_s3_bucket_ownership_controls."""

    token = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
    inputs = frozenset({"bucket", "rule"})
    put_operation, delete_operation = "put_bucket_ownership_controls", "delete_bucket_ownership_controls"

    def check(self, inputs: Properties) -> list[Fault]:
        """ "OwnershipControlsRule" (Amazon S3 API Reference)."""
        faults = rules.required(inputs, "bucket", "rule")
        return faults + rules.one_of(inputs, "rule.objectOwnership", _OWNERSHIPS, "OwnershipControlsRule")

    def body(self, cloud: Cloud, inputs: Properties) -> dict[str, Any]:
        return {"OwnershipControls": {"Rules": [{"ObjectOwnership": inputs["rule"]["objectOwnership"]}]}}

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = (ask(cloud, "get_bucket_ownership_controls", id).get("OwnershipControls") or {}).get("Rules")
        return {"bucket": id, "rule": {"objectOwnership": found[0]["ObjectOwnership"]}} if found else None


class BucketPolicy(BucketSetting):
    """aws_s3_bucket_policy."""

    token = "aws:s3/bucketPolicy:BucketPolicy"
    inputs = frozenset({"bucket", "policy"})
    documents = frozenset({"policy"})
    put_operation, delete_operation = "put_bucket_policy", "delete_bucket_policy"

    def check(self, inputs: Properties) -> list[Fault]:
        """ "PutBucketPolicy" (Amazon S3 API Reference)."""
        faults = rules.required(inputs, "bucket", "policy")
        policy = inputs.get("policy")
        if isinstance(policy, str) and len(policy.encode()) > 20 * 1024:
            faults.append(Fault("policy", "has more than 20 KB (Bucket policies for Amazon S3)"))
        return faults + of_whom(inputs, "policy", "PutBucketPolicy")

    def body(self, cloud: Cloud, inputs: Properties) -> dict[str, Any]:
        return {"Policy": inputs["policy"]}

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = ask(cloud, "get_bucket_policy", id).get("Policy")
        return {"bucket": id, "policy": found} if found else None


def of_whom(inputs: Properties, property: str, source: str) -> list[Fault]:
    """A resource's policy: its statements say of whom ("AWS JSON policy elements: Principal", IAM User Guide)."""
    faults = rules.document(inputs, property, source)
    value = inputs.get(property)
    if faults or not isinstance(value, str):
        return faults
    found = json.loads(value)["Statement"]
    for index, statement in enumerate(found if isinstance(found, list) else [found]):
        if isinstance(statement, dict) and not {"Principal", "NotPrincipal"} & statement.keys():
            reason = f"statement {index} names no Principal (AWS JSON policy elements: Principal)"
            faults.append(Fault(property, reason))
    return faults


TYPES = (
    BucketVersioning(),
    BucketServerSideEncryptionConfiguration(),
    BucketPublicAccessBlock(),
    BucketOwnershipControls(),
    BucketPolicy(),
)
