"""Who reaches buckets, pools and test listeners. Pure checks."""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from turnout_components.checks import Fault
from turnout_components.policy_encryption import BUCKETS
from turnout_components.policy_nodes import INSTANCE, LAUNCH_CONFIGURATION
from turnout_components.policy_pools import TEMPLATE
from turnout_components.policy_resources import (
    UNKNOWN,
    Found,
    Resource,
    Stack,
    StackFound,
    Undecided,
    at,
    document,
    each,
    leads_to,
    of,
    whole,
    yes,
)
from turnout_components.policy_traffic import BALANCERS, LISTENERS, production_listeners, reached

_NARROWING = frozenset(
    f"aws:{name}"
    for name in (
        *("principalorgid", "principalorgpaths", "principalaccount", "principalarn", "userid", "username"),
        *("sourceip", "sourcevpc", "sourcevpce", "vpcsourceip", "sourcearn", "sourceaccount", "sourceowner"),
        *("sourceorgid", "sourceorgpaths"),
    )
) | {"s3:dataaccesspointarn", "s3:dataaccesspointaccount"}
_CLOSED = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_BLOCKS = ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",)
_ACLS = ("aws:s3/bucketAcl:BucketAcl", "aws:s3/bucketAclV2:BucketAclV2", *BUCKETS)
_POLICIES = ("aws:s3/bucketPolicy:BucketPolicy",)
OF_BUCKETS = (*_BLOCKS, *_ACLS, *_POLICIES)
SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
_INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
_PRIVATE = [
    ipaddress.ip_network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8")
]
_PRIVATE_6 = [ipaddress.ip_network(block) for block in ("fc00::/7", "::1/128")]
_OF_THE_INTERNET = {4: 8, 6: 16}
"""Prefixes shorter than these are no organisation's: two /1 are the internet as much as one /0."""


def public_bucket(resource: Resource, _: Mapping[str, Any]) -> Found:
    """Nobody reads a bucket without having been granted it ("Blocking public access to your Amazon S3 storage")."""
    if resource.type in _BLOCKS:
        for key in _CLOSED:
            if resource.get(key) is UNKNOWN:
                yield Undecided(key)
            elif not yes(resource.get(key)):
                yield Fault(key, resource.get(key), "lets the bucket be made public", f"write {key} true")
    elif resource.type in _ACLS:
        yield from _grants(resource)
    if resource.type in (*_POLICIES, *BUCKETS):
        policy = document(resource.get("policy"))
        if policy is UNKNOWN:
            yield Undecided("policy")
        for statement in each(at(policy, "Statement")):
            if at(statement, "Effect") == "Allow" and anybody(statement) and not _narrowed(at(statement, "Condition")):
                name = at(statement, "Sid") or "a statement without a Sid"
                yield Fault("policy", name, "allows anybody", "name a principal")


def _grants(resource: Resource) -> Found:
    """A canned ACL, or grants to the groups of all users ("Access control list (ACL) overview", predefined groups)."""
    acl = resource.get("acl")
    if acl is UNKNOWN:
        yield Undecided("acl")
    elif str(acl).startswith("public") or acl == "authenticated-read":
        yield Fault("acl", acl, "makes the bucket public", "leave the ACL out")
    named = [(f"grants.{n}.uri", resource.get(f"grants.{n}.uri")) for n in range(len(each(resource.get("grants"))))]
    listed = range(len(each(resource.get("accessControlPolicy.grants"))))
    paths = [f"accessControlPolicy.grants.{n}.grantee.uri" for n in listed]
    for path, uri in [*named, *((path, resource.get(path)) for path in paths)]:
        if uri is UNKNOWN:
            yield Undecided(path)
        elif str(uri).endswith(("/global/AllUsers", "/global/AuthenticatedUsers")):
            yield Fault(path, uri, "makes the bucket public", "leave the grant out")


def anybody(statement: Any) -> bool:
    """Whether a policy's statement is of every principal, or of all but some."""
    principal = at(statement, "Principal")
    return "*" in each(principal) or "*" in each(at(principal, "AWS")) or at(statement, "NotPrincipal") is not None


def _narrowed(condition: Any) -> bool:
    """Whether a condition leaves the public out: by an account, organisation, network or owner that it names ("Blocking public
    access to your Amazon S3 storage", The meaning of "public"). That TLS is used, or who refers, leaves nobody out."""
    found = [
        (key.lower(), one)
        for operator, test in (condition or {}).items()
        if "not" not in operator.lower() and not operator.endswith("IfExists") and isinstance(test, Mapping)
        for key, value in test.items()
        for one in [each(value)]
    ]
    return any(key in _NARROWING and values and not any(map(_is_wide, values)) for key, values in found)


def _is_wide(value: Any) -> bool:
    return value is not UNKNOWN and (set(str(value)) <= set("*?:/") or is_internet(value))


def public_address(resource: Resource, _: Mapping[str, Any]) -> Found:
    """No node has a public address ("IP addressing for your VPCs and subnets")."""
    found = [("associatePublicIpAddress", resource.get("associatePublicIpAddress"))]
    for index, interface in enumerate(each(resource.get("networkInterfaces"))):
        value = UNKNOWN if interface is UNKNOWN else at(interface, "associatePublicIpAddress")
        found.append((f"networkInterfaces[{index}].associatePublicIpAddress", value))
    for path, value in found:
        if value is UNKNOWN:
            yield Undecided(path)
        elif yes(value):
            yield Fault(path, value, "gives nodes public addresses", f"write {path} false, and private subnets")


