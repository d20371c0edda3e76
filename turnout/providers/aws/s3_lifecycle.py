"""A bucket's lifecycle (terraform-provider-aws internal/service/s3/bucket_lifecycle_configuration.go)."""

from datetime import UTC, datetime
from typing import Any

from turnout.engine.provider import Fault, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.base import known
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.mapping import tag_list, tag_map
from turnout.providers.aws.s3 import ask
from turnout.providers.aws.s3_settings import BucketSetting, from_s3, members

_ACTIONS = (
    "abortIncompleteMultipartUpload",
    "expiration",
    "noncurrentVersionExpiration",
    "noncurrentVersionTransitions",
    "transitions",
)
_MOST_RULES = 1000
_SETTLED = {"STANDARD_IA", "ONEZONE_IA"}
_LEAST_SETTLED_DAYS = 30


class BucketLifecycleConfiguration(BucketSetting):
    """aws_s3_bucket_lifecycle_configuration."""

    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    inputs = frozenset({"bucket", "rules"})
    put_operation, delete_operation = "put_bucket_lifecycle_configuration", "delete_bucket_lifecycle"

    def check(self, inputs: Properties) -> list[Fault]:
        """ "PutBucketLifecycleConfiguration" (Amazon S3 API Reference), "Lifecycle configuration elements" and "Transitioning
        objects using Amazon S3 Lifecycle" (Amazon S3 User Guide)."""
        faults = rules.required(inputs, "bucket", "rules")
        declared = inputs.get("rules")
        if not isinstance(declared, list):
            return faults
        if not 1 <= len(declared) <= _MOST_RULES:
            faults.append(Fault("rules", f"are {len(declared)}, outside 1..{_MOST_RULES} (PutBucketLifecycleConfiguration)"))
        names = [rule.get("id") for rule in declared if isinstance(rule, dict) and isinstance(rule.get("id"), str)]
        if len(set(names)) < len(names):
            faults.append(Fault("rules", "have an id twice (Lifecycle configuration elements)"))
        for index, rule in enumerate(declared):
            if isinstance(rule, dict) and known(rule):
                faults += [Fault(f"rules[{index}]{'.' * bool(where)}{where}", reason) for where, reason in _wrong(rule)]
        return faults

    def body(self, cloud: Cloud, inputs: Properties) -> dict[str, Any]:
        wanted = [_tags(rule, tag_list) for rule in inputs["rules"]]
        path = ("LifecycleConfiguration", "Rules")
        return {"LifecycleConfiguration": {"Rules": members(cloud, "PutBucketLifecycleConfiguration", path, wanted)}}

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = ask(cloud, "get_bucket_lifecycle_configuration", id).get("Rules")
        return {"bucket": id, "rules": [_tags(_plain(rule), tag_map, "Key") for rule in from_s3(found)]} if found else None


def _wrong(rule: Properties) -> list[tuple[str, str]]:
    """Where a rule is refused, and why."""
    elements, found = "Lifecycle configuration elements", []
    if known(status := rule.get("status") or "") and status not in ("Enabled", "Disabled"):
        found.append(("status", f"{status!r} is none of Disabled, Enabled ({elements})"))
    if isinstance(rule.get("id"), str) and len(rule["id"]) > 255:
        found.append(("id", f"has more than 255 characters ({elements})"))
    if not any(rule.get(name) for name in _ACTIONS):
        found.append(("", f"says nothing to do: one of {', '.join(_ACTIONS)} ({elements})"))
    if rule.get("prefix") is not None and rule.get("filter") is not None:
        found.append(("prefix", "excludes filter (PutBucketLifecycleConfiguration)"))
    if rule.get("abortIncompleteMultipartUpload") and _has_tags(rule.get("filter")):
        found.append(("abortIncompleteMultipartUpload", f"is not for objects chosen by tags ({elements})"))
    expiration = rule["expiration"] if isinstance(rule.get("expiration"), dict) else {}
    ways = [name for name in ("date", "days", "expiredObjectDeleteMarker") if expiration.get(name)]
    if len(ways) > 1:
        found.append((f"expiration.{ways[1]}", f"excludes {ways[0]} ({elements})"))
    for where in ("expiration.days", "noncurrentVersionExpiration.noncurrentDays"):
        days = rules.at(rule, where)
        if isinstance(days, int) and days < 1 and not (where == "expiration.days" and "expiredObjectDeleteMarker" in ways):
            found.append((where, f"{days} is less than 1 ({elements})"))
    newer = rules.at(rule, "noncurrentVersionExpiration.newerNoncurrentVersions")
    if isinstance(newer, int) and not 1 <= newer <= 100:
        found.append(("noncurrentVersionExpiration.newerNoncurrentVersions", f"{newer} is outside 1..100 ({elements})"))
    return found + _early(rule, expiration.get("days"))


def _early(rule: Properties, expiration: Any) -> list[tuple[str, str]]:
    found, source = [], "Transitioning objects using Amazon S3 Lifecycle"
    for kind, member in (("transitions", "days"), ("noncurrentVersionTransitions", "noncurrentDays")):
        declared = rule.get(kind)
        for index, transition in enumerate(declared if isinstance(declared, list) else []):
            if not isinstance(transition, dict):
                continue
            days, where = transition.get(member), f"{kind}[{index}].{member}"
            if not isinstance(days, int):
                continue
            if transition.get("storageClass") in _SETTLED and days < _LEAST_SETTLED_DAYS:
                found.append((where, f"{days} is less than {_LEAST_SETTLED_DAYS} for {transition['storageClass']} ({source})"))
            if kind == "transitions" and isinstance(expiration, int) and 0 < expiration <= days:
                found.append((where, f"{days} is not before the expiration after {expiration} days ({source})"))
    return found


def _has_tags(chosen: Any) -> bool:
    return isinstance(chosen, dict) and bool(chosen.get("tag") or rules.at(chosen, "and.tags"))


def _tags(rule: Properties, form: Any, key: str = "") -> Properties:
    """The rule with `filter.and.tags` as the API's list or as Pulumi's map."""
    held = rules.at(rule, "filter.and.tags")
    if not held:
        return rule
    pairs = [{"Key": tag["key"], "Value": tag["value"]} for tag in held] if key else held
    both = {**rule["filter"]["and"], "tags": form(pairs)}
    return {**rule, "filter": {**rule["filter"], "and": both}}


def _plain(node: Any) -> Any:
    """Dates as Pulumi has them."""
    if isinstance(node, dict):
        return {name: _plain(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return node.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(node, datetime) else node


TYPES = (BucketLifecycleConfiguration(),)
