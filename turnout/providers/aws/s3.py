"""Bucket (terraform-provider-aws internal/service/s3/bucket.go). What is set on one stands in s3_settings.py."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, NotFound, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import INTENT_TAG, AwsType, Deadline, known
from turnout.providers.aws.clients import Cloud, error_code
from turnout.providers.aws.mapping import tag_list, tag_map

_IPV4 = r"\d{1,3}(?:\.\d{1,3}){3}"
_NAME = rf"(?!{_IPV4}$)(?!xn--|sthree-|amzn-s3-demo-)(?!.*\.\.)[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9]"
_ENDINGS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_MOST_AT_ONCE = 1000
"""Of objects in one DeleteObjects."""


class Bucket(AwsType):
    """aws_s3_bucket: the id is the name."""

    token = "aws:s3/bucket:Bucket"
    inputs = frozenset({"bucket", "forceDestroy", "objectLockEnabled", "tags"})
    replace_on = frozenset({"bucket", "objectLockEnabled"})
    auto_name = AutoName("bucket", 63)
    defaults: ClassVar[Mapping[str, Any]] = {"objectLockEnabled": False}

    def check(self, inputs: Properties) -> list[Fault]:
        """ "General purpose bucket naming rules" (Amazon S3 User Guide)."""
        name, source = inputs.get("bucket"), "General purpose bucket naming rules"
        meaning = "3 to 63 lower-case letters, digits, dots and hyphens, no address, none of AWS's own prefixes"
        faults = rules.matches(inputs, "bucket", _NAME, meaning, source)
        if isinstance(name, str) and name.endswith(_ENDINGS):
            faults.append(Fault("bucket", f"{name!r} ends as AWS's own names do: {', '.join(_ENDINGS)} ({source})"))
        tags = inputs.get("tags")
        if isinstance(tags, dict) and known(tags) and len(tags) > 50:
            faults.append(Fault("tags", "are more than 50 (Using cost allocation S3 bucket tags)"))
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        """CreateBucket. In us-east-1 AWS answers 200 for a bucket that is one's own already; it is refused here."""
        name = str(inputs["bucket"])
        if self._exists(cloud, name):
            raise ProviderError(f"s3 create_bucket: BucketAlreadyOwnedByYou: {name} exists; import it or choose another name")
        place = None if cloud.region == "us-east-1" else {"LocationConstraint": cloud.region}
        lock = True if inputs.get("objectLockEnabled") else None
        cloud.call("s3", "create_bucket", Bucket=name, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=lock)
        cloud.call("s3", "put_bucket_tagging", Bucket=name, Tagging={"TagSet": tag_list(tags)})
        return name

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """`forceDestroy` is the engine's own: it is read at the end."""

    @staticmethod
    def _exists(cloud: Cloud, name: str) -> bool:
        try:
            cloud.call("s3", "head_bucket", Bucket=name)
        except NotFound:
            return False
        return True

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        cloud.call("s3", "head_bucket", Bucket=id)
        lock = ask(cloud, "get_object_lock_configuration", id).get("ObjectLockConfiguration") or {}
        return {
            "bucket": id,
            "objectLockEnabled": lock.get("ObjectLockEnabled") == "Enabled",
            "arn": f"arn:aws:s3:::{id}",
            "region": cloud.region,
            "bucketDomainName": f"{id}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{id}.s3.{cloud.region}.amazonaws.com",
            "tagsAll": self._tags(cloud, id),
        }

    @staticmethod
    def _tags(cloud: Cloud, id: str) -> dict[str, str]:
        return tag_map(ask(cloud, "get_bucket_tagging", id).get("TagSet"))

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        """A bucket is tagged after it is made: one of that name without any tag was left in between."""
        name = str(inputs["bucket"])
        if not self._exists(cloud, name):
            return None
        tags = self._tags(cloud, name)
        return name if not tags or tags.get(INTENT_TAG) == token else None

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        """PutBucketTagging replaces the whole set."""
        held = {key: value for key, value in {**self._tags(cloud, id), **add}.items() if key not in drop}
        if held:
            cloud.call("s3", "put_bucket_tagging", Bucket=id, Tagging={"TagSet": tag_list(held)})
        else:
            cloud.call("s3", "delete_bucket_tagging", Bucket=id)

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """resourceBucketDelete. "DeleteBucket" (Amazon S3 API Reference): every object, version and delete marker first."""
        if inputs.get("forceDestroy") is True:
            _empty(cloud, id)
        try:
            cloud.call("s3", "delete_bucket", Bucket=id)
        except ProviderError as error:
            if error_code(error) != "BucketNotEmpty":
                raise
            raise ProviderError(
                f"s3 delete_bucket: BucketNotEmpty: {id} holds objects, versions or delete markers; take them away, or set "
                "forceDestroy and update before it is deleted"
            ) from None


def _empty(cloud: Cloud, id: str) -> None:
    held = [
        {"Key": item["Key"], "VersionId": item["VersionId"]}
        for kind in ("Versions", "DeleteMarkers")
        for item in cloud.pages("s3", "list_object_versions", kind, Bucket=id)
    ]
    for start in range(0, len(held), _MOST_AT_ONCE):
        batch = {"Objects": held[start : start + _MOST_AT_ONCE], "Quiet": True}
        failed = cloud.call("s3", "delete_objects", Bucket=id, Delete=batch).get("Errors") or []
        if failed:
            first = failed[0]
            raise ProviderError(f"s3 delete_objects: {first.get('Code')}: {id}/{first.get('Key')}: {first.get('Message')}")


def ask(cloud: Cloud, operation: str, bucket: str) -> dict[str, Any]:
    """A setting of a bucket; {} where it has none. Raises NotFound for a bucket that is gone."""
    try:
        return cloud.call("s3", operation, Bucket=bucket)
    except NotFound as error:
        if error_code(error) == "NoSuchBucket":
            raise
        return {}


TYPES = (Bucket(),)
