"""Room on GPU nodes that waits for pods: what a warm pool is to an auto scaling group."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import PodTemplate
from pulumi_kubernetes.scheduling.v1 import PriorityClass

from turnout_components import arguments, capacity_placeholder_rules, checks


class CapacityPlaceholderArgs(TypedDict):
    """How much room, and where. What would hold none is refused (`turnout_components.capacity_placeholder_rules`)."""

    namespace: pulumi.Input[str]
    name: str
    """Name of the objects. The PriorityClass is the cluster's, so it must be unique there."""
    replicas: pulumi.Input[int]
    """Places, each for one pod of the size below."""
    by: NotRequired[str]
    """`pods` (default: any cluster; low-priority pods that a model's pods preempt) or `buffer` (a CapacityBuffer, where the
    cluster has its definition and its node autoscaler acts on it: Karpenter from 1.14 on, GKE)."""
    image: NotRequired[pulumi.Input[str]]
    """For `pods`: an image by digest that waits, the cluster's pause image."""
    gpus: NotRequired[pulumi.Input[int]]
    """GPUs of a place. Default 1."""
    gpu_resource: NotRequired[str]
    """Default nvidia.com/gpu."""
    cpus: NotRequired[pulumi.Input[float]]
    """CPUs of a place. Default 2, as a model's pods have."""
    memory_gib: NotRequired[pulumi.Input[float]]
    """Default 12, as a model's pods have."""
    node_selector: NotRequired[Mapping[str, str]]
    """The same labels of nodes as the pods to come. Default any node."""
    tolerations: NotRequired[Sequence[Mapping[str, str]]]
    """Tolerations beside that of the taint `nvidia.com/gpu`."""
    priority: NotRequired[int]
    """For `pods`: -10 to -1. Default -10."""


class CapacityPlaceholder(pulumi.ComponentResource):
    """Places on GPU nodes, kept so that a pod starts without waiting for a machine. What takes them leaves them wanted again:
    the node autoscaler adds a node for them. Raises `ValueError` for what would hold no room."""

    name: pulumi.Output[str]

    def __init__(self, name: str, args: CapacityPlaceholderArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:CapacityPlaceholder", name, {}, opts)
        args = arguments.taken(name, args, CapacityPlaceholderArgs)
        checks.refuse(capacity_placeholder_rules.faults(args))
        known = pulumi.Output.from_input(dict(args)).apply(_checked)
        labels = capacity_placeholder_rules.labels(args["name"])
        meta: Any = {"name": args["name"], "namespace": args["namespace"], "labels": labels}
        child = pulumi.ResourceOptions(parent=self)
        last: pulumi.Resource
        if args.get("by", "pods") == "pods":
            ranks: Any = capacity_placeholder_rules.priority_class(args)
            of_all: Any = {"name": args["name"], "labels": labels}
            ranked = PriorityClass(f"{name}-priority", metadata=of_all, **ranks, opts=child)
            spec = known.apply(capacity_placeholder_rules.deployment)
            after = pulumi.ResourceOptions(parent=self, depends_on=[ranked])
            last = Deployment(
                f"{name}-pods", metadata={**meta, "annotations": capacity_placeholder_rules.UNAWAITED}, spec=spec, opts=after
            )
        else:
            shape = known.apply(capacity_placeholder_rules.template)
            template = PodTemplate(f"{name}-template", metadata=meta, template=shape, opts=child)
            last = CustomResource(
                f"{name}-buffer",
                api_version="autoscaling.x-k8s.io/v1beta1",
                kind="CapacityBuffer",
                metadata=meta,
                spec=known.apply(capacity_placeholder_rules.buffer),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[template]),
            )
        self.name = last.urn.apply(lambda _: args["name"])
        self.register_outputs({"name": self.name})


def _checked(args: dict[str, Any]) -> dict[str, Any]:
    """What was an output is judged when it is known."""
    checks.refuse(capacity_placeholder_rules.faults(args))
    return args
