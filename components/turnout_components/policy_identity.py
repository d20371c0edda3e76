"""What resources may do and what they must not tell: rights, secrets in plain text, rotation. Pure checks.

No fault repeats a value that could be a secret.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from turnout_components.checks import Fault
from turnout_components.policy_nodes import INSTANCES
from turnout_components.policy_pools import document, script_of
from turnout_components.policy_resources import (
    UNKNOWN,
    Found,
    Resource,
    Stack,
    StackFound,
    Undecided,
    at,
    each,
    leads_to,
    of,
)
from turnout_components.policy_resources import document as json_document
from turnout_components.secret_rules import NOT_SHOWN

PARAMETER = "aws:ssm/parameter:Parameter"
SECRET = "aws:secretsmanager/secret:Secret"
_ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
_POLICY_PATHS = {
    "aws:iam/policy:Policy": "policy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iam/userPolicy:UserPolicy": "policy",
    "aws:iam/groupPolicy:GroupPolicy": "policy",
}
_ROLE = "aws:iam/role:Role"
_ATTACHMENTS = (
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
    "aws:iam/policyAttachment:PolicyAttachment",
)
WITH_RIGHTS = (*_POLICY_PATHS, _ROLE, *_ATTACHMENTS)
_EVERYTHING = re.compile(r":policy/(AdministratorAccess|PowerUserAccess|IAMFullAccess)$")
_ALL = re.compile(r"^(\*|arn:\*(:\*)*|arn:aws[a-z-]*(:\*)+|arn:aws[a-z-]*:[a-z0-9-]+:\*?:\*?:\*)$")
"""Every resource, or every one of a service, which for the actions of that service is the same."""

_NAMED = re.compile(
    r"(?:^|[_.\-/])(?:password|passwd|secret|token|credentials?|api_?key|private_?key|secret_?key|access_?key(?:_?id)?)$", re.I
)
"""Names whose values are secrets."""
_VALUED = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
    r"|\b(?:gh[oprsu]|github_pat|sk_live)_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{20,}|\bAIza[A-Za-z0-9_-]{35}"
    r"|\bhf_[A-Za-z0-9]{20,}|\bsk-[A-Za-z0-9_-]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\."
    r"|://[^/\s:@]+:[^/\s:@$]+@"
)
"""Values that are secrets whatever they are called: access keys, private keys, tokens, addresses with a password."""
_REFERENCE = re.compile(r"^(arn:|ssm:|vault:|\{\{resolve:|[$`/]|projects/|true$|false$|none$|null$|\d+$|$)", re.I)
"""Values that say where a secret is or which command tells it, or are none."""
_ASSIGNED = re.compile(r"(?m)^\s*(?:export\s+|-e\s+|--env[= ])?['\"]?([A-Za-z_][A-Za-z0-9_]*)=['\"]?([^\s'\"]+)")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_CONTAINERS = ("containerDefinitions", "containerProperties")
"""Properties of ECS and Batch that are JSON."""
_VARIABLES = ("env", "environment", "variables", "environmentVariables", "runtimeEnvironmentVariables")
_FIX = "put the value into Secrets Manager, and name it in turnout:secrets.references"


def plain_secrets(resource: Resource, _: Mapping[str, Any]) -> Found:
    """No secret stands where everybody who may read the resource reads it: user data, tags, environment variables, parameters
    of type String ("Run commands when you launch an EC2 instance with user data input": do not use user data for passwords)."""
    if resource.type == "kubernetes:core/v1:Secret":
        yield from _kubernetes_secret(resource)
    elif resource.type == PARAMETER:
        yield from _parameter(resource)
    tags = resource.get("tags")
    for path, name, value in [
        *_variables(resource),
        *(("tags", key, tag) for key, tag in _pairs(resource.tags() if tags else {})),
    ]:
        if _is_secret(name, value):
            yield Fault(f"{path}.{name}", NOT_SHOWN, "looks like a secret in plain text", _FIX)
    if resource.type in INSTANCES:
        yield from _user_data(resource)


def _kubernetes_secret(resource: Resource) -> Found:
    for key in ("data", "stringData"):
        for name in resource.get(key) or () if resource.get(key) is not UNKNOWN else ():
            fix = "let External Secrets make it from the store that has the value"
            yield Fault(f"{key}.{name}", NOT_SHOWN, "is a value in the program and its state", fix)


def _parameter(resource: Resource) -> Found:
    kind, name = resource.get("type"), resource.get("name")
    for key in ("value", "insecureValue") if kind != "SecureString" else ():
        if _is_secret(resource.name if name is None or name is UNKNOWN else str(name), resource.get(key)):
            fix = 'write type "SecureString", and value'
            yield Fault(key, NOT_SHOWN, f"looks like a secret in a parameter of type {kind}", fix)


def _user_data(resource: Resource) -> Found:
    script, node = script_of(resource), document(resource)
    if script is UNKNOWN:
        yield Undecided("userData")
        return
    for name, value in _ASSIGNED.findall(script or ""):
        if _is_secret(name, value):
            yield Fault(f"userData {name}", NOT_SHOWN, "looks like a secret in plain text", _FIX)
    if node is None:
        if _VALUED.search(script or ""):
            yield Fault("userData", NOT_SHOWN, "holds what looks like a secret in plain text", _FIX)
        return
    engine = node["release"]["engine"]
    for name, value in engine.get("env", {}).items():
        if _is_secret(name, value):
            yield Fault(f"userData engine.env.{name}", NOT_SHOWN, "looks like a secret in plain text", _FIX)
    for name, value in _flags(engine["flags"]):
        if _is_secret(name, value):
            yield Fault(f"userData engine.flags {name}", NOT_SHOWN, "looks like a secret in plain text", _FIX)


def _flags(flags: list[str]) -> Iterator[tuple[str, str]]:
    """Name and value of `--name=value` and `--name value`."""
    for flag, following in pairwise([*flags, ""]):
        name, given, value = flag.partition("=")
        if name.startswith("-"):
            yield name, value if given else "" if following.startswith("-") else following


def _variables(resource: Resource) -> Iterator[tuple[str, str, Any]]:
    """Path, name and value of environment variables, also of those in JSON, and of a ConfigMap's entries."""
    yield from _named_values(resource.props, "")
    for key in _CONTAINERS:
        yield from _named_values(json_document(resource.get(key)), key)
    if resource.type == "kubernetes:core/v1:ConfigMap":
        yield from (("data", key, value) for key, value in _pairs(resource.get("data")))


