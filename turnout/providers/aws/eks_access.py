"""Who may do what in an EKS cluster, and as which role pods call AWS (terraform-provider-aws internal/service/eks:
access_entry.go, access_policy_association.go, pod_identity_association.go)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import Fault, NotFound, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.base import AwsType, Deadline, changed
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.eks_base import NAME, NAME_MEANING, EksType, send

_STANDARD = "STANDARD"
_TYPES = {_STANDARD, "EC2", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX", "HYPERPOD_LINUX"}
_PRINCIPAL = r"arn:[\w-]+:(iam|sts)::\d{12}:.+"
_ROLE = r"arn:[\w-]+:iam::\d{12}:role/.+"
_POLICY = r"arn:[\w-]+:eks::aws:cluster-access-policy/\w+"
_RESERVED = ("system:", "eks:", "aws:", "amazon:", "iam:")


def _cluster(inputs: Properties, source: str) -> list[Fault]:
    return rules.required(inputs, "clusterName") + rules.matches(inputs, "clusterName", NAME, NAME_MEANING, source)


class AccessEntry(EksType):
    """aws_eks_access_entry; the id is `<cluster>:<principal>`. A principal has one, so the old one goes first."""

    token = "aws:eks/accessEntry:AccessEntry"
    inputs = frozenset({"clusterName", "principalArn", "kubernetesGroups", "type", "userName", "tags"})
    replace_on = frozenset({"clusterName", "principalArn", "type"})
    delete_before_replace = True
    defaults: ClassVar[Mapping[str, Any]] = {"type": _STANDARD}
    arn_member = "accessEntryArn"

    def check(self, inputs: Properties) -> list[Fault]:
        """ "Create access entries" (Amazon EKS User Guide)."""
        faults = [*_cluster(inputs, "CreateAccessEntry"), *rules.required(inputs, "principalArn")]
        faults += rules.matches(inputs, "principalArn", _PRINCIPAL, "it is no role or user", "CreateAccessEntry")
        faults += rules.one_of(inputs, "type", _TYPES, "CreateAccessEntry")
        kind = inputs.get("type") or _STANDARD
        for name in ("kubernetesGroups", "userName"):
            if isinstance(kind, str) and kind != _STANDARD and inputs.get(name):
                faults.append(Fault(name, f"goes with the type {_STANDARD} only, not with {kind} (Create access entries)"))
        groups = inputs.get("kubernetesGroups")
        names = [("userName", inputs.get("userName"))]
        names += [("kubernetesGroups", group) for group in groups] if isinstance(groups, list) else []
        faults += [
            Fault(where, f"{name!r} begins with one of {', '.join(_RESERVED)} (Create access entries)")
            for where, name in names
            if isinstance(name, str) and name.startswith(_RESERVED)
        ]
        if isinstance(inputs.get("principalArn"), str) and ":role/aws-service-role/" in inputs["principalArn"]:
            faults.append(Fault("principalArn", "is a service-linked role, which gets no entry (Create access entries)"))
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        send(
            cloud,
            "create_access_entry",
            clusterName=inputs["clusterName"],
            principalArn=inputs["principalArn"],
            kubernetesGroups=inputs.get("kubernetesGroups"),
            username=inputs.get("userName"),
            type=inputs.get("type") or _STANDARD,
            tags=dict(tags),
        )
        return f"{inputs['clusterName']}:{inputs['principalArn']}"

    def described(self, cloud: Cloud, id: str, inputs: Properties) -> Mapping[str, Any]:
        cluster, principal = id.split(":", 1)
        return dict(cloud.call("eks", "describe_access_entry", clusterName=cluster, principalArn=principal)["accessEntry"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """resourceAccessEntryUpdate sends both; an attribute that the program leaves out is the last one known."""
        if not old or not changed(old, new, "kubernetesGroups", "userName"):
            return
        live, (cluster, principal) = self.described(cloud, id, new), id.split(":", 1)
        groups, name = new.get("kubernetesGroups"), new.get("userName")
        send(
            cloud,
            "update_access_entry",
            clusterName=cluster,
            principalArn=principal,
            kubernetesGroups=live["kubernetesGroups"] if groups is None else groups,
            username=live["username"] if name is None else name,
        )

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = self.described(cloud, id, inputs)
        return {
            "clusterName": found["clusterName"],
            "principalArn": found["principalArn"],
            "kubernetesGroups": list(found.get("kubernetesGroups") or []),
            "type": found["type"],
            "userName": found["username"],
            "accessEntryArn": found["accessEntryArn"],
            "createdAt": found["createdAt"].isoformat(),
            "tagsAll": dict(found.get("tags") or {}),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        return self.found_by_tag(cloud, f"{inputs['clusterName']}:{inputs['principalArn']}", inputs, token)

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        cluster, principal = id.split(":", 1)
        cloud.call("eks", "delete_access_entry", clusterName=cluster, principalArn=principal)


class AccessPolicyAssociation(AwsType):
    """aws_eks_access_policy_association; the id is `<cluster>#<principal>#<policy>`. Everything replaces it, the old one first:
    a new scope is put on the same association, and what was deleted after it would be both."""

    token = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
    inputs = frozenset({"clusterName", "principalArn", "policyArn", "accessScope"})
    replace_on = inputs
    delete_before_replace = True

    def check(self, inputs: Properties) -> list[Fault]:
        """ "AssociateAccessPolicy" (Amazon EKS API Reference), "AccessScope"."""
        faults = [
            *_cluster(inputs, "AssociateAccessPolicy"),
            *rules.required(inputs, "principalArn", "policyArn", "accessScope"),
        ]
        faults += rules.matches(inputs, "policyArn", _POLICY, "it is no access policy", "AssociateAccessPolicy")
        faults += rules.one_of(inputs, "accessScope.type", {"cluster", "namespace"}, "AccessScope")
        kind, spaces = rules.at(inputs, "accessScope.type"), rules.at(inputs, "accessScope.namespaces")
        if kind == "namespace" and spaces in (None, []):
            faults.append(Fault("accessScope.namespaces", "are required with the type namespace (AccessScope)"))
        if kind == "cluster" and spaces:
            faults.append(Fault("accessScope.namespaces", "go with the type namespace only (AccessScope)"))
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        send(cloud, "associate_access_policy", **{name: inputs[name] for name in self.inputs})
        return "#".join((inputs["clusterName"], inputs["principalArn"], inputs["policyArn"]))

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        cluster, principal, policy = id.split("#", 2)
        found = cloud.pages(
            "eks",
            "list_associated_access_policies",
            "associatedAccessPolicies",
            clusterName=cluster,
            principalArn=principal,
        )
        held = next((one for one in found if one["policyArn"] == policy), None)
        if held is None:
            return None
        scope = {"type": held["accessScope"]["type"], "namespaces": list(held["accessScope"].get("namespaces") or [])}
        return {
            "clusterName": cluster,
            "principalArn": principal,
            "policyArn": policy,
            "accessScope": scope,
            "associatedAt": held["associatedAt"].isoformat(),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        id = "#".join((inputs["clusterName"], inputs["principalArn"], inputs["policyArn"]))
        return id if self.look(cloud, id, inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        cluster, principal, policy = id.split("#", 2)
        names = {"clusterName": cluster, "principalArn": principal, "policyArn": policy}
        cloud.call("eks", "disassociate_access_policy", **names)


class PodIdentityAssociation(EksType):
    """aws_eks_pod_identity_association; the id is the association's, which is found with its cluster's name only."""

    token = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
    inputs = frozenset(
        {"clusterName", "namespace", "serviceAccount", "roleArn", "targetRoleArn", "disableSessionTags", "policy", "tags"}
    )
    replace_on = frozenset({"clusterName", "namespace", "serviceAccount"})
    documents = frozenset({"policy"})
    defaults: ClassVar[Mapping[str, Any]] = {"disableSessionTags": False, "targetRoleArn": None, "policy": None}
    volatile = frozenset({"externalId"})
    arn_member = "associationArn"

    def check(self, inputs: Properties) -> list[Fault]:
        """ "CreatePodIdentityAssociation" (Amazon EKS API Reference)."""
        source = "CreatePodIdentityAssociation"
        faults = [*_cluster(inputs, source), *rules.required(inputs, "namespace", "serviceAccount", "roleArn")]
        for name in ("roleArn", "targetRoleArn"):
            faults += rules.matches(inputs, name, _ROLE, "it is no role", source)
        faults += rules.document(inputs, "policy", source)
        if inputs.get("policy") and inputs.get("disableSessionTags") in (None, False):
            faults.append(Fault("policy", f"needs disableSessionTags true ({source})"))
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        given = {name: inputs.get(name) for name in self.inputs - {"tags"}}
        made = send(cloud, "create_pod_identity_association", **given, tags=dict(tags))
        return str(made["association"]["associationId"])

    def described(self, cloud: Cloud, id: str, inputs: Properties) -> Mapping[str, Any]:
        of = {"clusterName": inputs["clusterName"], "associationId": id}
        return dict(cloud.call("eks", "describe_pod_identity_association", **of)["association"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        names = ("roleArn", "targetRoleArn", "disableSessionTags", "policy")
        if old and changed(old, new, *names):
            given = {name: new.get(name) or ("" if name != "disableSessionTags" else False) for name in names}
            send(cloud, "update_pod_identity_association", clusterName=new["clusterName"], associationId=id, **given)

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = self.described(cloud, id, inputs)
        return {
            **{name: found.get(name) for name in ("clusterName", "namespace", "serviceAccount", "roleArn", "targetRoleArn")},
            "policy": found.get("policy"),
            "disableSessionTags": bool(found.get("disableSessionTags")),
            "associationArn": found["associationArn"],
            "associationId": found["associationId"],
            "externalId": found.get("externalId") or "",
            "tagsAll": dict(found.get("tags") or {}),
        }

    def _arn(self, cloud: Cloud, id: str) -> str:
        """Its id does not tell the cluster, by whose name alone EKS finds it."""
        for cluster in cloud.call("eks", "list_clusters")["clusters"]:
            for one in cloud.call("eks", "list_pod_identity_associations", clusterName=cluster)["associations"]:
                if one["associationId"] == id:
                    return str(one["associationArn"])
        raise NotFound(f"pod identity association {id} is gone")

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        of = {name: inputs[name] for name in ("clusterName", "namespace", "serviceAccount")}
        found = cloud.pages("eks", "list_pod_identity_associations", "associations", **of)
        return self.found_by_tag(cloud, str(found[0]["associationId"]), inputs, token) if found else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        of = {"clusterName": inputs["clusterName"], "associationId": id}
        cloud.call("eks", "delete_pod_identity_association", **of)


TYPES = (AccessEntry(), AccessPolicyAssociation(), PodIdentityAssociation())
