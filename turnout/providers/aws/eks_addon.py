"""EKS add-on (terraform-provider-aws internal/service/eks/addon.go)."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import Fault, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.base import Deadline, changed
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.eks_base import NAME, NAME_MEANING, EksType, active, send, settle

SECONDS = 1200
"""As long as resourceAddon waits (schema.DefaultTimeout)."""
_VERSION = r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"


class Addon(EksType):
    """aws_eks_addon; the id is `<cluster>:<add-on>`. It is made when it is ACTIVE; DEGRADED is on the way there, as for one
    whose pods find no node yet (waitAddonCreated). Its service accounts get roles by pod identity, not by OIDC."""

    token = "aws:eks/addon:Addon"
    inputs = frozenset(
        {
            "addonName",
            "addonVersion",
            "clusterName",
            "configurationValues",
            "podIdentityAssociations",
            "preserve",
            "resolveConflictsOnCreate",
            "resolveConflictsOnUpdate",
            "tags",
        }
    )
    replace_on = frozenset({"addonName", "clusterName"})
    defaults: ClassVar[Mapping[str, Any]] = {"podIdentityAssociations": []}
    arn_member = "addonArn"

    def check(self, inputs: Properties) -> list[Fault]:
        """ "CreateAddon" (Amazon EKS API Reference), resourceAddon's schema."""
        faults = rules.required(inputs, "addonName", "clusterName")
        faults += rules.matches(inputs, "clusterName", NAME, NAME_MEANING, "CreateAddon")
        faults += rules.matches(inputs, "addonVersion", _VERSION, "v and a semantic version", "resourceAddon")
        faults += rules.one_of(inputs, "resolveConflictsOnCreate", {"NONE", "OVERWRITE"}, "resourceAddon")
        faults += rules.one_of(inputs, "resolveConflictsOnUpdate", {"NONE", "OVERWRITE", "PRESERVE"}, "resourceAddon")
        values = inputs.get("configurationValues")
        if isinstance(values, str) and values:
            try:
                json.loads(values)
            except ValueError as error:
                faults.append(Fault("configurationValues", f"is no JSON: {error} (CreateAddon)"))
        associations = inputs.get("podIdentityAssociations")
        for index, one in enumerate(associations if isinstance(associations, list) else []):
            for name in ("roleArn", "serviceAccount"):
                if isinstance(one, dict) and one.get(name) is None:
                    faults.append(Fault(f"podIdentityAssociations[{index}].{name}", "is required"))
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        send(
            cloud,
            "create_addon",
            **{name: inputs[name] for name in ("addonName", "clusterName")},
            **{name: inputs.get(name) or None for name in ("addonVersion", "configurationValues")},
            podIdentityAssociations=inputs.get("podIdentityAssociations") or None,
            resolveConflicts=inputs.get("resolveConflictsOnCreate"),
            tags=dict(tags),
        )
        return f"{inputs['clusterName']}:{inputs['addonName']}"

    def described(self, cloud: Cloud, id: str, inputs: Properties) -> Mapping[str, Any]:
        cluster, name = id.split(":", 1)
        return dict(cloud.call("eks", "describe_addon", clusterName=cluster, addonName=name)["addon"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """resourceAddonUpdate; a version or configuration that the program leaves out stays, as computed attributes do."""
        cluster, name = id.split(":", 1)
        if not old:
            active(lambda: self.described(cloud, id, new), f"eks add-on {id}", SECONDS, degraded=True)
            return
        if not changed(old, new, "addonVersion", "configurationValues", "podIdentityAssociations"):
            return
        given: dict[str, Any] = {}
        for member in ("addonVersion", "configurationValues"):
            if changed(old, new, member) and new.get(member) is not None:
                given[member] = new[member]
        if changed(old, new, "podIdentityAssociations"):
            given["podIdentityAssociations"] = new.get("podIdentityAssociations") or []
        resolve = new.get("resolveConflictsOnUpdate")
        update = send(cloud, "update_addon", clusterName=cluster, addonName=name, resolveConflicts=resolve, **given)["update"]
        settle(cloud, update, SECONDS, name=cluster, addonName=name)

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = self.described(cloud, id, inputs)
        if found["status"] == "DELETING":
            return None
        return {
            **{name: found.get(name) for name in ("addonName", "addonVersion", "clusterName", "configurationValues")},
            "podIdentityAssociations": [
                self._association(cloud, found["clusterName"], arn) for arn in found.get("podIdentityAssociations") or []
            ],
            "arn": found["addonArn"],
            "createdAt": found["createdAt"].isoformat(),
            "tagsAll": dict(found.get("tags") or {}),
        }

    @staticmethod
    def _association(cloud: Cloud, cluster: str, arn: str) -> Properties:
        """flattenAddonPodIdentityAssociations: the ARN's last part is the id."""
        of = {"clusterName": cluster, "associationId": arn.rsplit("/", 1)[1]}
        held = cloud.call("eks", "describe_pod_identity_association", **of)["association"]
        return {"roleArn": held["roleArn"], "serviceAccount": held["serviceAccount"]}

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        return self.found_by_tag(cloud, f"{inputs['clusterName']}:{inputs['addonName']}", inputs, token)

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        cluster, name = id.split(":", 1)
        preserve = True if inputs.get("preserve") is True else None
        cloud.call("eks", "delete_addon", clusterName=cluster, addonName=name, preserve=preserve)


TYPES = (Addon(),)
