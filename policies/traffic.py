"""Policies on what carries traffic."""

from pulumi_policy import Severity
from turnout_components import policy_connections, policy_traffic

from policies.making import Rule, Scope, number, on_resources, on_stack, texts

POLICIES = [
    on_resources(
        Rule(
            "weights-sum-to-100",
            "The weights of a forward action sum to 100",
            "switch, gate and rollouts read them as percents, and would move other shares than they say",
            "make turnout:traffic.weights sum to 100",
            Severity.HIGH,
        ),
        (*policy_traffic.LISTENERS, *policy_traffic.RULES),
        policy_traffic.weights,
    ),
    on_stack(
        Rule(
            "standby-present",
            "A production stack has a release in both environments",
            "without a standby there is nothing to go back to",
            "name a release in turnout:environments.blue.release and turnout:environments.green.release",
            Severity.HIGH,
            scope=Scope.PRODUCTION,
        ),
        policy_traffic.standby,
    ),
    on_stack(
        Rule(
            "drain-covers-requests",
            "A target drains at least as long as the longest request lasts",
            "a flip or a smaller pool would cut answers off",
            "write turnout:health.drain of at least the longest request and turnout:ingress.idle_timeout",
            Severity.HIGH,
            scope=Scope.NOT_REHEARSALS,
            parameters=number("longest_request", 0, "Seconds of the longest answer; what streams may outlast the idle timeout"),
        ),
        policy_connections.drain,
    ),
    on_stack(
        Rule(
            "timeouts-fit",
            "The load balancer waits for the slowest answer, and servers keep idle connections longer than it does",
            "users would get 504s for slow answers, and stray 502s on connections that a server has closed",
            "write turnout:ingress.idle_timeout, and the keep-alive in the release's flags or environment",
            Severity.HIGH,
            parameters=number("slowest_answer", 0, "Seconds until the first byte of the slowest answer"),
        ),
        policy_connections.keep_alive,
    ),
    on_resources(
        Rule(
            "health-at-readiness",
            "Targets are checked by HTTP at the path that answers when the model is loaded",
            "a server that is up and not ready would get requests, and the gate would let it",
            "write turnout:health.path",
            Severity.HIGH,
            parameters=texts("paths", ["/ready", "/health"], "Paths that answer 200 only when the model serves"),
        ),
        policy_traffic.TARGET_GROUPS,
        policy_traffic.readiness,
    ),
]
