"""Policies on secrets and rights."""

from pulumi_policy import Severity
from turnout_components import policy_identity

from policies.making import Rule, on_resources

POLICIES = [
    on_resources(
        Rule(
            "no-plain-text-secret",
            "No secret stands in user data, tags, variables or plain parameters",
            "everybody who may describe the resource would read it, and so would the state",
            "put it into Secrets Manager, and name it in turnout:secrets.references",
            Severity.CRITICAL,
        ),
        ("aws:", "kubernetes:"),
        policy_identity.plain_secrets,
    ),
    on_resources(
        Rule(
            "no-wildcard-rights",
            "No policy allows a wildcard of actions on every resource",
            "who takes over one node or function would own the account",
            "list the actions, and the ARNs that they are for",
            Severity.CRITICAL,
        ),
        policy_identity.WITH_RIGHTS,
        policy_identity.wildcards,
    ),
]
