import pytest
from turnout_components import checks


@pytest.mark.parametrize("name", ["g5.xlarge", "g6e.12xlarge", "p5.48xlarge", "p6-b200.48xlarge", "g4dn.metal"])
def test_types_with_a_gpu_pass(name):
    assert checks.gpu_instance_type(name) == []


@pytest.mark.parametrize("name", ["m5.large", "inf2.xlarge", "trn1.2xlarge", "f2.6xlarge", "p4.xlarge"])
def test_types_without_a_gpu_are_faults(name):
    (fault,) = checks.gpu_instance_type(name)
    assert (fault.value, fault.reason) == (name, "has no GPU")
    assert "g5.xlarge" in fault.fix


def test_what_is_no_type_at_all_is_said_so():
    assert checks.gpu_instance_type("gpu")[0].reason == "is no instance type"


@pytest.mark.parametrize(
    ("flags", "idle", "faults"),
    [
        (["--timeout-keep-alive=75"], 60, 0),
        (["--timeout-keep-alive=60"], 60, 1),
        (["--timeout-keep-alive", "5"], 60, 1),
        (["--timeout-keep-alive", "75", "--keep-alive", "30"], 60, 1),
        (["--keep-alive"], 60, 0),
        ([], 60, 0),
    ],
)
def test_a_servers_keep_alive_is_longer_than_the_idle_timeout(flags, idle, faults):
    assert len(checks.keep_alive(flags, {}, idle)) == faults


def test_a_keep_alive_in_the_environment_counts_too():
    assert len(checks.keep_alive([], {"VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "5"}, 60)) == 1
    assert checks.keep_alive([], {"VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "75"}, 60) == []


@pytest.mark.parametrize("cidr", ["10.0.0.0/15", "10.0.0.0/24", "fd00::/56", "10.0.0.1/16", "ten"])
def test_blocks_that_a_network_cannot_have_are_faults(cidr):
    assert checks.vpc_cidr(cidr)


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "10.0.0.0/23"])
def test_blocks_with_room_for_the_subnets_pass(cidr):
    assert checks.vpc_cidr(cidr) == []


def test_user_data_is_measured_in_bytes():
    assert checks.user_data_size("x" * 16384) == []
    assert checks.user_data_size("x" * 16385)
    assert checks.user_data_size("é" * 8193)
