"""Runs a program against recording mocks: what it registered, with which inputs, after what."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pulumi
from google.protobuf import empty_pb2
from pulumi.runtime import mocks as pulumi_mocks
from pulumi.runtime import resource as pulumi_resource
from pulumi.runtime import rpc
from pulumi.runtime.proto import source_pb2

ACCOUNT = "123456789012"
_LOOP = asyncio.new_event_loop()
AUTO_SUFFIX = "-0a1b2c3"
ELB = f"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}"

_COMPUTED: dict[str, Callable[[str], dict[str, Any]]] = {
    "aws:lb/loadBalancer:LoadBalancer": lambda name: {
        "arn": f"{ELB}:loadbalancer/app/{name}/50dc6c495c0c9188",
        "dnsName": f"{name}.us-east-1.elb.amazonaws.com",
        "zoneId": "Z35SXDOTRQ7X7K",
    },
    "aws:lb/targetGroup:TargetGroup": lambda name: {"arn": f"{ELB}:targetgroup/{name}/73e2d6bc24d8a067"},
    "aws:lb/listener:Listener": lambda name: {"arn": f"{ELB}:listener/app/{name}/50dc6c495c0c9188/f2f7dc8efc522ab2"},
    "aws:lb/listenerRule:ListenerRule": lambda name: {"arn": f"{ELB}:listener-rule/app/{name}/1/2/3"},
    "aws:ec2/launchTemplate:LaunchTemplate": lambda name: {"latestVersion": 7},
    "aws:ec2/eip:Eip": lambda name: {"allocationId": f"eipalloc-{name}"},
    "aws:autoscaling/policy:Policy": lambda name: {
        "arn": f"arn:aws:autoscaling:us-east-1:{ACCOUNT}:scalingPolicy:1:autoScalingGroupName/group-1:policyName/{name}"
    },
    "aws:s3/bucket:Bucket": lambda name: {"bucket": f"{name}-bucket", "arn": f"arn:aws:s3:::{name}-bucket"},
    "aws:ecr/repository:Repository": lambda name: {
        "arn": f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{name}",
        "repositoryUrl": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/{name}",
    },
    "aws:kms/key:Key": lambda name: {"arn": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{name}", "keyId": f"{name}-key"},
    "aws:cloudwatch/logGroup:LogGroup": lambda name: {"arn": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{name}"},
    "aws:lambda/function:Function": lambda name: {"arn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"},
    "aws:eks/cluster:Cluster": lambda name: {
        "endpoint": f"https://{name}.gr7.us-east-1.eks.amazonaws.com",
        "certificateAuthority": {"data": "Y2VydGlmaWNhdGU="},
        "vpcConfig": {"subnetIds": [], "clusterSecurityGroupId": f"sg-{name}"},
    },
    "aws:eks/nodeGroup:NodeGroup": lambda name: {"resources": [{"autoscalingGroups": [{"name": f"eks-{name}"}]}]},
    "aws:sqs/queue:Queue": lambda name: {
        "arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}",
        "name": name,
        "url": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/{name}",
    },
    "aws:cloudwatch/eventRule:EventRule": lambda name: {
        "arn": f"arn:aws:events:us-east-1:{ACCOUNT}:rule/{name}",
        "name": name,
    },
    "aws:iam/role:Role": lambda name: {"arn": f"arn:aws:iam::{ACCOUNT}:role/{name}"},
    "aws:iam/instanceProfile:InstanceProfile": lambda name: {"arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/{name}"},
}
_AUTO_NAMED = (
    "LoadBalancer",
    "TargetGroup",
    "Role",
    "RolePolicy",
    "InstanceProfile",
    "SecurityGroup",
    "LaunchTemplate",
    "PlacementGroup",
    "MetricAlarm",
    "autoscaling/policy:Policy",
)


class Unknown(AssertionError):
    """A test asked for a value that was not known: an assertion on it would prove nothing."""


class Known(dict[str, Any]):
    """Inputs whose values must be there and known when they are asked for."""

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise Unknown(f"no input {key!r}; there are {sorted(self)}")
        _demand_known(super().__getitem__(key), key)
        return super().__getitem__(key)


def _demand_known(value: Any, path: str) -> None:
    if isinstance(value, pulumi.output.Unknown) or value == rpc.UNKNOWN:
        raise Unknown(f"{path} is unknown")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        _demand_known(item, f"{path}.{key}")


@dataclass(frozen=True)
class Registration:
    """One registered resource. `dependencies` holds logical names, `needs` URNs: depends_on's and those by inputs."""

    urn: str
    needs: frozenset[str]
    type: str
    name: str
    parent: str
    inputs: Known
    dependencies: frozenset[str]
    request: Any


