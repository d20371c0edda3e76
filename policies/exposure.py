"""Policies on what the public reaches."""

from pulumi_policy import Severity
from turnout_components import policy_exposure

from policies.making import Rule, on_resources, on_stack

POLICIES = [
    on_resources(
        Rule(
            "no-public-bucket",
            "No bucket is public",
            "weights, data and archives of code would be anybody's",
            "block public access, and name principals in policies",
            Severity.CRITICAL,
        ),
        policy_exposure.OF_BUCKETS,
        policy_exposure.public_bucket,
    ),
    on_resources(
        Rule(
            "no-public-address",
            "No node has a public address",
            "it would be reachable beside its load balancer",
            "write associatePublicIpAddress false, and private subnets",
            Severity.HIGH,
        ),
        policy_exposure.WITH_ADDRESSES,
        policy_exposure.public_address,
    ),
    on_stack(
        Rule(
            "no-public-pool",
            "Nodes take requests from their load balancer only",
            "what goes around it meets no TLS, no weight and no firewall",
            "name the load balancer's security group in the rule",
            Severity.CRITICAL,
        ),
        policy_exposure.public_pool,
    ),
    on_stack(
        Rule(
            "no-public-test-listener",
            "The test listener is not open to the internet",
            "anybody would use a release that no gate has passed",
            "list the testers' networks in turnout:ingress.test_cidrs",
            Severity.HIGH,
        ),
        policy_exposure.public_test_listener,
    ),
]
