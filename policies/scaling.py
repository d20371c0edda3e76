"""Policies on how workloads scale."""

from pulumi_policy import Severity
from turnout_components import policy_scaling

from policies.making import Rule, on_stack

POLICIES = [
    on_stack(
        Rule(
            "one-scaler",
            "A workload on Kubernetes has one scaler",
            "two would undo each other's sizes, and the switch would hold the minimum of one only",
            "compose one WorkloadAutoscaler for each workload",
            Severity.HIGH,
        ),
        policy_scaling.one_scaler,
    ),
]
