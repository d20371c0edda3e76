"""Makes Pulumi's policies of pure checks: types, scope, parameters, messages, and what a preview does not know yet."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatch
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError
from turnout_components.checks import Fault
from turnout_components.policy_resources import UNKNOWN, Found, Resource, Stack, StackFound, Undecided

Parameters = Mapping[str, Mapping[str, Any]]
"""JSON schema by parameter, each with a default and a description."""


class Scope(Enum):
    """The stacks in which a policy holds, by a parameter that lists names (`*` stands for anything)."""

    EVERYWHERE = ""
    PRODUCTION = "production"
    NOT_REHEARSALS = "rehearsals"


def texts(name: str, default: list[str], description: str) -> Parameters:
    """A parameter that is a list of texts."""
    form = {"type": "array", "items": {"type": "string"}, "default": default, "description": description}
    return {name: form}


def text(name: str, default: str, description: str) -> Parameters:
    """A parameter that is a text."""
    return {name: {"type": "string", "default": default, "description": description}}


def number(name: str, default: float, description: str) -> Parameters:
    """A parameter that is a number from 0."""
    return {name: {"type": "number", "minimum": 0, "default": default, "description": description}}


PRODUCTION = texts("production", ["prod", "prod-*", "production"], "Names of the stacks that are production")
REHEARSALS = texts("rehearsals", ["local", "local-*", "llm"], "Names of stacks on a local cloud, to which it does not apply")
_SCOPES: Mapping[Scope, Parameters] = {
    Scope.EVERYWHERE: {},
    Scope.PRODUCTION: PRODUCTION,
    Scope.NOT_REHEARSALS: REHEARSALS,
}


@dataclass(frozen=True)
class Rule:
    """What a policy is called, what it demands and why, and where."""

    name: str
    demand: str
    """A sentence without a full stop."""
    why: str
    """What happens otherwise; a sentence without a full stop."""
    fix: str
    """The setting or input to write."""
    severity: Severity
    level: EnforcementLevel = EnforcementLevel.MANDATORY
    scope: Scope = Scope.EVERYWHERE
    parameters: Parameters | None = None

    @property
    def schema(self) -> Parameters:
        return {**_SCOPES[self.scope], **(self.parameters or {})}

    def given(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters, where the config says nothing with their defaults."""
        return {name: _whole(config.get(name, form["default"])) for name, form in self.schema.items()}

    def holds_in(self, stack: str, given: Mapping[str, Any]) -> bool:
        listed = any(fnmatch(stack, pattern) for pattern in given.get(self.scope.value, ()))
        return {Scope.EVERYWHERE: True, Scope.PRODUCTION: listed, Scope.NOT_REHEARSALS: not listed}[self.scope]

    def arguments(self) -> dict[str, Any]:
        """What every policy of Pulumi's takes."""
        schema = {name: dict(form) for name, form in self.schema.items()}
        return {
            "name": self.name,
            "description": f"{self.demand}: {self.why}.",
            "enforcement_level": self.level,
            "severity": self.severity,
            "remediation_steps": self.fix,
            "config_schema": PolicyConfigSchema(schema) if schema else None,
        }


ResourceCheck = Callable[[Resource, Mapping[str, Any]], Found]
StackCheck = Callable[[Stack, Mapping[str, Any]], StackFound]


def on_resources(rule: Rule, types: Collection[str], check: ResourceCheck) -> Policy:
    """A policy on each resource of these types (or of all that begin with one that ends in `:`), before it is made."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if not any(args.resource_type == kind or (kind[-1] == ":" and args.resource_type.startswith(kind)) for kind in types):
            return
        resource, given = _resource(args), rule.given(args.get_config())
        if rule.holds_in(resource.stack, given):
            _tell(((resource, found) for found in check(resource, given)), report)

    return ResourceValidationPolicy(validate=validate, **rule.arguments())


def on_stack(rule: Rule, check: StackCheck) -> Policy:
    """A policy on all of a stack's resources together: after a preview, and after an update."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        stack, given = [_resource(each) for each in args.resources], rule.given(args.get_config())
        if stack and rule.holds_in(stack[0].stack, given):
            _tell(check(stack, given), report)

    return StackValidationPolicy(validate=validate, **rule.arguments())


def _tell(found: Iterable[tuple[Resource | None, Fault | Undecided]], report: ReportViolation) -> None:
    """Reports every fault. Raises afterwards for what is not known yet: Pulumi then remarks that the policy could not be run,
    which is no violation."""
    undecided: list[str] = []
    for resource, each in found:
        if isinstance(each, Undecided):
            undecided.append(f"{resource.name}.{each.path}" if resource else each.path)
        else:
            report(f"{resource.name} ({resource.type}): {each}" if resource else str(each), resource.urn if resource else None)
    if undecided:
        raise UnknownValueError(UNKNOWN_STRING_VALUE, [", ".join(dict.fromkeys(undecided))])


def _resource(args: ResourceValidationArgs | PolicyResource) -> Resource:
    dependencies = args.property_dependencies if isinstance(args, PolicyResource) else {}
    return Resource(
        args.urn,
        _plain(args.props),
        args.opts.protect,
        {name: frozenset(each.urn for each in sources) for name, sources in dependencies.items()},
        _plain(args.provider.props) if args.provider is not None else {},
    )


def _whole(value: Any) -> Any:
    """A parameter's number; by the wire all are floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain(value: Any) -> Any:
    """Pulumi's proxies as plain values. They raise for a value that is not known yet: `UNKNOWN` stands in its place."""
    if isinstance(value, Mapping):
        return {key: _member(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_member(value, index) for index in range(len(value))]
    return value


def _member(of: Any, key: Any) -> Any:
    try:
        return _plain(of[key])
    except UnknownValueError:
        return UNKNOWN
