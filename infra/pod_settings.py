"""A stack's pods as its config has them, and what Kubernetes refuses of that. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from turnout_components import checks, pod_rules, secret_rules, workload_scaling_rules
from turnout_components.checks import Fault
from turnout_components.release import Release

from infra.config import Environments, Health, Pool, Secrets
from infra.config_clusters import Kubernetes

_OF_POOL = ("minimum", "port", "launch_timeout")
_OF_HEALTH = {"health_path": "path", "drain": "drain"}
_SCALER = frozenset(
    (
        *("by", "target_tracking", "step", "schedules", "warmup", "growth", "shrinking", "fallback", "pod_metrics"),
        *("demand_metric", "prometheus", "queue", "role_arn"),
    )
)
"""What `turnout:kubernetes.scaling` may say: the arguments of `WorkloadAutoscaler` that are no size and no name."""


def pods(service: str, environment: str, kubernetes: Kubernetes, pool: Pool, health: Health) -> dict[str, Any]:
    """What is the same of every release's pods (`PodArgs`)."""
    return {
        **kubernetes.pods.model_dump(exclude_none=True),
        **{key: getattr(pool, key) for key in _OF_POOL},
        **{key: getattr(health, name) for key, name in _OF_HEALTH.items()},
        "service": service,
        "environment": environment,
        "namespace": namespace(service, kubernetes),
        "scaled": kubernetes.scaling is not None,
    }


def namespace(service: str, kubernetes: Kubernetes) -> str:
    """Where the service's objects stand."""
    return kubernetes.namespace or service


def faults(parts: Mapping[str, Any], releases: Mapping[str, Release]) -> Iterator[Fault]:
    """What Kubernetes refuses of the pods, by setting; each fault once, whichever environment has it."""
    if not {"service", "kubernetes", "pool", "health"} <= parts.keys():
        return
    said: dict[tuple[str, str], Fault] = {}
    for environment in Environments.model_fields:
        known = pods(parts["service"], environment, parts["kubernetes"], parts["pool"], parts["health"])
        release = releases.get(environment)
        references = sorted(parts["secrets"].references) if "secrets" in parts else []
        named = {"secret_name": "secrets", "secret_keys": references} if references else {}
        for fault in pod_rules.faults({**pod_rules.with_defaults(known), **named}, release.for_storage() if release else None):
            placed = Fault(_setting(fault.field, environment), fault.value, fault.reason, fault.fix)
            said.setdefault((placed.field, placed.reason), placed)
    yield from said.values()


def _setting(field: str, environment: str) -> str:
    """The setting from which an argument of the pods comes."""
    top = field.partition(".")[0]
    if top in _OF_POOL:
        return f"pool.{field}"
    if top in _OF_HEALTH:
        return f"health.{_OF_HEALTH[top]}"
    if top in ("service", "namespace"):
        return "service" if top == "service" else "kubernetes.namespace"
    return f"environments.{environment}.{field}" if top.startswith("release") else f"kubernetes.pods.{field}"


def scaling_faults(kubernetes: Kubernetes, pool: Pool) -> Iterable[Fault]:
    """What would not scale, by setting."""
    given = kubernetes.scaling
    if given is None:
        return
    known = ", ".join(sorted(_SCALER))
    unknown = [Fault(key, given[key], "is no setting", f"remove it; known here: {known}") for key in given.keys() - _SCALER]
    judged = workload_scaling_rules.faults({**given, "minimum": pool.minimum, "maximum": pool.maximum})
    yield from checks.below(
        "kubernetes.scaling", [*unknown, *(each for each in judged if each.field not in ("minimum", "maximum"))]
    )


def secret_faults(secrets: Secrets) -> Iterable[Fault]:
    """References, as on EC2."""
    yield from checks.below("secrets", secret_rules.faults((), {}, secrets.references, rotated=None, recovery=30))
    if secrets.vault is None and any(reference.startswith("vault:") for reference in secrets.references.values()):
        yield Fault("secrets.vault", None, "names no Vault", "write {address: https://vault.example.com, role: …}")
