"""One program that uses every public component that makes resources, said once for both languages."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes
from pulumi_aws import Provider, ProviderArgs
from turnout_components.public import COMPONENTS

from turnout.providers.aws.clients import ENDPOINT_KEYS

SHA, DIGEST = "sha256:" + "ab" * 32, "sha256:" + "cd" * 32
RELEASE = {
    "name": "llm-1.0.0",
    "model": {"name": "llm", "version": "1.0.0", "uri": "s3://models/llm/1.0.0/", "sha256": SHA},
    "image": f"123456789012.dkr.ecr.us-east-1.amazonaws.com/serving/vllm@{SHA}",
    "engine": {"name": "vllm", "flags": ["--max-model-len=8192"]},
    "digest": DIGEST,
}
KUBECONFIG = json.dumps(
    {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "none", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "none", "user": {}}],
        "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
        "current-context": "none",
    }
)
"""Of a cluster that previews ask nothing of."""
SECRET = "hf_never_in_plain_text"


@dataclass(frozen=True)
class Of:
    """An output of the component that was made under this name; `key`: one entry of a map."""

    made: str
    output: str
    key: str = ""


@dataclass(frozen=True)
class Hidden:
    """A secret."""

    value: str


@dataclass(frozen=True)
class Case:
    kind: str
    name: str
    args: dict[str, Any]
    after: str = ""
    """A component that comes before (`depends_on`)."""


_OWNER = {"service": "assistant", "region": "us-east-1"}
_BALANCED = {
    "vpc_id": Of("network", "vpc_id"),
    "subnet_ids": Of("network", "public_subnet_ids"),
    "health_paths": {"blue": "/ready", "green": "/ready"},
    "allowed_cidrs": ["10.0.0.0/8"],
}
_NODES = {
    **_OWNER,
    "vpc_id": Of("network", "vpc_id"),
    "subnet_ids": Of("network", "private_subnet_ids"),
    "balancer_security_group_id": Of("ingress", "security_group_id"),
    "release": RELEASE,
    "minimum": 2,
    "maximum": 6,
    "drain": 120,
    "port": 8000,
}
CASES = (
    Case("Network", "network", {"cidr": "10.0.0.0/16", "zones": ["us-east-1a", "us-east-1b"], "nat": "single"}),
    Case(
        "Ingress",
        "ingress",
        {**_BALANCED, "certificate_arn": "arn:aws:acm:us-east-1:123456789012:certificate/1", "health": {"drain": 120}},
    ),
    Case(
        "EksCluster",
        "models",
        {
            "name": "models",
            "region": "us-east-1",
            "version": "1.34",
            "vpc_id": Of("network", "vpc_id"),
            "subnet_ids": Of("network", "private_subnet_ids"),
            "admins": {"deployer": "arn:aws:iam::123456789012:role/deployer"},
            "system_nodes": {"minimum": 2, "maximum": 4},
        },
    ),
    Case(
        "EksNodeGroup",
        "gpu-nodes",
        {
            "cluster_name": Of("models", "name"),
            "region": "us-east-1",
            "subnet_ids": Of("network", "private_subnet_ids"),
            "security_group_id": Of("models", "security_group_id"),
            "minimum": 1,
            "maximum": 4,
            "warm_pool": {"minimum": 1},
        },
    ),
    Case(
        "KarpenterPool",
        "gpu-pool",
        {
            "name": "gpu",
            "cluster_name": Of("models", "name"),
            "region": "us-east-1",
            "subnet_ids": Of("network", "private_subnet_ids"),
            "security_group_ids": ["sg-1"],
            "gpus_at_most": 16,
        },
    ),
    Case("KarpenterInterruptions", "gpu-events", {"cluster_name": Of("models", "name")}),
    Case("NetworkLoadBalancer", "connections", {**_BALANCED, "health_port": 9000, "test_ports": {"blue": 9001, "green": 9002}}),
    Case("ArtifactStore", "store", {"service": "assistant", "noncurrent_days": 30}),
    Case(
        "ServiceSecrets",
        "secrets",
        {"service": "assistant", "environment": "blue", "seeds": {"HF_TOKEN": Hidden(SECRET)}, "recovery_window_days": 7},
    ),
    Case(
        "Environment",
        "blue",
        {
            **_NODES,
            "environment": "blue",
            "target_group_arn": Of("ingress", "target_group_arns", "blue"),
            "load_balancer_arn": Of("ingress", "load_balancer_arn"),
            "secrets": Of("secrets", "references"),
            "secrets_key_arn": Of("secrets", "key_arn"),
            "warm_pool": {"minimum": 1, "maximum_prepared": 8},
            "scaling": {"step": {"pending": 20}, "schedules": [{"name": "day", "cron": "0 8 * * MON-FRI", "minimum": 4}]},
        },
        after="store",
    ),
    Case(
        "GpuNodePool",
        "alone",
        {
            **_NODES,
            "environment": "green",
            "target_group_arn": Of("ingress", "target_group_arns", "green"),
            "requirements": {"gpus_min": 1, "gpu_names": ["l4"]},
            "artifact_buckets": [Of("store", "bucket_name"), "models"],
        },
    ),
    Case("ServiceNamespace", "namespace", {"service": "assistant", "readiness_gates": True}),
    Case(
        "ModelDeployment",
        "pods",
        {
            "service": "assistant",
            "environment": "green",
            "namespace": Of("namespace", "namespace"),
            "release": RELEASE,
            "fetch_image": f"public.ecr.aws/aws-cli/aws-cli@{SHA}",
            "cpus": 3.5,
            "minimum": 2,
            "drain": 120,
            "cache": {"storage_class": "nvme", "size_gib": 50},
            "clients": [{"cidr": "10.0.0.0/20"}, {"namespace": "gateway", "pods": {"app": "envoy"}}],
            "node_selector": {"turnout.dev/pool": "l4"},
            "secret_name": "assistant-green",
            "secret_keys": ["HF_TOKEN"],
            "target_group_arn": Of("ingress", "target_group_arns", "green"),
            "balancer_security_group_id": Of("ingress", "security_group_id"),
            "identity": {"cluster_name": "gpus", "region": "us-east-1", "secrets": Of("secrets", "references")},
        },
    ),
    Case(
        "WorkloadAutoscaler",
        "scaler",
        {
            "namespace": Of("namespace", "namespace"),
            "workload": Of("pods", "workload_name"),
            "minimum": 2,
            "maximum": 8,
            "prometheus": {"address": "http://prometheus.monitoring.svc:9090", "region": "us-east-1"},
            "step": {"pending": 20.5},
            "schedules": [{"name": "day", "cron": "0 8 * * *", "until": "0 18 * * *", "minimum": 4}],
            "fallback": {"minimum": 4},
            "role_arn": "arn:aws:iam::123456789012:role/asks",
        },
    ),
    Case(
        "WorkloadSecrets",
        "values",
        {
            "namespace": Of("namespace", "namespace"),
            "name": "assistant-green",
            "references": {"HF_TOKEN": Of("secrets", "references", "HF_TOKEN"), "LICENSE": "vault:secret/data/llm#license"},
            "region": "us-east-1",
            "service_account": "assistant-green",
            "vault": {"address": "https://vault.example.com:8200", "role": "assistant"},
            "refresh": "10m",
        },
    ),
    Case(
        "GpuSupport",
        "gpus",
        {
            "plugin_image": f"nvcr.io/nvidia/k8s-device-plugin@{SHA}",
            "exporter_image": f"nvcr.io/nvidia/k8s/dcgm-exporter@{SHA}",
            "sharing": {"kind": "time-slicing", "replicas": 4},
        },
    ),
    Case(
        "CapacityPlaceholder",
        "room",
        {
            "namespace": Of("namespace", "namespace"),
            "name": "assistant-room",
            "replicas": 2,
            "image": f"registry.k8s.io/pause@{SHA}",
            "cpus": 3.5,
            "tolerations": [{"key": "spot", "operator": "Exists"}],
        },
    ),
    Case("AutoscalingPolicy", "scaling", {"service": "a", "environment": "green", "group_name": Of("alone", "group_name")}),
    Case(
        "MirrorAccess",
        "mirror",
        {
            "security_group_ids": {"blue": Of("blue", "security_group_id"), "green": Of("alone", "security_group_id")},
            "port": 8000,
        },
    ),
    Case(
        "TrafficSwitch",
        "switch",
        {
            **_OWNER,
            "load_balancer_arn": Of("ingress", "load_balancer_arn"),
            "environments": {
                "blue": {
                    "target_group_arn": Of("ingress", "target_group_arns", "blue"),
                    "group_name": Of("blue", "group_name"),
                    "release": Of("blue", "release"),
                    "minimum": 2,
                    "maximum": 6,
                },
                "green": {"target_group_arn": Of("ingress", "target_group_arns", "green"), "minimum": 1, "maximum": 1},
            },
            "active": "blue",
            "weights": {"blue": 90, "green": 10},
            "standby": {"keep": "warm", "retain_for": 3600.5},
        },
    ),
    Case(
        "GatewayIngress",
        "gateway",
        {
            "service": "assistant",
            "namespace": Of("namespace", "namespace"),
            "services": {"green": Of("pods", "target_group")},
            "gateway_class": "envoy",
            "certificate_secret": "assistant-tls",
            "test": {"name": "internal", "section": "tests"},
        },
    ),
    Case(
        "RouteSwitch",
        "route",
        {
            "service": "assistant",
            "namespace": Of("namespace", "namespace"),
            "gateway": {"name": Of("gateway", "gateway_name"), "section": "users"},
            "environments": {
                "blue": {"target_group": "Service/assistant/assistant-blue", "minimum": 1, "maximum": 4},
                "green": {
                    "target_group": Of("pods", "target_group"),
                    "group": Of("pods", "group"),
                    "release": Of("pods", "release"),
                    "minimum": 2,
                    "maximum": 4,
                },
            },
            "active": "green",
            "standby": {"keep": "cold"},
        },
    ),
    Case(
        "RolloutRunner",
        "runner",
        {
            **_OWNER,
            "listener_arn": Of("switch", "listener_arn"),
            "step_down_role_arn": Of("switch", "step_down_role_arn"),
            "code_bucket": Of("store", "bucket_name"),
            "code_key": "runner.zip",
            "rate_minutes": 1,
        },
    ),
    Case(
        "RolloutRunner",
        "pod_runner",
        {
            **_OWNER,
            "listener_arn": Of("switch", "listener_arn"),
            "step_down_role_arn": "",
            "code_bucket": Of("store", "bucket_name"),
            "code_key": "runner.zip",
            "cluster": {
                "name": "gpus",
                "namespace": Of("namespace", "namespace"),
                "vpc": {
                    "vpc_id": Of("network", "vpc_id"),
                    "subnet_ids": Of("network", "private_subnet_ids"),
                    "cluster_security_group_id": "sg-0a1b2c3d",
                },
                "step_down_image": f"registry.example.com/kubectl@{SHA}",
                "step_down_account": "stepper",
            },
        },
    ),
)


def declare(endpoint: str) -> None:
    """The program in Python."""
    skip: Any = {f"skip_{name}": True for name in _SKIPPED}
    endpoints: Any = [dict.fromkeys(sorted(ENDPOINT_KEYS), endpoint)]
    provider = Provider(
        "aws", ProviderArgs(region="us-east-1", access_key="test", secret_key="test", endpoints=endpoints, **skip)
    )
    cluster = pulumi_kubernetes.Provider("kubernetes", kubeconfig=KUBECONFIG)
    classes: dict[str, Any] = {component.__name__: component for component in COMPONENTS}
    made: dict[str, Any] = {}

    def meant(value: Any) -> Any:
        if isinstance(value, Of):
            found = getattr(made[value.made], value.output)
            return found[value.key] if value.key else found
        if isinstance(value, Hidden):
            return pulumi.Output.secret(value.value)
        if isinstance(value, Mapping):
            return {key: meant(item) for key, item in value.items()}
        return [meant(item) for item in value] if isinstance(value, list) else value

    for case in CASES:
        after = [made[case.after]] if case.after else None
        opts = pulumi.ResourceOptions(providers=[provider, cluster], depends_on=after)
        made[case.name] = classes[case.kind](case.name, meant(case.args), opts)


_SKIPPED = ("credentials_validation", "metadata_api_check", "region_validation", "requesting_account_id")
