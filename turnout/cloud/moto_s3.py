"""Extends moto's S3: a bucket policy's statement with a condition denies nothing by itself."""

import json
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket


def extend_s3() -> None:
    """A statement applies to requests for which its condition holds ("IAM JSON policy elements: Condition", IAM User Guide).

    moto leaves conditions out, so a bucket that is to be reached by TLS only could not be reached at all; on loopback there is
    no TLS either. The local cloud does not judge such statements."""

    def get_permission(self: FakeBucket, action: str, resource: str) -> Any:
        if self.policy is None:
            return PermissionResult.NEUTRAL
        policy = json.loads(self.policy)
        statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
        unconditional = [statement for statement in statements if not statement.get("Condition")]
        judged = IAMPolicy(json.dumps({**policy, "Statement": unconditional}))
        return judged.is_action_permitted(action, resource)

    FakeBucket.get_permission = get_permission  # type: ignore[method-assign]
