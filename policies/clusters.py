"""Policies on EKS clusters."""

from pulumi_policy import Severity
from turnout_components import policy_clusters

from policies.making import Rule, on_resources

POLICIES = [
    on_resources(
        Rule(
            "private-cluster",
            "An EKS cluster's API server is private or open to named networks, and rights come from access entries",
            "anybody could try stolen credentials and faults of the API server, and who made the cluster would rule it unseen",
            "write vpcConfig and accessConfig as the message says, or compose an EksCluster",
            Severity.CRITICAL,
        ),
        (policy_clusters.CLUSTER,),
        policy_clusters.private,
    ),
    on_resources(
        Rule(
            "cluster-logs",
            "An EKS cluster writes all logs of its control plane",
            "nobody could tell afterwards who did what, or why pods were not placed",
            "list the log types that the message names, or compose an EksCluster",
            Severity.MEDIUM,
        ),
        (policy_clusters.CLUSTER,),
        policy_clusters.logged,
    ),
]
