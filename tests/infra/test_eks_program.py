"""The program of a stack on EKS, against recorded registrations: cluster, nodes, pods behind target groups, the switch."""

import json
import runpy
from pathlib import Path

import pulumi
import pytest
import yaml
from recording import Recording, record

ROOT = Path(__file__).parents[2]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Recording:
    """What the production stack on EKS, with a test's own settings, registers without any call."""
    monkeypatch.setenv("TURNOUT_OFFLINE", "1")
    monkeypatch.setattr(pulumi, "get_root_directory", lambda: str(ROOT))
    config = yaml.safe_load((ROOT / "stacks" / "Pulumi.prod-eks.yaml").read_text())["config"]
    config |= getattr(request, "param", {})
    pulumi.runtime.set_all_config({k: v if isinstance(v, str) else json.dumps(v) for k, v in config.items()})
    try:
        return record(lambda: {"weights": runpy.run_path(str(ROOT / "infra"))["outputs"]["weights"]})
    finally:
        pulumi.runtime.set_all_config({})


def test_pods_stand_behind_target_groups_of_addresses_and_the_switchs_listener(made: Recording) -> None:
    assert made.outputs["weights"] == {"blue": 100, "green": 0}
    assert {group.inputs["targetType"] for group in made.all(":TargetGroup")} == {"ip"}
    bindings = {r.name: r.inputs["spec"] for r in made.all(":TargetGroupBinding")}
    assert {spec["serviceRef"]["name"] for spec in bindings.values()} == {"assistant-blue", "assistant-green"}
    assert len({spec["targetGroupARN"] for spec in bindings.values()}) == 2
    assert {"assistant-blue-workload", "assistant-green-workload"} <= made.one(":Listener", "assistant-listener").dependencies
    assert made.all("autoscaling/group:Group") == []


def test_a_workload_comes_after_its_own_test_rule_and_the_cluster(made: Recording) -> None:
    for name, other in (("blue", "green"), ("green", "blue")):
        needs = made.one(":Deployment", f"-{name}-workload").dependencies
        assert f"assistant-test-{name}" in needs
        assert f"assistant-test-{other}" not in needs


def test_each_environments_pods_read_their_own_secrets_only(made: Recording) -> None:
    for name, other in (("blue", "green"), ("green", "blue")):
        (container,) = made.one(":Deployment", f"-{name}-workload").inputs["spec"]["template"]["spec"]["containers"]
        (variable,) = [one for one in container["env"] if one["name"] == "API_KEY"]
        assert variable["valueFrom"]["secretKeyRef"]["name"] == f"assistant-{name}-secrets"
        remote = made.one(":ExternalSecret", f"-{name}-secrets-secret").inputs["spec"]
        assert f"/{name}/API_KEY" in json.dumps(remote)
        assert f"/{other}/API_KEY" not in json.dumps(remote)


def test_the_load_balancer_reaches_the_pods_port(made: Recording) -> None:
    rule = made.one(":SecurityGroupEgressRule", "assistant-to-pods").inputs
    assert (rule["fromPort"], rule["toPort"], rule["ipProtocol"]) == (8000, 8000, "tcp")


RUNNER = {"turnout:runner": {"code_bucket": "models", "code_key": "runner/0af3.zip"}}


@pytest.mark.parametrize("made", [RUNNER], indirect=True)
def test_the_function_that_drives_rollouts_stands_in_the_clusters_network_and_has_rights_in_the_namespace(
    made: Recording,
) -> None:
    function = made.one("lambda/function:Function")
    variables = function.inputs["environment"]["variables"]
    assert (variables["TURNOUT_PLATFORM"], variables["TURNOUT_CLUSTER"]) == (
        "eks",
        made.one("eks/cluster:Cluster").inputs["name"],
    )
    assert len(function.inputs["vpcConfig"]["subnetIds"]) >= 2
    role = made.one("rbac.authorization.k8s.io/v1:Role").inputs
    assert role["metadata"]["namespace"] == made.one("core/v1:Namespace").inputs["metadata"]["name"]
    assert "assistant-namespace" in made.one("rbac.authorization.k8s.io/v1:Role").dependencies
    entry = made.one("eks/accessEntry:AccessEntry", "-cluster-entry").inputs
    assert entry["principalArn"] == function.inputs["role"]


def test_without_a_runner_there_is_no_function(made: Recording) -> None:
    assert made.all("lambda/function:Function") == []
