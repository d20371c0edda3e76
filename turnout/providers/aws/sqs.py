"""Queue and its policy (terraform-provider-aws internal/service/sqs/queue.go, queue_policy.go)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, NotFound, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import INTENT_TAG, AwsType, Deadline, changed
from turnout.providers.aws.clients import Cloud, error_code

_MISSING = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
NUMBERS = {
    "messageRetentionSeconds": ("MessageRetentionPeriod", 345_600, (60, 1_209_600)),
    "visibilityTimeoutSeconds": ("VisibilityTimeout", 30, (0, 43_200)),
}
"""Attribute, its value where a program gives none, its bounds ("SetQueueAttributes", Amazon SQS API Reference)."""
ENCRYPTED = "SqsManagedSseEnabled"


def _call(cloud: Cloud, operation: str, **members: Any) -> dict[str, Any]:
    """Raises `NotFound` for a queue that is not there."""
    try:
        return cloud.call("sqs", operation, **members)
    except ProviderError as error:
        if error_code(error) in _MISSING:
            raise NotFound(str(error)) from None
        raise


def _attributes(cloud: Cloud, url: str) -> dict[str, str]:
    return dict(_call(cloud, "get_queue_attributes", QueueUrl=url, AttributeNames=["All"]).get("Attributes") or {})


class Queue(AwsType):
    """aws_sqs_queue, a standard one. The id is the URL; new queues are encrypted with keys of SQS' own."""

    token = "aws:sqs/queue:Queue"
    inputs = frozenset({"name", *NUMBERS, "sqsManagedSseEnabled", "tags"})
    replace_on = frozenset({"name"})
    auto_name = AutoName("name", 80)
    defaults: ClassVar[Mapping[str, Any]] = {
        **{name: default for name, (_, default, _) in NUMBERS.items()},
        "sqsManagedSseEnabled": True,
    }

    def check(self, inputs: Properties) -> list[Fault]:
        """ "CreateQueue", "SetQueueAttributes" (Amazon SQS API Reference)."""
        faults = rules.matches(inputs, "name", r"[A-Za-z0-9_-]{1,80}", "1 to 80 letters, digits and - _", "CreateQueue")
        for name, (_, _, (low, high)) in NUMBERS.items():
            faults += rules.between(inputs, name, low, high, "SetQueueAttributes")
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        made = cloud.call("sqs", "create_queue", QueueName=inputs["name"], Attributes=self._wanted(inputs), tags=dict(tags))
        return str(made["QueueUrl"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if changed(old, new, *NUMBERS, "sqsManagedSseEnabled"):
            _call(cloud, "set_queue_attributes", QueueUrl=id, Attributes=self._wanted(new))

    def _wanted(self, inputs: Properties) -> dict[str, str]:
        given = {**self.defaults, **{name: value for name, value in inputs.items() if value is not None}}
        numbers = {attribute: str(int(given[name])) for name, (attribute, _, _) in NUMBERS.items()}
        return {**numbers, ENCRYPTED: str(bool(given["sqsManagedSseEnabled"])).lower()}

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = _attributes(cloud, id)
        return {
            "name": id.rpartition("/")[2],
            **{name: int(found[attribute]) for name, (attribute, _, _) in NUMBERS.items()},
            "sqsManagedSseEnabled": found.get(ENCRYPTED) == "true",
            "arn": found["QueueArn"],
            "url": id,
            "tagsAll": self._tags(cloud, id),
        }

    @staticmethod
    def _tags(cloud: Cloud, id: str) -> dict[str, str]:
        return dict(_call(cloud, "list_queue_tags", QueueUrl=id).get("Tags") or {})

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        url = str(_call(cloud, "get_queue_url", QueueName=inputs["name"])["QueueUrl"])
        return url if self._tags(cloud, url).get(INTENT_TAG) == token else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        _call(cloud, "delete_queue", QueueUrl=id)

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        if add:
            _call(cloud, "tag_queue", QueueUrl=id, Tags=dict(add))
        if drop:
            _call(cloud, "untag_queue", QueueUrl=id, TagKeys=drop)


class QueuePolicy(AwsType):
    """aws_sqs_queue_policy: the id is the queue's URL. A policy that was emptied counts as gone."""

    token = "aws:sqs/queuePolicy:QueuePolicy"
    inputs = frozenset({"queueUrl", "policy"})
    replace_on = frozenset({"queueUrl"})
    documents: ClassVar[frozenset[str]] = frozenset({"policy"})

    def check(self, inputs: Properties) -> list[Fault]:
        """ "SetQueueAttributes" (Amazon SQS API Reference): Policy."""
        return rules.required(inputs, "queueUrl", "policy") + rules.document(inputs, "policy", "SetQueueAttributes")

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        return str(inputs["queueUrl"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if changed(old, new, "policy"):
            _call(cloud, "set_queue_attributes", QueueUrl=id, Attributes={"Policy": new["policy"]})

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        policy = _attributes(cloud, id).get("Policy")
        return {"queueUrl": id, "policy": policy} if policy else None

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        id = str(inputs["queueUrl"])
        return id if self.look(cloud, id, inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """resourceQueuePolicyDelete: an empty policy is none."""
        _call(cloud, "set_queue_attributes", QueueUrl=id, Attributes={"Policy": ""})


TYPES = (Queue(), QueuePolicy())
