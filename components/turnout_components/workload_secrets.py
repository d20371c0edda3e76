"""The secrets of one environment's pods: External Secrets reads them where they are, by identity and not by credential."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource

from turnout_components import arguments, checks, workload_secret_rules

API_VERSION = "external-secrets.io/v1"


class VaultAccess(TypedDict):
    """A Vault that lets service accounts in (auth method kubernetes)."""

    address: pulumi.Input[str]
    """Such as https://vault.example.com:8200."""
    role: pulumi.Input[str]
    """Vault's role, which is bound to the service account and may read just these paths."""
    mount: NotRequired[pulumi.Input[str]]
    """Where the auth method is mounted. Default kubernetes."""


class WorkloadSecretsArgs(TypedDict):
    """Which secrets, and who reads them. What cannot be is refused (`turnout_components.workload_secret_rules`)."""

    namespace: pulumi.Input[str]
    """The pods' namespace."""
    name: pulumi.Input[str]
    """Name of the Secret that External Secrets makes."""
    references: Mapping[str, pulumi.Input[str]]
    """By environment variable: the ARN of a secret in Secrets Manager (`references` of a `ServiceSecrets` are), with `#key` for
    one field of JSON; `ssm:/path`; or `vault:<path>#<field>`. Never a value."""
    region: NotRequired[pulumi.Input[str]]
    """AWS region of the secrets."""
    service_account: NotRequired[pulumi.Input[str]]
    """The service account as which they are read: by the role of its annotation (IRSA) in AWS, by its token in Vault. Default
    in AWS: External Secrets' own pod identity."""
    role_arn: NotRequired[pulumi.Input[str]]
    """Role that the reader takes: one that may read this environment's secrets only."""
    vault: NotRequired[VaultAccess]
    refresh: NotRequired[str]
    """How often values are read again, 1m to 24h. Default 1h."""


class WorkloadSecrets(pulumi.ComponentResource):
    """A SecretStore for each place that is read, and an ExternalSecret that makes one Secret with all variables.

    No object has a value or a credential in it, so neither has Pulumi's state. A Secret stays while its ExternalSecret does,
    whatever happens to its store. Raises `ValueError` for what cannot be."""

    secret_name: pulumi.Output[str]
    secret_keys: pulumi.Output[list[str]]

    def __init__(self, name: str, args: WorkloadSecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:WorkloadSecrets", name, {}, opts)
        args = arguments.taken(name, args, WorkloadSecretsArgs)
        checks.refuse(workload_secret_rules.faults(args))
        places = _stores(args)
        known = pulumi.Output.from_input(dict(args)).apply(lambda found: _checked(found, places))
        stores = [self._store(f"{name}-{place}", place, args, known) for place in places]
        made = CustomResource(
            f"{name}-secret",
            api_version=API_VERSION,
            kind="ExternalSecret",
            metadata={"name": args["name"], "namespace": args["namespace"]},
            spec=known.apply(workload_secret_rules.external_secret),
            opts=pulumi.ResourceOptions(parent=self, depends_on=stores),
        )
        # Whoever uses the name comes after what makes it.
        self.secret_name = pulumi.Output.all(args["name"], made.urn).apply(lambda both: str(both[0]))
        self.secret_keys = pulumi.Output.from_input(sorted(args["references"]))
        self.register_outputs({"secret_name": self.secret_name, "secret_keys": self.secret_keys})

    def _store(self, name: str, store: str, args: WorkloadSecretsArgs, known: pulumi.Output[dict[str, Any]]) -> CustomResource:
        called = pulumi.Output.from_input(args["name"]).apply(lambda secret: workload_secret_rules.store_name(secret, store))
        return CustomResource(
            name,
            api_version=API_VERSION,
            kind="SecretStore",
            metadata={"name": called, "namespace": args["namespace"]},
            spec=known.apply(lambda found: {"provider": workload_secret_rules.provider(store, found)}),
            opts=pulumi.ResourceOptions(parent=self),
        )


def _stores(args: WorkloadSecretsArgs) -> list[str]:
    """The stores that there are. A reference that is not known yet is one to Secrets Manager, as those of `ServiceSecrets`."""
    known = {variable: given for variable, given in args["references"].items() if isinstance(given, str)}
    needed = set(workload_secret_rules.stores(known))
    if len(known) < len(args["references"]):
        needed.add("secrets-manager")
    return [store for store in workload_secret_rules.STORES if store in needed]


def _checked(args: dict[str, Any], places: list[str]) -> dict[str, Any]:
    """What was an output is judged when it is known."""
    checks.refuse([*workload_secret_rules.faults(args), *workload_secret_rules.elsewhere(args["references"], places)])
    return args
