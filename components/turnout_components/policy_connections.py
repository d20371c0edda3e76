"""What holds between the times of load balancers and servers: drain, idle timeout, keep-alive. Pure checks over a stack."""

from collections.abc import Iterator, Mapping
from typing import Any

from turnout_components import checks, ingress_rules
from turnout_components.checks import Fault
from turnout_components.policy_pools import pools
from turnout_components.policy_resources import UNKNOWN, Resource, Stack, StackFound, Undecided, leads_to, of, whole
from turnout_components.policy_traffic import BALANCERS, LISTENERS, TARGET_GROUPS, reached

DRAIN = 300
"""Seconds of a target group that says nothing ("Edit target group attributes for your Application Load Balancer",
deregistration_delay.timeout_seconds)."""


def drain(stack: Stack, given: Mapping[str, Any]) -> StackFound:
    """A target that is taken out may finish what is in flight: at least `longest_request` seconds, and as long as the load
    balancer waits for a byte, for so long a request may last that streams nothing."""
    for group in of(stack, *TARGET_GROUPS):
        idle, unknown = _idle(stack, group)
        longest, delay = max([given["longest_request"], *idle]), group.get("deregistrationDelay")
        if delay is UNKNOWN:
            yield group, Undecided("deregistrationDelay")
            continue
        seconds = DRAIN if delay is None else whole(delay) or 0
        if seconds < longest:
            reason = f"ends requests that may last {longest} s"
            yield group, Fault("deregistrationDelay", seconds, reason, f"write turnout:health.drain {longest} or more")
        elif unknown:
            yield group, Undecided("loadBalancer.idleTimeout")
    yield from _stops(stack, given["longest_request"])


def _stops(stack: Stack, longest: int) -> StackFound:
    """A server that is stopped may finish too: its node's document says for how long."""
    for pool in pools(stack) if longest else ():
        if pool.template is None or pool.document is None:
            continue
        if pool.document is UNKNOWN:
            yield pool.template, Undecided("userData")
        elif (seconds := int(pool.document["drain"])) < longest:
            reason = f"stops servers amid requests that may last {longest} s"
            yield pool.template, Fault("userData drain", seconds, reason, f"write turnout:health.drain {longest} or more")


def keep_alive(stack: Stack, given: Mapping[str, Any]) -> StackFound:
    """The load balancer waits long enough for the first byte of the slowest answer, and servers keep connections longer than it
    does: one that closes first causes stray 502s ("Troubleshoot your Application Load Balancers")."""
    slowest = given["slowest_answer"]
    for balancer in of(stack, *BALANCERS):
        idle = idle_timeout(balancer)
        if idle is UNKNOWN:
            yield balancer, Undecided("idleTimeout")
        elif idle is not None and idle < slowest:
            reason = f"ends requests before the first byte of an answer that may take {slowest} s"
            yield balancer, Fault("idleTimeout", idle, reason, f"write turnout:ingress.idle_timeout {slowest} or more")
    for pool in pools(stack):
        if pool.template is None or pool.document is None:
            continue
        if pool.document is UNKNOWN:
            yield pool.template, Undecided("userData")
            continue
        engine = pool.document["release"]["engine"]
        for seconds in max_idle(stack, pool.group):
            for fault in checks.keep_alive(engine["flags"], engine.get("env", {}), seconds):
                yield pool.template, Fault("userData engine", fault.value, fault.reason, fault.fix)


def idle_timeout(balancer: Resource) -> Any:
    """Seconds after which an application load balancer closes an idle connection; None of another kind."""
    if balancer.get("loadBalancerType") not in (None, "application"):
        return None
    said = balancer.get("idleTimeout")
    return said if said is UNKNOWN else ingress_rules.IDLE_TIMEOUT if said is None else whole(said)


def max_idle(stack: Stack, pool: Resource) -> list[int]:
    """The longest idle timeout in front of a pool, if any is known."""
    groups = [group for group in of(stack, *TARGET_GROUPS) if leads_to(pool, "targetGroupArns", group, "arn")]
    known = [seconds for group in groups for seconds in _idle(stack, group)[0]]
    return [max(known)] if known else []


def _idle(stack: Stack, group: Resource) -> tuple[list[int], bool]:
    """Idle timeouts of the load balancers in front of a target group, and whether some are not known yet."""
    found = [idle_timeout(balancer) for balancer in _in_front(stack, group)]
    return [seconds for seconds in found if isinstance(seconds, int)], UNKNOWN in found


def _in_front(stack: Stack, group: Resource) -> Iterator[Resource]:
    names = {group.urn, group.get("arn")}
    listeners = [listener for listener in of(stack, *LISTENERS) if names & reached(stack, listener)]
    for balancer in of(stack, *BALANCERS):
        if any(leads_to(listener, "loadBalancerArn", balancer, "arn") for listener in listeners):
            yield balancer
