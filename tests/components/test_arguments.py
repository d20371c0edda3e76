"""What every component says of arguments that it cannot use."""

import json
from typing import Any

import pulumi
import pytest
from component_args import BALANCER, manifest, pool_args, target_group
from pulumi_aws import secretsmanager
from recording import record
from turnout_components import arguments
from turnout_components.artifact_store import ArtifactStore
from turnout_components.autoscaling_policy import AutoscalingPolicy
from turnout_components.environment import Environment
from turnout_components.gpu_node_pool import GpuNodePool
from turnout_components.ingress import Ingress
from turnout_components.network import Network
from turnout_components.network_load_balancer import NetworkLoadBalancer
from turnout_components.service_secrets import ServiceSecrets
from turnout_components.traffic_switch import TrafficSwitch

OWNER = {"service": "svc", "environment": "green"}
BALANCED = {"vpc_id": "vpc-1", "subnet_ids": ["a", "b"], "health_paths": {"blue": "/ready", "green": "/ready"}}
SIDE = {"target_group_arn": target_group("blue"), "minimum": 1, "maximum": 2}
SWITCHED = {
    "service": "svc",
    "region": "us-east-1",
    "load_balancer_arn": BALANCER,
    "environments": {"blue": SIDE, "green": SIDE},
    "active": "blue",
}
LEAST: list[tuple[Any, dict[str, Any]]] = [
    (GpuNodePool, pool_args()),
    (AutoscalingPolicy, {**OWNER, "group_name": "g"}),
    (ServiceSecrets, OWNER),
    (ArtifactStore, {"service": "svc"}),
    (Ingress, BALANCED),
    (NetworkLoadBalancer, BALANCED),
    (Environment, {**pool_args(), "load_balancer_arn": BALANCER}),
    (TrafficSwitch, SWITCHED),
]


def out(value: Any) -> Any:
    return pulumi.Output.from_input(value)


def make(component: Any, args: dict[str, Any]) -> Any:
    def program() -> None:
        component("svc", args)

    return record(program)


@pytest.mark.parametrize(("component", "least"), LEAST)
def test_required_arguments_are_enough_as_they_are_and_as_outputs(component, least):
    assert make(component, least).registrations
    texts = {key: out(value) for key, value in least.items() if isinstance(value, str)}
    assert len(make(component, {**least, **texts}).registrations) == len(make(component, least).registrations)


@pytest.mark.parametrize(("component", "least"), LEAST)
def test_an_argument_that_a_component_does_not_know_is_refused_with_the_nearest(component, least):
    key = next(iter(least))
    with pytest.raises(ValueError, match=f"^svc: {key}x is no argument of it; write {key}$"):
        make(component, {**least, f"{key}x": 1})


@pytest.mark.parametrize(("component", "least"), LEAST)
def test_an_argument_that_is_missing_is_named(component, least):
    key = next(iter(least))
    with pytest.raises(ValueError, match=f"^svc: {key} is missing; give it$"):
        make(component, {name: value for name, value in least.items() if name != key})


@pytest.mark.parametrize(
    ("component", "args", "key"),
    [
        (GpuNodePool, lambda: pool_args(efa=out(False)), "efa"),
        (Environment, lambda: {**pool_args(release=out(manifest())), "load_balancer_arn": BALANCER}, "release"),
        (Ingress, lambda: {**BALANCED, "allowed_cidrs": [out("10.0.0.0/8")]}, "allowed_cidrs"),
        (Ingress, lambda: {**BALANCED, "test_cidrs": out(["10.0.0.0/8"])}, "test_cidrs"),
        (AutoscalingPolicy, lambda: {**OWNER, "group_name": "g", "step": {"pending": out(3)}}, "step"),
        (ServiceSecrets, lambda: {**OWNER, "names": out(["API_KEY"])}, "names"),
    ],
)
def test_an_output_that_would_decide_which_resources_there_are_is_refused(component, args, key):
    with pytest.raises(ValueError, match=f"^svc: {key} holds an output, but decides"):
        make(component, args())


@pytest.mark.parametrize(
    "changes",
    [
        lambda: {"maximum": 3, "warm_pool": {"minimum": out(1)}},
        lambda: {"requirements": {"gpus_min": out(2)}},
        lambda: {"instance_types": [out("g5.xlarge"), "g6.xlarge"]},
        lambda: {"secrets": {"A": "vault:kv/a#b"}, "vault": {"address": out("https://vault.example.com"), "role": "r"}},
        lambda: {"secrets": {"A": out("vault:kv/a#b")}, "vault": {"address": out("https://vault.example.com"), "role": "r"}},
    ],
)
def test_a_pool_takes_an_output_within_an_argument(changes):
    assert make(GpuNodePool, pool_args(**changes())).one(":Group").inputs["name"]


