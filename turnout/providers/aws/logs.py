"""Log group (terraform-provider-aws internal/service/logs/group.go)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, NotFound, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.base import AwsType, Deadline, changed
from turnout.providers.aws.clients import Cloud

_DAYS = {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}


class LogGroup(AwsType):
    """aws_cloudwatch_log_group. The id is the name; retention 0 keeps events for ever."""

    token = "aws:cloudwatch/logGroup:LogGroup"
    inputs = frozenset({"name", "retentionInDays", "kmsKeyId", "tags"})
    replace_on = frozenset({"name"})
    auto_name = AutoName("name", 512)
    defaults: ClassVar[Mapping[str, Any]] = {"retentionInDays": 0, "kmsKeyId": ""}

    def check(self, inputs: Properties) -> list[Fault]:
        """ "CreateLogGroup", "PutRetentionPolicy" (Amazon CloudWatch Logs API Reference)."""
        faults = rules.matches(
            inputs, "name", r"[.\-_/#A-Za-z0-9]{1,512}", "1 to 512 of letters, digits and . - _ / #", "CreateLogGroup"
        )
        days = inputs.get("retentionInDays")
        if isinstance(days, int) and days and days not in _DAYS:
            faults.append(
                Fault("retentionInDays", f"{days} is none of {', '.join(map(str, sorted(_DAYS)))} (PutRetentionPolicy)")
            )
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        members = {"logGroupName": inputs["name"], "kmsKeyId": inputs.get("kmsKeyId") or None, "tags": dict(tags)}
        cloud.call("logs", "create_log_group", **members)
        return str(inputs["name"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if changed(old, new, "retentionInDays"):
            if new.get("retentionInDays"):
                cloud.call("logs", "put_retention_policy", logGroupName=id, retentionInDays=new["retentionInDays"])
            elif old:
                cloud.call("logs", "delete_retention_policy", logGroupName=id)
        if old and changed(old, new, "kmsKeyId"):
            if new.get("kmsKeyId"):
                cloud.call("logs", "associate_kms_key", logGroupName=id, kmsKeyId=new["kmsKeyId"])
            else:
                cloud.call("logs", "disassociate_kms_key", logGroupName=id)

    def _group(self, cloud: Cloud, name: str) -> dict[str, Any] | None:
        found = cloud.call("logs", "describe_log_groups", logGroupNamePrefix=name)["logGroups"]
        return next((dict(group) for group in found if group["logGroupName"] == name), None)

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        group = self._group(cloud, id)
        if group is None:
            return None
        return {
            "name": id,
            "retentionInDays": group.get("retentionInDays") or 0,
            "kmsKeyId": group.get("kmsKeyId") or "",
            "arn": str(group["arn"]).removesuffix(":*"),
            "tagsAll": self._tags(cloud, id),
        }

    @staticmethod
    def _tags(cloud: Cloud, id: str) -> dict[str, str]:
        return dict(cloud.call("logs", "list_tags_log_group", logGroupName=id)["tags"])

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        return str(inputs["name"]) if self._group(cloud, inputs["name"]) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        if self._group(cloud, id) is None:
            raise NotFound(f"log group {id} is gone")
        cloud.call("logs", "delete_log_group", logGroupName=id)

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        if add:
            cloud.call("logs", "tag_log_group", logGroupName=id, tags=dict(add))
        if drop:
            cloud.call("logs", "untag_log_group", logGroupName=id, tags=drop)


TYPES = (LogGroup(),)
