"""What stands in for what only a cloud knows (ids, ARNs, addresses), so that a plan can go on as if a resource were there.

Made of the resource's URN: the same resource has the same stand-ins in every plan. `Named` gives them their names back where
people read them. Types of outputs are `pulumi_aws`' own.
"""

import hashlib
import importlib
import keyword
from functools import cache
from threading import Lock
from typing import Any, ForwardRef, TypeAlias, get_args

from turnout.engine.state import ResourceState

Kind: TypeAlias = type | dict[str, type]
"""A text's or a whole number's type, or an object's by the names of its parts."""
ACCOUNT = "000000000000"
ARNS = {
    "aws:autoscaling/group:Group": ("autoscaling", "autoScalingGroup:{id}:autoScalingGroupName/{name}"),
    "aws:cloudwatch/logGroup:LogGroup": ("logs", "log-group:{name}-{id}"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("cloudwatch", "alarm:{name}-{id}"),
    "aws:iam/instanceProfile:InstanceProfile": ("iam", "instance-profile/{name}-{id}"),
    "aws:lambda/function:Function": ("lambda", "function:{name}-{id}"),
    "aws:lb/listener:Listener": ("elasticloadbalancing", "listener/app/{name}/{id}"),
    "aws:lb/listenerRule:ListenerRule": ("elasticloadbalancing", "listener-rule/app/{name}/{id}"),
    "aws:lb/loadBalancer:LoadBalancer": ("elasticloadbalancing", "loadbalancer/app/{name}/{id}"),
    "aws:lb/targetGroup:TargetGroup": ("elasticloadbalancing", "targetgroup/{name}/{id}"),
    "aws:secretsmanager/secret:Secret": ("secretsmanager", "secret:{name}-{id}"),
    "aws:sns/topic:Topic": ("sns", "{name}-{id}"),
}
"""Service and resource in an ARN by resource type; elsewhere they are the type's own words ("Actions, resources, and condition
keys for AWS services", Service Authorization Reference)."""
_GLOBAL = {"iam": "", "s3": ""}
_IMPORTING = Lock()
"""`pulumi_aws` makes its packages by a lazy loader that knows no threads, and that leaves classes out of a package whose module
was imported by itself; the engine's threads ask side by side."""


class StandIns:
    """Stand-ins of one plan. Call it for what the engine's `Run.stand_in` wants; `named` undoes it in a text."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._names: dict[str, str] = {}

    def __call__(self, state: ResourceState) -> tuple[str, dict[str, Any]]:
        return self._text(state, "id"), {name: self._value(state, name, kind) for name, kind in outputs_of(state.type).items()}

    def named(self, text: str) -> str:
        """A text for people: `${blue-pool-role.arn}` where a stand-in stands."""
        for value, name in self._names.items():
            text = text.replace(value, name)
        return text

    def _value(self, state: ResourceState, name: str, kind: Kind) -> Any:
        if isinstance(kind, dict):
            return {part: self._value(state, f"{name}.{part}", each) for part, each in kind.items()}
        return self._text(state, name) if kind is str else 1

    def _text(self, state: ResourceState, name: str) -> str:
        digits = hashlib.sha256(f"{state.urn}.{name}".encode()).hexdigest()[:17]
        text = self._arn(state, digits) if name.lower().endswith("arn") else f"{state.name}-{name}-{digits}"
        self._names[text] = f"${{{state.name}.{name}}}"
        return text

    def _arn(self, state: ResourceState, digits: str) -> str:
        service, _, kind = state.type.split(":")[1].partition("/")
        service, resource = ARNS.get(state.type, (service, kind + "/{name}-{id}"))
        own = resource.format(name=state.name, id=digits)
        return f"arn:aws:{service}:{_GLOBAL.get(service, self._region)}:{ACCOUNT}:{own}"


@cache
def outputs_of(token: str) -> dict[str, Kind]:
    """The texts and whole numbers among a resource type's outputs and in their objects, by name; none of a type that
    `pulumi_aws` has not."""
    try:
        package, name = _place(token)
        with _IMPORTING:
            module = getattr(importlib.import_module("pulumi_aws"), package)
            found = {output: _kind(module, kind) for output, kind in _typed(getattr(module, name))}
    except (ImportError, AttributeError, ValueError):
        return {}
    return {output: kind for output, kind in found.items() if kind}


def _typed(of: type) -> list[tuple[str, Any]]:
    """Pulumi's names of a class's outputs, with their types as they are written there."""
    getters: list[Any] = [each.fget for each in vars(of).values() if isinstance(each, property)]
    return [(one._pulumi_name, one.__annotations__.get("return")) for one in getters if hasattr(one, "_pulumi_name")]


def _kind(module: Any, output: Any) -> Kind | None:
    """What an `Output` of the module holds, where something can stand for it."""
    kind = (*get_args(output), None)[0]
    if not isinstance(kind, ForwardRef) or not kind.__forward_arg__.startswith("outputs."):
        return kind if kind in (str, int) else None
    parts = _typed(getattr(module.outputs, kind.__forward_arg__.removeprefix("outputs.")))
    whole = {name: (*get_args(each), each)[0] for name, each in parts}
    return {name: each for name, each in whole.items() if each in (str, int)}


def _place(token: str) -> tuple[str, str]:
    """Package and class of `aws:ec2/launchTemplate:LaunchTemplate`."""
    _, path, name = token.split(":")
    package = path.partition("/")[0]
    package += "_" * keyword.iskeyword(package)
    return package, name
