"""The program as a whole, against recorded registrations: what it makes, by which provider, and in which order."""

import base64
import hashlib
import io
import json
import runpy
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from botocore.exceptions import ClientError, EndpointConnectionError
from recording import ACCOUNT, ELB, Recording, record
from turnout_components.resolve import SwitchRefused

from infra import providers
from infra.settings import parse
from turnout import releasing

ROOT = Path(__file__).parents[2]
ENDPOINT = "http://127.0.0.1:4566"


def stack_config(stack: str, **changes: Any) -> dict[str, Any]:
    document = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{stack}.yaml").read_text())["config"]
    return {key.removeprefix("turnout:"): value for key, value in document.items()} | changes


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    """Runs the program of a stack without any call of AWS."""

    def run(stack: str, **changes: Any) -> Recording:
        monkeypatch.setenv("TURNOUT_OFFLINE", "1")
        monkeypatch.setenv("TURNOUT_LOCAL_ENDPOINT", ENDPOINT)
        monkeypatch.setattr(pulumi, "get_root_directory", lambda: str(ROOT))
        texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in stack_config(stack, **changes).items()}
        pulumi.runtime.set_all_config({f"turnout:{key}": text for key, text in texts.items()})
        try:
            return record(lambda: exported(runpy.run_path(str(ROOT / "infra"))))
        finally:
            pulumi.runtime.set_all_config({})

    def exported(names: dict[str, Any]) -> dict[str, Any]:
        return {"weights": names["outputs"]["weights"], "url": names["settings"].url("host", names["settings"].ingress.port)}

    return run


def production_listener(made: Recording):
    return made.one(":Listener", "-listener")


def test_both_environments_of_production_run_and_blue_has_the_traffic(run):
    made = run("prod")
    assert len(made.all(":Group")) == 2
    assert made.outputs == {"weights": {"blue": 100, "green": 0}, "url": "https://host"}
    (action,) = production_listener(made).inputs["defaultActions"]
    assert [group["weight"] for group in action["forward"]["targetGroups"]] == [100, 0]
    assert production_listener(made).inputs["protocol"] == "HTTPS"


def test_an_environment_without_release_has_a_target_group_and_no_pool(run):
    made = run("local")
    assert len(made.all(":TargetGroup")) == 2
    assert [group.name for group in made.all(":Group")] == ["digits-blue-pool-group"]


def test_production_has_on_demand_instances_and_a_warm_pool(run):
    for name in ("blue", "green"):
        group = run("prod").one(":Group", f"-{name}-pool-group").inputs
        policy = group["mixedInstancesPolicy"]
        assert policy["instancesDistribution"]["onDemandBaseCapacity"] == 3
        assert policy["instancesDistribution"]["onDemandPercentageAboveBaseCapacity"] == 100
        assert [o["instanceType"] for o in policy["launchTemplate"]["overrides"]] == ["g6e.2xlarge", "g6e.4xlarge"]
        assert group["warmPool"]["poolState"] == "Stopped"
        assert group["warmPool"]["minSize"] == 2


def test_staging_has_spot_instances_above_one_on_demand_and_no_warm_pool(run):
    group = run("staging").one(":Group", "-blue-pool-group").inputs
    distribution = group["mixedInstancesPolicy"]["instancesDistribution"]
    assert (distribution["onDemandBaseCapacity"], distribution["onDemandPercentageAboveBaseCapacity"]) == (1, 25)
    assert group["capacityRebalance"] is True
    assert "warmPool" not in group


def test_each_environment_has_secrets_and_a_key_of_its_own_and_its_nodes_know_their_own_only(run):
    made = run("prod")
    names = {secret.name: secret.inputs["name"] for secret in made.all(":Secret")}
    assert {name: full.split("/")[-2:] for name, full in names.items()} == {
        f"assistant-{environment}-API_KEY": [environment, "API_KEY"] for environment in ("blue", "green")
    }
    assert len(made.all("kms/key:Key")) == 2
    for name, other in (("blue", "green"), ("green", "blue")):
        policy = made.one(":RolePolicy", f"assistant-{name}-pool-policy").inputs["policy"]
        assert f"/{name}/API_KEY-" in policy
        assert f"/{other}/" not in policy


