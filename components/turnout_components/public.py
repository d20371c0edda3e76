"""The package as Pulumi sees it: its name, and the components that a team can use alone (docs/components.md)."""

import pulumi

from turnout_components.artifact_store import ArtifactStore
from turnout_components.autoscaling_policy import AutoscalingPolicy
from turnout_components.capacity_placeholder import CapacityPlaceholder
from turnout_components.eks_cluster import EksCluster
from turnout_components.eks_node_group import EksNodeGroup
from turnout_components.environment import Environment
from turnout_components.gateway_ingress import GatewayIngress
from turnout_components.gpu_node_pool import GpuNodePool
from turnout_components.gpu_support import GpuSupport
from turnout_components.ingress import Ingress
from turnout_components.karpenter_interruptions import KarpenterInterruptions
from turnout_components.karpenter_pool import KarpenterPool
from turnout_components.mirror_access import MirrorAccess
from turnout_components.model_deployment import ModelDeployment
from turnout_components.network import Network
from turnout_components.network_load_balancer import NetworkLoadBalancer
from turnout_components.rollout_runner import RolloutRunner
from turnout_components.route_switch import RouteSwitch
from turnout_components.service_namespace import ServiceNamespace
from turnout_components.service_secrets import ServiceSecrets
from turnout_components.traffic_decision import TrafficDecision
from turnout_components.traffic_switch import TrafficSwitch
from turnout_components.workload_autoscaler import WorkloadAutoscaler
from turnout_components.workload_secrets import WorkloadSecrets

PACKAGE = "turnout-components"
COMPONENTS: tuple[type[pulumi.ComponentResource], ...] = (
    Network,
    Ingress,
    NetworkLoadBalancer,
    Environment,
    GpuNodePool,
    EksCluster,
    EksNodeGroup,
    KarpenterPool,
    KarpenterInterruptions,
    ServiceNamespace,
    ModelDeployment,
    WorkloadAutoscaler,
    WorkloadSecrets,
    GpuSupport,
    CapacityPlaceholder,
    AutoscalingPolicy,
    ServiceSecrets,
    ArtifactStore,
    MirrorAccess,
    TrafficDecision,
    TrafficSwitch,
    GatewayIngress,
    RouteSwitch,
    RolloutRunner,
)
