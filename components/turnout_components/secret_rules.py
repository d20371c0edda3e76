"""What AWS refuses of secrets and references to them, and what a node could not use, as pure functions (`checks.Fault`).

No fault repeats a value that could be a secret. docs/aws-rules.md has the pages.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from turnout_components import checks
from turnout_components.checks import Fault

NOT_SHOWN = "(not shown)"
RECOVERY_DAYS = 30
"""Days for which a deleted secret can be restored, and its key is kept (7 to 30: "DeleteSecret", "ScheduleKeyDeletion")."""
_ROTATION_DAYS = range(1, 1001)
_SEED_BYTES = 65_536
_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_OF_THE_NODE = re.compile(r"^(PORT|PATH|TURNOUT_.*)$")
_PART = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
_SECRET = re.compile(r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+(#[^#\s]+)?$")
_PARAMETER = re.compile(r"^ssm:(/[A-Za-z0-9_.-]+)+$")
_VAULT = re.compile(r"^vault:[^#\s]+#[^#\s]+$")
_FUNCTION = re.compile(r"^arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]+(:[A-Za-z0-9_$-]+)?$")
_FORMS = "write a Secrets Manager ARN (with #key for a JSON field), ssm:/path or vault:path#field"


def variable(name: str) -> list[Fault]:
    """A name that the environment of a server can have, and that the node itself does not set."""
    if not _VARIABLE.match(name):
        return [Fault(name, name, "has a name that no environment variable has", "write letters, digits and _")]
    if _OF_THE_NODE.match(name):
        return [Fault(name, name, "is a variable that the node sets itself", "choose another name")]
    return []


def reference(name: str, given: object) -> list[Fault]:
    """A reference has one of three forms. What has none of them may be a value by mistake, so it is not shown.

    ARNs: "Actions, resources, and condition keys for AWS Secrets Manager" (Service Authorization Reference). Parameters:
    "PutParameter" (AWS Systems Manager API Reference): a path begins with /."""
    if not isinstance(given, str):
        return [Fault(name, NOT_SHOWN, "is no reference to a secret", _FORMS)]
    if _SECRET.match(given) or _PARAMETER.match(given) or _VAULT.match(given):
        return []
    if given.startswith("arn:"):
        fix = "write arn:aws:secretsmanager:<region>:<account>:secret:<name>-<six characters>, or ssm:/path for a parameter"
        return [Fault(name, NOT_SHOWN, "is no ARN of a secret in Secrets Manager", fix)]
    if given.startswith("ssm:"):
        return [Fault(name, NOT_SHOWN, "names no parameter by its path", "write ssm:/path of letters, digits, _, ., - and /")]
    if given.startswith("vault:"):
        return [Fault(name, NOT_SHOWN, "names no field of a secret in Vault", "write vault:<path>#<field>")]
    return [Fault(name, NOT_SHOWN, "is no reference to a secret; a value belongs nowhere but into `seeds`", _FORMS)]


def place(service: object, environment: object) -> Iterable[Fault]:
    """Service and environment are parts of the names of secrets and of their key's alias ("CreateAlias", AWS KMS API
    Reference: letters, digits, /, _ and -). What is not known yet is not judged."""
    for field, part in (("service", service), ("environment", environment)):
        if isinstance(part, str) and not _PART.match(part):
            yield Fault(field, part, "cannot be part of a key's alias", "write letters, digits, _ and -")


def names(own: Sequence[str], seeded: Iterable[str], references: Iterable[str]) -> Iterable[Fault]:
    """Each variable has one source, and what is seeded is among the names."""
    referred = list(references)
    for name in dict.fromkeys([*own, *referred]):
        yield from checks.below("names", variable(name))
    for name in sorted({name for name in own if list(own).count(name) > 1}):
        yield Fault(f"names.{name}", name, "is there twice", "name each once")
    for name in seeded:
        if name not in own:
            yield Fault(f"seeds.{name}", NOT_SHOWN, "is a seed for an unknown name", f"add {name} to names, or leave it out")
    for name in referred:
        if name in own:
            reason = "is both a secret of this component and a reference to another"
            yield Fault(f"references.{name}", name, reason, "keep one of them")


def seed(name: str, value: object) -> list[Fault]:
    """A seed is text of 1 to 65536 bytes ("PutSecretValue", AWS Secrets Manager API Reference: SecretString)."""
    if isinstance(value, str) and 1 <= len(value.encode()) <= _SEED_BYTES:
        return []
    return [Fault(f"seeds.{name}", NOT_SHOWN, f"is no text of 1 to {_SEED_BYTES} bytes", "give the value as one text")]


def seed_version(version: int) -> Iterable[Fault]:
    """The number by which a seed is known to have been written."""
    if version < 1:
        yield Fault("seed_version", version, "is below 1", "write 1, and a higher number to write the seeds once more")


def rotation(lambda_arn: object, days: int, own: Sequence[str]) -> Iterable[Fault]:
    """Rotation is a function's work, every 1 to 1000 days ("RotationRulesType", AWS Secrets Manager API Reference)."""
    if days not in _ROTATION_DAYS:
        yield Fault("rotation.days", days, "is no time between two rotations", "write days from 1 to 1000")
    if isinstance(lambda_arn, str) and not _FUNCTION.match(lambda_arn):
        fix = "write arn:aws:lambda:<region>:<account>:function:<name>"
        yield Fault("rotation.lambda_arn", lambda_arn, "is no ARN of a Lambda function", fix)
    if not own:
        yield Fault("rotation", days, "has nothing to rotate: references are rotated where they are", "leave it out")


def recovery_window(days: int) -> Iterable[Fault]:
    """A deleted secret can be restored for 7 to 30 days, or not at all ("DeleteSecret", AWS Secrets Manager API Reference)."""
    if days and not 7 <= days <= 30:
        fix = "write days from 7 to 30, or 0 where nothing needs to be restored"
        yield Fault("recovery_window_days", days, "is no recovery window", fix)


def faults(
    own: Sequence[str],
    seeds: Mapping[str, object],
    references: Mapping[str, object],
    *,
    place_of: tuple[object, object] = (None, None),
    version: int = 1,
    rotated: tuple[object, int] | None = None,
    recovery: int = RECOVERY_DAYS,
) -> list[Fault]:
    """Every rule that the secrets of one environment break. Of values only those are judged that are given as text.

    `place_of`: service and environment; `rotated`: the function's ARN and the days between two rotations."""
    found = [*place(*place_of), *names(own, seeds, references), *seed_version(version), *recovery_window(recovery)]
    found += [fault for name, value in seeds.items() if isinstance(value, str) for fault in seed(name, value)]
    for name, given in references.items():
        if isinstance(given, str):
            found += checks.below("references", reference(name, given))
    return found + (list(rotation(*rotated, own)) if rotated else [])