def test_connections_have_a_network_load_balancer_with_the_same_switch(run):
    tcp = {"protocol": "tcp", "allowed_cidrs": ["203.0.113.0/24"], "port": 8443}
    made = run("prod", ingress=tcp, scaling={"step": {}})
    assert made.one(":LoadBalancer").inputs["loadBalancerType"] == "network"
    listener = production_listener(made).inputs
    assert (listener["protocol"], listener["port"]) == ("TCP", 8443)
    assert [group["weight"] for group in listener["defaultActions"][0]["forward"]["targetGroups"]] == [100, 0]
    assert {group.inputs["protocol"] for group in made.all(":TargetGroup")} == {"TCP"}
    assert made.outputs["url"] == "tcp://host:8443"
    assert {r.inputs["port"] for r in made.all(":Listener") if "-test-" in r.name} == {8081, 8082}
    for name in ("blue", "green"):
        assert f"assistant-test-{name}" in made.one(":Group", f"-{name}-pool-group").dependencies


def test_seeds_in_plain_text_are_refused_and_not_shown(run, capsys):
    with pytest.raises(SystemExit):
        run("prod", seeds={"API_KEY": "hunter2"})
    said = capsys.readouterr().err
    assert said.startswith('turnout:seeds = "(not shown)": stands in plain text; ')
    assert "hunter2" not in said


def test_seeds_that_are_secret_config_are_written_once(run, monkeypatch):
    monkeypatch.setattr("pulumi.runtime.config.is_config_secret", lambda key: key == "turnout:seeds")
    versions = run("prod", seeds={"API_KEY": "hunter2"}).all(":SecretVersion")
    assert len(versions) == 2
    assert {version.inputs["secretStringWoVersion"] for version in versions} == {1}


def test_schedules_and_forecasts_are_declared_for_who_carries_weight(run):
    made = run("prod")
    assert {r.name for r in made.all(":Schedule")} == {f"assistant-blue-scaling-{name}" for name in ("mornings", "evenings")}
    policies = {r.name.removeprefix("assistant-") for r in made.all(":Policy") if "Predictive" in r.inputs["policyType"]}
    assert policies == {"blue-scaling-predictive"}
    assert len([r for r in made.all(":Policy") if r.inputs["policyType"] == "StepScaling"]) == 4


def test_a_pool_stands_in_every_zone_or_in_the_one_that_it_names(run):
    def zones(**changes: Any) -> list[str]:
        made = run("local", **changes)
        places = {f"{subnet.name}-id": subnet.inputs["availabilityZone"] for subnet in made.all(":Subnet")}
        return [places[id] for id in made.one(":Group").inputs["vpcZoneIdentifiers"]]

    assert zones() == ["us-east-1a", "us-east-1b"]
    assert zones(pool={"zone": "us-east-1b"}) == ["us-east-1b"]


def test_the_production_listener_comes_after_both_pools(run):
    needs = production_listener(run("prod")).dependencies
    assert {"assistant-blue-pool-group", "assistant-green-pool-group"} <= needs


def test_a_pool_comes_after_its_own_test_rule_and_not_after_the_others(run):
    made = run("prod")
    for name, other in (("blue", "green"), ("green", "blue")):
        needs = made.one(":Group", f"-{name}-pool-group").dependencies
        assert f"assistant-test-{name}" in needs
        assert f"assistant-test-{other}" not in needs


def test_the_graph_has_no_cycle(run):
    made = run("prod")
    needs = {r.urn: r.needs for r in made.registrations}
    assert len(needs) == len(made.registrations)
    done: set[str] = set()
    while ready := {name for name, before in needs.items() if name not in done and before <= done}:
        done |= ready
    assert set(needs) - done == set()


def test_every_resource_uses_the_explicit_provider(run):
    made = run("prod")
    custom = [r for r in made.registrations if r.type.startswith("aws:")]
    assert len(custom) > 60
    assert {r.request.provider.split("::")[-2] for r in custom} == {"aws"}


