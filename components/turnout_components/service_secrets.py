"""The secrets of one environment: encrypted with a key of their own, written once, read by that environment's role."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi_aws import secretsmanager

from turnout_components import arguments, checks, secret_rules
from turnout_components.access_policies import secret_policy
from turnout_components.encryption_key import own_key
from turnout_components.naming import secret_prefix

SEED_LABEL = "turnout-seed"
"""Staging label of versions that a seed wrote, before the seed's number. A version without any label is deprecated, and no
longer found after the second rotation ("UpdateSecretVersionStage", AWS Secrets Manager API Reference): the provider would take
it for lost (resourceSecretVersionRead) and write the seed again, over the rotated value."""


class RotationArgs(TypedDict):
    """Rotation by a function that exists."""

    lambda_arn: pulumi.Input[str]
    """The function. That Secrets Manager may invoke it, and that it may read and write the secrets and use their key through
    Secrets Manager, is for its owner to allow."""
    days: int
    """Days between two rotations, 1 to 1000."""


class ServiceSecretsArgs(TypedDict):
    """Whose secrets, and where their values come from. What AWS refuses is refused (`turnout_components.secret_rules`)."""

    service: pulumi.Input[str]
    """The service's name."""
    environment: pulumi.Input[str]
    """`blue` or `green`."""
    names: NotRequired[Sequence[str]]
    """Environment variables that get a secret each. Default: those of `seeds`. One without a seed has no value until somebody
    puts one, and no server starts before."""
    seeds: NotRequired[Mapping[str, pulumi.Input[str]]]
    """First value by variable: written once, by an input that is never read back."""
    seed_version: NotRequired[int]
    """A higher number writes the seeds once more, over what is there. Default 1."""
    references: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Variables whose secret is elsewhere: `ssm:/path`, `vault:<path>#<field>`, or the ARN of a secret in Secrets Manager."""
    rotation: NotRequired[RotationArgs]
    """Rotation of all of `names`. Default none."""
    recovery_window_days: NotRequired[int]
    """Days for which a deleted secret can be restored, and its name is taken: 7 to 30, or 0. Default 30."""


class ServiceSecrets(pulumi.ComponentResource):
    """Secrets in Secrets Manager, by environment variable. No role that is tagged as another environment's can read them.
    Without names there is no secret and no key.

    Raises `ValueError` for what AWS refuses."""

    references: pulumi.Output[dict[str, str]]
    key_arn: pulumi.Output[str | None]

    def __init__(self, name: str, args: ServiceSecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:ServiceSecrets", name, {}, opts)
        args = arguments.taken(name, args, ServiceSecretsArgs)
        _refuse_plain(args)
        owner = pulumi.Output.all(service=args["service"], environment=args["environment"])
        prefix = owner.apply(lambda o: secret_prefix(o["service"], pulumi.get_stack(), o["environment"]))
        tags = owner.apply(lambda o: {"turnout:service": o["service"], "turnout:environment": o["environment"]})
        policy = owner.apply(lambda o: json.dumps(secret_policy(o["service"], o["environment"])))
        window = args.get("recovery_window_days", secret_rules.RECOVERY_DAYS)
        found: dict[str, Any] = dict(args.get("references", {}))
        self.key_arn = pulumi.Output.from_input(None)
        names = _names(args)
        if names:
            alias = pulumi.Output.concat("alias/", prefix, "secrets")
            about = "Secrets of one Turnout environment"
            key, usable = own_key(self, name, about, alias, ["secretsmanager"], tags, window=window)
            self.key_arn = key.arn
        for variable in names:
            secret = secretsmanager.Secret(
                f"{name}-{variable}",
                name=pulumi.Output.concat(prefix, variable),
                description=f"{variable} of one Turnout environment",
                kms_key_id=key.arn,
                policy=policy,
                recovery_window_in_days=window,
                tags=tags,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[usable]),
            )
            found[variable] = self._filled(f"{name}-{variable}", variable, secret, args)
        self.references = pulumi.Output.from_input(found).apply(_checked)
        self.register_outputs({"references": self.references, "key_arn": self.key_arn})

    def _filled(self, name: str, variable: str, secret: secretsmanager.Secret, args: ServiceSecretsArgs) -> pulumi.Output[str]:
        """The secret's ARN, known when its first value is there."""
        seeds, rotation = args.get("seeds", {}), args.get("rotation")
        arn: pulumi.Output[str] = secret.arn
        after: list[pulumi.Resource] = []
        if variable in seeds:
            number = args.get("seed_version", 1)
            version = secretsmanager.SecretVersion(
                f"{name}-seed-{number}",
                secret_id=secret.id,
                secret_string_wo=pulumi.Output.secret(seeds[variable]).apply(lambda value: _seed(variable, value)),
                secret_string_wo_version=number,
                version_stages=["AWSCURRENT", f"{SEED_LABEL}-{number}"],
                # Rotations move AWSCURRENT on: declaring it again would bring the seed back. So a number is a resource of its
                # own, for a replacement would ignore the labels too; the one before goes with its secret.
                opts=pulumi.ResourceOptions(parent=self, ignore_changes=["versionStages"], retain_on_delete=True),
            )
            arn = pulumi.Output.all(secret.arn, version.secret_id).apply(lambda both: str(both[0]))
            after.append(version)
        if rotation is not None:
            secretsmanager.SecretRotation(
                f"{name}-rotation",
                secret_id=secret.id,
                rotation_lambda_arn=rotation["lambda_arn"],
                rotation_rules={"automatically_after_days": rotation["days"]},
                # AWS's default would rotate in the midst of this update.
                rotate_immediately=False,
                opts=pulumi.ResourceOptions(parent=self, depends_on=after),
            )
        return arn


def _names(args: ServiceSecretsArgs) -> list[str]:
    return list(args.get("names", args.get("seeds", {})))


def _refuse_plain(args: ServiceSecretsArgs) -> None:
    """Refuses at once what is known at once."""
    rotation = args.get("rotation")
    checks.refuse(
        secret_rules.faults(
            _names(args),
            args.get("seeds", {}),
            args.get("references", {}),
            place_of=(args["service"], args["environment"]),
            version=args.get("seed_version", 1),
            rotated=(rotation["lambda_arn"], rotation["days"]) if rotation is not None else None,
            recovery=args.get("recovery_window_days", secret_rules.RECOVERY_DAYS),
        )
    )


def _checked(found: Mapping[str, str]) -> dict[str, str]:
    """References that were outputs are looked at when they are known."""
    checks.refuse([fault for variable, given in found.items() for fault in secret_rules.reference(variable, given)])
    return dict(found)


def _seed(variable: str, value: str) -> str:
    checks.refuse(secret_rules.seed(variable, value))
    return value
