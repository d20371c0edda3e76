"""One test a fault: the line names field, value and fix."""

import copy
import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from stack_config import LOCAL, MANIFEST, config, fault, faults, read, release_id, write
from turnout_components import checks
from turnout_components.durations import duration
from turnout_components.switch_record import Traffic

from infra.settings import ConfigFaults, parse

ROOT = Path(__file__).parents[2]


def test_a_sound_config_is_read(root):
    settings = read(root)
    assert settings.wanted_traffic() == Traffic(active="blue", weights={"blue": 100, "green": 0})
    assert settings.endpoint == "http://127.0.0.1:4566"
    assert settings.health_path("blue") == f"/ready?release={settings.release('blue').digest}"
    assert settings.health_path("green") == "/ready"
    assert settings.traffic.gate_timeout == timedelta(minutes=15)
    assert settings.record_table == "turnout-switch"


@pytest.mark.parametrize("stack", ["local", "dev", "prod"])
def test_the_stacks_of_this_project_are_sound(stack):
    document = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{stack}.yaml").read_text())["config"]
    settings = parse({key.removeprefix("turnout:"): value for key, value in document.items()}, ROOT, LOCAL)
    assert settings.release("blue") is not None
    assert (settings.endpoint is not None) == (stack == "local")


def test_a_service_name_of_40_characters_works_and_one_more_does_not(root):
    assert read(root, service="a" * 40).service == "a" * 40
    line = fault(root, service="a" * 41)
    assert line.startswith(f'turnout:service = "{"a" * 41}": ')
    assert "write 2 to 40 lower-case letters" in line


@pytest.mark.parametrize("name", ["Llm", "l", "llm-", "1llm", "l_m"])
def test_a_service_name_that_aws_refuses_is_a_fault(root, name):
    assert fault(root, service=name).startswith(f'turnout:service = "{name}": ')


def test_a_load_balancers_name_does_not_begin_with_internal(root):
    assert "does not begin with internal-" in fault(root, service="internal-llm")


def test_an_unknown_key_is_told_with_the_nearest_one(root):
    assert fault(root, polo={}) == "turnout:polo = {}: is no setting; did you mean pool?"
    assert fault(root, pool__mininum=1) == "turnout:pool.mininum = 1: is no setting; did you mean minimum?"
    assert fault(root, environments__red={}).startswith(
        "turnout:environments.red = {}: is no setting; remove it; known here: blue"
    )
    assert fault(root, traffic__standby__kept="full").endswith("did you mean keep?")


def test_a_missing_key_is_told_with_what_to_write(root):
    values = config(root)
    del values["region"]
    with pytest.raises(ConfigFaults) as refused:
        parse(values, root, LOCAL)
    assert refused.value.faults == ["turnout:region = (nothing): is missing; write a region such as us-east-1"]


def test_weights_that_do_not_sum_to_100_are_a_fault(root):
    line = fault(root, traffic__weights={"blue": 90, "green": 0})
    assert line == 'turnout:traffic.weights = {"blue": 90, "green": 0}: sum to 90; make them sum to 100'


def test_weights_of_an_unknown_environment_are_a_fault(root):
    assert "turnout:traffic.weights.red = 10: names no environment; use blue and green" in faults(
        root, traffic__weights={"blue": 90, "red": 10}
    )


def test_weight_for_an_environment_without_release_is_a_fault(root):
    line = fault(root, traffic__weights={"blue": 90, "green": 10})
    assert line.startswith("turnout:traffic.weights.green = 10: is a share of an environment without release; set turnout:env")


def test_the_active_environment_has_weight(root):
    (first, *_) = faults(root, traffic__weights={"blue": 0, "green": 100})
    assert "give nothing to the active environment blue" in first


def test_active_names_an_environment(root):
    assert fault(root, traffic__active="red") == 'turnout:traffic.active = "red": names no environment; write blue or green'


def test_active_names_an_environment_with_a_release(root):
    line = fault(root, traffic__active="green")
    assert line.startswith('turnout:traffic.active = "green": names an environment without release; ')
    assert "set turnout:environments.green.release" in line


