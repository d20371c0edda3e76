"""How a workload on Kubernetes follows its load: one KEDA ScaledObject or one HorizontalPodAutoscaler, never both."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.autoscaling.v2 import HorizontalPodAutoscaler

from turnout_components import arguments, workload_scaling, workload_scaling_rules

PATCH_FORCE = {"pulumi.com/patchForce": "true"}
"""The switch raises the minimum as another field manager; an update takes it back to what was decided ("Annotations",
Pulumi Kubernetes: pulumi.com/patchForce)."""
ASLEEP = {"autoscaling.keda.sh/paused-replicas": "0"}
"""Keeps a cold standby at 0 pods ("Pausing Scaling of Deployments…", KEDA), for a ScaledObject's maximum is 1 at least."""


class WorkloadTracking(TypedDict):
    """Means per pod that the workload is kept at. It grows when any is above, shrinks when all are below, by a tenth each."""

    queue_length: NotRequired[float]
    """Requests that wait."""
    running_requests: NotRequired[float]
    """Requests that are being answered."""
    gpu_utilization: NotRequired[float]
    """Percent of the GPUs, by dcgm-exporter."""
    messages: NotRequired[float]
    """Messages of an SQS queue: waiting and in flight. Needs `queue`."""
    cpu_utilization: NotRequired[int]
    """Percent of the CPU that the pods request."""


class WorkloadStep(TypedDict):
    """The step rule of auto scaling groups, by the same words."""

    pending: NotRequired[float]
    """Above so many waiting requests of all pods together pods are added. Default 50."""
    gpu: NotRequired[float]
    """Above this percent of the GPUs, averaged, too. Default 80."""
    add: NotRequired[int]
    """Pods added at a time; the next are added after `warmup`. Default 2."""
    idle_gpu: NotRequired[float]
    """Below this percent, with nothing waiting, it is idle. Default 30."""
    idle_minutes: NotRequired[int]
    """So many idle minutes in a row take pods away. Default 5, at most 60."""
    remove: NotRequired[int]
    """Pods taken away at a time, once a minute. Default 1."""


class Pace(TypedDict):
    """How fast a size may change. Of `pods` and `percent` the larger counts for growth, the smaller for shrinking."""

    pods: NotRequired[int]
    percent: NotRequired[int]
    period: NotRequired[int]
    """Seconds in which no more than that changes. Default: `warmup` for growth, 60 for shrinking."""
    window: NotRequired[int]
    """Seconds in which every measurement must agree. Default 0 for growth, 300 for shrinking."""


class WorkloadSchedule(TypedDict):
    """A recurring time with a higher minimum. Only KEDA knows times."""

    name: str
    """Unique in the workload."""
    cron: str
    """When it begins: minute, hour, day of the month, month, day of the week, such as `0 8 * * MON-FRI`."""
    until: str
    """When it ends, likewise."""
    minimum: int
    time_zone: NotRequired[str]
    """IANA name. Default Etc/UTC."""


class MetricsServer(TypedDict):
    """Prometheus, and what it is asked where its names are others."""

    address: pulumi.Input[str]
    """Such as http://prometheus.monitoring.svc:9090."""
    region: NotRequired[str]
    """AWS region of an Amazon Managed Service for Prometheus: its queries are signed by pod identity."""
    waiting: NotRequired[str]
    """PromQL of all pods' waiting requests. Default: the metrics of vLLM, llama.cpp or the kit's servers, over a minute."""
    running: NotRequired[str]
    """PromQL of all pods' running requests."""
    gpu: NotRequired[str]
    """PromQL of the GPUs' mean use in percent. Default: dcgm-exporter's, over a minute. Without GPUs: `vector(0)`."""


class MessageQueue(TypedDict):
    """An SQS queue."""

    url: pulumi.Input[str]
    region: pulumi.Input[str]


class Fallback(TypedDict):
    """Pods while metrics are missing: never fewer than there are. Without it the size is held."""

    minimum: int
    failures: NotRequired[int]
    """So many failed measurements in a row begin it. Default 3."""


