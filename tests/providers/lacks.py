"""What moto cannot do of a supported input, and a probe that tells when it has learnt it."""

from collections.abc import Callable

from botocore.exceptions import ClientError

from tests.providers.conftest import World


def _keeps_rotation_period(world: World) -> bool:
    api = world.api("kms")
    key = api.create_key()["KeyMetadata"]["KeyId"]
    api.enable_key_rotation(KeyId=key, RotationPeriodInDays=180)
    return "RotationPeriodInDays" in api.get_key_rotation_status(KeyId=key)


def _encrypts_log_groups_later(world: World) -> bool:
    name, api = world.name("log"), world.api("logs")
    api.create_log_group(logGroupName=name)
    try:
        api.associate_kms_key(logGroupName=name, kmsKeyId="arn:aws:kms:us-east-1:123456789012:key/a")
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"]) != 500
    finally:
        api.delete_log_group(logGroupName=name)
    return True


LACKS: dict[tuple[str, str], tuple[str, Callable[[World], bool]]] = {
    ("aws:cloudwatch/logGroup:LogGroup", "kmsKeyId"): (
        "logs AssociateKmsKey is not implemented: a group's key is set when it is made, and a change of it is refused",
        _encrypts_log_groups_later,
    ),
    ("aws:kms/key:Key", "rotationPeriodInDays"): (
        "kms EnableKeyRotation takes RotationPeriodInDays and GetKeyRotationStatus does not tell it: no drift of it shows",
        _keeps_rotation_period,
    ),
}
