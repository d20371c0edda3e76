"""The table of GPUs against what moto holds of DescribeInstanceTypes."""

from moto.ec2.models.instance_types import INSTANCE_TYPES
from turnout_components.checks import GPU_FAMILIES
from turnout_components.gpus import gpus


def test_the_table_says_what_aws_says_of_every_type() -> None:
    checked = 0
    for name, kind in INSTANCE_TYPES.items():
        info = kind.get("GpuInfo")
        if info is None or name.partition(".")[0] not in GPU_FAMILIES:
            continue
        found = gpus(name)
        assert found is not None, name
        parts = sum(each["Count"] or each["GpuPartitionSize"] for each in info["Gpus"])
        assert (found.count, found.mib) == (parts, info["TotalGpuMemoryInMiB"]), name
        checked += 1
    assert checked > 60


def test_of_an_unknown_family_nothing_is_claimed() -> None:
    assert gpus("x9.large") is None
