"""What a cluster's GPU nodes need: the plugin that offers GPUs to pods, and the exporter that measures them."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi_kubernetes.apps.v1 import DaemonSet
from pulumi_kubernetes.core.v1 import ConfigMap, Namespace, Service

from turnout_components import arguments, checks, gpu_pods, gpu_support_rules


class Sharing(TypedDict):
    """Several pods on one GPU. Time slices have no bounds of memory between them; MPS has, and no isolation of faults."""

    kind: str
    """`time-slicing` or `mps`."""
    replicas: int
    """Shares of each GPU: 2 to 128, by MPS to 48."""
    resource: NotRequired[str]
    """What is shared. Default nvidia.com/gpu; with `mig_strategy: mixed` a profile, such as nvidia.com/mig-1g.10gb."""


class GpuSupportArgs(TypedDict):
    """Images, and how GPUs are offered. What contradicts itself is refused (`turnout_components.gpu_support_rules`)."""

    plugin_image: pulumi.Input[str]
    """NVIDIA's k8s-device-plugin, by digest."""
    exporter_image: pulumi.Input[str]
    """NVIDIA's dcgm-exporter, by digest."""
    namespace: NotRequired[str]
    """A namespace that is made for this only, as it admits privileged pods. Default gpu-support."""
    mig_strategy: NotRequired[str]
    """`none` (default: whole GPUs), `single` (every GPU in equal slices, each offered as nvidia.com/gpu) or `mixed` (slices
    offered by their profile). Who divides the GPUs is the nodes' image or an operator, not this."""
    sharing: NotRequired[Sharing]
    """Default none: a pod has its GPUs alone."""
    node_selector: NotRequired[Mapping[str, str]]
    """Labels of the GPU nodes. Default `nvidia.com/gpu.present: "true"`."""
    runtime_class: NotRequired[str]
    """RuntimeClass of NVIDIA's runtime, where it is not the nodes' default. Default none."""
    interval: NotRequired[int]
    """Seconds between two measurements, 1 to 60. Default 15."""


class GpuSupport(pulumi.ComponentResource):
    """A DaemonSet of the device plugin and one of dcgm-exporter with its Service, in a namespace of their own.

    Broken nodes are replaced by EKS's node repair, which watches by itself. Raises `ValueError` for what contradicts itself."""

    namespace: pulumi.Output[str]
    metrics_service: pulumi.Output[str]

    def __init__(self, name: str, args: GpuSupportArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:GpuSupport", name, {}, opts)
        args = arguments.taken(name, args, GpuSupportArgs)
        checks.refuse(gpu_support_rules.faults(args))
        known = pulumi.Output.from_input(dict(args)).apply(_checked)
        space = Namespace(
            f"{name}-namespace",
            metadata={"name": args.get("namespace", "gpu-support"), "labels": gpu_pods.PRIVILEGED},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._space = pulumi.Output.all(space.urn, args.get("namespace", "gpu-support")).apply(lambda both: str(both[1]))
        child = pulumi.ResourceOptions(parent=self, depends_on=[space])
        config = f"{gpu_pods.PLUGIN}-config"
        made = ConfigMap(
            f"{name}-config",
            metadata=self._meta(config, gpu_pods.PLUGIN),
            data={"config.yaml": gpu_support_rules.configuration(args)},
            opts=child,
        )
        daemons = {
            gpu_pods.PLUGIN: known.apply(lambda found: gpu_pods.plugin(found, config)),
            gpu_pods.EXPORTER: known.apply(gpu_pods.exporter),
        }
        if gpu_pods.shares_by_mps(args):
            daemons[gpu_pods.MPS] = known.apply(lambda found: gpu_pods.mps(found, config))
        for app, spec in daemons.items():
            after = pulumi.ResourceOptions(parent=self, depends_on=[space, made])
            DaemonSet(f"{name}-{app}", metadata=self._meta(app, app), spec=spec, opts=after)
        service = Service(
            f"{name}-metrics",
            metadata=self._meta(gpu_pods.EXPORTER, gpu_pods.EXPORTER),
            spec={
                "clusterIP": "None",
                "selector": gpu_pods.labels(gpu_pods.EXPORTER),
                "ports": [{"name": "metrics", "port": gpu_pods.PORT, "targetPort": "metrics"}],
            },
            opts=child,
        )
        self.namespace = self._space
        self.metrics_service = pulumi.Output.all(service.urn).apply(lambda _: gpu_pods.EXPORTER)
        self.register_outputs({"namespace": self.namespace, "metrics_service": self.metrics_service})

    def _meta(self, called: str, app: str) -> Any:
        return {"name": called, "namespace": self._space, "labels": gpu_pods.labels(app)}


def _checked(args: dict[str, Any]) -> dict[str, Any]:
    """What was an output is judged when it is known."""
    checks.refuse(gpu_support_rules.faults(args))
    return args
