"""Extends moto's EKS with access entries, their access policies, and pod identity associations.

Sources: Amazon EKS API Reference, "CreateAccessEntry", "UpdateAccessEntry", "AssociateAccessPolicy",
"CreatePodIdentityAssociation", "UpdatePodIdentityAssociation"; Amazon EKS User Guide, "Create access entries", "Associate
access policies with access entries", "Review access policy permissions".
"""

from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.eks.responses import EKSResponse
from moto.moto_api._internal import mock_random

from turnout.cloud.moto_eks_state import (
    Members,
    arn,
    body,
    cluster_of,
    in_use,
    invalid,
    missing,
    need_role,
    not_possible,
    parameter,
    parts_of,
)

POLICIES = (
    *("AmazonEKSClusterAdminPolicy", "AmazonEKSAdminPolicy", "AmazonEKSEditPolicy", "AmazonEKSViewPolicy"),
    *("AmazonEKSAdminViewPolicy", "AmazonEKSSecretReaderPolicy", "AmazonEKSAutoNodePolicy", "AmazonEKSHybridPolicy"),
)
"""Of "Review access policy permissions", those that clusters here have a use for."""
_TYPES = ("STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX", "EC2", "HYPERPOD_LINUX")
_RESERVED = ("system:", "eks:", "aws:", "amazon:", "iam:")


def extend_access() -> None:
    """Lets the API answer these calls."""
    for method in (create_access_entry, describe_access_entry, update_access_entry, delete_access_entry, list_access_entries):
        setattr(EKSResponse, method.__name__, method)
    for method in (associate_access_policy, disassociate_access_policy, list_associated_access_policies):
        setattr(EKSResponse, method.__name__, method)
    for method in (
        create_pod_identity_association,
        describe_pod_identity_association,
        update_pod_identity_association,
        delete_pod_identity_association,
        list_pod_identity_associations,
    ):
        setattr(EKSResponse, method.__name__, method)


def create_access_entry(self: EKSResponse) -> ActionResult:
    """ "CreateAccessEntry": one a principal, in a cluster that knows entries."""
    cluster, given = cluster_of(self), body(self)
    if cluster.access_config["authenticationMode"] == "CONFIG_MAP":  # type: ignore[attr-defined]
        raise not_possible("The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP]")
    principal, kind = str(given["principalArn"]), given.get("type") or "STANDARD"
    parts = principal.split(":", 5)
    if len(parts) != 6 or parts[2] != "iam" or "/aws-service-role/" in principal:
        raise invalid("The specified principalArn is invalid: invalid principal")
    if kind not in _TYPES:
        raise invalid(f"The type {kind} is none of {', '.join(_TYPES)}")
    if kind != "STANDARD" and (given.get("username") or given.get("kubernetesGroups")):
        raise invalid(f"An access entry of type {kind} takes neither username nor Kubernetes groups")
    _check_names(given)
    held = parts_of(cluster).entries
    if principal in held:
        raise in_use("The specified access entry resource is already in use on this cluster.")
    entry = {
        "clusterName": cluster.name,
        "principalArn": principal,
        "kubernetesGroups": list(given.get("kubernetesGroups") or ()),
        "accessEntryArn": arn(self, "access-entry", cluster.name, *parts[5].split("/", 1), str(mock_random.uuid4())),
        "createdAt": utcnow(),
        "modifiedAt": utcnow(),
        "tags": dict(given.get("tags") or {}),
        "username": given.get("username") or _username(principal, kind),
        "type": kind,
    }
    held[principal] = entry
    return ActionResult({"accessEntry": entry})


def _username(principal: str, kind: str) -> str:
    if kind != "STANDARD":
        return "system:node:{{EC2PrivateDNSName}}" if kind.startswith("EC2") else "system:node:{{SessionName}}"
    if ":role/" not in principal:
        return principal
    head, path = principal.split(":role/", 1)
    return f"{head.replace(':iam:', ':sts:')}:assumed-role/{path.rsplit('/', 1)[-1]}/{{{{SessionName}}}}"


