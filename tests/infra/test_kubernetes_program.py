"""The program of a stack in a Kubernetes cluster, against recorded registrations: what it makes, where, and in which order."""

import json
import runpy
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from recording import Recording, record

ROOT = Path(__file__).parents[2]
KUBECONFIG = "local/kubeconfig"
SCALING = {"prometheus": {"address": "http://prometheus.monitoring.svc:9090"}}
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:hf-AbCdEf"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    """Runs the program of the local cluster's stack without any call."""

    def run(**changes: Any) -> Recording:
        monkeypatch.setenv("TURNOUT_OFFLINE", "1")
        monkeypatch.setenv("TURNOUT_LOCAL_KUBECONFIG", KUBECONFIG)
        monkeypatch.setattr(pulumi, "get_root_directory", lambda: str(ROOT))
        document = yaml.safe_load((ROOT / "stacks" / "Pulumi.local-kubernetes.yaml").read_text())["config"]
        config = {key.removeprefix("turnout:"): value for key, value in document.items()}
        for path, value in changes.items():
            at = config
            *parts, last = path.split("__")
            for part in parts:
                at = at.setdefault(part, {})
            at[last] = value
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
        pulumi.runtime.set_all_config({f"turnout:{key}": text for key, text in texts.items()})
        try:
            return record(lambda: runpy.run_path(str(ROOT / "infra"))["outputs"])
        finally:
            pulumi.runtime.set_all_config({})

    return run


def test_a_cluster_that_exists_gets_no_object_of_aws_and_all_by_the_explicit_provider(run):
    made = run()
    assert [r for r in made.registrations if r.type.startswith(("aws:", "pulumi:providers:aws"))] == []
    objects = [r for r in made.registrations if r.type.startswith("kubernetes:")]
    assert {r.request.provider.split("::")[-2] for r in objects} == {"kubernetes"}
    assert {r.request.provider.split("::")[-3].rpartition(":")[2] for r in objects} == {"kubernetes"}
    provider = made.one("pulumi:providers:kubernetes").inputs
    assert (provider["kubeconfig"], provider["enableServerSideApply"]) == (KUBECONFIG, "true")


def test_a_cluster_elsewhere_is_reached_by_its_context(run):
    provider = run(cloud="cluster", kubernetes__context="office").one("pulumi:providers:kubernetes").inputs
    assert provider["context"] == "office"
    assert "kubeconfig" not in provider


def test_all_stands_in_the_services_namespace_or_the_one_that_config_names(run):
    for changes, wanted in (({}, "digits"), ({"kubernetes__namespace": "team"}, "team")):
        made = run(**changes)
        assert made.one(":Namespace").inputs["metadata"]["name"] == wanted
        named = [r for r in made.registrations if r.type.startswith("kubernetes:") and not r.type.endswith(":Namespace")]
        assert {r.inputs["metadata"]["namespace"] for r in named} == {wanted}
        assert made.outputs["listener"] == f"HTTPRoute/{wanted}/digits"


def test_the_active_environment_has_the_routes_weight_and_the_other_none(run):
    made = run()
    (rule,) = made.one(":HTTPRoute", "-route").inputs["spec"]["rules"]
    assert [(ref["name"], ref["weight"]) for ref in rule["backendRefs"]] == [("digits-blue", 100), ("digits-green", 0)]
    assert made.outputs["weights"] == {"blue": 100, "green": 0}


def test_an_environment_without_release_has_a_service_and_no_workload(run):
    made = run()
    assert [r.name for r in made.all(":Deployment")] == ["digits-blue-workload"]
    assert len(made.all("core/v1:Service")) == 2
    assert made.one(":Deployment").inputs["spec"]["replicas"] == 2


def test_the_route_comes_after_the_workload_and_that_after_the_namespace(run):
    made = run()
    assert "digits-blue-workload" in made.one(":HTTPRoute", "-route").dependencies
    assert "digits-namespace" in made.one(":Deployment").dependencies


def test_a_workload_that_scales_has_one_scaler_of_its_name_and_no_size_of_its_own(run):
    made = run(kubernetes__scaling=SCALING)
    workload, scaler = made.one(":Deployment").inputs, made.one(":ScaledObject").inputs
    assert "replicas" not in workload["spec"]
    assert scaler["metadata"]["name"] == scaler["spec"]["scaleTargetRef"]["name"] == workload["metadata"]["name"]
    assert (scaler["spec"]["minReplicaCount"], scaler["spec"]["maxReplicaCount"]) == (2, 6)


def test_pods_get_their_variables_from_what_external_secrets_makes(run):
    made = run(region="us-east-1", secrets={"references": {"HF_TOKEN": SECRET}})
    assert {r.inputs["metadata"]["name"] for r in made.all(":ExternalSecret")} == {
        "digits-blue-secrets",
        "digits-green-secrets",
    }
    (container,) = made.one(":Deployment").inputs["spec"]["template"]["spec"]["containers"]
    (variable,) = [one for one in container["env"] if one["name"] == "HF_TOKEN"]
    assert variable["valueFrom"]["secretKeyRef"]["name"] == "digits-blue-secrets"
    assert [r for r in made.registrations if r.type == "kubernetes:core/v1:Secret"] == []


def test_requests_come_from_the_gateways_namespace_or_from_whom_config_names(run):
    def sources(**changes: Any) -> list[Any]:
        spec = run(**changes).one(":NetworkPolicy", "-blue-network").inputs["spec"]
        return [peer for rule in spec["ingress"] for peer in rule["from"]]

    place = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "edge"}}}
    assert sources(kubernetes__gateway={"name": "public", "namespace": "edge"}) == [place]
    assert sources(kubernetes__clients=[{"cidr": "10.0.0.0/8"}]) == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]


def test_a_gateway_that_exists_is_named_by_the_route_and_not_made(run):
    made = run(kubernetes__gateway={"name": "public", "namespace": "edge", "section": "https", "hostnames": ["a.example.com"]})
    assert made.all(":Gateway") == []
    spec = made.one(":HTTPRoute", "-route").inputs["spec"]
    assert spec["parentRefs"] == [{"name": "public", "namespace": "edge", "sectionName": "https"}]
    assert spec["hostnames"] == ["a.example.com"]
