"""Runs policies as Pulumi's SDK does: on proxies that raise for what is not known yet, by their own `validate`."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi_policy import (
    PolicyCustomTimeouts,
    PolicyProviderResource,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError, unknown_checking_proxy
from turnout_components import user_data

from policies.pack import POLICIES

UNKNOWN = UNKNOWN_STRING_VALUE
"""Stands in properties for what only an update will know."""
IMAGE = "registry.example/server@sha256:" + "cd" * 32
NAMED = {policy.name: policy for policy in POLICIES}


@dataclass
class Judgement:
    """What a policy said: its violations by resource, and what it could not decide."""

    violations: list[tuple[str | None, str]] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.violations and not self.undecided

    @property
    def said(self) -> str:
        """The one violation."""
        assert len(self.violations) == 1, self
        return self.violations[0][1]


@dataclass(frozen=True)
class Given:
    """A resource as the engine hands it over."""

    type: str
    props: Mapping[str, Any]
    name: str = "thing"
    stack: str = "prod"
    protect: bool = False
    needs: Mapping[str, tuple["Given", ...]] = field(default_factory=dict)
    provider: Mapping[str, Any] | None = None
    own_urn: str = ""

    @property
    def urn(self) -> str:
        return self.own_urn or f"urn:pulumi:{self.stack}::turnout::turnout-components:index:Parent${self.type}::{self.name}"

    @property
    def options(self) -> PolicyResourceOptions:
        return PolicyResourceOptions(self.protect, [], None, [], PolicyCustomTimeouts(0, 0, 0), [])

    @property
    def by(self) -> PolicyProviderResource | None:
        if self.provider is None:
            return None
        token = "pulumi:providers:aws"
        urn = f"urn:pulumi:{self.stack}::turnout::{token}::aws"
        return PolicyProviderResource(token, unknown_checking_proxy(dict(self.provider)), urn, "aws")


def judge(name: str, *given: Given, **config: Any) -> Judgement:
    """Runs the policy `name` on each resource, or on the stack of them."""
    policy, judgement = NAMED[name], Judgement()
    if isinstance(policy, StackValidationPolicy):

        def report(message: str, urn: str | None = None) -> None:
            judgement.violations.append((urn, message))

        try:
            policy.validate(StackValidationArgs(_linked(given), config), report)
        except UnknownValueError as error:
            judgement.undecided.append(error.message)
        return judgement
    assert isinstance(policy, ResourceValidationPolicy)
    for one in given:
        _judge_one(policy, one, config, judgement)
    return judgement


def _judge_one(policy: ResourceValidationPolicy, one: Given, config: Mapping[str, Any], judgement: Judgement) -> None:
    def report(message: str, urn: str | None = None) -> None:
        judgement.violations.append((urn, message))

    props = unknown_checking_proxy(dict(one.props))
    try:
        policy.validate(ResourceValidationArgs(one.type, props, one.urn, one.name, one.options, one.by, config), report)
    except UnknownValueError as error:
        judgement.undecided.append(error.message)


def _linked(given: tuple[Given, ...]) -> list[PolicyResource]:
    made = {
        one.urn: PolicyResource(
            one.type, unknown_checking_proxy(dict(one.props)), one.urn, one.name, one.options, one.by, None, [], {}
        )
        for one in given
    }
    for one in given:
        for key, sources in one.needs.items():
            made[one.urn].property_dependencies[key] = [made[source.urn] for source in sources if source.urn in made]
    return list(made.values())


def told(
    flags: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
    image: str = IMAGE,
    mirror: str | None = None,
    drain: int = 30,
) -> str:
    """User data of a node that runs such a release, as a launch template has it."""
    digest = "sha256:" + "ab" * 32
    engine = {"name": "vllm", "flags": list(flags), "env": dict(env or {})}
    model = {"name": "m", "version": "1", "uri": "s3://models/m", "sha256": digest}
    release = {"name": "m-1", "digest": digest, "image": image, "model": model, "engine": engine}
    options: Any = {} if mirror is None else {"mirror": {"image": mirror, "port": 15001, "admin": 15000}}
    return base64.b64encode(user_data.render("svc", "blue", release, 8000, drain, **options).encode()).decode()