@dataclass
class Recording:
    registrations: list[Registration] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def all(self, type_end: str) -> list[Registration]:
        """Every resource whose type ends so, such as `:Subnet`."""
        return [r for r in self.registrations if r.type.endswith(type_end)]

    def one(self, type_end: str, name: str = "") -> Registration:
        """The only resource whose type and logical name end so."""
        found = [r for r in self.all(type_end) if r.name.endswith(name)]
        assert len(found) == 1, f"{len(found)} {type_end} {name}: {[r.name for r in found]}"
        return found[0]

    def names(self) -> list[str]:
        return [r.name for r in self.registrations]


class _Answers(pulumi_mocks.Mocks):
    def new_resource(self, args: pulumi_mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        outputs = dict(args.inputs)
        if args.typ.endswith(_AUTO_NAMED) and "name" not in outputs:
            outputs["name"] = args.name + AUTO_SUFFIX
        if args.typ.endswith(":Secret") and "name" in outputs:
            outputs["arn"] = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{outputs['name']}-AbCdEf"
        outputs |= _COMPUTED.get(args.typ, lambda name: {})(args.name)
        return f"{args.name}-id", outputs

    def call(self, args: pulumi_mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        raise AssertionError(f"components call no data source, but {args.token} was called")


class _Monitor(pulumi_mocks.MockMonitor):
    def __init__(self, recording: Recording) -> None:
        super().__init__(_Answers())
        self._recording = recording

    def RegisterResource(self, request: Any) -> Any:
        if request.type != "pulumi:pulumi:Stack":
            inputs = rpc.deserialize_properties(request.object, keep_unknowns=True)
            urns = frozenset({*request.dependencies, *(u for d in request.propertyDependencies.values() for u in d.urns)})
            urn = self.make_urn(request.parent, request.type, request.name)
            names = frozenset(urn.rsplit("::", 1)[1] for urn in urns)
            parent = request.parent.rsplit("::", 1)[-1]
            self._recording.registrations.append(
                Registration(urn, urns, request.type, request.name, parent, Known(inputs), names, request)
            )
        return super().RegisterResource(request)


class _Engine(pulumi_mocks.MockEngine):
    def RequirePulumiVersion(self, _: Any) -> Any:
        return empty_pb2.Empty()


def record(program: Callable[[], dict[str, pulumi.Output[Any]] | None], preview: bool = False) -> Recording:
    """Runs `program` to its end; `outputs` holds the resolved values of what it returns."""
    asyncio.set_event_loop(_LOOP)  # the tests before this one may have left the thread without one
    recording = Recording()
    pulumi.runtime.set_mocks(_Answers(), project="turnout", stack="test", preview=preview, monitor=_Monitor(recording))
    pulumi.runtime.settings.SETTINGS.engine = _Engine(None)

    @pulumi.runtime.test
    def run() -> pulumi.Output[None]:
        return pulumi.Output.from_input(program() or {}).apply(recording.outputs.update)

    # pytest's stack is deep: to look through it at each resource took a third of the time
    with patch.object(pulumi_resource, "_get_stack_trace", source_pb2.StackTrace):
        run()
    return recording
