"""What AWS refuses of a pool's capacity, and what would not do what it says, as pure functions (`checks.Fault`).

`machine` holds the plain values of `MachineArgs`; what is left out or None is at its default. docs/aws-rules.md has the pages.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from turnout_components import checks, secret_rules
from turnout_components.checks import Fault
from turnout_components.release import SHA256

Machine = Mapping[str, Any]

DEFAULT_TYPE = "g5.xlarge"
HEARTBEAT = 300
"""Seconds that a hook waits for its node's next sign of life (30 to 7200: "LifecycleHookSpecification")."""
WAIT_AT_MOST = 100 * HEARTBEAT
"""Seconds that heartbeats can keep an instance waiting: 100 times the timeout ("PutLifecycleHook")."""
MIX = ("instance_type", "instance_types", "requirements", "on_demand_base", "on_demand_percent")
"""What says whether a group is of one type or mixed, and how: a preview that knows these knows which."""
WARM_STATES = ("stopped", "running")
BOOT_STAGES = ("machine", "image", "model", "resume")
"""What of a boot takes time in the local cloud."""
EFA_CARDS = {
    **dict.fromkeys(("g4dn.8xlarge", "g4dn.12xlarge", "g4dn.16xlarge", "g4dn.metal"), 1),
    **dict.fromkeys(("g5.8xlarge", "g5.12xlarge", "g5.16xlarge", "g5.24xlarge", "g5.48xlarge"), 1),
    **dict.fromkeys(("g6.8xlarge", "g6.12xlarge", "g6.16xlarge", "g6.24xlarge", "g6.48xlarge", "gr6.8xlarge"), 1),
    **dict.fromkeys(("g6e.8xlarge", "g6e.12xlarge", "g6e.16xlarge", "p3dn.24xlarge", "p5.4xlarge"), 1),
    **{"g6e.24xlarge": 2, "g6e.48xlarge": 4, "p4d.24xlarge": 4, "p4de.24xlarge": 4},
    **{"p5.48xlarge": 32, "p5e.48xlarge": 32, "p5en.48xlarge": 16, "p6-b200.48xlarge": 8},
}
"""Elastic Fabric Adapters by instance type (DescribeInstanceTypes, `NetworkInfo.EfaInfo.MaximumEfaInterfaces`)."""
MIRROR_PORT, MIRROR_ADMIN_PORT = 15001, 15000
"""Of a mirror's Envoy on its node: where it takes requests, and where it is asked how it is (loopback only)."""
_IMAGE = re.compile(rf"^[^\s@]+@{SHA256}$")
_BLOCK = re.compile(r"^cr-[0-9a-f]{8,17}$")


def faults(machine: Machine, zones: int | None = None) -> list[Fault]:
    """Every rule that the pool breaks. `zones`: of its subnets, where they are known."""
    return [fault for rule in _RULES for fault in rule(machine, zones)]


def refuse(machine: Machine, zones: int | None = None) -> None:
    """Raises `ValueError` with a line for each fault."""
    checks.refuse(faults(machine, zones))


def with_defaults(machine: Machine) -> dict[str, Any]:
    """The machine with the defaults of its numbers.

    Raises `ValueError` where AWS would refuse it."""
    refuse(machine)
    minimum = _number(machine, "minimum", 1)
    defaults = {"minimum": minimum, "maximum": minimum, "port": 8000, "drain": 30, "root_device": "/dev/xvda", "disk_gib": 100}
    return {**defaults, **{key: value for key, value in machine.items() if value is not None}}


def instance_types(machine: Machine) -> Sequence[str]:
    """The types in order of preference; none where attributes choose them."""
    if machine.get("requirements"):
        return ()
    return tuple(machine.get("instance_types") or (machine.get("instance_type") or DEFAULT_TYPE,))


def is_reservation(id: str) -> bool:
    """Whether a text is the id of a capacity reservation, which that of a Capacity Block is too."""
    return bool(_BLOCK.match(id))


def has_spot(machine: Machine) -> bool:
    """Whether some instances are Spot Instances."""
    return _number(machine, "on_demand_percent", 100) < 100


def is_mixed(machine: Machine) -> bool:
    """Whether the group needs a mixed instances policy: several types, attributes, or Spot beside On-Demand."""
    return has_spot(machine) or bool(machine.get("requirements")) or len(instance_types(machine)) > 1


