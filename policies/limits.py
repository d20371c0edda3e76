"""Policies on what a stack may cost."""

from pulumi_policy import Severity
from turnout_components import policy_nodes

from policies.making import Rule, number, on_stack

POLICIES = [
    on_stack(
        Rule(
            "gpu-ceiling",
            "All pools at their maximum have no more GPUs than the ceiling",
            "a mistyped maximum would be noticed on the bill",
            "lower turnout:pool.maximum, or raise the ceiling",
            Severity.HIGH,
            parameters=number("ceiling", 64, "GPUs of a stack"),
        ),
        policy_nodes.gpu_ceiling,
    ),
]
