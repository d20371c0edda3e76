"""What the local engine can create."""

from collections.abc import Mapping

from turnout.engine.provider import ResourceType


def registry() -> Mapping[str, ResourceType]:
    """Every resource type by its Pulumi token. Anything else is refused by name."""
    from turnout.providers import aws  # boto3 is slow to import: only who runs the engine pays for it

    return {kind.token: kind for kind in aws.TYPES}