def _check_names(given: Members) -> None:
    name = str(given.get("username") or "")
    if name.startswith(_RESERVED):
        raise invalid(f"The username must not begin with {', '.join(_RESERVED)}")
    if any(str(group).startswith(_RESERVED) for group in given.get("kubernetesGroups") or ()):
        raise invalid(f"The kubernetes group name must not begin with {', '.join(_RESERVED)}")


def _entry(self: EKSResponse) -> Members:
    principal = parameter(self, "principalArn")
    found = parts_of(cluster_of(self)).entries.get(principal)
    if found is None:
        raise missing(f"The specified principalArn could not be found. You can view your available access entries: {principal}")
    return found


def describe_access_entry(self: EKSResponse) -> ActionResult:
    """ "DescribeAccessEntry"."""
    return ActionResult({"accessEntry": _entry(self)})


def list_access_entries(self: EKSResponse) -> ActionResult:
    """ "ListAccessEntries", on one page."""
    return ActionResult({"accessEntries": list(parts_of(cluster_of(self)).entries)})


def update_access_entry(self: EKSResponse) -> ActionResult:
    """ "UpdateAccessEntry"."""
    entry, given = _entry(self), body(self)
    if entry["type"] != "STANDARD":
        raise not_possible(f"An access entry of type {entry['type']} cannot be updated")
    _check_names(given)
    if "kubernetesGroups" in given:
        entry["kubernetesGroups"] = list(given["kubernetesGroups"])
    if "username" in given:
        entry["username"] = given["username"] or _username(entry["principalArn"], entry["type"])
    entry["modifiedAt"] = utcnow()
    return ActionResult({"accessEntry": entry})


def delete_access_entry(self: EKSResponse) -> ActionResult:
    """ "DeleteAccessEntry", with its policies."""
    entry, parts = _entry(self), parts_of(cluster_of(self))
    parts.policies.pop(entry["principalArn"], None)
    del parts.entries[entry["principalArn"]]
    return ActionResult({})


def associate_access_policy(self: EKSResponse) -> ActionResult:
    """ "AssociateAccessPolicy": of standard entries; a policy that is there takes the new scope."""
    entry, given = _entry(self), body(self)
    scope, policy = dict(given["accessScope"]), str(given["policyArn"])
    if entry["type"] != "STANDARD":
        raise not_possible(f"Access policies go with entries of type STANDARD, not {entry['type']}")
    if policy.rsplit("/", 1)[-1] not in POLICIES or ":eks::aws:cluster-access-policy/" not in policy:
        raise invalid(f"The policyArn parameter format is not valid or is no access policy: {policy}")
    if (scope.get("type") == "namespace") != bool(scope.get("namespaces")):
        raise invalid("Namespaces are given exactly for an access scope of type namespace")
    held = parts_of(cluster_of(self)).policies.setdefault(entry["principalArn"], {})
    scope["namespaces"] = list(scope.get("namespaces") or ())
    held[policy] = {"policyArn": policy, "accessScope": scope, "associatedAt": utcnow(), "modifiedAt": utcnow()}
    answer = {"clusterName": cluster_of(self).name, "principalArn": entry["principalArn"]}
    return ActionResult({**answer, "associatedAccessPolicy": held[policy]})


def disassociate_access_policy(self: EKSResponse) -> ActionResult:
    """ "DisassociateAccessPolicy"."""
    entry = _entry(self)
    held = parts_of(cluster_of(self)).policies.get(entry["principalArn"], {})
    if held.pop(parameter(self, "policyArn"), None) is None:
        raise missing("The specified policyArn is not associated with the access entry")
    return ActionResult({})