def test_an_instance_type_without_gpu_is_a_fault(root):
    line = fault(root, pool__instance_type="m5.large")
    assert line.startswith('turnout:pool.instance_type = "m5.large": has no GPU; choose one of ')


def test_a_bare_image_tag_is_a_fault(root):
    named = release_id(root)
    write(root, {**MANIFEST, "image": "vllm/vllm-openai:latest"})
    line = fault(root, environments__blue__release=named)
    assert line.startswith(f'turnout:environments.blue.release = "{named}": releases/llm-1.yaml: image = ')
    assert "'vllm/vllm-openai:latest': name it by digest: <image>@sha256:" in line


def test_a_release_without_digest_is_a_fault(root):
    line = fault(root, environments__blue__release="llm-1")
    assert line.startswith('turnout:environments.blue.release = "llm-1": ')
    assert "write <name>@sha256:<64 hex digits>" in line


def test_a_manifest_that_changed_after_it_was_named_is_a_fault(root):
    named = release_id(root)
    write(root, {**MANIFEST, "prompt_version": "2"})
    assert "releases are immutable: make a new one" in fault(root, environments__blue__release=named)


def test_a_release_without_manifest_is_a_fault(root):
    line = fault(root, environments__green__release=f"llm-9@sha256:{'0' * 64}")
    assert "no manifest releases/llm-9.yaml; the folder holds: llm-1" in line


def test_a_server_that_hangs_up_before_the_load_balancer_is_a_fault(root):
    line = fault(root, ingress__idle_timeout=120)
    assert line.startswith(
        'turnout:environments.blue.release = "75 s": is the keep-alive of a server behind an idle timeout of 120 s'
    )
    assert "serve with 135" in line


def test_user_data_beyond_16_kb_is_a_fault(root):
    adapters = [f"s3://models/{hashlib.sha256(str(number).encode()).hexdigest()}" for number in range(500)]
    write(root, {**MANIFEST, "adapters": adapters})
    assert "is more user data than the 16384 bytes" in fault(root, environments__blue__release=release_id(root))


@pytest.mark.parametrize("text", ["5 min", "24", "-1h", "1w", "", 24, None, "9999999d"])
def test_a_time_that_is_no_duration_is_a_fault(root, text):
    line = fault(root, traffic__standby__retain_for=text)
    assert line.startswith("turnout:traffic.standby.retain_for = ")
    assert line.endswith(": is no duration; write a number and s, m, h or d, such as 90s, 10m or 24h")


def test_a_standby_is_kept_through_the_bake(root):
    line = fault(root, traffic__standby={"retain_for": "5m", "bake": "10m"})
    assert line.startswith("turnout:traffic.standby.retain_for = ")
    assert "is shorter than the bake" in line


def test_a_minimum_above_the_maximum_is_a_fault(root):
    assert fault(root, pool__minimum=3) == "turnout:pool.maximum = 2: is below minimum 3; write 3 or more"


def test_a_block_with_host_bits_is_a_fault(root):
    line = fault(root, network__cidr="10.20.0.1/16")
    assert line == 'turnout:network.cidr = "10.20.0.1/16": has host bits set; write 10.20.0.0/16'


def test_overlapping_blocks_of_users_are_a_fault(root):
    line = fault(root, ingress__allowed_cidrs=["10.0.0.0/8", "10.1.0.0/16"])
    assert line == 'turnout:ingress.allowed_cidrs = "10.1.0.0/16": overlaps 10.0.0.0/8; leave out the smaller one'


@pytest.mark.parametrize("zones", [["us-east-1a"], ["us-east-1a", "us-east-1a"], []])
def test_fewer_than_two_zones_are_a_fault(root, zones):
    assert "name two to 8, each once" in fault(root, network__zones=zones)


def test_a_zone_of_another_region_is_a_fault(root):
    line = fault(root, network__zones=["us-east-1a", "us-west-2b"])
    assert line == 'turnout:network.zones = "us-west-2b": is no zone of us-east-1; write zones like us-east-1a'


def test_an_existing_network_needs_all_its_ids(root):
    lines = faults(root, network={"vpc_id": "vpc-0a1b", "cidr": "10.0.0.0/16"})
    assert [line.partition(" ")[0] for line in lines] == [
        "turnout:network.public_subnet_ids",
        "turnout:network.private_subnet_ids",
        "turnout:network.cidr",
    ]


