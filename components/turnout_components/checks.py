"""Rules of AWS and of the switch as pure functions: each returns the faults it finds, none when all is well.

Settings use them before anything is touched; the rules name the AWS page that they come from.
"""

import ipaddress
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from turnout_components.fault import Fault, refuse

__all__ = ["Fault", "refuse"]

_GPU_FAMILIES = "g4ad g4dn g5 g5g g6 g6e g6f g7 g7e gr6 gr6f p3 p3dn p4d p4de p5 p5e p5en p6-b200 p6-b300 p6e-gb200"
GPU_FAMILIES = frozenset(_GPU_FAMILIES.split())
"""Families with GPUs ("Accelerated computing", Amazon EC2 Instance Types). Inferentia, Trainium, Gaudi and FPGAs are not."""
ZONES_AT_MOST = 8
_INSTANCE_TYPE = re.compile(r"^(?P<family>[a-z0-9-]+)\.(?P<size>[a-z0-9-]+)$")
_KEEP_ALIVE = re.compile(r"^--(?:timeout-)?keep-alive(?:=(?P<seconds>\d+))?$")


def below(field: str, faults: Iterable[Fault]) -> list[Fault]:
    """The faults of what stands at `field`, by their paths from where that stands."""
    return [Fault(f"{field}.{f.field}" if f.field else field, f.value, f.reason, f.fix) for f in faults]


def gpu_instance_type(instance_type: str) -> list[Fault]:
    """An instance type must be of a family with GPUs."""
    match = _INSTANCE_TYPE.match(instance_type)
    if match and match["family"] in GPU_FAMILIES:
        return []
    reason = "has no GPU" if match else "is no instance type"
    return [Fault("", instance_type, reason, f"choose one of {', '.join(sorted(GPU_FAMILIES))}, such as g5.xlarge")]


def vpc_cidr(cidr: str) -> list[Fault]:
    """A VPC's block has a prefix of /16 to /28 ("VPC CIDR blocks"); a sixteenth of it must hold a load balancer's subnet,
    which is /27 or larger ("Subnets for your load balancer", User Guide for Application Load Balancers)."""
    faults = ipv4_block(cidr)
    if faults or 16 <= ipaddress.ip_network(cidr).prefixlen <= 23:
        return faults
    return [Fault("", cidr, "is no /16 to /23", "a VPC has at most a /16, and each subnet is a sixteenth of at least a /27")]


def downtime(cloud: str, deletion_protection: bool, allowed_cidrs: Sequence[str]) -> list[Fault]:
    """Whether a stack may replace its active servers in place, so that users get 503 for as long as it takes: only the local
    cloud's, and one in AWS that guards nothing against deletion and is closed to the internet (ADR 0022)."""
    reasons = []
    if cloud != "local" and deletion_protection:
        reasons.append("ingress.deletion_protection says that it is to stay up")
    if cloud != "local" and any(ipaddress.ip_network(cidr).prefixlen == 0 for cidr in allowed_cidrs if not ipv4_block(cidr)):
        reasons.append("ingress.allowed_cidrs lets the whole internet use it")
    fix = "write canary, blue-green or direct: recreate is for development"
    return [Fault("", "recreate", f"takes the service down, and {' and '.join(reasons)}", fix)] if reasons else []


def ipv4_block(cidr: str) -> list[Fault]:
    """An IPv4 block without host bits."""
    try:
        ipaddress.IPv4Network(cidr)
    except ValueError as error:
        try:
            fix = f"write {ipaddress.IPv4Network(cidr, strict=False)}"
        except ValueError:
            fix = "write an IPv4 block such as 10.20.0.0/16"
        return [Fault("", cidr, str(error).replace(f"{cidr} ", ""), fix)]
    return []


def overlapping(cidrs: Sequence[str]) -> list[Fault]:
    """Blocks that say the same twice; malformed ones are not judged here."""
    blocks = [ipaddress.IPv4Network(c) for c in cidrs if not ipv4_block(c)]
    return [
        Fault("", str(second), f"overlaps {first}", "leave out the smaller one")
        for index, first in enumerate(blocks)
        for second in blocks[index + 1 :]
        if first.overlaps(second)
    ]


def zones(names: Sequence[str], region: str) -> list[Fault]:
    """A load balancer needs two zones ("Availability Zones and load balancer nodes"); all in the stack's region, each once."""
    faults = []
    if not 2 <= len(set(names)) <= ZONES_AT_MOST:
        faults.append(Fault("", list(names), f"are {len(set(names))} zones", f"name two to {ZONES_AT_MOST}, each once"))
    elif len(set(names)) < len(names):
        faults.append(Fault("", list(names), "name a zone twice", "name each once"))
    foreign = [name for name in names if not re.fullmatch(re.escape(region) + "[a-z]", name)]
    faults += [Fault("", name, f"is no zone of {region}", f"write zones like {region}a") for name in foreign]
    return faults


def weights(shares: Mapping[str, int], environments: Sequence[str]) -> list[Fault]:
    """Shares are percents of known environments and sum to 100."""
    faults = [
        Fault(name, share, "names no environment", f"use {' and '.join(environments)}")
        for name, share in shares.items()
        if name not in environments
    ]
    faults += [
        Fault(name, share, "is no share", "write a whole number from 0 to 100")
        for name, share in shares.items()
        if not 0 <= share <= 100
    ]
    if sum(shares.values()) != 100:
        faults.append(Fault("", dict(shares), f"sum to {sum(shares.values())}", "make them sum to 100"))
    return faults


def health_times(interval: int, timeout: int) -> list[Fault]:
    """A check's timeout is below its interval ("Health checks for Application Load Balancer target groups")."""
    if timeout < interval:
        return []
    return [Fault("timeout", timeout, f"is not below the interval of {interval} s", f"write {max(interval - 1, 2)} or less")]


def keep_alive(flags: Sequence[str], env: Mapping[str, str], idle_timeout: int) -> list[Fault]:
    """A server that closes idle connections before the load balancer does causes stray 502s ("Troubleshoot your Application
    Load Balancers"): where a release's flags or environment say a keep-alive
    (vLLM: VLLM_HTTP_TIMEOUT_KEEP_ALIVE), it must be above the idle timeout."""
    said = [f"--keep-alive={value}" for name, value in env.items() if name.endswith("KEEP_ALIVE")]
    for flag, following in itertools.pairwise([*flags, *said, ""]):
        match = _KEEP_ALIVE.match(flag)
        seconds = (match["seconds"] or following) if match else ""
        if seconds.isdigit() and int(seconds) <= idle_timeout:
            return [
                Fault(
                    "",
                    f"{seconds} s",
                    f"is the keep-alive of a server behind an idle timeout of {idle_timeout} s",
                    f"serve with {idle_timeout + 15} or set turnout:ingress.idle_timeout below {seconds}",
                )
            ]
    return []


def standby_times(retain_for: timedelta, bake: timedelta) -> list[Fault]:
    """The standby is retained at least as long as the bake after a flip lasts."""
    if retain_for >= bake:
        return []
    return [Fault("retain_for", retain_for, f"is shorter than the bake of {bake}", "retain the standby at least that long")]


def user_data_size(script: str) -> list[Fault]:
    """User data has at most 16 KB before base64 ("Run commands when you launch an EC2 instance with user data input")."""
    size = len(script.encode())
    if size <= 16_384:
        return []
    return [Fault("", f"{size} bytes", "is more user data than the 16384 bytes of an instance", "shorten the manifest")]