def list_associated_access_policies(self: EKSResponse) -> ActionResult:
    """ "ListAssociatedAccessPolicies", on one page."""
    entry = _entry(self)
    held = parts_of(cluster_of(self)).policies.get(entry["principalArn"], {})
    answer = {"clusterName": cluster_of(self).name, "principalArn": entry["principalArn"]}
    return ActionResult({**answer, "associatedAccessPolicies": list(held.values())})


def create_pod_identity_association(self: EKSResponse) -> ActionResult:
    """ "CreatePodIdentityAssociation"."""
    return ActionResult({"association": associate(self, body(self), None)})


def associate(self: EKSResponse, given: Members, owner: str | None) -> Members:
    """A new association; `owner` is the ARN of the add-on whose service account it is.

    Raises EKSError as the API does: one for a service account, whose role there is."""
    cluster = cluster_of(self)
    held = parts_of(cluster).identities
    account = (given["namespace"], given["serviceAccount"])
    if account in {(one["namespace"], one["serviceAccount"]) for one in held.values()}:
        raise in_use(f"Association already exists for the service account {'/'.join(account)} of the cluster")
    _check_identity(self, given)
    id = f"a-{mock_random.get_random_hex(17)}"
    held[id] = {
        "clusterName": cluster.name,
        **{name: given.get(name) for name in ("namespace", "serviceAccount", "roleArn", "targetRoleArn", "policy")},
        "disableSessionTags": bool(given.get("disableSessionTags")),
        "associationArn": arn(self, "podidentityassociation", cluster.name, id),
        "associationId": id,
        "tags": dict(given.get("tags") or {}),
        "createdAt": utcnow(),
        "modifiedAt": utcnow(),
        "ownerArn": owner,
        "externalId": f"{mock_random.get_random_hex(32)}" if given.get("targetRoleArn") else None,
    }
    return held[id]


def _check_identity(self: EKSResponse, given: Members) -> None:
    need_role(self, given["roleArn"])
    if given.get("policy") and not given.get("disableSessionTags"):
        raise invalid("A policy of an association needs disableSessionTags")


def _identity(self: EKSResponse) -> Members:
    found = parts_of(cluster_of(self)).identities.get(parameter(self, "associationId"))
    if found is None:
        raise missing(f"The association {parameter(self, 'associationId')} could not be found")
    return found


def describe_pod_identity_association(self: EKSResponse) -> ActionResult:
    """ "DescribePodIdentityAssociation"."""
    return ActionResult({"association": _identity(self)})


def list_pod_identity_associations(self: EKSResponse) -> ActionResult:
    """ "ListPodIdentityAssociations", on one page."""
    wanted = {name: parameter(self, name) for name in ("namespace", "serviceAccount")}
    held = parts_of(cluster_of(self)).identities.values()
    chosen = [one for one in held if all(value in ("", one[name]) for name, value in wanted.items())]
    return ActionResult({"associations": chosen})


def update_pod_identity_association(self: EKSResponse) -> ActionResult:
    """ "UpdatePodIdentityAssociation": what is left out stays; an empty role or policy takes it away."""
    held, given = _identity(self), body(self)
    names: tuple[Any, ...] = ("roleArn", "targetRoleArn", "policy", "disableSessionTags")
    wanted = {**held, **{name: given[name] or None for name in names if name in given}}
    _check_identity(self, wanted)
    held.update(wanted, disableSessionTags=bool(wanted["disableSessionTags"]), modifiedAt=utcnow())
    held["externalId"] = (held["externalId"] or mock_random.get_random_hex(32)) if held["targetRoleArn"] else None
    return ActionResult({"association": held})


def delete_pod_identity_association(self: EKSResponse) -> ActionResult:
    """ "DeletePodIdentityAssociation": an add-on's own goes with the add-on."""
    held = _identity(self)
    if held["ownerArn"]:
        raise not_possible(f"The association belongs to {held['ownerArn']}; change it there")
    return ActionResult({"association": parts_of(cluster_of(self)).identities.pop(held["associationId"])})