WITH_ADDRESSES = (TEMPLATE, INSTANCE, LAUNCH_CONFIGURATION)


@dataclass(frozen=True)
class Opening:
    """Blocks to which a rule of a security group opens ports of TCP. `ports` None: all; UNKNOWN: not known yet."""

    rule: Resource
    blocks: list[Any]
    ports: Any


def openings(stack: Stack, group: Resource) -> Iterator[Opening]:
    """What a security group lets in from addresses, by its own rules and by those beside it."""
    for one in each(group.get("ingress")):
        yield Opening(group, [*each(at(one, "cidrBlocks")), *each(at(one, "ipv6CidrBlocks"))], _ports(one, "protocol"))
    for rule in of(stack, _RULE):
        if rule.get("type") == "ingress" and leads_to(rule, "securityGroupId", group, "id"):
            blocks = [*each(rule.get("cidrBlocks")), *each(rule.get("ipv6CidrBlocks"))]
            yield Opening(rule, blocks, _ports(rule.props, "protocol"))
    for rule in of(stack, _INGRESS):
        if leads_to(rule, "securityGroupId", group, "id"):
            blocks = [*each(rule.get("cidrIpv4")), *each(rule.get("cidrIpv6"))]
            yield Opening(rule, blocks, _ports(rule.props, "ipProtocol"))


def _ports(rule: Any, protocol: str) -> Any:
    if UNKNOWN in (at(rule, "fromPort"), at(rule, "toPort"), at(rule, protocol)):
        return UNKNOWN
    if str(at(rule, protocol)) not in ("-1", "all", "tcp", "6"):
        return range(0)  # no listener's
    first, last = whole(at(rule, "fromPort")), whole(at(rule, "toPort"))
    if str(at(rule, protocol)) in ("-1", "all") or first is None or last is None or first < 0:
        return None
    return range(first, last + 1)


def public_pool(stack: Stack, _: Mapping[str, Any]) -> StackFound:
    """Nodes take requests from their load balancer, named by its security group, and from no public address."""
    for group in of(stack, SECURITY_GROUP):
        nodes = [one for one in of(stack, *WITH_ADDRESSES) if _uses(one, group)]
        for opening in openings(stack, group) if nodes else ():
            for block in opening.blocks:
                if block is UNKNOWN:
                    yield opening.rule, Undecided("cidr")
                elif not _is_private(block):
                    fix = "name the load balancer's security group instead of addresses"
                    yield opening.rule, Fault("cidr", block, f"opens the nodes of {nodes[0].name} to public addresses", fix)


def _uses(nodes: Resource, group: Resource) -> bool:
    interfaces = each(nodes.get("networkInterfaces"))
    by_value = [id for one in interfaces for id in each(at(one, "securityGroups"))]
    paths = ("networkInterfaces", "vpcSecurityGroupIds", "securityGroups")
    return any(leads_to(nodes, path, group, "id") for path in paths) or (
        isinstance(group.get("id"), str) and group.get("id") in by_value
    )


def public_test_listener(stack: Stack, _: Mapping[str, Any]) -> StackFound:
    """A listener that reaches an environment beside the switch is for tests: the whole internet must not use what production
    does not."""
    switched = [listener for listener, _ in production_listeners(stack)]
    behind = {target for listener in switched for target in reached(stack, listener)}
    for listener in of(stack, *LISTENERS):
        if listener in switched or not behind & reached(stack, listener):
            continue
        for balancer in of(stack, *BALANCERS):
            if not leads_to(listener, "loadBalancerArn", balancer, "arn") or yes(balancer.get("internal")):
                continue
            if listener.get("port") is UNKNOWN:
                yield listener, Undecided("port")
            else:
                yield from _wide(stack, balancer, whole(listener.get("port")) or 0)


def _wide(stack: Stack, balancer: Resource, port: int) -> StackFound:
    for group in of(stack, SECURITY_GROUP):
        if not leads_to(balancer, "securityGroups", group, "id"):
            continue
        for opening in openings(stack, group):
            if isinstance(opening.ports, range) and port not in opening.ports:
                continue
            for block in opening.blocks:
                if block is UNKNOWN or (opening.ports is UNKNOWN and is_internet(block)):
                    yield opening.rule, Undecided("cidr or ports")
                elif is_internet(block):
                    fix = "list the testers' networks in turnout:ingress.test_cidrs"
                    yield opening.rule, Fault("cidr", block, f"opens the test listener (port {port}) to the internet", fix)


def _network(block: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(str(block), strict=False)
    except ValueError:
        return None


def _is_private(block: Any) -> bool:
    found = _network(block)
    if isinstance(found, ipaddress.IPv4Network):
        return any(isinstance(own, ipaddress.IPv4Network) and found.subnet_of(own) for own in _PRIVATE)
    return found is not None and any(isinstance(own, ipaddress.IPv6Network) and found.subnet_of(own) for own in _PRIVATE_6)


def is_internet(block: Any) -> bool:
    found = _network(block)
    return found is not None and found.prefixlen < _OF_THE_INTERNET[found.version]
