"""What holds of the resources that carry traffic: weights, a standby, health checks. Pure checks."""

from collections.abc import Iterator, Mapping
from typing import Any

from turnout_components import checks
from turnout_components.checks import Fault
from turnout_components.policy_resources import (
    UNKNOWN,
    Found,
    Resource,
    Stack,
    StackFound,
    Undecided,
    at,
    each,
    leads_to,
    of,
    whole,
)

LISTENERS = ("aws:lb/listener:Listener", "aws:alb/listener:Listener")
RULES = ("aws:lb/listenerRule:ListenerRule", "aws:alb/listenerRule:ListenerRule")
TARGET_GROUPS = ("aws:lb/targetGroup:TargetGroup", "aws:alb/targetGroup:TargetGroup")
BALANCERS = ("aws:lb/loadBalancer:LoadBalancer", "aws:alb/loadBalancer:LoadBalancer")
SWITCH = "turnout-components:index:TrafficSwitch"
_OTHER_TAGS = ("service", "stack", "environment", "release")


def actions_of(resource: Resource) -> Any:
    """The actions of a listener or a rule."""
    return resource.get("defaultActions" if resource.type in LISTENERS else "actions")


def weights(resource: Resource, _: Mapping[str, Any]) -> Found:
    """The weights of a listener's or rule's forward action are percents ("Listener rules for your Application Load Balancer":
    any ratio would do for AWS, but record, gate and rollouts read percents). One target group alone gets everything, unless
    its weight is 0."""
    key, actions = "defaultActions" if resource.type in LISTENERS else "actions", actions_of(resource)
    if actions is UNKNOWN:
        yield Undecided(key)
        return
    for index, action in enumerate(each(actions)):
        path = f"{key}[{index}].forward.targetGroups"
        groups = at(action, "forward.targetGroups")
        if groups is UNKNOWN:
            yield Undecided(path)
        elif groups:
            yield from _shares(path, each(groups))


def _shares(path: str, groups: list[Any]) -> Found:
    said = {f"{path}[{n}]": at(group, "weight") for n, group in enumerate(groups)}
    known = {name: 1 if weight is None else whole(weight) or 0 for name, weight in said.items() if weight is not UNKNOWN}
    if len(groups) == 1 and all(known.values()):
        return
    fix = "make turnout:traffic.weights sum to 100"
    if len(known) == len(said) or sum(known.values()) > 100:
        yield from (Fault(f.field or path, f.value, f.reason, fix) for f in checks.weights(known, list(known)))
    else:
        yield Undecided(f"{path}.weight")


def production_listeners(stack: Stack) -> Iterator[tuple[Resource, dict[str, Any]]]:
    """Listeners of switches, and the release of each environment, which their tags name (ADR 0002)."""
    for listener in of(stack, *LISTENERS):
        tags = listener.tags()
        releases = names_releases(tags)
        if releases or tags is UNKNOWN:
            yield listener, releases


def names_releases(tags: Any) -> dict[str, Any]:
    """The release of each environment among the tags of a switch's listener; none of another's."""
    known = tags if isinstance(tags, Mapping) else {}
    named = {key.removeprefix("turnout:"): value for key, value in known.items() if key.startswith("turnout:")}
    return {name: release for name, release in named.items() if name not in _OTHER_TAGS}


def standby(stack: Stack, _: Mapping[str, Any]) -> StackFound:
    """Behind the production listener stand two environments that have a release."""
    for listener, releases in production_listeners(stack):
        if not releases or any(release is UNKNOWN for release in releases.values()):
            yield listener, Undecided("tags")
        for name in sorted(name for name, release in releases.items() if release == "none"):
            fix = f"name a release in turnout:environments.{name}.release"
            yield listener, Fault(f"tags.turnout:{name}", "none", "is an environment without a release", fix)
        if len(releases) == 1:
            fix = "give the switch two environments"
            yield listener, Fault("tags", dict(releases), "name one environment and no standby", fix)


def readiness(resource: Resource, given: Mapping[str, Any]) -> Found:
    """Targets are checked over HTTP, at a path that answers when the model is loaded, and only 200 counts ("Health checks for
    Application Load Balancer target groups")."""
    if resource.get("targetType") == "lambda":
        return
    check = resource.get("healthCheck")
    path, protocol, matcher = (at(check, key) for key in ("path", "protocol", "matcher"))
    default = "HTTP" if resource.get("protocol") in ("HTTP", "HTTPS", None) else "TCP"
    fix = f"write turnout:health.path as one of {', '.join(given['paths'])}"
    if UNKNOWN in (path, protocol, matcher):
        yield Undecided("healthCheck")
    if protocol is not UNKNOWN and (protocol or default) not in ("HTTP", "HTTPS"):
        reason = "sees that a port is open, not that the model is loaded"
        yield Fault("healthCheck.protocol", protocol or default, reason, 'write healthCheck.protocol "HTTP"')
    elif path is not UNKNOWN and str(path or "/").partition("?")[0] not in given["paths"]:
        yield Fault("healthCheck.path", path or "/", "is no path of readiness", fix)
    if matcher is not UNKNOWN and str(matcher or "200") != "200":
        yield Fault("healthCheck.matcher", matcher, "takes other answers for ready too", 'write healthCheck.matcher "200"')


def reached(stack: Stack, listener: Resource) -> set[str]:
    """What a listener and its rules forward to: target groups by URN, and by ARN where those are known."""
    rules = rules_of(stack, listener)
    return {*_targets(listener, "defaultActions"), *(each for rule in rules for each in _targets(rule, "actions"))}


def rules_of(stack: Stack, listener: Resource) -> list[Resource]:
    """A listener's rules."""
    return [rule for rule in of(stack, *RULES) if leads_to(rule, "listenerArn", listener, "arn")]


def _targets(resource: Resource, key: str) -> Iterator[str]:
    yield from (urn for urn in resource.needs.get(key, ()) if Resource(urn, {}).type in TARGET_GROUPS)
    for action in each(resource.get(key)):
        groups = each(at(action, "forward.targetGroups"))
        yield from (
            arn for arn in [at(action, "targetGroupArn"), *(at(g, "arn") for g in groups)] if isinstance(arn, str) and arn
        )


def share(stack: Stack, group_arns: Any, sources: frozenset[str]) -> int | None:
    """The percent of production's requests that go to target groups of these ARNs, which come from these resources; None
    where a preview does not tell."""
    total = 0
    for listener, _ in production_listeners(stack):
        for action in each(actions_of(listener)):
            groups = each(at(action, "forward.targetGroups"))
            for group in groups:
                weight, arn = at(group, "weight"), at(group, "arn")
                if arn is UNKNOWN or UNKNOWN in each(group_arns):
                    if weight == 0 or not sources & listener.needs.get("defaultActions", frozenset()):
                        continue
                    return None
                if weight is UNKNOWN and arn in each(group_arns):
                    return None
                total += (whole(weight) or 0) * (arn in each(group_arns))
    return total
