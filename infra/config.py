"""The keys of a stack's config and the form of their values; each field's description says what to write there."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from turnout_components.network import Nat
from turnout_components.standby import Keep
from turnout_components.switch_record import DEFAULT_TABLE

SERVICE_LENGTH = 40
"""A role's name has 64 characters ("IAM and AWS STS quotas"); `-green-pool-role` and auto-naming's suffix take 24 of them."""
ENVIRONMENTS = ("blue", "green")
_DURATION = re.compile(r"^(?P<number>\d{1,6})(?P<unit>[smhd])$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: Any) -> Any:
    """`90s`, `10m`, `24h` or `7d` as a timedelta.

    Raises `ValueError`."""
    match = _DURATION.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("is no duration")
    return timedelta(**{_UNITS[match["unit"]]: int(match["number"])})


Duration = Annotated[timedelta, BeforeValidator(duration)]
DURATION = "write a number and s, m, h or d, such as 90s, 10m or 24h"
PORT = "write a port from 1 to 65535"


class _Section(BaseModel):
    """Each field's description says what to write there: it ends the line of a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Cloud(StrEnum):
    LOCAL = "local"
    AWS = "aws"


class Network(_Section):
    """A new VPC (`cidr`, `zones`, `nat`), or an existing one (its three ids)."""

    cidr: str | None = Field(default=None, description="write an IPv4 block such as 10.20.0.0/16")
    zones: tuple[str, ...] | None = Field(default=None, description="list two to eight zones such as [us-east-1a, us-east-1b]")
    nat: Nat = Field(default=Nat.PER_ZONE, description="write none, single or per_zone")
    vpc_id: str | None = Field(default=None, pattern=r"^vpc-[0-9a-f]+$", description="write an id such as vpc-0a1b2c3d")
    public_subnet_ids: tuple[str, ...] | None = Field(default=None, min_length=2, description="list subnets of two zones")
    private_subnet_ids: tuple[str, ...] | None = Field(default=None, min_length=1, description="list the nodes' subnets")


class Ingress(_Section):
    port: int = Field(default=443, ge=1, le=65535, description=PORT)
    test_port: int = Field(default=8081, ge=1, le=65535, description=PORT)
    allowed_cidrs: tuple[str, ...] = Field(default=(), description="list IPv4 blocks of the users")
    test_cidrs: tuple[str, ...] = Field(default=(), description="list IPv4 blocks from which tests come")
    idle_timeout: int = Field(default=60, ge=1, le=4000, description="write seconds from 1 to 4000")
    certificate_arn: str | None = Field(
        default=None,
        pattern=r"^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/.+$",
        description="write the ARN of an ACM certificate",
    )
    deletion_protection: bool = Field(default=True, description="write true or false")


class Pool(_Section):
    instance_type: str = Field(default="g5.xlarge", description="write a type with a GPU such as g5.xlarge")
    minimum: int = Field(default=1, ge=1, description="write a whole number from 1")
    maximum: int = Field(default=2, ge=1, description="write a whole number from 1")
    disk_gib: int = Field(default=100, ge=30, le=16384, description="write GiB from 30 to 16384")
    port: int = Field(default=8000, ge=1, le=65535, description=PORT)
    image_id: str | None = Field(
        default=None, pattern=r"^(ami-[0-9a-f]{8,17}|resolve:ssm:\S+)$", description="write ami-… or resolve:ssm:<parameter>"
    )
    root_device: str | None = Field(default=None, pattern=r"^/dev/", description="write a device such as /dev/xvda")


class Health(_Section):
    """Limits: "Health checks for Application Load Balancer target groups" and "Edit target group attributes"."""

    path: str = Field(default="/ready", pattern=r"^/[^?#\s]*$", description="write a path such as /ready, without a query")
    interval: int = Field(default=5, ge=5, le=300, description="write seconds from 5 to 300")
    timeout: int = Field(default=2, ge=2, le=120, description="write seconds from 2 to 120")
    healthy_threshold: int = Field(default=2, ge=2, le=10, description="write a number from 2 to 10")
    unhealthy_threshold: int = Field(default=2, ge=2, le=10, description="write a number from 2 to 10")
    drain: int = Field(default=30, ge=0, le=3600, description="write seconds from 0 to 3600")


class EnvironmentSettings(_Section):
    release: str | None = Field(default=None, description="write <name>@sha256:<64 hex digits>, or null for no pool")


class Environments(_Section):
    blue: EnvironmentSettings = Field(description="write {release: …} or {release: null}")
    green: EnvironmentSettings = Field(description="write {release: …} or {release: null}")

    def releases(self) -> dict[str, str | None]:
        """Release id by environment."""
        return {"blue": self.blue.release, "green": self.green.release}


class Standby(_Section):
    keep: Keep = Field(default=Keep.FULL, description="write full, warm or cold")
    retain_for: Duration = Field(default=timedelta(hours=24), description=DURATION)
    bake: Duration = Field(default=timedelta(minutes=10), description=DURATION)
    warm_minimum: int = Field(default=1, ge=1, description="write a whole number from 1")
    discard: str | None = Field(default=None, description="write the retained release's name, or null")


class TrafficSettings(_Section):
    active: str = Field(description="write blue or green")
    weights: dict[str, int] | None = Field(default=None, description="write percents such as {blue: 90, green: 10}")
    standby: Standby = Field(default=Standby(), description="write {keep: …, retain_for: …}")
    gate_timeout: Duration = Field(default=timedelta(minutes=15), description=DURATION)


class StackConfig(_Section):
    """The keys of a stack's config."""

    service: str = Field(
        pattern=r"^[a-z][a-z0-9-]*[a-z0-9]$",
        max_length=SERVICE_LENGTH,
        description=f"write 2 to {SERVICE_LENGTH} lower-case letters, digits and hyphens, a letter first",
    )
    cloud: Cloud = Field(description="write local or aws")
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", description="write a region such as us-east-1")
    releases: str = Field(description="write the folder of release manifests, from the project's root")
    record_table: str = Field(default=DEFAULT_TABLE, pattern=r"^[a-zA-Z0-9_.-]{3,255}$", description="write a table's name")
    network: Network = Field(description="write {cidr: …, zones: […]}")
    ingress: Ingress = Field(default=Ingress(), description="write {port: …, allowed_cidrs: […]}")
    pool: Pool = Field(default=Pool(), description="write {instance_type: …, minimum: …, maximum: …}")
    health: Health = Field(default=Health(), description="write {path: …}")
    environments: Environments = Field(description="write {blue: {release: …}, green: {release: …}}")
    traffic: TrafficSettings = Field(description="write {active: blue}")
