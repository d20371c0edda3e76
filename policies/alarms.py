"""Policies on alarms."""

from pulumi_policy import EnforcementLevel, Severity
from turnout_components import policy_upkeep

from policies.making import Rule, Scope, on_stack, texts

POLICIES = [
    on_stack(
        Rule(
            "alarms-per-environment",
            "Each environment has its alarms",
            "an environment that fails at night would be noticed by its users",
            "compose an Environment, or add MetricAlarms on its group or target group",
            Severity.HIGH,
            parameters=texts("metrics", ["UnHealthyHostCount", "StatusCheckFailed"], "Metrics that have an alarm"),
        ),
        policy_upkeep.watched,
    ),
    on_stack(
        Rule(
            "alarms-tell-somebody",
            "In production the alarms of an environment have an action",
            "they would turn red where nobody looks",
            "list topics in turnout:health.alarm_topics, or give the alarm alarmActions",
            Severity.MEDIUM,
            EnforcementLevel.ADVISORY,
            Scope.PRODUCTION,
        ),
        policy_upkeep.heard,
    ),
]
