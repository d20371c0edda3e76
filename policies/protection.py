"""Policies on what must not be deleted by a slip."""

from pulumi_policy import Severity
from turnout_components import policy_upkeep

from policies.making import Rule, Scope, on_resources

POLICIES = [
    on_resources(
        Rule(
            "deletion-protection",
            "In production, load balancers and what holds data are protected against deletion",
            "a slip in a program would take the service down or lose its data",
            "write turnout:ingress.deletion_protection true, or the input that the message names",
            Severity.HIGH,
            scope=Scope.PRODUCTION,
        ),
        policy_upkeep.PROTECTED,
        policy_upkeep.protected,
    ),
]
