"""What AWS refuses of a pool is refused here, each rule by a pool that breaks it and a neighbour that keeps it."""

import json
from typing import Any

import boto3
import pytest
from turnout_components import capacity
from turnout_components.capacity import faults

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:svc/hf-AbCdEf"
BLOCK = "cr-02168da1478b509e0"
P5: dict[str, Any] = {"instance_type": "p5.48xlarge"}


def lines(zones: int | None = None, **machine: Any) -> list[str]:
    return [f"{f.field}: {f.reason}; {f.fix}" for f in faults(machine, zones)]


@pytest.mark.parametrize(
    "machine",
    [
        {},
        {"instance_type": None, "instance_types": None, "requirements": None, "warm_pool": None, "secrets": None},
        {"instance_types": ["g5.xlarge", "g6.xlarge"], "on_demand_base": 2, "on_demand_percent": 0},
        {"instance_types": ["g5.xlarge", "g6.xlarge"], "warm_pool": {"state": "running"}},
        {"requirements": {"gpus_min": 1, "gpu_memory_gib_min": 24}, "on_demand_percent": 50},
        {"warm_pool": {"minimum": 0}, "minimum": 0, "maximum": 0},
        {"warm_pool": {"state": "stopped", "minimum": 1, "maximum_prepared": 1}, "minimum": 4, "maximum": 8},
        {**P5, "capacity_block_id": BLOCK, "efa": True},
        {"capacity_reservation_id": BLOCK, "on_demand_base": 1, "on_demand_percent": 0},
        {"secrets": {"HF_TOKEN": ARN, "DB": f"{ARN}#password", "KEY": "ssm:/svc/key"}},
        {"secrets": {"A": "vault:secret/data/svc#a"}, "vault": {"address": "https://vault.example.com", "role": "svc"}},
        {"launch_timeout": 30, "drain": 0},
        {"launch_timeout": 30000, "drain": 3600},
    ],
)
def test_what_aws_allows_is_allowed(machine: dict[str, Any]) -> None:
    assert faults(machine, zones=1) == []


@pytest.mark.parametrize(
    ("machine", "line"),
    [
        ({"instance_types": ["g5.xlarge"], "requirements": {"gpus_min": 1}}, "requirements: stands beside instance_types"),
        ({"instance_type": "g5.xlarge", "instance_types": ["g6.xlarge"]}, "instance_types: stands beside instance_type"),
        ({"instance_types": ["g5.xlarge", "m5.large"]}, "instance_types: has no GPU"),
        ({"instance_types": ["g5.xlarge", "g5.xlarge"]}, "instance_types: name a type twice"),
        ({"requirements": {"gpus_min": 0}}, "requirements.gpus_min: is below 1"),
        ({"on_demand_percent": 101}, "on_demand_percent: is no percentage"),
        ({"on_demand_percent": -1}, "on_demand_percent: is no percentage"),
        ({"on_demand_base": -1, "on_demand_percent": 0}, "on_demand_base: is below 0"),
        ({"boot": {"modell": 3}}, "boot.modell: is no stage of a boot"),
        ({"boot": {"model": -3}}, "boot.model: is below 0"),
        ({"capacity_reservation_id": BLOCK, "on_demand_percent": 0}, "capacity_reservation_id: is of no use to Spot"),
        ({"warm_pool": {}, "on_demand_percent": 99}, "warm_pool: holds no Spot Instances"),
        ({"warm_pool": {}, "on_demand_percent": 0, "on_demand_base": 9}, "warm_pool: holds no Spot Instances"),
        ({"warm_pool": {"state": "hibernated"}}, "warm_pool.state: is not there for instances with GPUs"),
        ({"warm_pool": {"state": "Stopped"}}, "warm_pool.state: is no state of a warm pool"),
        ({"warm_pool": {"minimum": -1}}, "warm_pool.minimum: is below 0"),
        ({"warm_pool": {"minimum": 3, "maximum_prepared": 2}}, "warm_pool.maximum_prepared: is below warm_pool.minimum 3"),
        (
            {"warm_pool": {"maximum_prepared": 2}, "minimum": 2, "maximum": 4},
            "warm_pool.maximum_prepared: counts the instances",
        ),
        ({"capacity_block_id": "block-1"}, "capacity_block_id: is no capacity reservation"),
        ({"capacity_reservation_id": "cr-"}, "capacity_reservation_id: is no capacity reservation"),
        ({"capacity_block_id": BLOCK, "on_demand_percent": 0}, "capacity_block_id: does not go with mixed instances"),
        ({"capacity_block_id": BLOCK, "requirements": {"gpus_min": 1}}, "capacity_block_id: does not go with mixed"),
        ({"capacity_block_id": BLOCK, "warm_pool": {}}, "capacity_block_id: does not go with a warm pool"),
        ({"capacity_block_id": BLOCK, "capacity_reservation_id": BLOCK}, "capacity_block_id: stands beside a capacity"),
        ({**P5, "efa": True, "instance_type": "g5.xlarge"}, "efa: has no EFA"),
        ({"efa": True, "instance_types": ["p5.48xlarge", "g6.xlarge"]}, "efa: has no EFA"),
        ({"efa": True, "requirements": {"gpus_min": 8}}, "efa: does not go with requirements"),
        ({"minimum": 3, "maximum": 2}, "maximum: is below minimum 3"),
        ({"launch_timeout": 29}, "launch_timeout: is no time that a hook waits"),
        ({"launch_timeout": 30001}, "launch_timeout: is no time that a hook waits"),
        ({"drain": 3601}, "drain: is no time that targets drain"),
        ({"secrets": {"1A": ARN}}, "secrets.1A: has a name that no environment variable has"),
        ({"secrets": {"A": "vault:secret/svc#a"}}, "vault: names no Vault"),
        ({"secrets": {"A": "vault:a#b"}, "vault": {"address": "http://v", "role": "r"}}, "vault: names no Vault"),
    ],
)
def test_what_aws_refuses_is_refused(machine: dict[str, Any], line: str) -> None:
    assert [found for found in lines(zones=1, **machine) if found.startswith(line)], lines(zones=1, **machine)