def test_an_existing_network_is_read(root):
    ids = {"vpc_id": "vpc-0a1b", "public_subnet_ids": ["subnet-1", "subnet-2"], "private_subnet_ids": ["subnet-3"]}
    assert read(root, network=ids).network.vpc_id == "vpc-0a1b"


def test_users_and_tests_have_different_ports(root):
    assert fault(root, ingress__test_port=80).startswith("turnout:ingress.test_port = 80: is the users' port; choose another")


def test_a_checks_timeout_is_below_its_interval(root):
    line = fault(root, health={"interval": 5, "timeout": 5})
    assert line == "turnout:health.timeout = 5: is not below the interval of 5 s; write 4 or less"


def test_everybody_in_plain_text_is_a_fault_in_aws(root):
    line = fault(root, cloud="aws")
    assert line.startswith(
        "turnout:ingress.certificate_arn = (nothing): everybody's requests would cross the internet in plain"
    )


def test_a_certificate_of_another_region_is_a_fault(root):
    arn = "arn:aws:acm:eu-west-1:123456789012:certificate/1"
    assert "is not in us-east-1" in fault(root, cloud="aws", ingress__port=443, ingress__certificate_arn=arn)


def test_a_local_stack_without_a_local_cloud_says_how_to_start_one(root):
    line = fault(root, {})
    assert line.startswith('turnout:cloud = "local": no local cloud is known: TURNOUT_LOCAL_ENDPOINT is not set; ')
    assert "turnout local start" in line


def test_a_stack_in_aws_never_uses_the_local_endpoint(root):
    settings = read(root, cloud="aws", ingress__allowed_cidrs=["203.0.113.0/24"])
    assert settings.endpoint is None


def test_an_offline_preview_is_told_by_the_environment(root):
    assert read(root, {**LOCAL, "TURNOUT_OFFLINE": "1"}).offline
    assert not read(root).offline


def test_all_faults_are_told_at_once_also_in_a_section_with_a_malformed_part(root):
    lines = faults(
        root,
        {},
        regiom="x",
        service="X",
        network__zones=["us-east-1a"],
        pool={"instance_type": "m5.large", "minimum": 3, "maximum": 1, "disk_gib": "big"},
        traffic={"active": "green", "weights": {"blue": 50, "green": 49}, "gate_timeout": "soon"},
        environments__red=None,
    )
    assert {line.partition(" ")[0].removeprefix("turnout:") for line in lines} == {
        "regiom",
        "service",
        "network.zones",
        "pool.disk_gib",
        "pool.instance_type",
        "pool.maximum",
        "traffic.gate_timeout",
        "traffic.active",
        "traffic.weights",
        "environments.red",
        "cloud",
    }


def test_reading_config_leaves_it_as_it_was(root):
    values = config(root, pool__disk_gib="big")
    before = copy.deepcopy(values)
    with pytest.raises(ConfigFaults):
        parse(values, root, LOCAL)
    assert values == before


@given(number=st.integers(0, 999_999), unit=st.sampled_from("smhd"))
def test_a_duration_is_its_number_times_its_unit(number, unit):
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    assert duration(f"{number}{unit}").total_seconds() == number * seconds


@given(st.text().filter(lambda text: not (text[:-1].isdecimal() and text[-1:] in ("s", "m", "h", "d"))))
def test_nothing_else_is_a_duration(text):
    with pytest.raises(ValueError, match="is no duration"):
        duration(text)


@given(blue=st.integers(-10, 110), green=st.integers(-10, 110))
def test_weights_pass_exactly_when_they_are_percents_that_sum_to_100(blue, green):
    sound = 0 <= blue <= 100 and 0 <= green <= 100 and blue + green == 100
    assert (checks.weights({"blue": blue, "green": green}, ("blue", "green")) == []) == sound


def test_a_malformed_value_is_told_once_and_not_also_as_missing(root):
    assert fault(root, network__cidr=12).startswith("turnout:network.cidr = 12: input should be a valid string; ")
