"""Who may send copies of requests to whom, and what a pool has where a mirror may be asked for."""

import base64
import json
from typing import Any

import pulumi
import pytest
from component_args import BALANCER, SHA, manifest, pool_args
from recording import Recording, record
from turnout_components import capacity, node_document
from turnout_components.environment import Environment
from turnout_components.gpu_node_pool import GpuNodePool
from turnout_components.mirror_access import MirrorAccess
from turnout_components.mirror_setting import parameter
from turnout_components.node_policy import node_policy
from turnout_components.user_data import read_release

from turnout.providers.aws.security_group import SecurityGroupEgressRule, SecurityGroupIngressRule

ENVOY = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/envoyproxy/envoy@{SHA}"


def access(**groups: Any) -> Recording:
    return record(lambda: MirrorAccess("svc", {"security_group_ids": groups, "port": 9000}) and None)


def test_each_environment_s_nodes_reach_the_other_s_on_the_server_s_port_only() -> None:
    made = access(blue="sg-blue", green="sg-green")
    rules = made.all(":SecurityGroupEgressRule") + made.all(":SecurityGroupIngressRule")
    assert {(r.inputs["fromPort"], r.inputs["toPort"], r.inputs["ipProtocol"]) for r in rules} == {(9000, 9000, "tcp")}
    ways = {r.name: (r.inputs["securityGroupId"], r.inputs["referencedSecurityGroupId"]) for r in rules}
    assert ways == {
        "svc-blue-to-green": ("sg-blue", "sg-green"),
        "svc-green-from-blue": ("sg-green", "sg-blue"),
        "svc-green-to-blue": ("sg-green", "sg-blue"),
        "svc-blue-from-green": ("sg-blue", "sg-green"),
    }
    assert not [r for r in rules if "cidrIpv4" in r.inputs]


def test_the_rules_are_such_as_aws_takes() -> None:
    """By the local engine's provider: a description may have no apostrophe ("UserIdGroupPair", Amazon EC2 API Reference)."""
    made = access(blue="sg-blue", green="sg-green")
    for kind in (SecurityGroupIngressRule, SecurityGroupEgressRule):
        for rule in made.all(f":{kind.__name__}"):
            assert rule.inputs.keys() <= kind.inputs
            assert kind().check(rule.inputs) == []


def test_one_environment_alone_opens_nothing() -> None:
    assert access(green="sg-green").names() == ["svc"]


def test_an_argument_that_it_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="svc: ports is no argument of it; write port"):
        record(lambda: MirrorAccess("svc", {"security_group_ids": {}, "port": 1, "ports": 2}) and None)  # type: ignore[typeddict-unknown-key]


def test_an_environment_tells_its_nodes_security_group_and_none_without_nodes() -> None:
    def told(**changes: Any) -> Any:
        args = {**pool_args(), "load_balancer_arn": BALANCER, **changes}
        return record(lambda: {"group": Environment("svc-green", args, pulumi.ResourceOptions()).security_group_id}).outputs

    assert told() == {"group": "svc-green-pool-nodes-id"}
    assert told(release=None) == {"group": None}


def pool(**changes: Any) -> Recording:
    return record(lambda: {"group": GpuNodePool("svc-green-pool", pool_args(**changes)).group_name})


def policy(made: Recording) -> dict[str, Any]:
    return {s["Sid"]: s for s in json.loads(made.one(":RolePolicy").inputs["policy"])["Statement"]}


def test_a_node_with_a_mirror_reads_its_own_group_s_parameter_and_pulls_envoy_beside_its_image() -> None:
    made = pool(mirror_image=ENVOY)
    group = made.one(":Group").inputs["name"]
    found = policy(made)
    assert (found["ReadOwnMirror"]["Action"], found["ReadOwnMirror"]["Resource"]) == (
        ["ssm:GetParameter"],
        [f"arn:aws:ssm:us-east-1:*:parameter{parameter(group)}"],
    )
    repositories = [f"arn:aws:ecr:us-east-1:123456789012:repository/{name}" for name in ("envoyproxy/envoy", "serving/vllm")]
    assert found["PullOwnImage"]["Resource"] == repositories
    node = read_release(base64.b64decode(made.one(":LaunchTemplate").inputs["userData"]).decode())
    assert node is not None
    assert node["mirror"] == {"image": ENVOY, "port": 15001, "admin": 15000}


def test_without_an_image_there_is_nothing_of_a_mirror() -> None:
    made = pool()
    assert "ReadOwnMirror" not in policy(made)
    node = read_release(base64.b64decode(made.one(":LaunchTemplate").inputs["userData"]).decode())
    assert node is not None
    assert "mirror" not in node


def test_envoy_from_a_public_registry_gives_no_right_to_a_repository() -> None:
    identity = {"service": "svc", "environment": "green", "region": "cn-north-1", "release": manifest(image=f"vllm/vllm@{SHA}")}
    machine = {"port": 8000, "drain": 30, "mirror_image": f"envoyproxy/envoy@{SHA}"}
    found = {
        s["Sid"]: s for s in node_policy(node_document.node(node_document.named("prod", identity), machine, {}))["Statement"]
    }
    assert "PullOwnImage" not in found
    assert found["ReadOwnMirror"]["Resource"][0].startswith(
        "arn:aws-cn:ssm:cn-north-1:*:parameter/turnout/mirror/svc-prod-green-"
    )


@pytest.mark.parametrize("image", ["envoyproxy/envoy:v1.36", f"envoyproxy/envoy@{SHA[:-1]}", "envoyproxy/envoy"])
def test_an_image_without_a_digest_is_refused(image: str) -> None:
    with pytest.raises(ValueError, match=r"mirror_image = '.*': names no digest; write <image of Envoy>@sha256"):
        pool(mirror_image=image)


@pytest.mark.parametrize("port", [15000, 15001])
def test_a_server_on_a_port_of_the_mirror_is_refused_with_one_only(port: int) -> None:
    assert capacity.faults({"port": port}) == []
    assert [fault.field for fault in capacity.faults({"port": port, "mirror_image": ENVOY})] == ["port"]
