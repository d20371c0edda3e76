"""The role of an environment's pods on EKS, as documents: who takes it on, and that it reads its own model and secrets only."""

from collections.abc import Mapping
from typing import Any

from turnout_components import node_policy

_NOTHING = {"Sid": "NeedsNothing", "Effect": "Deny", "Action": "*", "Resource": "*"}
"""A policy has a statement ("IAM JSON policy elements: Statement", IAM User Guide): pods whose model is in their image."""


def trust(cluster: str, namespace: str, account: str) -> dict[str, Any]:
    """Only pods of this service account in this namespace of this cluster take the role on ("Create IAM role with trust policy
    required by EKS Pod Identity", Amazon EKS User Guide; the tags: "Grant Pods access to AWS resources based on tags")."""
    tags = {"eks-cluster-name": cluster, "kubernetes-namespace": namespace, "kubernetes-service-account": account}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {"StringEquals": {f"aws:RequestTag/{tag}": value for tag, value in tags.items()}},
            }
        ],
    }


def policy(release: Mapping[str, Any], identity: Mapping[str, Any], own_secrets: str) -> dict[str, Any]:
    """What the role may do. `identity` holds the plain values of `IdentityArgs`, `own_secrets` what the names of the
    environment's secrets begin with.

    Images are pulled by the node's role. Raises `ValueError` for a model in another bucket."""
    region = identity["region"]
    references = list((identity.get("secrets") or {}).values())
    statements = [
        *node_policy.model(release["model"]["uri"], region, identity.get("artifact_buckets")),
        *node_policy.secrets(references, region, identity.get("secrets_key_arn"), own_secrets),
    ]
    return {"Version": "2012-10-17", "Statement": statements or [_NOTHING]}
