"""The namespace of a service on Kubernetes: it admits restricted pods only, and lets nothing through that no policy allows."""

from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi_kubernetes import core, networking

from turnout_components import arguments, checks, pod_network, pod_rules
from turnout_components.kubernetes_names import NAME_LABEL

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
""" "Enforce Pod Security Standards with Namespace Labels", Kubernetes."""
READINESS_GATES = {"elbv2.k8s.aws/pod-readiness-gate-inject": "enabled"}
"""New pods are ready when their target group finds them healthy too ("Pod readiness gate", AWS Load Balancer Controller)."""


class ServiceNamespaceArgs(TypedDict):
    """Whose namespace."""

    service: pulumi.Input[str]
    """The service's name."""
    namespace: NotRequired[pulumi.Input[str]]
    """Default: called as the service."""
    readiness_gates: NotRequired[bool]
    """Let the AWS Load Balancer Controller hold pods back until their target group finds them healthy. Default false."""
    step_downs: NotRequired[bool]
    """Let the pods of a standby's step-downs reach the API server. Default false."""


class ServiceNamespace(pulumi.ComponentResource):
    """A namespace that enforces the restricted Pod Security Standard, with a policy that denies all traffic: environments bring
    theirs, which allow what they need. Raises `ValueError` for a name that Kubernetes refuses."""

    namespace: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceNamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:ServiceNamespace", name, {}, opts)
        args = arguments.taken(name, args, ServiceNamespaceArgs)
        given: dict[str, Any] = {key: value for key, value in args.items() if key in ("service", "namespace")}
        called = pulumi.Output.from_input(given).apply(_named)
        labels = {**RESTRICTED, **(READINESS_GATES if args.get("readiness_gates", False) else {})}
        made = core.v1.Namespace(
            f"{name}-namespace",
            metadata=called.apply(
                lambda known: {"name": known["namespace"], "labels": {NAME_LABEL: known["service"], **labels}}
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        networking.v1.NetworkPolicy(
            f"{name}-deny",
            metadata=called.apply(lambda known: _metadata(known, "default-deny")),
            spec=dict(pod_network.DENY_ALL),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[made]),
        )
        if args.get("step_downs", False):
            networking.v1.NetworkPolicy(
                f"{name}-step-downs",
                metadata=called.apply(lambda known: _metadata(known, "step-downs")),
                spec=pod_network.step_downs(),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[made]),
            )
        self.namespace = made.metadata["name"]
        self.register_outputs({"namespace": self.namespace})


def _named(given: dict[str, Any]) -> dict[str, Any]:
    known = pod_rules.with_defaults(given)
    checks.refuse(pod_rules.faults({key: known[key] for key in ("service", "namespace")}, None))
    return known


def _metadata(known: dict[str, Any], name: str) -> Any:
    return {"name": name, "namespace": known["namespace"], "labels": {NAME_LABEL: known["service"]}}
