"""Extends moto's EKS clusters: what DescribeCluster tells, updates one at a time and versions, and what AWS refuses.

Sources: Amazon EKS API Reference, "CreateCluster", "UpdateClusterConfig", "UpdateClusterVersion", "AssociateEncryptionConfig",
"DescribeUpdate", "DeleteCluster"; Amazon EKS User Guide, "View Amazon EKS networking requirements for VPC and subnets",
"Cluster API server endpoint", "Protect EKS clusters from accidental deletion", "Update existing cluster to new Kubernetes
version", "Change authentication mode to use access entries". A cluster is ACTIVE at once, and no API server stands behind it.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import InvalidSubnetIdError
from moto.ec2.models import ec2_backends
from moto.eks import urls
from moto.eks.models import Cluster, EKSBackend
from moto.eks.responses import EKSResponse

from turnout.cloud.moto_eks_state import (
    body,
    cluster_of,
    invalid,
    need_role,
    not_possible,
    parameter,
    parts_of,
    tagged,
    updated,
)

VERSION = "1.34"
"""Of a cluster that names none; AWS takes the newest that it has."""
_KEPT = ("accessConfig", "upgradePolicy", "zonalShiftConfig", "deletionProtection", "encryptionConfig")
_UPDATES = {
    "resourcesVpcConfig": "VpcConfigUpdate",
    "logging": "LoggingUpdate",
    "accessConfig": "AccessConfigUpdate",
    "upgradePolicy": "UpgradePolicyUpdate",
    "zonalShiftConfig": "ZonalShiftConfigUpdate",
    "deletionProtection": "DeletionProtectionUpdate",
}
_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")
"""Authentication modes in the only order in which they can follow each other."""
_NAME = re.compile(r"[0-9A-Za-z][A-Za-z0-9\-_]{0,99}")
_ENDPOINT = ("endpointPrivateAccess", "endpointPublicAccess", "publicAccessCidrs")


def extend_clusters() -> None:
    """Lets the API answer these calls."""
    urls.url_paths["{0}/clusters/(?P<name>[^/]+)/(?P<rest>.+)$"] = urls.response.dispatch
    for method in (_create_cluster(), _delete_cluster(), update_cluster_config, update_cluster_version):
        setattr(EKSResponse, method.__name__, method)
    for method in (associate_encryption_config, describe_update, tag_resource, untag_resource, list_tags_for_resource):
        setattr(EKSResponse, method.__name__, method)


def _create_cluster() -> Any:
    create = EKSResponse.create_cluster

    def create_cluster(self: EKSResponse) -> ActionResult:
        """ "CreateCluster"."""
        given = body(self)
        if not _NAME.fullmatch(str(given.get("name"))):
            raise invalid("The cluster name has 1 to 100 letters, digits, - and _, and begins with a letter or digit")
        need_role(self, given["roleArn"])
        network = _network(self, given["resourcesVpcConfig"])
        backend: EKSBackend = self.eks_backend
        result = create(self)
        cluster: Cluster = backend.clusters[given["name"]]
        cluster.version = given.get("version") or VERSION
        cluster.resources_vpc_config = {**network, "clusterSecurityGroupId": _security_group(self, cluster, network["vpcId"])}
        cluster.logging = _logging(given.get("logging") or {}, ())
        service = {"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4"}
        cluster.kubernetes_network_config = {**service, **(given.get("kubernetesNetworkConfig") or {})}
        access = {"authenticationMode": "CONFIG_MAP", **(given.get("accessConfig") or {})}
        cluster.access_config = {"authenticationMode": access["authenticationMode"]}  # type: ignore[attr-defined]
        cluster.upgrade_policy = given.get("upgradePolicy") or {"supportType": "EXTENDED"}  # type: ignore[attr-defined]
        cluster.zonal_shift_config = given.get("zonalShiftConfig") or {"enabled": False}  # type: ignore[attr-defined]
        cluster.deletion_protection = bool(given.get("deletionProtection"))  # type: ignore[attr-defined]
        cluster.platformVersion = "eks.1"
        return result

    return create_cluster


def _network(self: EKSResponse, given: Mapping[str, Any]) -> dict[str, Any]:
    """What "Cluster API server endpoint" and the networking requirements demand; with AWS's defaults, and the subnets' VPC."""
    subnets = list(given.get("subnetIds") or ())
    vpcs, zones = _places(self, subnets)
    if len(vpcs) != 1 or len(zones) < 2:
        raise invalid("Subnets specified must be in at least two different AZs of one VPC")
    private, public = bool(given.get("endpointPrivateAccess", False)), bool(given.get("endpointPublicAccess", True))
    if not (private or public):
        raise invalid("Private and public endpoint access cannot be false")
    return {
        "subnetIds": subnets,
        "securityGroupIds": list(given.get("securityGroupIds") or ()),
        "vpcId": next(iter(vpcs)),
        "endpointPrivateAccess": private,
        "endpointPublicAccess": public,
        "publicAccessCidrs": list(given.get("publicAccessCidrs") or (["0.0.0.0/0"] if public else [])),
    }


def _places(self: EKSResponse, subnets: list[str]) -> tuple[set[str], set[str]]:
    ec2 = ec2_backends[self.current_account][self.region]
    try:
        found = [ec2.get_subnet(subnet) for subnet in subnets]
    except InvalidSubnetIdError:
        raise invalid(f"The subnet IDs {subnets} do not all exist") from None
    return {one.vpc_id for one in found}, {one.availability_zone for one in found}


def _security_group(self: EKSResponse, cluster: Cluster, vpc: str) -> str:
    """The cluster security group that EKS makes ("View Amazon EKS security group requirements for clusters")."""
    ec2 = ec2_backends[self.current_account][self.region]
    name, known = f"eks-cluster-sg-{cluster.name}-{len(ec2.groups)}", {f"kubernetes.io/cluster/{cluster.name}": "owned"}
    group = ec2.create_security_group(name, f"EKS created security group of the cluster {cluster.name}", vpc, known)
    return str(group.id)


def _logging(given: Mapping[str, Any], before: tuple[str, ...]) -> dict[str, Any]:
    """As DescribeCluster tells it: the types that are on, and those that are off."""
    on = set(before)
    for one in given.get("clusterLogging") or ():
        unknown = set(one.get("types") or ()) - set(_LOGS)
        if unknown:
            raise invalid(f"Unknown log types {sorted(unknown)}")
        on = on | set(one["types"]) if one.get("enabled") else on - set(one["types"])
    parts = ((True, sorted(on)), (False, sorted(set(_LOGS) - on)))
    return {"clusterLogging": [{"types": types, "enabled": enabled} for enabled, types in parts if types]}


def _delete_cluster() -> Any:
    delete = EKSResponse.delete_cluster

    def delete_cluster(self: EKSResponse) -> ActionResult:
        """ "DeleteCluster"; "Protect EKS clusters from accidental deletion"."""
        cluster = cluster_of(self)
        if getattr(cluster, "deletion_protection", False):
            raise not_possible(f"Cluster {cluster.name} has deletion protection enabled; disable it first")
        result = delete(self)
        parts_of(cluster).clear()
        ec2 = ec2_backends[self.current_account][self.region]
        ec2.delete_security_group(group_id=cluster.resources_vpc_config["clusterSecurityGroupId"])
        return result

    return delete_cluster


def update_cluster_config(self: EKSResponse) -> ActionResult:
    """ "UpdateClusterConfig": one kind of update at a time, and one that changes something."""
    cluster, given = cluster_of(self), body(self)
    wanted = [name for name in _UPDATES if given.get(name) is not None]
    if len(wanted) != 1:
        raise invalid("Only one type of update can be allowed.")
    (kind,) = wanted
    before = json.dumps(_described(cluster, kind), sort_keys=True)
    {"resourcesVpcConfig": _change_network, "logging": _change_logs}.get(kind, _change)(self, cluster, kind, given[kind])
    if json.dumps(_described(cluster, kind), sort_keys=True) == before:
        raise invalid(f"Cluster is already at the desired configuration: no changes needed for the {kind} provided")
    return ActionResult({"update": updated(self, _UPDATES[kind], given[kind])})


def _described(cluster: Cluster, kind: str) -> Any:
    return getattr(cluster, re.sub(r"(?=[A-Z])", "_", kind).lower())


def _change_network(self: EKSResponse, cluster: Cluster, _: str, given: Mapping[str, Any]) -> None:
    parts = [any(name in given for name in _ENDPOINT), "subnetIds" in given, "securityGroupIds" in given]
    if sum(parts) != 1:
        raise invalid("Only one type of update can be allowed.")
    held = cluster.resources_vpc_config
    if "subnetIds" in given and _places(self, list(given["subnetIds"]))[0] != {held["vpcId"]}:
        raise invalid("Subnets must be in the VPC that the cluster was created in")
    merged = {**held, **given}
    if not merged["endpointPublicAccess"]:
        merged["publicAccessCidrs"] = []
    cluster.resources_vpc_config = {**_network(self, merged), "clusterSecurityGroupId": held["clusterSecurityGroupId"]}


def _change_logs(_self: EKSResponse, cluster: Cluster, _: str, given: Mapping[str, Any]) -> None:
    on: list[Any] = [one["types"] for one in cluster.logging["clusterLogging"] if one["enabled"]]
    cluster.logging = _logging(given, tuple(str(kind) for kind in on[0]) if on else ())


def _change(_self: EKSResponse, cluster: Cluster, kind: str, given: Any) -> None:
    if kind == "accessConfig":
        before, after = _described(cluster, kind)["authenticationMode"], given["authenticationMode"]
        if _MODES.index(after) < _MODES.index(before):
            raise invalid(f"Unsupported authentication mode update from {before} to {after}")
        given = {"authenticationMode": after}
    setattr(cluster, re.sub(r"(?=[A-Z])", "_", kind).lower(), given)


def update_cluster_version(self: EKSResponse) -> ActionResult:
    """ "UpdateClusterVersion": the next minor version, and none that a node group is more than three behind ("Version Skew
    Policy", Kubernetes)."""
    cluster, wanted = cluster_of(self), str(body(self)["version"])
    before, after = _minor(cluster.version), _minor(wanted)
    if after == before:
        raise invalid(f"Cluster is already at version {wanted}")
    if after != before + 1:
        raise invalid(f"Unsupported Kubernetes minor version update from {cluster.version} to {wanted}")
    behind = [group.nodegroup_name for group in cluster.nodegroups.values() if after - _minor(group.version) > 3]
    if behind:
        raise invalid(f"Kubelet version of node groups {', '.join(behind)} must be updated before the cluster")
    cluster.version = wanted
    return ActionResult({"update": updated(self, "VersionUpdate", wanted)})


def _minor(version: str) -> int:
    return int(version.split(".")[1])


def associate_encryption_config(self: EKSResponse) -> ActionResult:
    """ "AssociateEncryptionConfig": once, and for ever."""
    cluster, given = cluster_of(self), body(self)["encryptionConfig"]
    if cluster.encryption_config:
        raise invalid("Encryption config is already associated with the cluster; it can be neither changed nor taken away")
    cluster.encryption_config = given
    return ActionResult({"update": updated(self, "AssociateEncryptionConfig", given)})


def describe_update(self: EKSResponse) -> ActionResult:
    """ "DescribeUpdate", of a cluster, node group or add-on."""
    found = parts_of(cluster_of(self)).updates.get(parameter(self, "updateId"))
    if found is None:
        raise not_possible("No update found for the given id")
    return ActionResult({"update": found})


def tag_resource(self: EKSResponse) -> ActionResult:
    """ "TagResource", of whatever EKS tags; moto knows clusters only."""
    tagged(self).update(body(self)["tags"])
    return ActionResult({})


def untag_resource(self: EKSResponse) -> ActionResult:
    """ "UntagResource"."""
    held = tagged(self)
    for key in self.querystring.get("tagKeys", []):
        held.pop(key, None)
    return ActionResult({})


def list_tags_for_resource(self: EKSResponse) -> ActionResult:
    """ "ListTagsForResource"."""
    return ActionResult({"tags": tagged(self)})