class WorkloadScalingArgs(TypedDict):
    """Rules by which a workload scales. They are plain values: they decide what the scaler is."""

    by: NotRequired[str]
    """`keda` (default: a ScaledObject, which asks Prometheus and SQS) or `hpa` (the cluster's metrics APIs)."""
    target_tracking: NotRequired[WorkloadTracking]
    step: NotRequired[WorkloadStep]
    """Default, where no `target_tracking` is given: the rule with its defaults."""
    schedules: NotRequired[Sequence[WorkloadSchedule]]
    warmup: NotRequired[int]
    """Seconds between two growths: give the time in which a pod becomes ready. Default 60, at most 1800."""
    growth: NotRequired[Pace]
    """Of target tracking. Default 2 pods or 50 %, whichever is more, in a `warmup`."""
    shrinking: NotRequired[Pace]
    """Of target tracking. Default 1 pod a minute, when 5 minutes agree."""
    fallback: NotRequired[Fallback]
    pod_metrics: NotRequired[Mapping[str, str]]
    """For `hpa`: names of pods' metrics for `waiting`, `running` and `gpu`, as an adapter serves them."""
    demand_metric: NotRequired[str]
    """For `hpa`: name of the external metric that an adapter serves from output `demand_query`, labelled with the workload.
    Default turnout_demand."""


class WorkloadAutoscalerArgs(WorkloadScalingArgs):
    """What scales, between which sizes."""

    namespace: pulumi.Input[str]
    workload: pulumi.Input[str]
    """The workload's name. The scaler has the same, by which the switch finds it."""
    minimum: pulumi.Input[int]
    """Fewest pods: `minimums` of a `TrafficDecision`, which holds the floor of a flip or rollout. With a maximum of 0
    the workload sleeps."""
    maximum: pulumi.Input[int]
    """Most pods."""
    kind: NotRequired[str]
    """`Deployment` (default) or `LeaderWorkerSet`."""
    prometheus: NotRequired[MetricsServer]
    queue: NotRequired[MessageQueue]
    role_arn: NotRequired[pulumi.Input[str]]
    """Role that KEDA's operator takes by its pod identity to ask AWS. Default: the operator's own."""


class WorkloadAutoscaler(pulumi.ComponentResource):
    """One scaler for one workload, called as the workload. Refuses rules that would fight each other.

    Where a metric is missing nothing is added and nothing taken away. No credential is in any object: KEDA asks AWS by pod
    identity. Raises `ValueError` for what Kubernetes and KEDA refuse."""

    scaler: pulumi.Output[str]
    demand_query: pulumi.Output[str]

    def __init__(self, name: str, args: WorkloadAutoscalerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:WorkloadAutoscaler", name, {}, opts)
        args = arguments.taken(name, args, WorkloadAutoscalerArgs)
        workload_scaling_rules.refuse(args)
        scaling = pulumi.Output.from_input(dict(args)).apply(_checked)
        by_keda = args.get("by", "keda") == "keda"
        after = [self._identity(name, args)] if by_keda and workload_scaling.signs(args) else []
        child = pulumi.ResourceOptions(parent=self, depends_on=after)
        if by_keda:
            kind = "ScaledObject"
            CustomResource(
                f"{name}-scaler",
                api_version="keda.sh/v1alpha1",
                kind=kind,
                metadata=_metadata(args, scaling.apply(lambda known: {**PATCH_FORCE, **({} if known["maximum"] else ASLEEP)})),
                spec=scaling.apply(workload_scaling.scaled_object),
                opts=child,
            )
        else:
            kind = "HorizontalPodAutoscaler"
            HorizontalPodAutoscaler(
                f"{name}-scaler",
                metadata=_metadata(args, PATCH_FORCE),
                spec=scaling.apply(workload_scaling.autoscaler),
                opts=child,
            )
        self.scaler = pulumi.Output.concat(kind, "/", args["namespace"], "/", args["workload"])
        self.demand_query = scaling.apply(workload_scaling.demand)
        self.register_outputs({"scaler": self.scaler, "demand_query": self.demand_query})

    def _identity(self, name: str, args: WorkloadAutoscalerArgs) -> pulumi.Resource:
        """How KEDA's operator asks AWS: as itself, or by a role that it takes ("AWS (IRSA) Pod Identity", KEDA)."""
        identity: dict[str, Any] = {"provider": "aws"}
        if "role_arn" in args:
            identity["roleArn"] = args["role_arn"]
        made: pulumi.Resource = CustomResource(
            f"{name}-identity",
            api_version="keda.sh/v1alpha1",
            kind="TriggerAuthentication",
            metadata=_metadata(args),
            spec={"podIdentity": identity},
            opts=pulumi.ResourceOptions(parent=self),
        )
        return made


def _metadata(args: WorkloadAutoscalerArgs, annotations: pulumi.Input[Mapping[str, str]] | None = None) -> Any:
    found = {"name": args["workload"], "namespace": args["namespace"]}
    return found if annotations is None else {**found, "annotations": annotations}


def _checked(scaling: dict[str, Any]) -> dict[str, Any]:
    """What was an output is judged when it is known."""
    workload_scaling_rules.refuse(scaling)
    return scaling
