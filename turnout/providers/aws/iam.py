"""IAM role, its policies, and instance profile (terraform-provider-aws internal/service/iam)."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, NotFound, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.base import AwsType, Deadline, changed
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.mapping import tag_list, tag_map

NAME = r"[\w+=,.@-]{{1,{0}}}"
CONFLICT = frozenset({"DeleteConflict"})


def _check_name(inputs: Properties, limit: int, source: str) -> list[Fault]:
    return rules.matches(inputs, "name", NAME.format(limit), f"1 to {limit} of letters, digits and + = , . @ _ -", source)


def _text(policy: Any) -> Any:
    return policy if isinstance(policy, str) or policy is None else json.dumps(policy)


class Role(AwsType):
    """aws_iam_role. The id is the name."""

    token = "aws:iam/role:Role"
    inputs = frozenset(
        {
            "name",
            "assumeRolePolicy",
            "description",
            "maxSessionDuration",
            "path",
            "permissionsBoundary",
            "forceDetachPolicies",
            "tags",
        }
    )
    replace_on = frozenset({"name", "path"})
    auto_name = AutoName("name", 64)
    defaults: ClassVar[Mapping[str, Any]] = {"description": "", "maxSessionDuration": 3600, "permissionsBoundary": None}
    documents = frozenset({"assumeRolePolicy"})

    def check(self, inputs: Properties) -> list[Fault]:
        return [
            *rules.required(inputs, "assumeRolePolicy"),
            *_check_name(inputs, 64, "CreateRole"),
            *rules.document(inputs, "assumeRolePolicy", "CreateRole"),
            *rules.matches(inputs, "description", r"(?s).{0,1000}", "at most 1000 characters", "CreateRole"),
            *rules.between(inputs, "maxSessionDuration", 3600, 43200, "CreateRole"),
        ]

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        cloud.call(
            "iam",
            "create_role",
            RoleName=inputs["name"],
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Description=inputs.get("description"),
            MaxSessionDuration=inputs.get("maxSessionDuration"),
            Path=inputs.get("path"),
            PermissionsBoundary=inputs.get("permissionsBoundary"),
            Tags=tag_list(tags),
        )
        return str(inputs["name"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if not old:
            return
        if changed(old, new, "assumeRolePolicy"):
            cloud.call("iam", "update_assume_role_policy", RoleName=id, PolicyDocument=new["assumeRolePolicy"])
        if changed(old, new, "description", "maxSessionDuration"):
            cloud.call(
                "iam",
                "update_role",
                RoleName=id,
                Description=new.get("description") or "",
                MaxSessionDuration=new.get("maxSessionDuration") or 3600,
            )
        if changed(old, new, "permissionsBoundary"):
            boundary = new.get("permissionsBoundary")
            operation = "put_role_permissions_boundary" if boundary else "delete_role_permissions_boundary"
            cloud.call("iam", operation, RoleName=id, PermissionsBoundary=boundary)

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        role = cloud.call("iam", "get_role", RoleName=id)["Role"]
        return {
            "name": role["RoleName"],
            "assumeRolePolicy": _text(role["AssumeRolePolicyDocument"]),
            "description": role.get("Description") or "",
            "maxSessionDuration": role.get("MaxSessionDuration", 3600),
            "path": role["Path"],
            "permissionsBoundary": (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"),
            "arn": role["Arn"],
            "uniqueId": role["RoleId"],
            "createDate": role["CreateDate"].isoformat(),
            "tagsAll": tag_map(role.get("Tags")),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        return str(cloud.call("iam", "get_role", RoleName=inputs["name"])["Role"]["RoleName"])

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        if add:
            cloud.call("iam", "tag_role", RoleName=id, Tags=tag_list(add))
        if drop:
            cloud.call("iam", "untag_role", RoleName=id, TagKeys=drop)

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        if inputs.get("forceDetachPolicies"):
            for policy in cloud.pages("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=id):
                cloud.call("iam", "detach_role_policy", RoleName=id, PolicyArn=policy["PolicyArn"])
            for name in cloud.pages("iam", "list_role_policies", "PolicyNames", RoleName=id):
                cloud.call("iam", "delete_role_policy", RoleName=id, PolicyName=name)
        deadline.retry(lambda: cloud.call("iam", "delete_role", RoleName=id), CONFLICT)


class RolePolicy(AwsType):
    """aws_iam_role_policy: an inline policy; the id is `<role>:<name>`."""

    token = "aws:iam/rolePolicy:RolePolicy"
    inputs = frozenset({"name", "role", "policy"})
    replace_on = frozenset({"name", "role"})
    auto_name = AutoName("name", 128)
    documents = frozenset({"policy"})

    def check(self, inputs: Properties) -> list[Fault]:
        return [
            *rules.required(inputs, "role", "policy"),
            *_check_name(inputs, 128, "PutRolePolicy"),
            *rules.document(inputs, "policy", "PutRolePolicy"),
        ]

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        self._put(cloud, inputs)
        return f"{inputs['role']}:{inputs['name']}"

    @staticmethod
    def _put(cloud: Cloud, inputs: Properties) -> None:
        cloud.call(
            "iam",
            "put_role_policy",
            RoleName=inputs["role"],
            PolicyName=inputs["name"],
            PolicyDocument=inputs["policy"],
        )

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old and changed(old, new, "policy"):
            self._put(cloud, new)

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        role, name = id.split(":", 1)
        found = cloud.call("iam", "get_role_policy", RoleName=role, PolicyName=name)
        return {"name": name, "role": role, "policy": _text(found["PolicyDocument"])}

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        cloud.call("iam", "get_role_policy", RoleName=inputs["role"], PolicyName=inputs["name"])
        return f"{inputs['role']}:{inputs['name']}"

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        role, name = id.split(":", 1)
        cloud.call("iam", "delete_role_policy", RoleName=role, PolicyName=name)


class RolePolicyAttachment(AwsType):
    """aws_iam_role_policy_attachment; the id is `<role>/<policy ARN>`, both halves replace it."""

    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    inputs = frozenset({"role", "policyArn"})
    replace_on = inputs

    def check(self, inputs: Properties) -> list[Fault]:
        return [
            *rules.required(inputs, "role", "policyArn"),
            *rules.matches(inputs, "policyArn", r"arn:[\w-]+:iam::.*:policy/.+", "it is no policy ARN", "AttachRolePolicy"),
        ]

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        cloud.call("iam", "attach_role_policy", RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
        return f"{inputs['role']}/{inputs['policyArn']}"

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        role, arn = id.split("/", 1)
        held = cloud.pages("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=role)
        return {"role": role, "policyArn": arn} if any(policy["PolicyArn"] == arn for policy in held) else None

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        id = f"{inputs['role']}/{inputs['policyArn']}"
        return id if self.look(cloud, id, inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        role, arn = id.split("/", 1)
        cloud.call("iam", "detach_role_policy", RoleName=role, PolicyArn=arn)


class InstanceProfile(AwsType):
    """aws_iam_instance_profile: holds one role; the id is the name."""

    token = "aws:iam/instanceProfile:InstanceProfile"
    inputs = frozenset({"name", "path", "role", "tags"})
    replace_on = frozenset({"name", "path"})
    auto_name = AutoName("name", 128)
    defaults: ClassVar[Mapping[str, Any]] = {"role": None}

    def check(self, inputs: Properties) -> list[Fault]:
        return _check_name(inputs, 128, "CreateInstanceProfile")

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        cloud.call(
            "iam",
            "create_instance_profile",
            InstanceProfileName=inputs["name"],
            Path=inputs.get("path"),
            Tags=tag_list(tags),
        )
        return str(inputs["name"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        held, wanted = self._get(cloud, id)["Roles"], new.get("role")
        for role in held:
            if role["RoleName"] != wanted:
                cloud.call("iam", "remove_role_from_instance_profile", InstanceProfileName=id, RoleName=role["RoleName"])
        if wanted and all(role["RoleName"] != wanted for role in held):
            cloud.call("iam", "add_role_to_instance_profile", InstanceProfileName=id, RoleName=wanted)

    @staticmethod
    def _get(cloud: Cloud, name: str) -> dict[str, Any]:
        return dict(cloud.call("iam", "get_instance_profile", InstanceProfileName=name)["InstanceProfile"])

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        profile = self._get(cloud, id)
        roles = profile.get("Roles") or []
        return {
            "name": profile["InstanceProfileName"],
            "path": profile["Path"],
            "role": roles[0]["RoleName"] if roles else None,
            "arn": profile["Arn"],
            "uniqueId": profile["InstanceProfileId"],
            "createDate": profile["CreateDate"].isoformat(),
            "tagsAll": tag_map(profile.get("Tags")),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        return str(self._get(cloud, inputs["name"])["InstanceProfileName"])

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        if add:
            cloud.call("iam", "tag_instance_profile", InstanceProfileName=id, Tags=tag_list(add))
        if drop:
            cloud.call("iam", "untag_instance_profile", InstanceProfileName=id, TagKeys=drop)

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        for role in self._get(cloud, id)["Roles"]:
            try:
                cloud.call("iam", "remove_role_from_instance_profile", InstanceProfileName=id, RoleName=role["RoleName"])
            except NotFound:
                continue
        cloud.call("iam", "delete_instance_profile", InstanceProfileName=id)


TYPES = (Role(), RolePolicy(), RolePolicyAttachment(), InstanceProfile())
