"""What boto3 says of queues and of the rules that fill them (`tests.providers.witness`)."""

from collections.abc import Callable
from typing import Any

from tests.providers.conftest import World


def _queue(w: World, id: str) -> Any:
    api = w.api("sqs")
    held = api.get_queue_attributes(QueueUrl=id, AttributeNames=["All"])["Attributes"]
    steady = {name: value for name, value in held.items() if not name.endswith("Timestamp")}
    return {"QueueUrl": id, **steady, "Tags": api.list_queue_tags(QueueUrl=id).get("Tags")}


def _queue_policy(w: World, id: str) -> Any:
    held = w.api("sqs").get_queue_attributes(QueueUrl=id, AttributeNames=["All"])["Attributes"].get("Policy")
    return held and {"QueueUrl": id, "Policy": held}


def _rule(w: World, id: str) -> Any:
    api = w.api("events")
    found = api.describe_rule(Name=id)
    return {**found, "Tags": api.list_tags_for_resource(ResourceARN=found["Arn"])["Tags"]}


def _target(w: World, id: str) -> Any:
    api = w.api("events")
    rules = [rule["Name"] for rule in api.list_rules()["Rules"] if id.startswith(f"{rule['Name']}-")]
    found = [(rule, target) for rule in rules for target in api.list_targets_by_rule(Rule=rule)["Targets"]]
    return [{"Rule": rule, **target} for rule, target in found if f"{rule}-{target['Id']}" == id]


EVENTS: dict[str, Callable[[World, str], Any]] = {
    "aws:sqs/queue:Queue": _queue,
    "aws:sqs/queuePolicy:QueuePolicy": _queue_policy,
    "aws:cloudwatch/eventRule:EventRule": _rule,
    "aws:cloudwatch/eventTarget:EventTarget": _target,
}
