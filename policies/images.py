"""Policies on container images."""

from pulumi_policy import Severity
from turnout_components import policy_nodes

from policies.making import Rule, on_resources

POLICIES = [
    on_resources(
        Rule(
            "images-by-digest",
            "Container images are named by digest",
            "a tag can be moved, so a restart could run what no gate has seen",
            "name it by its digest (image@sha256:…) in the release's manifest",
            Severity.HIGH,
        ),
        policy_nodes.RUNS_IMAGES,
        policy_nodes.images_by_digest,
    ),
]
