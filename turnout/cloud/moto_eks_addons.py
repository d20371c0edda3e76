"""Extends moto's EKS with add-ons. Those that run as Deployments are DEGRADED while no node takes their pods.

Sources: Amazon EKS API Reference, "CreateAddon", "UpdateAddon", "DeleteAddon", "DescribeAddonVersions"; Amazon EKS User Guide,
"Available Amazon EKS add-ons from AWS", "IAM roles for Amazon EKS add-ons". Versions are made up: each add-on has one.
"""

import json
import re

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.eks.models import Cluster, Nodegroup
from moto.eks.responses import EKSResponse
from moto.moto_api._internal import mock_random

from turnout.cloud.moto_eks_access import associate
from turnout.cloud.moto_eks_state import Members, arn, body, cluster_of, in_use, invalid, missing, parameter, parts_of, updated

NAMESPACES = {
    "vpc-cni": "kube-system",
    "kube-proxy": "kube-system",
    "coredns": "kube-system",
    "eks-pod-identity-agent": "kube-system",
    "eks-node-monitoring-agent": "kube-system",
    "metrics-server": "kube-system",
    "aws-ebs-csi-driver": "kube-system",
    "aws-efs-csi-driver": "kube-system",
    "snapshot-controller": "kube-system",
}
"""Add-ons that there are, and where they run."""
DEPLOYMENTS = ("coredns", "metrics-server", "aws-ebs-csi-driver", "aws-efs-csi-driver", "snapshot-controller")
"""Those that need a node without taints; the others are DaemonSets, whole on no node at all."""
DEFAULT = "v1.20.0-eksbuild.1"
_VERSION = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")


def extend_addons() -> None:
    """Lets the API answer these calls."""
    for method in (create_addon, describe_addon, list_addons, update_addon, delete_addon, describe_addon_versions):
        setattr(EKSResponse, method.__name__, method)


def create_addon(self: EKSResponse) -> ActionResult:
    """ "CreateAddon"."""
    cluster, given = cluster_of(self), body(self)
    name, held = str(given["addonName"]), parts_of(cluster).addons
    if name not in NAMESPACES:
        raise invalid(f"Addon {name} specified is not supported")
    if name in held:
        raise in_use("Addon already exists.")
    _check(given)
    made = {
        "addonName": name,
        "clusterName": cluster.name,
        "addonVersion": given.get("addonVersion") or DEFAULT,
        "addonArn": arn(self, "addon", cluster.name, name, str(mock_random.uuid4())),
        "createdAt": utcnow(),
        "modifiedAt": utcnow(),
        "serviceAccountRoleArn": given.get("serviceAccountRoleArn"),
        "tags": dict(given.get("tags") or {}),
        "configurationValues": given.get("configurationValues"),
        "namespaceConfig": {"namespace": NAMESPACES[name]},
    }
    made["podIdentityAssociations"] = _identities(self, made, given.get("podIdentityAssociations") or [])
    held[name] = made
    return ActionResult({"addon": _told(cluster, made)})


def _check(given: Members) -> None:
    if given.get("addonVersion") and not _VERSION.fullmatch(given["addonVersion"]):
        raise invalid("Addon version specified is not supported")
    if given.get("configurationValues"):
        try:
            json.loads(given["configurationValues"])
        except ValueError:
            raise invalid("ConfigurationValue provided in request is not supported: it is no JSON") from None


def _identities(self: EKSResponse, addon: Members, wanted: list[Members]) -> list[str]:
    """The associations of an add-on's service accounts, by ARN; those that it had before go."""
    held = parts_of(cluster_of(self)).identities
    for id in [id for id, one in held.items() if one["ownerArn"] == addon["addonArn"]]:
        del held[id]
    spaces = {"namespace": NAMESPACES[addon["addonName"]]}
    return [associate(self, {**spaces, **one}, addon["addonArn"])["associationArn"] for one in wanted]


def _told(cluster: Cluster, addon: Members) -> Members:
    """With the status that it has now."""
    nodes = any(_takes_pods(group) for group in cluster.nodegroups.values())
    if addon["addonName"] in DEPLOYMENTS and not nodes:
        issue = {"code": "InsufficientNumberOfReplicas", "message": "The add-on is unhealthy because it has no replicas."}
        return {**addon, "status": "DEGRADED", "health": {"issues": [issue]}}
    return {**addon, "status": "ACTIVE", "health": {"issues": []}}


def _takes_pods(group: Nodegroup) -> bool:
    """Whether the group has nodes that take what tolerates no taint."""
    closed = any(taint["effect"] != "PREFER_NO_SCHEDULE" for taint in group.taints or ())
    return not closed and bool(group.scaling_config.get("desiredSize"))


def _addon(self: EKSResponse) -> Members:
    found = parts_of(cluster_of(self)).addons.get(parameter(self, "addonName"))
    if found is None:
        raise missing(f"No addon: {parameter(self, 'addonName')} found in cluster: {cluster_of(self).name}")
    return found


def describe_addon(self: EKSResponse) -> ActionResult:
    """ "DescribeAddon"."""
    return ActionResult({"addon": _told(cluster_of(self), _addon(self))})


def list_addons(self: EKSResponse) -> ActionResult:
    """ "ListAddons", on one page."""
    return ActionResult({"addons": sorted(parts_of(cluster_of(self)).addons)})


def update_addon(self: EKSResponse) -> ActionResult:
    """ "UpdateAddon": what is left out stays; an empty role and an empty list of associations take them away."""
    addon, given = _addon(self), body(self)
    _check(given)
    for name in ("addonVersion", "serviceAccountRoleArn", "configurationValues"):
        if name in given:
            addon[name] = given[name] or None
    if "podIdentityAssociations" in given:
        addon["podIdentityAssociations"] = _identities(self, addon, given["podIdentityAssociations"])
    addon["modifiedAt"] = utcnow()
    return ActionResult({"update": updated(self, "AddonUpdate", given)})


def delete_addon(self: EKSResponse) -> ActionResult:
    """ "DeleteAddon", with its associations."""
    addon = _addon(self)
    _identities(self, addon, [])
    return ActionResult({"addon": {**parts_of(cluster_of(self)).addons.pop(addon["addonName"]), "status": "DELETING"}})


def describe_addon_versions(self: EKSResponse) -> ActionResult:
    """ "DescribeAddonVersions": one of each add-on."""
    wanted = parameter(self, "addonName")
    found = [
        {"addonName": name, "owner": "aws", "publisher": "eks", "addonVersions": [{"addonVersion": DEFAULT}]}
        for name in NAMESPACES
        if wanted in ("", name)
    ]
    return ActionResult({"addons": found})
