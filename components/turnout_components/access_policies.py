"""Policies of keys, secrets, buckets and repositories, as documents: who may use them beside what roles are granted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ADMINISTRATION = (
    *("CreateAlias", "Describe*", "Enable*", "List*", "Put*", "Update*", "Revoke*", "Disable*", "Get*", "Delete*"),
    *("TagResource", "UntagResource", "ScheduleKeyDeletion", "CancelKeyDeletion", "RotateKeyOnDemand"),
)
"""What administers a key and neither uses it nor hands it on by a grant ("Default key policy", AWS KMS Developer Guide: Allows
key administrators to administer the KMS key)."""


@dataclass(frozen=True)
class Place:
    """Where a key is, by its ARN."""

    partition: str
    region: str
    account: str

    @classmethod
    def of(cls, arn: str) -> "Place":
        """The place in any ARN that has region and account."""
        _, partition, _, region, account, _ = arn.split(":", 5)
        return cls(partition, region, account)

    @property
    def root(self) -> str:
        """The principal by which an account gives its IAM policies effect."""
        return f"arn:{self.partition}:iam::{self.account}:root"

    def endpoint(self, service: str) -> str:
        """A service as `kms:ViaService` names it."""
        return f"{service}.{self.region}.amazonaws.com" + (".cn" if self.partition == "aws-cn" else "")


def key_policy(key_arn: str, services: Sequence[str], *, grants: bool = False) -> dict[str, Any]:
    """A key that the account's IAM policies can administer, and use only through `services`: nobody decrypts with the key
    itself, whatever an IAM policy allows.

    `grants`: some of the services hand the key on to their own resources ("Encryption at rest", Amazon ECR User Guide).
    "kms:ViaService" and "Default key policy", AWS KMS Developer Guide."""
    where = Place.of(key_arn)
    use = ["kms:Decrypt", "kms:GenerateDataKey*", "kms:Encrypt", "kms:ReEncrypt*"]
    through = {"StringEquals": {"kms:ViaService": [where.endpoint(service) for service in services]}}
    statements = [
        _for(where.root, "Administer", [f"kms:{action}" for action in ADMINISTRATION]),
        _for(where.root, "UseThroughItsServices", use, through),
    ]
    if grants:
        statements.append(_for(where.root, "GrantToItsServices", ["kms:CreateGrant", "kms:RetireGrant"], through))
    return {"Version": "2012-10-17", "Statement": statements}


def _for(principal: str, sid: str, actions: Sequence[str], condition: Mapping[str, Any] | None = None) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": list(actions),
        "Resource": "*",
    }
    return {**statement, "Condition": dict(condition)} if condition else statement


def secret_policy(service: str, environment: str) -> dict[str, Any]:
    """No role that is tagged as another environment's, or another service's, reads the secret, whatever its own policies allow.

    Who has no such tag (an operator, a rotation's function) is not concerned: a negated operator is true where the key is
    missing, so `Null` asks for it first ("IAM JSON policy elements: Condition operators", IAM User Guide)."""
    own = {"turnout:service": service, "turnout:environment": environment}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": f"NoOther{tag.removeprefix('turnout:').title()}",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "secretsmanager:GetSecretValue",
                "Resource": "*",
                "Condition": {
                    "Null": {"aws:PrincipalTag/turnout:environment": "false", f"aws:PrincipalTag/{tag}": "false"},
                    "StringNotEquals": {f"aws:PrincipalTag/{tag}": value},
                },
            }
            for tag, value in own.items()
        ],
    }
