"""The nodes as a Prometheus finds them (`http_sd_configs`): the labels that `ec2_sd_configs` has of an instance's tags.

Sources: "Writing HTTP Service Discovery" and "Configuration" (ec2_sd_config), Prometheus documentation.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from moto.ec2.models import ec2_backends

from turnout.cloud.envoy_config import Address
from turnout.cloud.moto_state import ACCOUNT, api_lock

PATH = "/_turnout/prometheus/targets"
LABELS = {
    "service": "turnout:service",
    "stack": "turnout:stack",
    "environment": "turnout:environment",
    "group": "aws:autoscaling:groupName",
    "release": "turnout:release",
}
"""The tag of each label."""


def tags(instances: Iterable[str]) -> dict[str, dict[str, str]]:
    """The tags of each instance, whatever its region."""
    with api_lock:
        held = [backend.tags for _, backend in ec2_backends[ACCOUNT].items()]
        return {name: {key: value for each in held for key, value in each.get(name, {}).items()} for name in instances}


def targets(addresses: Mapping[str, Address], tagged: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """The document: of each instance its server's address with the labels, and `instance`, its id. `addresses`: of those whose
    server runs. A release is its digest, as in a gate's `$release`; a tag that is not there is no label."""
    found = []
    for name, (host, port) in sorted(addresses.items()):
        own = tagged.get(name, {})
        labels = {label: own[tag] for label, tag in LABELS.items() if tag in own}
        if "release" in labels:
            labels["release"] = labels["release"].rpartition("@")[2]
        found.append({"targets": [f"{host}:{port}"], "labels": {**labels, "instance": name}})
    return found
