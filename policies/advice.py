"""What is advised and not demanded."""

from pulumi_policy import EnforcementLevel, Severity
from turnout_components import policy_identity, policy_nodes, policy_upkeep

from policies.making import Rule, Scope, number, on_stack

ADVISORY = EnforcementLevel.ADVISORY
POLICIES = [
    on_stack(
        Rule(
            "nat-per-zone",
            "A production stack has a NAT gateway in each zone",
            "with one, the loss of its zone takes the way out from the nodes of all",
            "write turnout:network.nat per_zone",
            Severity.MEDIUM,
            ADVISORY,
            Scope.PRODUCTION,
        ),
        policy_upkeep.one_way_out,
    ),
    on_stack(
        Rule(
            "on-demand-in-active-pool",
            "The pool that carries production's requests has On-Demand Instances",
            "AWS can take all Spot Instances of a kind back within two minutes",
            "write a turnout:pool.on_demand_base of 1 or more",
            Severity.MEDIUM,
            ADVISORY,
            Scope.PRODUCTION,
        ),
        policy_nodes.spot_only,
    ),
    on_stack(
        Rule(
            "warm-pool-for-slow-models",
            "A pool of large GPUs has a warm pool",
            "a new instance loads its model for minutes while requests wait",
            "write turnout:pool.warm_pool",
            Severity.LOW,
            ADVISORY,
            Scope.NOT_REHEARSALS,
            number("gpu_memory_gib", 80, "GiB of GPU memory of an instance, from which a model counts as slow to load"),
        ),
        policy_nodes.slow_without_warm_pool,
    ),
    on_stack(
        Rule(
            "standby-retained",
            "The standby is kept for an hour or longer after a flip",
            "what shows late is then too late for a rollback in one call",
            "write a longer turnout:traffic.standby.retain_for",
            Severity.LOW,
            ADVISORY,
            Scope.NOT_REHEARSALS,
            number("seconds", 3600, "Seconds"),
        ),
        policy_upkeep.retained,
    ),
    on_stack(
        Rule(
            "secret-rotation",
            "Each secret is rotated",
            "one that never changes is known to everybody who ever read it",
            "give a function in turnout:secrets.rotation",
            Severity.LOW,
            ADVISORY,
            Scope.NOT_REHEARSALS,
        ),
        policy_identity.rotated,
    ),
]
