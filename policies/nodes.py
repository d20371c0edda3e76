"""Policies on GPU nodes."""

from pulumi_policy import Severity
from turnout_components import policy_nodes

from policies.making import Rule, on_resources, text

POLICIES = [
    on_resources(
        Rule(
            "imdsv2",
            "Instances ask for a session before their metadata service answers (IMDSv2)",
            "a request that a server was tricked into would read the role's credentials",
            'write metadataOptions.httpTokens "required" in the launch template',
            Severity.HIGH,
        ),
        policy_nodes.INSTANCES,
        policy_nodes.imdsv2,
    ),
    on_resources(
        Rule(
            "gpu-nodes-marked",
            "GPU nodes carry their marks: taint and labels on Kubernetes, tags of their release on instances",
            "other work would take their room, and nobody would see what an instance runs",
            "add the taint and a label, or the tags that the message names",
            Severity.MEDIUM,
            parameters=text("taint", policy_nodes.TAINT, "Key of the taint, and beginning of the labels' keys"),
        ),
        policy_nodes.MARKED,
        policy_nodes.marked,
    ),
]
