"""All policies of the pack, in the order of docs/policies.md."""

from pulumi_policy import Policy

from policies import (
    advice,
    alarms,
    clusters,
    encryption,
    exposure,
    identity,
    images,
    limits,
    nodes,
    pods,
    protection,
    scaling,
    tags,
    traffic,
)

_CONCERNS = (
    traffic,
    nodes,
    pods,
    clusters,
    images,
    encryption,
    exposure,
    identity,
    tags,
    alarms,
    limits,
    scaling,
    protection,
    advice,
)
POLICIES: list[Policy] = [policy for concern in _CONCERNS for policy in concern.POLICIES]
