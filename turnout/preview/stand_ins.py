"""What stands in for what only a cloud knows (ids, ARNs, addresses), so that a plan can go on as if a resource were there.

Made of the resource's URN: the same resource has the same stand-ins in every plan. `Named` gives them their names back where
people read them. Types of outputs are `pulumi_aws`' own.
"""

import hashlib
import importlib
import keyword
from functools import cache
from threading import Lock
from typing import Any, get_args

from turnout.engine.state import ResourceState

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
        found = {name: self._value(state, name, kind) for name, kind in outputs_of(state.type).items()}
        return self._text(state, "id"), {name: value for name, value in found.items() if value is not None}

    def named(self, text: str) -> str:
        """A text for people: `${blue-pool-role.arn}` where a stand-in stands."""
        for value, name in self._names.items():
            text = text.replace(value, name)
        return text

    def _value(self, state: ResourceState, name: str, kind: type) -> Any:
        return self._text(state, name) if kind is str else 1 if kind is int else None

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
def outputs_of(token: str) -> dict[str, type]:
    """The texts and whole numbers among a resource type's outputs, by name; none of a type that `pulumi_aws` has not."""
    try:
        package, name = _place(token)
        with _IMPORTING:
            found = vars(getattr(getattr(importlib.import_module("pulumi_aws"), package), name)).values()
    except (ImportError, AttributeError, ValueError):
        return {}
    getters: list[Any] = [each.fget for each in found if isinstance(each, property) and hasattr(each.fget, "_pulumi_name")]
    typed = {getter._pulumi_name: get_args(getter.__annotations__.get("return")) for getter in getters}
    return {name: kinds[0] for name, kinds in typed.items() if kinds and kinds[0] in (str, int)}


def _place(token: str) -> tuple[str, str]:
    """Package and class of `aws:ec2/launchTemplate:LaunchTemplate`."""
    _, path, name = token.split(":")
    package = path.partition("/")[0]
    package += "_" * keyword.iskeyword(package)
    return package, name
