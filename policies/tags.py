"""Policies on tags."""

from pulumi_policy import Severity
from turnout_components import policy_upkeep

from policies.making import Rule, Scope, on_resources, texts

POLICIES = [
    on_resources(
        Rule(
            "required-tags",
            "What costs money, holds data or grants rights says whose it is",
            "nobody would know whom to ask, or what may go",
            "write the tags, or give the provider defaultTags",
            Severity.MEDIUM,
            scope=Scope.NOT_REHEARSALS,
            parameters=texts("required", ["turnout:service", "turnout:stack"], "Keys of the tags"),
        ),
        policy_upkeep.TAGGED,
        policy_upkeep.tags,
    ),
]
