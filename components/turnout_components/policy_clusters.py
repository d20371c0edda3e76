"""Who reaches an EKS cluster's API server, who administers it, and whether that is written down. Pure checks."""

from collections.abc import Iterator, Mapping
from typing import Any

from turnout_components.checks import Fault
from turnout_components.eks_rules import LOG_TYPES
from turnout_components.policy_exposure import is_internet
from turnout_components.policy_resources import UNKNOWN, Found, Resource, Undecided, at, each

CLUSTER = "aws:eks/cluster:Cluster"
_NETWORK = "vpcConfig"


def private(resource: Resource, _: Mapping[str, Any]) -> Found:
    """ "Cluster API server endpoint" (Amazon EKS User Guide): nodes take the private way; the public one is for networks that
    are named. "Grant IAM users access to Kubernetes with EKS access entries": entries, of which the creator's is none."""
    network = resource.get(_NETWORK)
    if network is UNKNOWN:
        yield Undecided(_NETWORK)
        return
    yield from _ways(network)
    access = "accessConfig"
    mode, creator = (at(resource.get(access), key) for key in ("authenticationMode", "bootstrapClusterCreatorAdminPermissions"))
    if UNKNOWN in (mode, creator):
        yield Undecided(access)
        return
    if mode != "API":
        yield Fault(f"{access}.authenticationMode", mode, "lets a ConfigMap grant rights", 'write "API"')
    if creator is not False:
        path = f"{access}.bootstrapClusterCreatorAdminPermissions"
        yield Fault(path, creator, "makes whoever creates the cluster its administrator", "write false, and access entries")


def _ways(network: Any) -> Iterator[Fault | Undecided]:
    inside, outside = at(network, "endpointPrivateAccess"), at(network, "endpointPublicAccess")
    if UNKNOWN in (inside, outside):
        yield Undecided(f"{_NETWORK}.endpointPublicAccess")
        return
    if inside is not True:
        reason = "sends the nodes' own traffic over the internet"
        yield Fault(f"{_NETWORK}.endpointPrivateAccess", inside, reason, f"write {_NETWORK}.endpointPrivateAccess true")
    if outside is False:
        return
    path = f"{_NETWORK}.publicAccessCidrs"
    blocks = at(network, "publicAccessCidrs")
    if blocks is UNKNOWN or UNKNOWN in each(blocks):
        yield Undecided(path)
    elif not each(blocks) or any(is_internet(block) for block in each(blocks)):
        fix = "write endpointPublicAccess false, or the networks that manage the cluster"
        yield Fault(path, blocks, "opens the API server to the internet", fix)


def logged(resource: Resource, _: Mapping[str, Any]) -> Found:
    """ "Send control plane logs to CloudWatch Logs" (Amazon EKS User Guide): none is written unless it is asked for."""
    held = resource.get("enabledClusterLogTypes")
    if held is UNKNOWN or UNKNOWN in each(held):
        yield Undecided("enabledClusterLogTypes")
        return
    missing = [kind for kind in LOG_TYPES if kind not in each(held)]
    if missing:
        yield Fault("enabledClusterLogTypes", held, f"leave out {', '.join(missing)}", f"write {', '.join(LOG_TYPES)}")