@pytest.mark.parametrize("machine", [{**P5, "efa": True}, {**P5, "capacity_block_id": BLOCK}])
@pytest.mark.parametrize("zones", [0, 2, 3])
def test_what_stays_in_one_zone_is_refused_in_others(machine: dict[str, Any], zones: int) -> None:
    assert f"the pool {'is ' if 'efa' in machine else ''}in {zones}" in lines(zones, **machine)[0]
    assert lines(None, **machine) == []


@pytest.mark.parametrize("value", ["hf_abcdef", "secret", "ssm:no-slash", f"{ARN}#", "vault:secret/svc", "", 5])
def test_a_secret_s_value_in_place_of_a_reference_is_refused_and_not_shown(value: Any) -> None:
    (fault,) = faults({"secrets": {"TOKEN": value}})
    assert fault.reason.startswith(("is no reference to a secret", "is no ARN of a secret", "names no "))
    assert fault.value == "(not shown)"
    assert "hf_abcdef" not in str(fault)


def test_a_refusal_names_field_value_and_fix_of_each_fault() -> None:
    with pytest.raises(ValueError) as error:
        capacity.refuse({"warm_pool": {"state": "hibernated"}, "on_demand_percent": 0})
    assert str(error.value).splitlines() == [
        "warm_pool = {'state': 'hibernated'}: holds no Spot Instances, and on_demand_percent is below 100; "
        "write on_demand_percent: 100, or leave the warm pool out",
        "warm_pool.state = 'hibernated': is not there for instances with GPUs; write stopped or running",
    ]


def test_the_types_with_efa_are_those_of_describe_instance_types() -> None:
    """moto ships what DescribeInstanceTypes answered."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    found = {
        name: data["NetworkInfo"]["EfaInfo"]["MaximumEfaInterfaces"]
        for name, data in INSTANCE_TYPES.items()
        if data.get("GpuInfo") and data["NetworkInfo"].get("EfaSupported")
    }
    assert {name: found[name] for name in capacity.EFA_CARDS} == capacity.EFA_CARDS
    assert not [n for n, data in INSTANCE_TYPES.items() if data.get("GpuInfo") and data.get("HibernationSupported")]


def test_heartbeats_are_in_the_range_of_the_api() -> None:
    model = boto3.session.Session()._session.get_service_model("autoscaling")
    text = model.shape_for("LifecycleHookSpecification").members["HeartbeatTimeout"].documentation
    assert "from <code>30</code> to <code>7200</code>" in text, json.dumps(text)
    assert 30 <= capacity.HEARTBEAT <= 7200
