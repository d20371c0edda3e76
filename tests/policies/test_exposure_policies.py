"""Policies on what the public reaches, each broken and satisfied."""

import json
from typing import Any

import pytest

from tests.policies.judging import UNKNOWN, Given, judge

BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
CLOSED = dict.fromkeys(("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True)
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"


GROUPS = "http://acs.amazonaws.com/groups"


def granted(group: str) -> dict[str, Any]:
    return {"accessControlPolicy": {"grants": [{"grantee": {"type": "Group", "uri": f"{GROUPS}/{group}"}}]}}


def statement(**parts: Any) -> str:
    return json.dumps({"Statement": [{"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "x", **parts}]})


@pytest.mark.parametrize(
    ("kind", "props"),
    [
        (BLOCK, CLOSED),
        ("aws:s3/bucket:Bucket", {}),
        ("aws:s3/bucketAcl:BucketAcl", {"acl": "private"}),
        (POLICY, {"policy": statement(Principal={"AWS": "arn:aws:iam::123456789012:root"})}),
        (POLICY, {"policy": statement(Principal="*", Effect="Deny")}),
        (POLICY, {"policy": statement(Principal="*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}})}),
        (POLICY, {"policy": statement(Principal="*", Condition={"IpAddress": {"aws:SourceIp": ["203.0.113.0/24"]}})}),
        (POLICY, {"policy": statement(Principal={"Service": "cloudfront.amazonaws.com"})}),
        (POLICY, {"policy": json.loads(statement(Principal={"AWS": "123456789012"}))}),
        ("aws:s3/bucketAcl:BucketAcl", granted("s3/LogDelivery")),
    ],
)
def test_closed_buckets_pass(kind: str, props: dict[str, Any]) -> None:
    assert judge("no-public-bucket", Given(kind, props)).passed


@pytest.mark.parametrize(
    ("kind", "props"),
    [
        *((BLOCK, {**CLOSED, key: False}) for key in CLOSED),
        (BLOCK, {key: value for key, value in CLOSED.items() if key != "blockPublicPolicy"}),
        ("aws:s3/bucket:Bucket", {"acl": "public-read"}),
        ("aws:s3/bucketAcl:BucketAcl", {"acl": "authenticated-read"}),
        (POLICY, {"policy": statement(Principal="*")}),
        (POLICY, {"policy": statement(Principal={"AWS": ["*"]})}),
        (POLICY, {"policy": json.loads(statement(Principal="*"))}),
        (POLICY, {"policy": json.dumps({"Statement": {"Effect": "Allow", "NotPrincipal": {"AWS": "1"}, "Action": "s3:*"}})}),
        (POLICY, {"policy": statement(Principal="*", Condition={"Bool": {"aws:SecureTransport": "true"}})}),
        (POLICY, {"policy": statement(Principal="*", Condition={"StringLike": {"aws:Referer": "https://example.com/*"}})}),
        (POLICY, {"policy": statement(Principal="*", Condition={"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}})}),
        (POLICY, {"policy": statement(Principal="*", Condition={"StringLike": {"aws:PrincipalArn": "*"}})}),
        (POLICY, {"policy": statement(Principal="*", Condition={"StringNotEquals": {"aws:SourceVpc": "vpc-1"}})}),
        ("aws:s3/bucket:Bucket", {"policy": statement(Principal="*")}),
        ("aws:s3/bucket:Bucket", {"grants": [{"type": "Group", "uri": f"{GROUPS}/global/AllUsers"}]}),
        ("aws:s3/bucketAcl:BucketAcl", granted("global/AuthenticatedUsers")),
    ],
)
def test_public_buckets_are_told(kind: str, props: dict[str, Any]) -> None:
    assert judge("no-public-bucket", Given(kind, props, "models")).said.startswith(f"models ({kind})")


@pytest.mark.parametrize(("kind", "props"), [(BLOCK, {**CLOSED, "blockPublicAcls": UNKNOWN}), (POLICY, {"policy": UNKNOWN})])
def test_guards_of_buckets_that_are_not_known_yet_are_undecided(kind: str, props: dict[str, Any]) -> None:
    found = judge("no-public-bucket", Given(kind, props))
    assert (found.violations, len(found.undecided)) == ([], 1)


def test_nodes_have_no_public_address() -> None:
    def interface(value: Any) -> Given:
        return Given(TEMPLATE, {"networkInterfaces": [{"deviceIndex": 0}, {"associatePublicIpAddress": value}]})

    assert judge("no-public-address", interface("false")).passed
    for value in (True, "true"):
        assert "networkInterfaces[1]" in judge("no-public-address", interface(value)).said
    for kind in ("aws:ec2/instance:Instance", "aws:ec2/launchConfiguration:LaunchConfiguration"):
        assert judge("no-public-address", Given(kind, {"associatePublicIpAddress": True})).violations
    found = judge("no-public-address", Given(TEMPLATE, {"networkInterfaces": UNKNOWN}))
    assert (found.violations, len(found.undecided)) == ([], 1)


GROUP = "aws:ec2/securityGroup:SecurityGroup"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
LEGACY = "aws:ec2/securityGroupRule:SecurityGroupRule"


def nodes(rule: dict[str, Any], kind: str = INGRESS, inline: Any = None) -> list[Given]:
    group = Given(GROUP, {"ingress": inline, "id": UNKNOWN}, "nodes")
    template = Given(TEMPLATE, {}, "template", needs={"networkInterfaces": (group,)})
    return [group, template, Given(kind, rule, "rule", needs={"securityGroupId": (group,)})]


@pytest.mark.parametrize("block", ["0.0.0.0/0", "203.0.113.7/32", "0.0.0.0/1", "8.0.0.0/8"])
def test_pools_take_nothing_from_public_addresses(block: str) -> None:
    for given in (
        nodes({"cidrIpv4": block}),
        nodes({"type": "ingress", "cidrBlocks": [block]}, LEGACY),
        nodes({}, inline=[{"cidrBlocks": [block], "fromPort": 0, "toPort": 0, "protocol": "-1"}]),
    ):
        said = judge("no-public-pool", *given).said
        assert block in said
        assert "load balancer's security group" in said
    assert judge("no-public-pool", *nodes({"cidrIpv6": "::/0"})).violations


def test_pools_take_requests_from_security_groups_and_private_networks() -> None:
    for rule in ({"referencedSecurityGroupId": "sg-1"}, {"cidrIpv4": "10.4.0.0/16"}, {"cidrIpv6": "fd00::/8"}):
        assert judge("no-public-pool", *nodes(rule)).passed
    assert judge("no-public-pool", *nodes({"type": "egress", "cidrBlocks": ["0.0.0.0/0"]}, LEGACY)).passed
    group, _, rule = nodes({"cidrIpv4": "0.0.0.0/0"})
    assert judge("no-public-pool", group, rule).passed  # no nodes: a load balancer's
    unknown = judge("no-public-pool", *nodes({"cidrIpv4": UNKNOWN}))
    assert (unknown.violations, len(unknown.undecided)) == ([], 1)


def test_a_security_group_is_also_found_by_its_known_id() -> None:
    group = Given(GROUP, {"id": "sg-1"}, "nodes")
    template = Given(TEMPLATE, {"networkInterfaces": [{"securityGroups": ["sg-1"]}]}, "template")
    rule = Given(INGRESS, {"securityGroupId": "sg-1", "cidrIpv4": "0.0.0.0/0"}, "rule")
    assert judge("no-public-pool", group, template, rule).violations


LISTENER = "aws:lb/listener:Listener"


def switched(block: Any, ports: tuple[int, int] = (8081, 8081), internal: bool = False, by_rule: bool = True) -> list[Given]:
    """A switch's listener on 443, open to the internet, and a test listener on 8081, open to `block`."""
    group = Given(GROUP, {"id": UNKNOWN}, "balancer")
    web = Given(
        "aws:lb/loadBalancer:LoadBalancer", {"internal": internal, "arn": UNKNOWN}, "web", needs={"securityGroups": (group,)}
    )
    blue = Given("aws:lb/targetGroup:TargetGroup", {"arn": UNKNOWN}, "blue")
    live = Given(
        LISTENER,
        {"port": 443, "arn": UNKNOWN, "tags": {"turnout:blue": "a", "turnout:green": "b"}},
        "live",
        needs={"loadBalancerArn": (web,), "defaultActions": (blue,)},
    )
    needs = {"loadBalancerArn": (web,)} | ({} if by_rule else {"defaultActions": (blue,)})
    test = Given(LISTENER, {"port": 8081, "arn": UNKNOWN}, "test", needs=needs)
    rule = Given("aws:lb/listenerRule:ListenerRule", {}, "test-blue", needs={"listenerArn": (test,), "actions": (blue,)})
    open_to = {"cidrIpv4": block, "fromPort": ports[0], "toPort": ports[1], "ipProtocol": "tcp"}
    users = {"cidrIpv4": "0.0.0.0/0", "fromPort": 443, "toPort": 443, "ipProtocol": "tcp"}
    rules = [Given(INGRESS, each, f"from-{n}", needs={"securityGroupId": (group,)}) for n, each in enumerate((users, open_to))]
    return [group, web, blue, live, test, *([rule] if by_rule else []), *rules]


@pytest.mark.parametrize("by_rule", [True, False])
def test_the_test_listener_is_closed_to_the_internet(by_rule: bool) -> None:
    for block in ("203.0.113.0/24", "10.0.0.0/8"):
        assert judge("no-public-test-listener", *switched(block, by_rule=by_rule)).passed
    for block, ports in (("0.0.0.0/0", (8081, 8081)), ("128.0.0.0/1", (8081, 8081)), ("0.0.0.0/0", (8000, 9000))):
        said = judge("no-public-test-listener", *switched(block, ports, by_rule=by_rule)).said
        assert "from-1" in said
        assert "turnout:ingress.test_cidrs" in said


def test_an_internal_load_balancer_is_not_the_internets_and_unknown_blocks_are_undecided() -> None:
    assert judge("no-public-test-listener", *switched("0.0.0.0/0", internal=True)).passed
    assert judge("no-public-test-listener", *switched("0.0.0.0/0", (80, 80))).passed
    *given, rule = switched("0.0.0.0/0")
    for protocol, kept in (("icmp", True), ("udp", True), ("6", False), ("-1", False)):
        other = Given(rule.type, {**rule.props, "ipProtocol": protocol}, rule.name, needs=rule.needs)
        assert judge("no-public-test-listener", *given, other).passed is kept
    unknown = judge("no-public-test-listener", *switched(UNKNOWN))
    assert (unknown.violations, len(unknown.undecided)) == ([], 1)


def test_ports_that_are_not_known_yet_are_undecided() -> None:
    *given, rule = switched("0.0.0.0/0")
    hidden = Given(rule.type, {**rule.props, "fromPort": UNKNOWN}, rule.name, needs=rule.needs)
    found = judge("no-public-test-listener", *given, hidden)
    assert (found.violations, len(found.undecided)) == ([], 1)
    moved = [
        Given(one.type, {**one.props, "port": UNKNOWN}, one.name, needs=one.needs) if one.name == "test" else one
        for one in given
    ]
    found = judge("no-public-test-listener", *moved, rule)
    assert (found.violations, len(found.undecided)) == ([], 1)


def test_a_test_listener_is_also_found_by_known_arns() -> None:
    forward = [{"type": "forward", "targetGroupArn": "arn:blue"}]
    live, test = (
        Given(LISTENER, {"port": port, "arn": f"arn:{port}", "loadBalancerArn": "arn:web", **more}, f"on-{port}")
        for port, more in ((443, {"tags": {"turnout:blue": "a", "turnout:green": "b"}, "defaultActions": forward}), (8081, {}))
    )
    group = Given(GROUP, {"id": "sg-1"}, "balancer")
    web = Given("aws:lb/loadBalancer:LoadBalancer", {"arn": "arn:web", "securityGroups": ["sg-1"]}, "web")
    rule = {"cidrIpv4": "0.0.0.0/0", "fromPort": 8081, "toPort": 8081, "ipProtocol": "tcp", "securityGroupId": "sg-1"}
    opened = Given(INGRESS, rule, "rule")
    forwards = Given("aws:lb/listenerRule:ListenerRule", {"listenerArn": "arn:8081", "actions": forward}, "test-blue")
    assert judge("no-public-test-listener", live, test, group, web, opened, forwards).violations
    other = Given(forwards.type, {**forwards.props, "listenerArn": "arn:another"}, "test-blue")
    assert judge("no-public-test-listener", live, test, group, web, opened, other).passed


def test_what_two_listeners_share_beside_target_groups_makes_no_test_listener() -> None:
    users = Given("aws:cognito/userPool:UserPool", {}, "users")
    given = [one for one in switched("0.0.0.0/0") if one.name != "test-blue"]
    shared = [
        Given(
            one.type, one.props, one.name, needs={**one.needs, "defaultActions": (*one.needs.get("defaultActions", ()), users)}
        )
        for one in given
        if one.type == LISTENER
    ]
    assert judge("no-public-test-listener", users, *shared, *(one for one in given if one.type != LISTENER)).passed