def _number(machine: Machine, key: str, default: int) -> int:
    value = machine.get(key)
    return default if value is None else int(value)


def _types(machine: Machine, _: int | None) -> Iterable[Fault]:
    """One way to name types ("LaunchTemplateOverrides", Amazon EC2 Auto Scaling API Reference: InstanceRequirements and
    InstanceType exclude each other); each has a GPU."""
    ways = [key for key in ("instance_type", "instance_types", "requirements") if machine.get(key)]
    if len(ways) > 1:
        yield Fault(ways[1], machine[ways[1]], f"stands beside {ways[0]}", f"leave out {' or '.join(ways)}")
    for name in instance_types(machine):
        field = "instance_types" if machine.get("instance_types") else "instance_type"
        yield from (Fault(field, f.value, f.reason, f.fix) for f in checks.gpu_instance_type(name))
    if len(set(instance_types(machine))) < len(instance_types(machine)):
        yield Fault("instance_types", list(instance_types(machine)), "name a type twice", "name each once")


def _requirements(machine: Machine, _: int | None) -> Iterable[Fault]:
    wanted = machine.get("requirements") or {}
    for key in ("gpus_min", "gpu_memory_gib_min", "vcpus_min", "memory_gib_min"):
        if wanted.get(key) is not None and int(wanted[key]) < 1:
            yield Fault(f"requirements.{key}", wanted[key], "is below 1", "write a number from 1, or leave it out")


def _distribution(machine: Machine, _: int | None) -> Iterable[Fault]:
    """Ranges of "InstancesDistribution" (Amazon EC2 Auto Scaling API Reference)."""
    percent, base = _number(machine, "on_demand_percent", 100), _number(machine, "on_demand_base", 0)
    if not 0 <= percent <= 100:
        yield Fault("on_demand_percent", percent, "is no percentage", "write a whole number from 0 to 100")
    if base < 0:
        yield Fault("on_demand_base", base, "is below 0", "write a whole number from 0")
    if machine.get("capacity_reservation_id") and base == 0 and percent == 0:
        fix = "write an on_demand_base, or leave the reservation out"
        yield Fault("capacity_reservation_id", machine["capacity_reservation_id"], "is of no use to Spot Instances", fix)


def _warm_pool(machine: Machine, _: int | None) -> Iterable[Fault]:
    """Limits of "Decrease latency for applications with long boot times using warm pools" (Amazon EC2 Auto Scaling User
    Guide): no Spot; mixed types On-Demand only and without weights, which a pool here never has; hibernation only of the
    families of "Prerequisites for EC2 instance hibernation", none of which has a GPU. Sizes: "PutWarmPool"."""
    warm = machine.get("warm_pool")
    if warm is None:
        return
    state, minimum, prepared = warm.get("state") or "stopped", warm.get("minimum"), warm.get("maximum_prepared")
    if has_spot(machine):
        fix = "write on_demand_percent: 100, or leave the warm pool out"
        yield Fault("warm_pool", dict(warm), "holds no Spot Instances, and on_demand_percent is below 100", fix)
    if state == "hibernated":
        yield Fault("warm_pool.state", state, "is not there for instances with GPUs", f"write {' or '.join(WARM_STATES)}")
    elif state not in WARM_STATES:
        yield Fault("warm_pool.state", state, "is no state of a warm pool", f"write {' or '.join(WARM_STATES)}")
    if minimum is not None and minimum < 0:
        yield Fault("warm_pool.minimum", minimum, "is below 0", "write a whole number from 0")
    if prepared is None:
        return
    if prepared < (minimum or 0):
        reason = f"is below warm_pool.minimum {minimum}"
        yield Fault("warm_pool.maximum_prepared", prepared, reason, f"write {minimum} or more, or leave it out")
    elif prepared <= _number(machine, "minimum", 1) and not minimum:
        reason = "counts the instances in service too, and they alone are as many: the warm pool stays empty"
        fix = f"write more than minimum {_number(machine, 'minimum', 1)}, or a warm_pool.minimum"
        yield Fault("warm_pool.maximum_prepared", prepared, reason, fix)


