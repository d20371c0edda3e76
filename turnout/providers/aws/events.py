"""EventBridge rule and target on the default bus (terraform-provider-aws internal/service/events/rule.go, target.go)."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, NotFound, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import AwsType, Deadline, changed
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.mapping import tag_list, tag_map

MEMBERS = {"description": "Description", "eventPattern": "EventPattern", "state": "State"}
_NAME, _NAMED = r"[.\-_A-Za-z0-9]{1,64}", "1 to 64 letters, digits and . - _"
_STATES = {"ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"}


class EventRule(AwsType):
    """aws_cloudwatch_event_rule by a pattern: PutRule writes the whole rule every time. The id is the name."""

    token = "aws:cloudwatch/eventRule:EventRule"
    inputs = frozenset({*MEMBERS, "name", "tags"})
    replace_on = frozenset({"name"})
    auto_name = AutoName("name", 64)
    defaults: ClassVar[Mapping[str, Any]] = {"description": "", "state": "ENABLED"}
    documents: ClassVar[frozenset[str]] = frozenset({"eventPattern"})

    def check(self, inputs: Properties) -> list[Fault]:
        """ "PutRule" (Amazon EventBridge API Reference)."""
        faults = rules.required(inputs, "eventPattern") + _pattern(inputs.get("eventPattern"))
        faults += rules.matches(inputs, "name", _NAME, _NAMED, "PutRule")
        return faults + rules.one_of(inputs, "state", _STATES, "PutRule")

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        cloud.call("events", "put_rule", **self._members(inputs), Tags=tag_list(tags))
        return str(inputs["name"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old and changed(old, new, *MEMBERS):
            cloud.call("events", "put_rule", **self._members(new))

    def _members(self, inputs: Properties) -> Properties:
        given = {name: value for name, value in inputs.items() if value is not None}
        whole = {**self.defaults, **given}
        return {"Name": inputs["name"], **{member: whole[name] for name, member in MEMBERS.items()}}

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = cloud.call("events", "describe_rule", Name=id)
        tags = cloud.call("events", "list_tags_for_resource", ResourceARN=found["Arn"])["Tags"]
        return {
            "name": id,
            "description": found.get("Description") or "",
            "eventPattern": found.get("EventPattern"),
            "state": found.get("State"),
            "arn": found["Arn"],
            "tagsAll": tag_map(tags),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        cloud.call("events", "describe_rule", Name=inputs["name"])
        return str(inputs["name"])

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        cloud.call("events", "describe_rule", Name=id)  # DeleteRule says nothing of a rule that is gone
        cloud.call("events", "delete_rule", Name=id)

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        arn = cloud.call("events", "describe_rule", Name=id)["Arn"]
        if add:
            cloud.call("events", "tag_resource", ResourceARN=arn, Tags=tag_list(add))
        if drop:
            cloud.call("events", "untag_resource", ResourceARN=arn, TagKeys=drop)


def _pattern(text: Any) -> list[Fault]:
    """ "Event patterns" (Amazon EventBridge User Guide): an object, at least one field in it."""
    if not isinstance(text, str):
        return []
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict) and found:
        return []
    return [Fault("eventPattern", "is no JSON object with a field (PutRule: InvalidEventPatternException)")]


class EventTarget(AwsType):
    """aws_cloudwatch_event_target: the id is `<rule>-<target's id>`. One without `targetId` is refused: the provider would
    make one up."""

    token = "aws:cloudwatch/eventTarget:EventTarget"
    inputs = frozenset({"rule", "targetId", "arn"})
    replace_on = frozenset({"rule", "targetId"})

    def check(self, inputs: Properties) -> list[Fault]:
        """ "PutTargets", "Target" (Amazon EventBridge API Reference)."""
        faults = rules.required(inputs, "rule", "targetId", "arn")
        return faults + rules.matches(inputs, "targetId", _NAME, _NAMED, "Target")

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        return _target_id(inputs)

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if not changed(old, new, "arn"):
            return
        target = {"Id": new["targetId"], "Arn": new["arn"]}
        answer = cloud.call("events", "put_targets", Rule=new["rule"], Targets=[target])
        if answer.get("FailedEntryCount"):
            raise ProviderError(f"events put_targets: {id}: {answer['FailedEntries'][0].get('ErrorMessage')}")

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        targets = cloud.call("events", "list_targets_by_rule", Rule=inputs["rule"])["Targets"]
        found = next((target for target in targets if target["Id"] == inputs["targetId"]), None)
        return {"rule": inputs["rule"], "targetId": found["Id"], "arn": found["Arn"]} if found else None

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        id = _target_id(inputs)
        return id if self.look(cloud, id, inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        if self.look(cloud, id, inputs) is None:
            raise NotFound(f"target {id} is gone")
        cloud.call("events", "remove_targets", Rule=inputs["rule"], Ids=[inputs["targetId"]])


def _target_id(inputs: Properties) -> str:
    return f"{inputs['rule']}-{inputs['targetId']}"


TYPES = (EventRule(), EventTarget())
