"""Where releases come from: a bucket for models and a repository for images, encrypted with a key of their own."""

import json
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi_aws import ecr, s3

from turnout_components import arguments, checks, store_rules
from turnout_components.encryption_key import own_key
from turnout_components.naming import AUTO_NAME_SUFFIX, shorten

NONCURRENT_DAYS = 90
UNTAGGED_DAYS = 30
UPLOAD_DAYS = 7
"""Days after which an upload in parts that nobody completed is given up."""


class ArtifactStoreArgs(TypedDict):
    """Whose artifacts. What AWS refuses is refused (`turnout_components.store_rules`)."""

    service: pulumi.Input[str]
    """The service's name."""
    bucket_name: NotRequired[pulumi.Input[str]]
    """The bucket's name, as it stands in the releases' URIs. Default: the component's, with an ending that makes it unique."""
    repository_name: NotRequired[pulumi.Input[str]]
    """The repository's name. Default `turnout/<service>/<stack>`."""
    noncurrent_days: NotRequired[int]
    """Days for which an object that was replaced or deleted is kept. Default 90."""
    untagged_days: NotRequired[int]
    """Days for which an image without a tag is kept. Default 30."""
    protect: NotRequired[bool]
    """Refuse to delete bucket, repository and key. Default true: `pulumi destroy` stops until this is false."""


class ArtifactStore(pulumi.ComponentResource):
    """A versioned bucket that only TLS reaches, and a repository whose tags stay with their images.

    Who reads what is in the readers' roles: a node's names its own release's objects and image only (`node_policy`).
    Raises `ValueError` for what AWS refuses."""

    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]
    repository_url: pulumi.Output[str]
    repository_arn: pulumi.Output[str]
    key_arn: pulumi.Output[str]

    def __init__(self, name: str, args: ArtifactStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:ArtifactStore", name, {}, opts)
        args = arguments.taken(name, args, ArtifactStoreArgs)
        noncurrent, untagged = args.get("noncurrent_days", NONCURRENT_DAYS), args.get("untagged_days", UNTAGGED_DAYS)
        checks.refuse(store_rules.faults(args.get("bucket_name"), args.get("repository_name"), noncurrent, untagged))
        stack = pulumi.get_stack()
        place = pulumi.Output.concat("turnout/", args["service"], "/", stack)
        tags = pulumi.Output.from_input(args["service"]).apply(lambda name: {"turnout:service": name, "turnout:stack": stack})
        protect = args.get("protect", True)
        key, usable = own_key(
            self,
            name,
            "Models and images of one service",
            pulumi.Output.concat("alias/", place, "/artifacts"),
            ["s3", "ecr"],
            tags,
            grants=True,
            protect=protect,
        )
        kept = pulumi.ResourceOptions(parent=self, protect=protect, depends_on=[usable])
        bucket = s3.Bucket(
            shorten(f"{name}-models", store_rules.BUCKET_LIMIT - AUTO_NAME_SUFFIX),
            bucket=args.get("bucket_name"),
            tags=tags,
            opts=kept,
        )
        self._harden(name, bucket, key.arn, noncurrent)
        repository = ecr.Repository(
            f"{name}-images",
            name=args.get("repository_name", place),
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": key.arn}],
            tags=tags,
            opts=kept,
        )
        ecr.LifecyclePolicy(
            f"{name}-images-lifecycle",
            repository=repository.name,
            policy=json.dumps(store_rules.image_lifecycle(untagged)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.bucket_name = bucket.bucket
        self.bucket_arn = bucket.arn
        self.repository_url = repository.repository_url
        self.repository_arn = repository.arn
        self.key_arn = key.arn
        outputs = ("bucket_name", "bucket_arn", "repository_url", "repository_arn", "key_arn")
        self.register_outputs({output: getattr(self, output) for output in outputs})

    def _harden(self, name: str, bucket: s3.Bucket, key_arn: pulumi.Output[str], noncurrent: int) -> None:
        """What makes a bucket one for releases."""

        def after(*others: pulumi.Resource) -> pulumi.ResourceOptions:
            return pulumi.ResourceOptions(parent=self, depends_on=list(others))

        closed = s3.BucketPublicAccessBlock(
            f"{name}-models-closed",
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=after(),
        )
        s3.BucketOwnershipControls(
            f"{name}-models-owner", bucket=bucket.bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=after(closed)
        )
        versions = s3.BucketVersioning(
            f"{name}-models-versions", bucket=bucket.bucket, versioning_configuration={"status": "Enabled"}, opts=after()
        )
        default: Any = {"sse_algorithm": "aws:kms", "kms_master_key_id": key_arn}
        s3.BucketServerSideEncryptionConfiguration(
            f"{name}-models-encryption",
            bucket=bucket.bucket,
            rules=[{"apply_server_side_encryption_by_default": default, "bucket_key_enabled": True}],
            opts=after(),
        )
        s3.BucketLifecycleConfiguration(
            f"{name}-models-lifecycle",
            bucket=bucket.bucket,
            rules=[
                {
                    "id": "turnout",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrent_version_expiration": {"noncurrent_days": noncurrent},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": UPLOAD_DAYS},
                }
            ],
            opts=after(versions),
        )
        s3.BucketPolicy(
            f"{name}-models-policy",
            bucket=bucket.bucket,
            policy=pulumi.Output.all(bucket.arn, key_arn).apply(lambda arns: json.dumps(store_rules.bucket_policy(*arns))),
            # S3 answers 409 to two of a bucket's access settings at once.
            opts=after(closed),
        )
