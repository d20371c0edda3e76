"""Actions of listeners and rules: between Pulumi's blocks and ELBv2's, and what AWS refuses in them."""

from collections.abc import Mapping
from typing import Any

from turnout.engine.provider import Fault, NotFound, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.clients import Cloud

BLOCKS = {
    "forward": ("forward", "ForwardConfig"),
    "redirect": ("redirect", "RedirectConfig"),
    "fixed-response": ("fixedResponse", "FixedResponseConfig"),
}
"""An action's type -> Pulumi's block and ELBv2's."""
MAX_GROUPS = 5
MAX_WEIGHT = 999
REDIRECT = {
    "host": "Host",
    "path": "Path",
    "port": "Port",
    "protocol": "Protocol",
    "query": "Query",
    "statusCode": "StatusCode",
}
FIXED = {"contentType": "ContentType", "messageBody": "MessageBody", "statusCode": "StatusCode"}


def action_members(action: Properties, order: int) -> dict[str, Any]:
    kind = action["type"]
    made: dict[str, Any] = {"Type": kind, "Order": int(action.get("order") or order)}
    if kind == "forward" and action.get("targetGroupArn"):
        made["TargetGroupArn"] = action["targetGroupArn"]
    if kind == "forward" and action.get("forward"):
        made["ForwardConfig"] = _forward_members(action["forward"])
    for name, table in (("redirect", REDIRECT), ("fixed-response", FIXED)):
        if kind == name:
            block, member = BLOCKS[kind]
            held = action[block]
            made[member] = {table[key]: str(value) for key, value in held.items() if value is not None}
    return made


def _forward_members(forward: Properties) -> dict[str, Any]:
    groups = []
    for group in forward["targetGroups"]:
        weight = group.get("weight")
        groups.append({"TargetGroupArn": group["arn"], "Weight": 1 if weight is None else int(weight)})
    made: dict[str, Any] = {"TargetGroups": groups}
    stickiness = forward.get("stickiness")
    if stickiness:
        made["TargetGroupStickinessConfig"] = {"Enabled": bool(stickiness.get("enabled"))}
        if stickiness.get("duration"):
            made["TargetGroupStickinessConfig"]["DurationSeconds"] = int(stickiness["duration"])
    return made


def from_action(action: Mapping[str, Any]) -> Properties:
    found: Properties = {"type": action["Type"], "order": action.get("Order")}
    forward = action.get("ForwardConfig") or {}
    groups = forward.get("TargetGroups") or []
    if action.get("TargetGroupArn") or len(groups) == 1:
        found["targetGroupArn"] = action.get("TargetGroupArn") or groups[0]["TargetGroupArn"]
    if not groups and action.get("TargetGroupArn"):
        groups = [{"TargetGroupArn": action["TargetGroupArn"]}]
    if groups:
        sticky = forward.get("TargetGroupStickinessConfig") or {}
        found["forward"] = {
            "targetGroups": [{"arn": group["TargetGroupArn"], "weight": int(group.get("Weight", 1))} for group in groups],
            "stickiness": {"enabled": bool(sticky.get("Enabled")), "duration": sticky.get("DurationSeconds")},
        }
    for block, member, table in (
        ("redirect", "RedirectConfig", REDIRECT),
        ("fixedResponse", "FixedResponseConfig", FIXED),
    ):
        if action.get(member):
            found[block] = {name: action[member].get(key) for name, key in table.items()}
    return found


def groups_of(actions: list[Properties]) -> list[str]:
    """Every target group that the actions name."""
    named: list[str] = []
    for action in actions:
        if action.get("targetGroupArn"):
            named.append(action["targetGroupArn"])
        named += [group["arn"] for group in (action.get("forward") or {}).get("targetGroups") or []]
    return named


def check_groups_exist(cloud: Cloud, actions: list[Properties]) -> None:
    """CreateListener, ModifyListener, CreateRule, ModifyRule: TargetGroupNotFound (moto takes any ARN in a forward block)."""
    for arn in dict.fromkeys(groups_of(actions)):
        try:
            cloud.call("elbv2", "describe_target_groups", TargetGroupArns=[arn])
        except NotFound:
            raise ProviderError(f"elbv2: TargetGroupNotFound: an action forwards to {arn}, which does not exist") from None


def check_actions(property: str, actions: Any) -> list[Fault]:
    """AWS "Action types for listener rules" and "ForwardActionConfig"."""
    if not isinstance(actions, list):
        return []
    if not actions:
        return [Fault(property, "needs at least one action (CreateListener)")]
    faults: list[Fault] = []
    for index, action in enumerate(actions):
        if isinstance(action, dict):
            faults += [Fault(f"{property}[{index}]{fault.property}", fault.reason) for fault in _check_action(action)]
    return faults


def _check_action(action: Properties) -> list[Fault]:
    kind = action.get("type")
    if not isinstance(kind, str):
        return [] if kind is not None else [Fault(".type", "is required")]
    if kind not in BLOCKS:
        return [Fault(".type", f"{kind!r} is none of {', '.join(sorted(BLOCKS))} (the local cloud authenticates nobody)")]
    if kind == "forward":
        return _check_forward(action)
    block = BLOCKS[kind][0]
    if action.get(block) is None:
        return [Fault(f".{block}", f"a {kind} action needs it (Action: InvalidLoadBalancerAction)")]
    if kind == "redirect":
        return _below(rules.one_of(action, f"{block}.statusCode", {"HTTP_301", "HTTP_302"}, "RedirectActionConfig"))
    return _below(rules.matches(action, f"{block}.statusCode", r"[245]\d\d", "2XX, 4XX or 5XX", "FixedResponseActionConfig"))


def _below(faults: list[Fault]) -> list[Fault]:
    return [Fault(f".{fault.property}", fault.reason) for fault in faults]


def _check_forward(action: Properties) -> list[Fault]:
    forward, single = action.get("forward"), action.get("targetGroupArn")
    if forward is None and single is None:
        return [Fault(".forward", "a forward action needs targetGroupArn or forward (Action: InvalidLoadBalancerAction)")]
    groups = forward.get("targetGroups") if isinstance(forward, dict) else None
    if not isinstance(groups, list):
        return []
    place = ".forward.targetGroups"
    if not 1 <= len(groups) <= MAX_GROUPS:
        return [
            Fault(
                place,
                f"{len(groups)} target groups are outside 1..{MAX_GROUPS} (Quotas: TooManyUniqueTargetGroupsPerLoadBalancer)",
            )
        ]
    faults: list[Fault] = []
    arns: list[str] = [str(group["arn"]) for group in groups if isinstance(group, dict) and isinstance(group.get("arn"), str)]
    for arn in sorted({arn for arn in arns if arns.count(arn) > 1}):
        faults.append(Fault(place, f"{arn} stands more than once (ForwardActionConfig: InvalidLoadBalancerAction)"))
    for index, group in enumerate(groups):
        if not isinstance(group, dict):
            continue
        for fault in rules.between(group, "weight", 0, MAX_WEIGHT, "TargetGroupTuple"):
            faults.append(Fault(f"{place}[{index}].weight", fault.reason))
    stickiness = forward.get("stickiness") if isinstance(forward, dict) else None
    if isinstance(stickiness, dict):
        for fault in rules.between(stickiness, "duration", 1, 604800, "TargetGroupStickinessConfig"):
            faults.append(Fault(".forward.stickiness.duration", fault.reason))
    return faults