def _capacity_block(machine: Machine, zones: int | None) -> Iterable[Fault]:
    """Limits of "Use Capacity Blocks for machine learning workloads" (Amazon EC2 Auto Scaling User Guide): no mixed instances
    group, no warm pool, one block, one zone."""
    for key in ("capacity_block_id", "capacity_reservation_id"):
        if machine.get(key) and not is_reservation(str(machine[key])):
            yield Fault(key, machine[key], "is no capacity reservation", "write an id such as cr-0a1b2c3d4e5f60718")
    block = machine.get("capacity_block_id")
    if not block:
        return
    if is_mixed(machine) or machine.get("on_demand_base"):
        yield Fault("capacity_block_id", block, "does not go with mixed instances", "name one instance_type, and no Spot")
    if machine.get("warm_pool") is not None:
        yield Fault("capacity_block_id", block, "does not go with a warm pool", "leave warm_pool out")
    if machine.get("capacity_reservation_id"):
        yield Fault("capacity_block_id", block, "stands beside a capacity reservation", "leave capacity_reservation_id out")
    if zones is not None and zones != 1:
        yield Fault("capacity_block_id", block, f"is in one zone, the pool in {zones}", "give the block's zone only")


def _efa(machine: Machine, zones: int | None) -> Iterable[Fault]:
    """EFA is of some types, and neither its traffic nor a cluster placement group crosses zones ("Elastic Fabric Adapter for
    AI/ML and HPC workloads on Amazon EC2"; "Placement strategies for your placement groups", Amazon EC2 User Guide)."""
    if not machine.get("efa"):
        return
    if machine.get("requirements"):
        yield Fault("efa", True, "does not go with requirements: they find types without EFA too", "name instance_types")
    for name in instance_types(machine):
        if name not in EFA_CARDS:
            yield Fault("efa", name, "has no EFA", f"choose of {', '.join(sorted(EFA_CARDS))}")
    if zones is not None and zones != 1:
        yield Fault("efa", True, f"stays in one zone, the pool is in {zones}", "give the pool the subnets of one zone")


def _sizes(machine: Machine, _: int | None) -> Iterable[Fault]:
    minimum = _number(machine, "minimum", 1)
    maximum = _number(machine, "maximum", minimum)
    if minimum > maximum:
        yield Fault("maximum", maximum, f"is below minimum {minimum}", f"write {minimum} or more")
    timeout = _number(machine, "launch_timeout", 1800)
    if not 30 <= timeout <= WAIT_AT_MOST:
        yield Fault("launch_timeout", timeout, "is no time that a hook waits", f"write seconds from 30 to {WAIT_AT_MOST}")
    drain = _number(machine, "drain", 30)
    if not 0 <= drain <= 3600:
        yield Fault("drain", drain, "is no time that targets drain", "write seconds from 0 to 3600")


def _boot(machine: Machine, _: int | None) -> Iterable[Fault]:
    for stage, seconds in (machine.get("boot") or {}).items():
        if stage not in BOOT_STAGES:
            yield Fault(f"boot.{stage}", seconds, "is no stage of a boot", f"write {', '.join(BOOT_STAGES)}")
        elif seconds < 0:
            yield Fault(f"boot.{stage}", seconds, "is below 0", "write seconds")


def _secrets(machine: Machine, _: int | None) -> Iterable[Fault]:
    secrets = machine.get("secrets") or {}
    for name, reference in secrets.items():
        yield from checks.below("secrets", (*secret_rules.variable(name), *secret_rules.reference(name, reference)))
    vaulted = any(
        str(given).startswith("vault:") and not secret_rules.reference(name, given) for name, given in secrets.items()
    )
    vault = machine.get("vault") or {}
    if vaulted and not (str(vault.get("address", "")).startswith("https://") and vault.get("role")):
        yield Fault("vault", vault or None, "names no Vault", "write {address: https://vault.example.com, role: …}")


def _mirror(machine: Machine, _: int | None) -> Iterable[Fault]:
    image, port = machine.get("mirror_image"), machine.get("port")
    if image and not _IMAGE.match(str(image)):
        yield Fault("mirror_image", image, "names no digest", "write <image of Envoy>@sha256:<64 hex digits>")
    if image and port in (MIRROR_PORT, MIRROR_ADMIN_PORT):
        yield Fault("port", port, "is a port of the mirror's Envoy", "write another, such as 8000")


_RULES = (_types, _requirements, _distribution, _warm_pool, _capacity_block, _efa, _sizes, _boot, _secrets, _mirror)
