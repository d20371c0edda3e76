"""What External Secrets makes of references, and what it or Kubernetes would refuse, as pure functions (`checks.Fault`).

References and variables' names are judged by `secret_rules`. No fault repeats a value that could be a secret.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from turnout_components import checks, durations, secret_rules
from turnout_components.checks import Fault

REFRESH = "1h"
STORES = ("secrets-manager", "parameters", "vault", "vault-v1")
"""Endings of the stores' names."""
IN_AWS = {"secrets-manager": "SecretsManager", "parameters": "ParameterStore"}
IN_VAULT = {"vault": "v2", "vault-v1": "v1"}
"""And what each is of: AWS's service, or the version of Vault's key/value engine."""
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_ROLE = re.compile(r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")


@dataclass(frozen=True)
class Remote:
    """Where a variable's value is: the ending of its store's name, its key there, and one field of JSON ("" for the whole)."""

    store: str
    key: str
    field: str = ""

    def entry(self, variable: str, name: str) -> dict[str, Any]:
        """As an ExternalSecret names it, whose Secret is called `name`."""
        remote = {"key": self.key, **({"property": self.field} if self.field else {})}
        source = {"storeRef": {"name": store_name(name, self.store), "kind": "SecretStore"}}
        return {"secretKey": variable, "remoteRef": remote, "sourceRef": source}


def store_name(name: str, store: str) -> str:
    """The store's name beside a Secret called `name`."""
    return f"{name}-{store}"


def remote(reference: str) -> Remote:
    """What a reference in one of the kit's three forms names (`secret_rules.reference` judges them)."""
    if reference.startswith("ssm:"):
        return Remote("parameters", reference.removeprefix("ssm:"))
    key, _, field = reference.removeprefix("vault:").partition("#")
    if not reference.startswith("vault:"):
        return Remote("secrets-manager", key, field)
    # The second version of Vault's engine has its values below <mount>/data ("KV secrets engine - version 2 (API)", Vault).
    return Remote("vault" if key.split("/")[1:2] == ["data"] else "vault-v1", key, field)


def provider(store: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """A SecretStore's provider ("AWS Secrets Manager", "AWS Parameter Store", "HashiCorp Vault", External Secrets). It has no
    credential: in AWS the operator is known by its pod identity or a service account by its role, in Vault by its token."""
    account = {"serviceAccountRef": {"name": args["service_account"]}} if args.get("service_account") else {}
    if store in IN_AWS:
        found = {"service": IN_AWS[store], "region": args["region"]}
        if args.get("role_arn"):
            found["role"] = args["role_arn"]
        return {"aws": {**found, **({"auth": {"jwt": account}} if account else {})}}
    vault = args["vault"]
    login = {"mountPath": vault.get("mount", "kubernetes"), "role": vault["role"], **account}
    return {"vault": {"server": vault["address"], "version": IN_VAULT[store], "auth": {"kubernetes": login}}}


def external_secret(args: Mapping[str, Any]) -> dict[str, Any]:
    """Spec of the ExternalSecret: it owns its Secret, and leaves it as it is when a value is gone in its store."""
    name = args["name"]
    return {
        "refreshPolicy": "Periodic",
        "refreshInterval": f"{durations.duration(args.get('refresh', REFRESH)).total_seconds():.0f}s",
        "target": {"name": name, "creationPolicy": "Owner", "deletionPolicy": "Retain"},
        "data": [remote(given).entry(variable, name) for variable, given in sorted(args["references"].items())],
    }


def stores(references: Mapping[str, str]) -> list[str]:
    """The stores that the references need, by the endings of their names."""
    needed = {remote(given).store for given in references.values()}
    return [store for store in STORES if store in needed]


def faults(args: Mapping[str, Any]) -> list[Fault]:
    """Every rule that the arguments of `WorkloadSecrets` break. What is not known yet (an output) is not judged."""
    references = args.get("references") or {}
    known = {name: given for name, given in references.items() if isinstance(given, str)}
    found = [*_names(args), *_variables(references), *_refresh(args.get("refresh", REFRESH))]
    for variable, given in known.items():
        found += checks.below("references", secret_rules.reference(variable, given))
    if not found:
        found += _sources(args, known, all_known=len(known) == len(references))
    return found


def elsewhere(references: Mapping[str, str], places: Sequence[str]) -> Iterable[Fault]:
    """References that were outputs, and name a place for which there is no store: which stores there are is decided before."""
    for variable, given in references.items():
        if (place := remote(given).store) not in places:
            reason = f"is known too late for a store of {place}"
            yield Fault(f"references.{variable}", secret_rules.NOT_SHOWN, reason, "give it as a text and not as an output")


def _names(args: Mapping[str, Any]) -> Iterable[Fault]:
    for field in ("namespace", "name", "service_account"):
        value = args.get(field)
        if isinstance(value, str) and not _NAME.match(value):
            yield Fault(field, value, "is no name of an object", "write up to 63 small letters, digits and hyphens")
    role = args.get("role_arn")
    if isinstance(role, str) and not _ROLE.match(role):
        yield Fault("role_arn", role, "is no ARN of a role", "write arn:aws:iam::<account>:role/<name>")


def _variables(references: Mapping[str, object]) -> Iterable[Fault]:
    if not references:
        yield Fault("references", {}, "name nothing that could be in the Secret", "give a reference by variable")
    for variable in references:
        yield from checks.below("references", secret_rules.variable(variable))


def _refresh(refresh: object) -> Iterable[Fault]:
    """`0` would read once and never again ("ExternalSecret", External Secrets: refreshInterval)."""
    fix = "write a time from 1m to 24h, such as 1h"
    try:
        seconds = durations.duration(refresh).total_seconds()
    except ValueError:
        yield Fault("refresh", refresh, "is no duration", fix)
        return
    if not 60 <= seconds <= 86_400:
        yield Fault("refresh", refresh, "asks too often to pay for, or too seldom to follow a rotation", fix)


def _sources(args: Mapping[str, Any], references: Mapping[str, str], *, all_known: bool) -> Iterable[Fault]:
    needed, vault = stores(references), args.get("vault")
    if set(IN_AWS) & set(needed) and args.get("region") is None:
        yield Fault("region", None, "is missing, and secrets are in AWS", "write the AWS region of the secrets")
    if set(IN_VAULT) & set(needed) and not vault:
        yield Fault("vault", None, "is missing, and secrets are in Vault", "give its address and a role")
    if all_known and vault and not set(IN_VAULT) & set(needed):
        yield Fault("vault", "(given)", "is asked for nothing", "leave it out, or name vault:<path>#<field>")
    if isinstance(address := (vault or {}).get("address"), str):
        parts = urlsplit(address)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.password:
            reason = "is no URL by which values would travel encrypted and without a credential in it"
            yield Fault("vault.address", secret_rules.NOT_SHOWN, reason, "write https://<host>:8200")
    if vault and args.get("service_account") is None:
        reason = "is missing, and Vault lets a service account in"
        yield Fault("service_account", None, reason, "name the one that Vault's role is bound to")
