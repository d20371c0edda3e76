"""Physical names that fit AWS's limits whatever the service is called."""

import hashlib

TARGET_GROUP_LIMIT = 32
AUTO_NAME_SUFFIX = 8
"""What Pulumi's auto-naming appends: a dash and seven hex digits."""

ROLE_NAME_ROOM = 64 - AUTO_NAME_SUFFIX
"""What a role's logical name may take of IAM's 64 characters beside auto-naming's suffix ("IAM and AWS STS quotas")."""


def arn_partition(region: str) -> str:
    """The partition in the ARNs of a region."""
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


def secret_prefix(service: str, stack: str, environment: str) -> str:
    """What the names of one environment's secrets begin with. Two stacks of a service can share an account."""
    return f"turnout/{service}/{stack}/{environment}/"


def shorten(name: str, limit: int) -> str:
    """`name`, or its beginning and a hash of the whole where it is longer than `limit` characters."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{name[: limit - 7].rstrip('-')}-{digest}"


def balancer_logical_name(name: str) -> str:
    """A logical name that leaves room for auto-naming in the 32 characters of a load balancer or target group."""
    return shorten(name, TARGET_GROUP_LIMIT - AUTO_NAME_SUFFIX)


def group_name(service: str, stack: str, environment: str, digest: str) -> str:
    """The auto scaling group that runs one release in one environment: a new release is a new group."""
    return f"{service}-{stack}-{environment}-{digest.removeprefix('sha256:')[:12]}"
