"""How many GPUs an instance type has, and how much memory they have (DescribeInstanceTypes, `GpuInfo`). Plain facts."""

from dataclasses import dataclass

_MIB = {
    **{"g4dn": 16384, "g5": 22888, "g5g": 16384, "g6": 22888, "g6e": 45776, "g6f": 22888, "gr6": 22888, "gr6f": 22888},
    **{"g7": 32768, "g7e": 98304, "p3dn": 32768, "p4d": 40960, "p4de": 81920, "p5": 81920, "p5e": 144384, "p5en": 144384},
    **{"p6-b200": 183359, "p6-b300": 275040},
}
"""Memory of one GPU by family."""
_COUNTS = {
    **{"g4dn.12xlarge": 4, "g4dn.metal": 8, "g5.12xlarge": 4, "g5.24xlarge": 4, "g5.48xlarge": 8, "g5g.16xlarge": 2},
    **{"g5g.metal": 2, "g6.12xlarge": 4, "g6.24xlarge": 4, "g6.48xlarge": 8, "g6e.12xlarge": 4, "g6e.24xlarge": 4},
    **{"g6e.48xlarge": 8, "g6f.large": 1 / 8, "g6f.xlarge": 1 / 8, "g6f.2xlarge": 1 / 4, "g6f.4xlarge": 1 / 2},
    **{"gr6f.4xlarge": 1 / 2, "g7.12xlarge": 2, "g7.24xlarge": 4, "g7.48xlarge": 8, "g7e.12xlarge": 2, "g7e.24xlarge": 4},
    **{"g7e.48xlarge": 8, "p3dn.24xlarge": 8, "p4d.24xlarge": 8, "p4de.24xlarge": 8, "p5.48xlarge": 8, "p5e.48xlarge": 8},
    **{"p5en.48xlarge": 8, "p6-b200.48xlarge": 8, "p6-b300.48xlarge": 8},
}
"""GPUs by type, where it is not one. A part of a GPU is a part."""


@dataclass(frozen=True)
class Gpus:
    """`count` GPUs with `mib` MiB of memory together."""

    count: float
    mib: int


def gpus(instance_type: str) -> Gpus | None:
    """The GPUs of an instance type; None of a family that is not known here."""
    memory = _MIB.get(instance_type.partition(".")[0])
    if memory is None:
        return None
    count = _COUNTS.get(instance_type, 1)
    return Gpus(count, int(memory * count))
