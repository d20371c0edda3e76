"""What goes together with a stack's platform: places, and sections and settings that only others have."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from turnout_components import checks, route_specs
from turnout_components.checks import Fault
from turnout_components.network import Nat

from infra import node_settings
from infra.config import Cloud, Ingress, Network, Platform, Protocol, Runner
from infra.config_clusters import NAME, Cluster, Gateway, Kubernetes
from infra.pod_settings import scaling_faults, secret_faults
from infra.section import Section

CLOUDS = {
    Platform.EC2: (Cloud.LOCAL, Cloud.AWS),
    Platform.EKS: (Cloud.LOCAL, Cloud.AWS),
    Platform.KUBERNETES: (Cloud.LOCAL, Cloud.CLUSTER),
}
"""Where a platform's stacks may be."""
_MACHINE = (
    *("instance_type", "instance_types", "requirements", "on_demand_base", "on_demand_percent", "capacity_block_id"),
    *("capacity_reservation_id", "efa", "zone", "warm_pool", "disk_gib", "image_id", "root_device"),
)
"""Settings of `pool` that say what an account's machines are."""
_NODE = ("protect_streams", "artifact_buckets", "mirror_image", "boot")
"""Settings of `pool` that are done by the script of an EC2 instance."""
_BALANCER = (
    *("protocol", "alpn_policy", "idle_timeout", "certificate_arn", "redirect_port", "internal", "record", "access_logs"),
    *("web_acl_arn", "client_keep_alive", "cross_zone", "deletion_protection", "allowed_cidrs", "test_cidrs"),
)
"""Settings of `ingress` that are a load balancer's of AWS."""
FOREIGN: Mapping[Platform, Mapping[str, tuple[str, ...]]] = {
    Platform.EC2: {"kubernetes": (), "cluster": ()},
    Platform.EKS: {
        "kubernetes": ("context", "gateway"),
        "pool": _NODE,
        "ingress": ("alpn_policy",),
        "scaling": (),
    },
    Platform.KUBERNETES: {
        "cluster": (),
        "network": (),
        "runner": (),
        "ingress": _BALANCER,
        "pool": (*_MACHINE, *_NODE),
        "health": ("alarm_topics",),
        "scaling": (),
        "secrets": ("names", "rotation", "recovery_window_days"),
    },
}
"""What a platform has not: settings by section; none named: the whole section."""


def place(platform: Platform, cloud: Cloud) -> Iterable[Fault]:
    """Where a stack of this platform may be."""
    if cloud not in CLOUDS[platform]:
        fix = "write local or aws, or turnout:platform: kubernetes for a cluster that exists"
        if platform is Platform.KUBERNETES:
            fix = "write cluster, or local for a cluster of this machine; one in AWS may be turnout:platform: eks"
        yield Fault("cloud", cloud.value, f"is no place for a stack with platform {platform.value}", fix)


def foreign(platform: Platform, parts: Mapping[str, Any]) -> Iterable[Fault]:
    """Settings that this platform has not, each by its name."""
    for name, fields in FOREIGN[platform].items():
        said = _said(parts.get(name))
        for field in [field for field in said if field in fields] if fields else said:
            path = f"{name}.{field}"
            yield Fault(path, said[field], f"is not of platform {platform.value}", _instead(platform, path))


def _said(section: Any) -> dict[str, Any]:
    """What config says of a section, by setting."""
    if not isinstance(section, Section):
        return {}
    return section.model_dump(mode="json", exclude_unset=True)


_INSTEAD = {
    **{f"pool.{field}": "leave it out: nodes are of the cluster; on EKS those of turnout:cluster" for field in _MACHINE},
    "pool.mirror_image": "leave it out: a mirror is a filter of the route",
    "runner": "leave it out: no function of AWS's; a Job that runs `turnout rollout run` drives (docs/rollout-runner.md)",
    "secrets.names": "leave it out, and name where the values are in turnout:secrets.references",
}


def _instead(platform: Platform, path: str) -> str:
    return (
        _INSTEAD.get(path) or _INSTEAD.get(path.partition(".")[0], "leave it out")
        if platform is not Platform.EC2
        else "leave it out, or write another turnout:platform"
    )


def on_kubernetes(cloud: Cloud, kubernetes: Kubernetes) -> Iterable[Fault]:
    """How a cluster is reached, and what is in front of the service."""
    if cloud is Cloud.LOCAL and kubernetes.context is not None:
        fix = "leave it out: `turnout local start` says where the local cluster is"
        yield Fault("kubernetes.context", kubernetes.context, "is of a cluster that exists", fix)
    yield from checks.below("kubernetes.gateway", _gateway_faults(kubernetes.gateway))


def _gateway_faults(gateway: Gateway) -> Iterable[Fault]:
    """The Gateway is one that exists, or one that the stack makes."""
    if gateway.name is None and gateway.gateway_class is None:
        fix = "name the Gateway that serves the users, or in gateway_class the class of a new one"
        yield Fault("name", None, "is missing", fix)
        return
    existing = {"existing": gateway.model_dump(include={"name", "namespace", "section"})} if gateway.name else {}
    known = {**gateway.model_dump(exclude_none=True, exclude={"name", "namespace", "section"}), **existing}
    yield from route_specs.ingress_faults(known)


def on_eks(cluster: Cluster | None, ingress: Ingress) -> Iterable[Fault]:
    """The cluster is named or made, and the switch moves requests."""
    if cluster is None or (cluster.name is None and cluster.version is None):
        yield Fault("cluster", None, "is missing", "write {version: …}, or {name: …} of one that exists")
    if ingress.protocol is Protocol.TCP:
        yield Fault("ingress.protocol", "tcp", "is not carried on EKS", "write http, or turnout:platform: ec2")


def runner_network(runner: Runner | None, network: Network) -> Iterable[Fault]:
    """The function stands in the cluster's network, and calls AWS from there."""
    if runner is not None and network.cidr is not None and network.nat is Nat.NONE:
        fix = "write single or per_zone, or leave turnout:runner out: it calls AWS from the private subnets"
        yield Fault("network.nat", "none", "leads the rollout runner nowhere", fix)


def record_place(record_table: str) -> Iterable[Fault]:
    """The record's ConfigMaps have a namespace to themselves."""
    if not re.match(NAME, record_table):
        yield Fault("record_table", record_table, "is no name of a namespace", "write small letters, digits and hyphens")


Rules = tuple[tuple[tuple[str, ...], Callable[..., Iterable[Fault]]], ...]
_ON_BOTH: Rules = ((("kubernetes", "pool"), scaling_faults), (("secrets",), secret_faults))
ON_KUBERNETES: Rules = (*_ON_BOTH, (("cloud", "kubernetes"), on_kubernetes), (("record_table",), record_place))
ON_EKS: Rules = (
    *_ON_BOTH,
    (("cluster", "ingress"), on_eks),
    (("runner", "network"), runner_network),
    (("cluster",), node_settings.one_kind),
    (
        ("service", "cluster", "kubernetes", "pool", "health", "network", "environments"),
        node_settings.karpenter_faults,
    ),
)
