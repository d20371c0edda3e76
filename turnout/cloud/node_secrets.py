"""The secrets that a node reads at every start of its server, by reference, from the account's own services.

References: a Secrets Manager ARN (with `#<json key>` for one field of it), `ssm:<path>`, `vault:<path>#<field>`. Values go into
the environment of the server's process; messages name the variable and the reference, never a value.
"""

import json
from collections.abc import Mapping

from moto.core.exceptions import JsonRESTError, ServiceException
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

_ACCOUNT = "123456789012"
_ARN_PARTS = 7


class SecretError(ValueError):
    """A secret that cannot be read; the message says which variable and reference, and what to do."""


def resolve(references: Mapping[str, str], region: str) -> dict[str, str]:
    """The value of each variable.

    Raises `SecretError` for the first that cannot be read."""
    return {name: _value(name, reference, region) for name, reference in references.items()}


def _value(name: str, reference: str, region: str) -> str:
    try:
        if reference.startswith("ssm:"):
            return _parameter(reference.removeprefix("ssm:"), region)
        if reference.startswith("arn:") and ":secretsmanager:" in reference:
            return _secret(*reference.partition("#")[::2])
    except LookupError as error:
        raise SecretError(f"secret {name} ({reference}) cannot be read: {error.args[0]}; no server is started") from None
    if reference.startswith("vault:"):
        raise SecretError(f"secret {name} ({reference}): the local cloud has no Vault; name a Secrets Manager ARN or ssm:/path")
    raise SecretError(f"secret {name} ({reference}): no known reference; name a Secrets Manager ARN or ssm:/path")


def _parameter(path: str, region: str) -> str:
    found = ssm_backends[_ACCOUNT][region].get_parameter(path)
    value = found.decrypt(found.value) if found is not None else None
    if value is None:
        raise LookupError("the account has no such parameter; put it with ssm put-parameter")
    return str(value)


def _secret(arn: str, field: str) -> str:
    parts = arn.split(":")
    if len(parts) < _ARN_PARTS:
        raise LookupError("the ARN is not whole")
    try:
        held = secretsmanager_backends[_ACCOUNT][parts[3]].get_secret_value(arn, "", "AWSCURRENT")
    except (ServiceException, JsonRESTError, KeyError):
        raise LookupError("the account has no such secret with a current value; put one") from None
    text = str(held.get("SecretString", ""))
    if not field:
        return text
    try:
        return str(json.loads(text)[field])
    except (ValueError, KeyError, TypeError):
        raise LookupError(f"its value is no JSON object with the key {field}") from None