def test_no_two_resources_of_a_type_share_a_name(run):
    made = run("prod", service="a-service-whose-name-takes-40-characters")
    names = [(r.type, r.name) for r in made.registrations]
    assert len(names) == len(set(names))


def test_the_local_provider_calls_the_local_cloud_only(run):
    inputs = run("local").one("pulumi:providers:aws").inputs
    (endpoints,) = json.loads(inputs["endpoints"])
    assert {"autoscaling", "dynamodb", "ec2", "elbv2", "kms", "lambda", "s3", "secretsmanager", "wafv2"} < set(endpoints)
    assert set(endpoints.values()) == {ENDPOINT}
    assert [inputs[key]["value"] for key in ("accessKey", "secretKey")] == ["test", "test"]
    assert inputs["skipCredentialsValidation"] == inputs["skipRequestingAccountId"] == "true"


def test_the_provider_of_a_stack_in_aws_tags_what_it_makes(run):
    inputs = run("prod").one("pulumi:providers:aws").inputs
    assert json.loads(inputs["defaultTags"])["tags"] == {"turnout:service": "assistant", "turnout:stack": "test"}
    assert "endpoints" not in inputs
    assert "accessKey" not in inputs


def test_faults_of_config_end_the_program_with_2_before_any_resource(run, capsys):
    with pytest.raises(SystemExit) as exit:
        run("local", pool={"instance_type": "m5.large"})
    assert exit.value.code == 2
    assert capsys.readouterr().err.startswith('turnout:pool.instance_type = "m5.large": has no GPU; ')


def test_the_program_reads_as_a_story():
    assert len((ROOT / "infra" / "__main__.py").read_text().splitlines()) <= 80


