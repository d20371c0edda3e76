"""Policies on pods of GPU workloads."""

from pulumi_policy import Severity
from turnout_components import policy_nodes, policy_pods

from policies.making import Rule, on_resources, on_stack, text

POLICIES = [
    on_resources(
        Rule(
            "restricted-pods",
            "Pods with GPUs and those of an environment keep to the restricted Pod Security Standard",
            "who takes over a server would reach its node, and through that every other pod on it",
            "write the securityContext that the message names, or compose a ModelDeployment",
            Severity.HIGH,
        ),
        policy_pods.WITH_PODS,
        policy_pods.restricted,
    ),
    on_resources(
        Rule(
            "gpu-pods-placed",
            "Pods with GPUs tolerate the taint of GPU nodes, and ask for the GPUs that they are limited to",
            "no node would take them, or the API server refuse them in the middle of an update",
            "add the toleration, and write the limit as the request",
            Severity.MEDIUM,
            parameters=text("taint", policy_nodes.TAINT, "Key of the taint"),
        ),
        policy_pods.WITH_PODS,
        policy_pods.placed,
    ),
    on_stack(
        Rule(
            "disruption-budgets",
            "Each workload of servers has a disruption budget",
            "a drain or an upgrade of nodes would take all its servers at once",
            "compose a ModelDeployment, or add a PodDisruptionBudget that selects the workload's pods",
            Severity.HIGH,
        ),
        policy_pods.budgeted,
    ),
]
