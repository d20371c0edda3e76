"""Extends moto's Secrets Manager: a rotation keeps its whole schedule, and runs no function."""

from typing import Any

from moto.secretsmanager.exceptions import InvalidParameterException, InvalidRequestException, ResourceNotFoundException
from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend


def extend_secrets() -> None:
    """RotateSecret and DescribeSecret (AWS Secrets Manager API Reference).

    moto keeps the days only, forgets the function on a second call, and runs the function in a container. The local cloud runs
    no function: a rotation is configured, and values change when somebody puts one."""

    def rotate_secret(
        self: SecretsManagerBackend,
        secret_id: str,
        rotation_lambda_arn: str | None = None,
        rotation_rules: dict[str, Any] | None = None,
        **_: Any,
    ) -> str:
        secret = self.secrets.get(secret_id)
        if not isinstance(secret, FakeSecret):
            raise ResourceNotFoundException("Secrets Manager can't find the specified secret.")
        if secret.is_deleted():
            raise InvalidRequestException("You tried to perform the operation on a secret that's currently marked deleted.")
        function = rotation_lambda_arn or secret.rotation_lambda_arn
        if not function:
            raise InvalidRequestException("No Lambda rotation function ARN is associated with this secret.")
        rules = rotation_rules or getattr(secret, "rotation_rules", {})
        if rules.get("AutomaticallyAfterDays") and rules.get("ScheduleExpression"):
            raise InvalidParameterException("You can't specify both AutomaticallyAfterDays and ScheduleExpression.")
        secret.rotation_rules = rules  # type: ignore[attr-defined]
        secret.auto_rotate_after_days = rules.get("AutomaticallyAfterDays", 0)
        secret.rotation_lambda_arn = function
        secret.rotation_requested = secret.rotation_enabled = True
        return secret.to_short_dict()

    described = FakeSecret.to_dict

    def to_dict(self: FakeSecret) -> dict[str, Any]:
        found = described(self)
        if self.rotation_requested:
            found["RotationRules"] = getattr(self, "rotation_rules", found["RotationRules"])
        return found

    SecretsManagerBackend.rotate_secret = rotate_secret  # type: ignore[assignment, method-assign]
    FakeSecret.to_dict = to_dict  # type: ignore[method-assign]