def test_a_model_in_another_bucket_is_refused_although_its_secrets_are_not_known_yet():
    def program() -> None:
        later = secretsmanager.Secret("later").arn
        GpuNodePool("svc", pool_args(secrets={"API_KEY": later}, artifact_buckets=["others"]))

    with pytest.raises(ValueError, match="^model s3://models/.* is in none of the artifact buckets others; copy it there"):
        record(program, preview=True)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "cidr = None: is missing beside nothing"),
        ({"vpc_id": "vpc-1", "public_subnet_ids": ["a"]}, "private_subnet_ids = None: is missing beside public_subnet_ids"),
        ({"cidr": "10.0.0.1/16", "zones": ["us-east-1a", "us-east-1b"]}, "cidr = '10.0.0.1/16': has host bits"),
        ({"cidr": "10.0.0.0/28", "zones": ["us-east-1a", "us-east-1b"]}, "cidr = '10.0.0.0/28': is no /16 to /23"),
        ({"cidr": "10.0.0.0/16", "zones": ["us-east-1a"]}, "zones = "),
        ({"cidr": "10.0.0.0/16", "zones": [f"us-east-1{z}" for z in "abcdefghi"]}, "zones = "),
        ({"cidr": "10.0.0.0/16", "zones": ["us-east-1a", "us-east-1b"], "nat": "three"}, "nat = 'three'"),
    ],
)
def test_a_network_is_whole_and_of_one_kind(args, said):
    with pytest.raises(ValueError, match="^" + said.replace("(", r"\(")):
        make(Network, args)


def test_a_network_that_exists_is_no_new_one_too():
    both = {"vpc_id": "vpc-1", "public_subnet_ids": ["a"], "private_subnet_ids": ["b"], "cidr": "10.0.0.0/16"}
    with pytest.raises(ValueError, match="^cidr = .*: is of a new VPC, and this one exists"):
        make(Network, both)


@pytest.mark.parametrize("component", [Ingress, NetworkLoadBalancer])
@pytest.mark.parametrize(
    ("cidrs", "said"), [(["10.0.0.1/8"], "has host bits set; write 10.0.0.0/8"), ("10.0.0.0/8", "is one text and no list")]
)
def test_whom_a_load_balancer_admits_is_a_list_of_blocks(component, cidrs, said):
    with pytest.raises(ValueError, match=f"^allowed_cidrs = .*{said}"):
        make(component, {**BALANCED, "allowed_cidrs": cidrs})


def test_what_is_none_is_not_there():
    assert len(make(Ingress, {**BALANCED, "web_acl_arn": None, "record": None}).registrations) == len(
        make(Ingress, BALANCED).registrations
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"active": "red"}, "active = 'red': names no environment of the switch; write blue or green"),
        ({"weights": {"blue": 90, "green": 20}}, "weights = .*: sum to 110; make them sum to 100"),
        ({"weights": {"blue": 90, "gren": 10}}, "weights.gren = 10: names no environment"),
    ],
)
def test_a_switch_moves_traffic_to_its_environments_only_and_all_of_it(changes, said):
    with pytest.raises(Exception, match=said):
        make(TrafficSwitch, {**SWITCHED, **changes})


@pytest.mark.parametrize(
    ("component", "args"),
    [*LEAST[:4], (Environment, {**pool_args(), "load_balancer_arn": BALANCER, "scaling": {}})],
)
def test_what_has_tags_names_its_service(component, args):
    tagged = (":MetricAlarm", ":Group", ":LaunchTemplate", ":Secret", ":Key", ":Bucket", ":Repository", ":Role")
    for found in make(component, args).registrations:
        if found.type.endswith(tagged):
            assert "turnout:service" in str(found.inputs["tags"]), found.name


def test_the_step_downs_role_names_its_service():
    assert make(TrafficSwitch, SWITCHED).one(":Role").inputs["tags"] == {"turnout:service": "svc"}


def test_whole_numbers_of_pulumis_wire_are_whole_at_any_depth_and_in_outputs() -> None:
    def program() -> dict[str, Any]:
        given: Any = {"minimum": 2.0, "deep": [{"port": pulumi.Output.from_input(80.0)}], "share": 0.5, "on": True}
        return {"taken": arguments.whole(given)}

    taken = record(program).outputs["taken"]
    assert json.dumps(taken, sort_keys=True) == '{"deep": [{"port": 80}], "minimum": 2, "on": true, "share": 0.5}'


def test_a_component_takes_whole_numbers_of_the_wire() -> None:
    made = record(lambda: Ingress("svc", {**BALANCED, "certificate_arn": "arn:cert", "port": 8443.0}) and None)
    (action,) = made.one(":Listener", "redirect").inputs["defaultActions"]
    assert action["redirect"]["port"] == "8443"
