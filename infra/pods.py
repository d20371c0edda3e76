"""What components on Kubernetes take of a stack's settings."""

from collections.abc import Mapping
from typing import Any, cast

from turnout_components.gateway_ingress import GatewayIngressArgs
from turnout_components.kubernetes_names import service_name
from turnout_components.model_deployment import ModelDeployment, ModelDeploymentArgs, SourceArgs
from turnout_components.resolve import Size
from turnout_components.route_switch import RoutedEnvironment
from turnout_components.service_namespace import ServiceNamespaceArgs
from turnout_components.workload_autoscaler import WorkloadAutoscalerArgs
from turnout_components.workload_secrets import WorkloadSecrets, WorkloadSecretsArgs

from infra import pod_settings
from infra.config import ENVIRONMENTS, Platform
from infra.settings import Settings


def namespace(settings: Settings) -> str:
    """Where the service's objects stand."""
    return pod_settings.namespace(settings.service, settings.kubernetes)


def namespace_args(settings: Settings) -> ServiceNamespaceArgs:
    """What a `ServiceNamespace` takes; on EKS pods wait for their target group."""
    place: ServiceNamespaceArgs = {
        "service": settings.service,
        "namespace": namespace(settings),
        "step_downs": settings.kubernetes.step_down is not None,
    }
    return {**place, "readiness_gates": True} if settings.platform is Platform.EKS else place


def secrets_args(settings: Settings, environment: str, references: Mapping[str, Any]) -> WorkloadSecretsArgs:
    """What the `WorkloadSecrets` of an environment take."""
    account = service_name(settings.service, environment)
    args: dict[str, Any] = {"namespace": namespace(settings), "name": f"{account}-secrets", "references": references}
    if settings.region:
        args["region"] = settings.region
    if settings.secrets.vault is not None:
        args |= {"vault": settings.secrets.vault.model_dump(), "service_account": account}
    return cast(WorkloadSecretsArgs, args)


def deployment_args(
    settings: Settings, environment: str, size: Size, secrets: Mapping[str, WorkloadSecrets], **more: Any
) -> ModelDeploymentArgs:
    """What a `ModelDeployment` takes, in the size that the switch decided; `more`: how it is reached."""
    release = settings.release(environment)
    args = {
        **pod_settings.pods(settings.service, environment, settings.kubernetes, settings.pool, settings.health),
        "minimum": size.minimum,
        "release": release.for_storage() if release else None,
        **more,
    }
    if environment in secrets:
        args |= {"secret_name": secrets[environment].secret_name, "secret_keys": secrets[environment].secret_keys}
    return cast(ModelDeploymentArgs, args)


def scaled(settings: Settings) -> list[str]:
    """The environments whose workload follows its load."""
    return [name for name in ENVIRONMENTS if settings.kubernetes.scaling is not None and settings.release(name)]


def scaler_args(settings: Settings, environment: ModelDeployment, size: Size) -> WorkloadAutoscalerArgs:
    """What the `WorkloadAutoscaler` of an environment's workload takes."""
    args = {
        **(settings.kubernetes.scaling or {}),
        "namespace": namespace(settings),
        "workload": environment.workload_name,
        "kind": "LeaderWorkerSet" if settings.kubernetes.pods.nodes_per_replica > 1 else "Deployment",
        "minimum": size.minimum,
        "maximum": size.maximum,
    }
    return cast(WorkloadAutoscalerArgs, args)


def gateway_args(settings: Settings, environments: Mapping[str, ModelDeployment]) -> GatewayIngressArgs:
    """What a `GatewayIngress` in front of these takes."""
    gateway = settings.kubernetes.gateway
    args = {
        **gateway.model_dump(exclude_none=True, exclude={"name", "namespace", "section", "request_timeout"}),
        "service": settings.service,
        "namespace": namespace(settings),
        "services": {name: environment.target_group for name, environment in environments.items()},
    }
    if gateway.name is not None:
        args = {key: value for key, value in args.items() if key not in ("annotations", "plain_http")}
        args["existing"] = gateway.model_dump(exclude_none=True, include={"name", "namespace", "section"})
    return cast(GatewayIngressArgs, args)


def switched(environments: Mapping[str, ModelDeployment], sizes: Mapping[str, Size]) -> dict[str, RoutedEnvironment]:
    """The environments as the switch takes them."""
    return {
        name: {
            "target_group": environment.target_group,
            "group": environment.group,
            "release": environment.release,
            "minimum": sizes[name].minimum,
            "maximum": sizes[name].maximum,
        }
        for name, environment in environments.items()
    }


def clients(settings: Settings) -> list[SourceArgs]:
    """Who may send requests: those that config names, else the Gateway's namespace."""
    said = settings.kubernetes.clients
    named = [cast(SourceArgs, one.model_dump(exclude_none=True)) for one in said]
    return named or [{"namespace": settings.kubernetes.gateway.namespace or namespace(settings)}]


def gate_args(settings: Settings) -> dict[str, Any]:
    """What a switch in a cluster is told beside what was decided."""
    return {**settings.switch_args(), **settings.reach()}