class Client:
    """Answers every call with one error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def get_item(self, **_: Any) -> Any:
        raise self._error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetItem"), "AccessDenied"),
        (EndpointConnectionError(endpoint_url=ENDPOINT), ENDPOINT),
    ],
)
def test_a_record_that_cannot_be_read_stops_the_update(monkeypatch, error, said):
    monkeypatch.setattr(providers, "aws_client", lambda *_: Client(error))
    settings = parse(stack_config("local"), ROOT, {"TURNOUT_LOCAL_ENDPOINT": ENDPOINT})
    with pytest.raises(SwitchRefused, match="^switch: ") as refused:
        providers.decide_traffic(settings)
    assert said in str(refused.value)


def test_without_the_records_table_the_program_ends_before_it_touches_anything(monkeypatch, capsys):
    missing = ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetItem")
    monkeypatch.setattr(providers, "aws_client", lambda *_: Client(missing))
    settings = parse(stack_config("local"), ROOT, {"TURNOUT_LOCAL_ENDPOINT": ENDPOINT})
    with pytest.raises(SystemExit) as ended:
        providers.decide_traffic(settings)
    assert ended.value.code == 2
    assert "turnout init" in capsys.readouterr().err


class Bucket:
    """Holds objects of S3 by key, with the hash that S3 keeps."""

    class exceptions:
        ClientError = ClientError

    def __init__(self, objects: dict[str, bytes]) -> None:
        self._objects = objects

    def get_object(self, Key: str, **_: str) -> dict[str, Any]:
        if Key not in self._objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self._objects[Key])}

    def head_object(self, Key: str, **_: str) -> dict[str, Any]:
        content = self.get_object(Key)["Body"].read()
        return {"ChecksumSHA256": base64.b64encode(hashlib.sha256(content).digest()).decode()}


@pytest.fixture
def in_s3(monkeypatch, tmp_path):
    """Decides the traffic of a stack whose release has its model `s3://models/m`, with these objects in the bucket."""

    def decide(objects: dict[str, bytes]) -> str:
        (tmp_path / "weights").write_bytes(b"the model")
        model = {"name": "m", "version": "1", "uri": "s3://models/m"}
        given = {"model": model, "engine": {"name": "vllm"}, "image": "vllm@sha256:" + "a" * 64}
        release, _ = releasing.make("m-1", tmp_path / "weights", given, None)
        releasing.write(tmp_path / "m-1.yaml", release)
        environments = {"blue": {"release": release.id}, "green": {"release": None}}
        config = stack_config("local", releases=str(tmp_path), environments=environments)
        no_table = Client(ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetItem"))
        monkeypatch.setattr(providers, "aws_client", lambda service, *_: Bucket(objects) if service == "s3" else no_table)
        with pytest.raises(SystemExit) as ended:
            providers.decide_traffic(parse(config, ROOT, {"TURNOUT_LOCAL_ENDPOINT": ENDPOINT}))
        assert ended.value.code == 2
        return release.id

    return decide


@pytest.mark.parametrize("objects", [{}, {"m": b"another model"}])
def test_a_model_that_is_not_what_the_manifest_says_stops_the_program(in_s3, capsys, objects):
    release = in_s3(objects)
    said = capsys.readouterr().err
    assert said.startswith(f"turnout:environments.blue.release = {release}: s3://models/m ")
    assert "turnout releases create --upload" in said


def test_a_model_as_the_manifest_says_lets_the_program_go_on_to_the_record(in_s3, capsys):
    in_s3({"m": b"the model"})
    assert "turnout init" in capsys.readouterr().err


RUNNER = {"code_bucket": "example-models", "code_key": "runner/0af3.zip", "timeout": 90}


def test_a_function_that_drives_rollouts_is_there_only_where_the_stack_says_so(run):
    without, made = run("prod"), run("prod", runner=RUNNER)
    assert without.all(":Function") == without.all(":RolloutRunner") == []
    added = {(r.type, r.name) for r in made.registrations} - {(r.type, r.name) for r in without.registrations}
    assert ("turnout-components:index:RolloutRunner", "assistant-rollouts") in added
    assert {name.startswith("assistant-rollouts") for _, name in added} == {True}
    assert len(made.registrations) == len(without.registrations) + len(added)


def test_the_function_drives_this_stacks_rollouts_by_the_switchs_listener(run):
    alerts = {"topic": "arn:aws:sns:us-east-1:123456789012:people", "webhook": "ssm:/assistant/hook"}
    made = run("prod", runner=RUNNER, rollout={"alerts": alerts}, record_table="records")
    function = made.one(":Function").inputs
    assert (function["s3Bucket"], function["s3Key"], function["timeout"]) == ("example-models", "runner/0af3.zip", 90)
    found = function["environment"]["variables"]
    assert (found["TURNOUT_SERVICE"], found["TURNOUT_TABLE"]) == ("assistant", "records")
    policy = json.loads(made.one(":RolePolicy", "assistant-rollouts-runner-policy").inputs["policy"])
    may = {statement["Sid"]: statement["Resource"] for statement in policy["Statement"]}
    assert may["MoveTraffic"] == [f"{ELB}:listener/app/{production_listener(made).name}/50dc6c495c0c9188/f2f7dc8efc522ab2"]
    assert may["TellPeople"] == [alerts["topic"]]
    assert may["ReadOwnParameters"] == ["arn:aws:ssm:us-east-1:*:parameter/assistant/hook"]
    assert may["LetSchedulesStepDown"] == [f"arn:aws:iam::{ACCOUNT}:role/assistant-step-down"]


def test_the_local_stack_may_declare_it_too(run):
    made = run("local", runner=RUNNER)
    assert made.one(":Function").request.provider == made.one(":Group").request.provider


def test_nodes_reach_each_other_only_where_the_stack_names_a_mirrors_image(run):
    pool = stack_config("prod")["pool"]
    without = run("prod")
    made = run("prod", pool={**pool, "mirror_image": "docker.io/envoyproxy/envoy@sha256:" + "ef" * 32})
    added = {r.name for r in made.registrations} - {r.name for r in without.registrations}
    ways = {f"assistant-mirror-{way}" for way in ("blue-to-green", "green-from-blue", "green-to-blue", "blue-from-green")}
    assert added == {"assistant-mirror", *ways}
    rule = made.one(":SecurityGroupIngressRule", "assistant-mirror-green-from-blue").inputs
    groups = [f"assistant-{name}-pool-nodes-id" for name in ("green", "blue")]
    assert [rule["securityGroupId"], rule["referencedSecurityGroupId"]] == groups
    assert rule["fromPort"] == rule["toPort"] == 8000
