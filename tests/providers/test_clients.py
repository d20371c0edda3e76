"""Where calls go, what they carry, and what is left behind when one fails."""

import threading
from typing import Any

import pytest

from tests.providers.conftest import TRUST, TYPES, World, provider
from turnout.engine.provider import NotFound, ProviderConfig, ProviderError
from turnout.providers.aws.base import INTENT_TAG, Deadline
from turnout.providers.aws.clients import Cloud, client, error_code

VPC, TARGETS = TYPES["aws:ec2/vpc:Vpc"], TYPES["aws:lb/targetGroup:TargetGroup"]


@pytest.mark.parametrize(
    "url",
    ["https://ec2.us-east-1.amazonaws.com", "http://10.0.0.1:5000", "http://127.0.0.1.example.com", "http://0.0.0.0:1", "x"],
)
def test_an_endpoint_that_is_not_loopback_is_refused(url: str) -> None:
    config = ProviderConfig({"endpoints": [{"ec2": "http://127.0.0.1:1", "iam": url}]})
    with pytest.raises(ProviderError, match="endpoint iam = .* not a loopback address"):
        client(config, "ec2")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"])
def test_a_loopback_endpoint_is_taken(url: str) -> None:
    assert client(ProviderConfig({"endpoints": [{"ec2": url}]}), "ec2").meta.endpoint_url == url


@pytest.mark.parametrize("inputs", [{}, {"endpoints": []}, {"endpoints": [{"iam": "http://127.0.0.1:1"}]}])
def test_a_service_without_an_endpoint_is_refused_by_name(inputs: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="no endpoint for ec2"):
        client(ProviderConfig(inputs), "ec2")


def test_threads_share_one_client_of_a_configuration(endpoint: str) -> None:
    config, found = provider(endpoint, region="eu-west-1"), []
    threads = [threading.Thread(target=lambda: found.append(client(config, "ec2"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(item) for item in found}) == 1
    assert client(provider(endpoint, region="eu-west-2"), "ec2") is not found[0]


def test_an_endpoint_where_nothing_listens_is_an_error_for_the_operator() -> None:
    config = ProviderConfig({"endpoints": [{"ec2": "http://127.0.0.1:9"}]})
    with pytest.raises(ProviderError, match="ec2 describe_vpcs: Could not connect"):
        Cloud(config).call("ec2", "describe_vpcs")


def test_an_error_keeps_the_services_code(world: World) -> None:
    with pytest.raises(NotFound) as caught:
        Cloud(world.config).call("iam", "get_role", RoleName="nobody")
    assert error_code(caught.value) == "NoSuchEntity"


def test_default_tags_are_on_the_object_and_not_in_its_inputs(endpoint: str) -> None:
    config = provider(endpoint, defaultTags={"tags": {"project": "turnout", "team": "all"}})
    world = World(config)
    inputs = {"cidrBlock": "10.2.0.0/16", "tags": {"team": "models"}}
    made = world.make("aws:ec2/vpc:Vpc", **inputs)
    try:
        assert made.outputs["tags"] == {"team": "models"}
        assert made.outputs["tagsAll"] == {"project": "turnout", "team": "models"}
        outputs = VPC.update(config, made.id, inputs, {"cidrBlock": "10.2.0.0/16"}, made.outputs)
        assert outputs["tagsAll"] == {"project": "turnout", "team": "all"}
    finally:
        world.close()


def test_the_intent_tag_is_on_the_object_and_in_no_output(world: World) -> None:
    made = VPC.create(world.config, {"cidrBlock": "10.3.0.0/16"}, "the-token")
    world.made.append((VPC, made, {"cidrBlock": "10.3.0.0/16"}))
    live = world.api("ec2").describe_vpcs(VpcIds=[made.id])["Vpcs"][0]["Tags"]
    assert live == [{"Key": INTENT_TAG, "Value": "the-token"}]
    assert made.outputs["tagsAll"] == {}


def test_a_create_that_fails_half_way_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = {"name": world.name("tg"), "port": 80, "protocol": "HTTP", "vpcId": world.vpc, "slowStart": 30}
    call = Cloud.call

    def failing(self: Cloud, service: str, operation: str, **members: Any) -> dict[str, Any]:
        if operation == "modify_target_group_attributes":
            raise ProviderError("no")
        return call(self, service, operation, **members)

    with monkeypatch.context() as patch:
        patch.setattr(Cloud, "call", failing)
        with pytest.raises(ProviderError, match="^no$"):
            TARGETS.create(world.config, inputs, "token")
    assert TARGETS.find(world.config, inputs, "token") is None


def test_adoption_finishes_what_an_interrupted_create_had_begun(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kill comes between the API's answer and the attributes."""
    inputs = {"name": world.name("tg"), "port": 80, "protocol": "HTTP", "vpcId": world.vpc, "slowStart": 30}
    call = Cloud.call

    class Killed(BaseException):
        pass

    def killed(self: Cloud, service: str, operation: str, **members: Any) -> dict[str, Any]:
        if operation == "modify_target_group_attributes":
            raise Killed
        return call(self, service, operation, **members)

    with monkeypatch.context() as patch:
        patch.setattr(Cloud, "call", killed)
        with pytest.raises(Killed):
            TARGETS.create(world.config, inputs, "token")
    found = TARGETS.find(world.config, inputs, "token")
    assert found is not None
    world.made.append((TARGETS, found, inputs))
    assert found.outputs["slowStart"] == 30


def test_a_new_security_group_lets_nothing_out(world: World) -> None:
    group = world.api("ec2").describe_security_groups(GroupIds=[world.group()])["SecurityGroups"][0]
    assert group["IpPermissionsEgress"] == []


def test_a_repeated_update_of_a_launch_template_makes_one_version(world: World) -> None:
    kind = TYPES["aws:ec2/launchTemplate:LaunchTemplate"]
    old = {"name": world.name("lt"), "instanceType": "g5.xlarge"}
    made, new = world.make(kind.token, **old), {**old, "instanceType": "g6.xlarge"}
    for _ in range(2):
        outputs = kind.update(world.config, made.id, old, new, made.outputs)
        assert (outputs["latestVersion"], outputs["defaultVersion"]) == (2, 1)
    back = kind.update(world.config, made.id, new, {**old, "updateDefaultVersion": True}, outputs)
    assert (back["latestVersion"], back["defaultVersion"]) == (3, 3)


def test_a_policy_that_is_only_written_differently_is_no_drift(world: World) -> None:
    spaced = TRUST.replace('"Action":"sts:AssumeRole"', '"Action": ["sts:AssumeRole"]')
    kind = TYPES["aws:iam/role:Role"]
    inputs = {"name": world.name("role"), "assumeRolePolicy": spaced}
    made = world.make(kind.token, **inputs)
    world.api("iam").update_assume_role_policy(RoleName=made.id, PolicyDocument=TRUST)
    observed = kind.read(world.config, made.id, inputs, made.outputs)
    assert observed is not None
    assert observed.inputs == inputs


def test_a_deadline_says_what_was_still_so() -> None:
    now = iter((0.0, 1.0, 6.0))
    deadline = Deadline(5, "group x", clock=lambda: next(now), sleep=lambda _: None)
    with pytest.raises(ProviderError, match="group x still has instances after 5 s"):
        deadline.until(lambda: False, "still has instances")