def _named_values(value: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    if isinstance(value, list):
        for inner in value:
            yield from _named_values(inner, path)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            below = f"{path}.{key}".lstrip(".")
            if key in _VARIABLES:
                yield from ((below, name, one) for name, one in _pairs(inner))
                listed = each(inner) if isinstance(inner, list) else []
                yield from ((below, str(at(one, "name")), at(one, "value")) for one in listed if _is_literal(one))
            yield from _named_values(inner, below)


def _is_literal(variable: Any) -> bool:
    """CodeBuild's variables say by their type where the value lies ("EnvironmentVariable", AWS CodeBuild API Reference)."""
    return at(variable, "type") in (None, "PLAINTEXT")


def _pairs(value: Any) -> list[tuple[str, Any]]:
    return [(str(key), inner) for key, inner in value.items()] if isinstance(value, Mapping) else []


def _is_secret(name: str, value: Any) -> bool:
    """What is not known yet comes from a resource: it is no literal."""
    if not isinstance(value, str) or value is UNKNOWN:
        return False
    plain = _CAMEL.sub("_", name.lstrip("-").replace("-", "_"))
    return bool(_VALUED.search(value)) or (bool(_NAMED.search(plain)) and not _REFERENCE.match(value))


def wildcards(resource: Resource, _: Mapping[str, Any]) -> Found:
    """No right holds for actions that nobody listed, on resources that nobody named ("Security best practices in IAM": apply
    least-privilege permissions)."""
    key = "policyArn" if resource.type in _ATTACHMENTS else "managedPolicyArns"
    for arn in each(resource.get(key)):
        if arn is UNKNOWN:
            yield Undecided(key)
        elif _EVERYTHING.search(str(arn)):
            yield Fault(key, arn, "allows nearly everything", "attach a policy that names actions and resources")
    if resource.type in _ATTACHMENTS:
        return
    for path, text in _documents(resource):
        policy = json_document(text)
        if policy is UNKNOWN:
            yield Undecided(path)
        for number, statement in enumerate(each(at(policy, "Statement"))):
            named = at(statement, "Sid") or f"statement {number}"
            yield from (Fault(f"{path} {named}", *told) for told in _too_wide(statement))


def _documents(resource: Resource) -> Iterator[tuple[str, Any]]:
    if resource.type == _ROLE:
        for number, inline in enumerate(each(resource.get("inlinePolicies"))):
            yield f"inlinePolicies[{number}]", UNKNOWN if inline is UNKNOWN else at(inline, "policy")
    else:
        path = _POLICY_PATHS[resource.type]
        yield path, resource.get(path)


def _too_wide(statement: Any) -> Iterator[tuple[Any, str, str]]:
    if at(statement, "Effect") != "Allow":
        return
    wide = [action for action in each(at(statement, "Action")) if "*" in str(action)]
    if at(statement, "NotAction") is not None:
        wide.append("NotAction")
    everything = (
        any(_ALL.match(str(one)) for one in each(at(statement, "Resource"))) or at(statement, "NotResource") is not None
    )
    if wide and everything:
        yield wide, "is a wildcard of actions on every resource", "list the actions, and the ARNs that they are for"


def rotated(stack: Stack, _: Mapping[str, Any]) -> StackFound:
    """A secret that is never changed is known to everybody who ever read it ("Rotate AWS Secrets Manager secrets")."""
    for secret in of(stack, SECRET):
        if not any(leads_to(one, "secretId", secret, output) for one in of(stack, _ROTATION) for output in ("id", "arn")):
            yield secret, Fault("rotation", None, "is missing", "give a function in turnout:secrets.rotation")
