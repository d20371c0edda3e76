"""The keys of a stack's config and the form of their values; each field's description says what to write there."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field
from turnout_components.durations import DURATION, Duration
from turnout_components.items import DEFAULT_TABLE
from turnout_components.network import Nat
from turnout_components.rollout_spec import RolloutSpec
from turnout_components.standby import Keep

from infra.config_clusters import Cluster, Kubernetes
from infra.section import PORT, Section, arn

SERVICE_LENGTH = 40
"""A role's name has 64 characters ("IAM and AWS STS quotas"); `-green-pool-role` and auto-naming's suffix take 24 of them."""
ENVIRONMENTS = ("blue", "green")


class Platform(StrEnum):
    EC2 = "ec2"
    EKS = "eks"
    KUBERNETES = "kubernetes"


class Cloud(StrEnum):
    LOCAL = "local"
    AWS = "aws"
    CLUSTER = "cluster"


class Protocol(StrEnum):
    HTTP = "http"
    TCP = "tcp"


class FlowLogs(Section):
    retention_days: int = Field(description="write days that CloudWatch Logs offers, such as 30")


class Network(Section):
    """A new VPC (`cidr`, `zones`, `nat`), or an existing one (its three ids)."""

    cidr: str | None = Field(default=None, description="write an IPv4 block such as 10.20.0.0/16")
    zones: tuple[str, ...] | None = Field(default=None, description="list two to eight zones such as [us-east-1a, us-east-1b]")
    nat: Nat = Field(default=Nat.PER_ZONE, description="write none, single or per_zone")
    vpc_id: str | None = Field(default=None, pattern=r"^vpc-[0-9a-f]+$", description="write an id such as vpc-0a1b2c3d")
    public_subnet_ids: tuple[str, ...] | None = Field(default=None, min_length=2, description="list subnets of two zones")
    private_subnet_ids: tuple[str, ...] | None = Field(default=None, min_length=1, description="list the nodes' subnets")
    endpoints: tuple[str, ...] = Field(default=(), description="list services such as [s3, ecr.api, ecr.dkr, secretsmanager]")
    flow_logs: bool | FlowLogs = Field(default=True, description="write true, false or {retention_days: …}")


class AccessLogs(Section):
    bucket: str = Field(
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="write the name of a bucket that Elastic Load Balancing may write to",
    )
    prefix: str | None = Field(default=None, description="write a folder's name, or null")


class DnsRecord(Section):
    zone_id: str = Field(pattern=r"^Z[A-Z0-9]+$", description="write a hosted zone's id such as Z0123456789ABCDEFGHIJ")
    name: str = Field(description="write a name in that zone such as assistant.example.com")


class Ingress(Section):
    """`turnout_components.ingress_rules` judges what goes together."""

    protocol: Protocol = Field(default=Protocol.HTTP, description="write http, or tcp for a network load balancer")
    alpn_policy: str | None = Field(default=None, description="write HTTP2Preferred or HTTP2Only for gRPC over TLS, or null")
    port: int = Field(default=443, ge=1, le=65535, description=PORT)
    test_port: int = Field(default=8081, ge=1, le=65535, description=PORT)
    allowed_cidrs: tuple[str, ...] = Field(default=(), description="list IPv4 blocks of the users")
    test_cidrs: tuple[str, ...] = Field(default=(), description="list IPv4 blocks from which tests come")
    idle_timeout: int = Field(default=60, ge=1, le=4000, description="write seconds from 1 to 4000")
    certificate_arn: str | None = Field(
        default=None,
        pattern=arn("acm", "certificate/.+"),
        description="write the ARN of an ACM certificate",
    )
    redirect_port: int | None = Field(default=80, ge=1, le=65535, description=f"{PORT}, or null")
    internal: bool = Field(default=False, description="write true or false")
    record: DnsRecord | None = Field(default=None, description="write {zone_id: …, name: …}")
    access_logs: AccessLogs | None = Field(default=None, description="write {bucket: …, prefix: …}")
    web_acl_arn: str | None = Field(
        default=None,
        pattern=arn("wafv2", "regional/webacl/.+"),
        description="write the ARN of a regional web ACL",
    )
    client_keep_alive: int = Field(default=3600, ge=60, le=604800, description="write seconds from 60 to 604800")
    cross_zone: bool = Field(default=True, description="write true or false")
    deletion_protection: bool = Field(default=True, description="write true or false")


class Requirements(Section):
    """Attributes by which AWS chooses the types."""

    gpus_min: int | None = Field(default=None, description="write a whole number from 1")
    gpu_memory_gib_min: int | None = Field(default=None, description="write GiB of all GPUs together")
    gpu_names: list[str] | None = Field(default=None, description="list kinds such as [l4, a10g]")
    vcpus_min: int | None = Field(default=None, description="write a whole number from 1")
    memory_gib_min: int | None = Field(default=None, description="write GiB from 1")


class WarmPool(Section):
    state: str = Field(default="stopped", description="write stopped or running")
    minimum: int = Field(default=0, description="write a whole number from 0")
    maximum_prepared: int | None = Field(default=None, description="write a whole number, or null for the pool's maximum")
    reuse: bool = Field(default=False, description="write true or false")


class Pool(Section):
    """`turnout_components.capacity` judges what goes together."""

    instance_type: str | None = Field(default=None, description="write a type with a GPU such as g5.xlarge")
    instance_types: tuple[str, ...] | None = Field(default=None, min_length=1, description="list types, the preferred first")
    requirements: Requirements | None = Field(default=None, description="write {gpus_min: …, gpu_memory_gib_min: …}")
    on_demand_base: int | None = Field(default=None, description="write a whole number from 0")
    on_demand_percent: int | None = Field(default=None, description="write a whole number from 0 to 100")
    capacity_block_id: str | None = Field(default=None, description="write an id such as cr-0a1b2c3d4e5f60718")
    capacity_reservation_id: str | None = Field(default=None, description="write an id such as cr-0a1b2c3d4e5f60718")
    efa: bool = Field(default=False, description="write true or false")
    zone: str | None = Field(default=None, description="name one of network.zones, or null for all")
    minimum: int = Field(default=1, ge=1, description="write a whole number from 1")
    maximum: int = Field(default=2, ge=1, description="write a whole number from 1")
    warm_pool: WarmPool | None = Field(default=None, description="write {state: …, minimum: …}, or null for none")
    disk_gib: int = Field(default=100, ge=30, le=16384, description="write GiB from 30 to 16384")
    port: int = Field(default=8000, ge=1, le=65535, description=PORT)
    launch_timeout: int = Field(default=1800, description="write seconds from 30")
    protect_streams: bool = Field(default=False, description="write true or false")
    image_id: str | None = Field(
        default=None,
        pattern=r"^(ami-[0-9a-f]{8,17}|(resolve:)?ssm:\S+)$",
        description="write ami-… or ssm:<public parameter>",
    )
    root_device: str | None = Field(default=None, pattern=r"^/dev/", description="write a device such as /dev/xvda")
    artifact_buckets: tuple[str, ...] | None = Field(default=None, description="list the buckets of models, or null for any")
    mirror_image: str | None = Field(default=None, description="write <image of Envoy>@sha256:<64 hex digits>, or null")
    boot: dict[str, float] = Field(
        default={}, description="write seconds such as {machine: 40, image: 20, model: 60, resume: 10}"
    )


class Rotation(Section):
    lambda_arn: str = Field(description="write the ARN of a rotation function")
    days: int = Field(default=30, description="write days from 1 to 1000")


class Vault(Section):
    address: str = Field(pattern=r"^https://", description="write an address such as https://vault.example.com")
    role: str = Field(description="write the role of Vault's auth method aws")


class Secrets(Section):
    """Values never stand here. `turnout_components.secret_rules` judges the rest."""

    names: tuple[str, ...] = Field(default=(), description="list environment variables, such as [API_KEY]")
    references: dict[str, str] = Field(
        default={}, description="write a Secrets Manager ARN, ssm:/path or vault:<path>#<field> by variable"
    )
    rotation: Rotation | None = Field(default=None, description="write {lambda_arn: …, days: …}")
    recovery_window_days: int = Field(default=30, description="write 0, or days from 7 to 30")
    vault: Vault | None = Field(default=None, description="write {address: …, role: …}")


class Tracking(Section):
    requests_per_target: float | None = Field(default=None, description="write requests a minute and target")
    gpu_utilization: float | None = Field(default=None, description="write a percentage")
    queue_length: float | None = Field(default=None, description="write waiting requests a node")


class StepRule(Section):
    pending: float = Field(default=50, description="write waiting requests of the whole pool")
    gpu: float = Field(default=80, description="write a percentage")
    add: int = Field(default=2, description="write instances")
    idle_gpu: float = Field(default=30, description="write a percentage")
    idle_minutes: int = Field(default=5, description="write minutes")
    remove: int = Field(default=1, description="write instances")
    missing_data: str = Field(default="notBreaching", description="write notBreaching, ignore or missing")


class Schedule(Section):
    name: str = Field(description="write a name that no other schedule has")
    cron: str = Field(description="write five fields such as 0 8 * * MON-FRI")
    time_zone: str = Field(default="Etc/UTC", description="write a time zone such as Europe/Berlin")
    minimum: int | None = Field(default=None, description="write a whole number")
    maximum: int | None = Field(default=None, description="write a whole number")
    desired: int | None = Field(default=None, description="write a whole number")


class Predictive(Section):
    mode: str = Field(default="forecast_only", description="write forecast_only or forecast_and_scale")
    requests_per_target: float | None = Field(default=None, description="write requests a minute and target")
    cpu_utilization: float | None = Field(default=None, description="write a percentage")
    gpu_utilization: float | None = Field(default=None, description="write a percentage")
    launch_ahead: int = Field(default=300, description="write seconds")


class Scaling(Section):
    """`turnout_components.scaling_rules` judges what goes together."""

    target_tracking: Tracking | None = Field(default=None, description="write {requests_per_target: …}")
    step: StepRule | None = Field(default=None, description="write {pending: 50, gpu: 80, …}")
    schedules: tuple[Schedule, ...] = Field(default=(), description="list {name: …, cron: …, minimum: …}")
    predictive: Predictive | None = Field(default=None, description="write {mode: forecast_only, …}")
    warmup: int | None = Field(default=None, description="write seconds")


class Health(Section):
    """Limits: "Health checks for Application Load Balancer target groups" and "Edit target group attributes"."""

    path: str = Field(default="/ready", pattern=r"^/[^?#\s]*$", description="write a path such as /ready, without a query")
    interval: int = Field(default=5, ge=5, le=300, description="write seconds from 5 to 300")
    timeout: int = Field(default=2, ge=2, le=120, description="write seconds from 2 to 120")
    healthy_threshold: int = Field(default=2, ge=2, le=10, description="write a number from 2 to 10")
    unhealthy_threshold: int = Field(default=2, ge=2, le=10, description="write a number from 2 to 10")
    drain: int = Field(default=30, ge=0, le=3600, description="write seconds from 0 to 3600")
    alarm_topics: tuple[Annotated[str, Field(pattern=arn("sns", ".+"))], ...] = Field(
        default=(), description="list ARNs of SNS topics"
    )


class EnvironmentSettings(Section):
    release: str | None = Field(default=None, description="write <name>@sha256:<64 hex digits>, or null for no pool")


class Environments(Section):
    blue: EnvironmentSettings = Field(description="write {release: …} or {release: null}")
    green: EnvironmentSettings = Field(description="write {release: …} or {release: null}")

    def releases(self) -> dict[str, str | None]:
        """Release id by environment."""
        return {"blue": self.blue.release, "green": self.green.release}


class Standby(Section):
    keep: Keep = Field(default=Keep.FULL, description="write full, warm or cold")
    retain_for: Duration = Field(default=timedelta(hours=24), description=DURATION)
    bake: Duration = Field(default=timedelta(minutes=10), description=DURATION)
    warm_minimum: int = Field(default=1, ge=1, description="write a whole number from 1")
    discard: str | None = Field(default=None, description="write the retained release's name, or null")


class TrafficSettings(Section):
    active: str = Field(description="write blue or green")
    weights: dict[str, int] | None = Field(default=None, description="write percents such as {blue: 90, green: 10}")
    standby: Standby = Field(default=Standby(), description="write {keep: …, retain_for: …}")
    gate_timeout: Duration = Field(default=timedelta(minutes=15), description=DURATION)


class Runner(Section):
    """A `RolloutRunner`; null is the component's own default. `turnout_components.runner_policy` judges the rest."""

    code_bucket: str = Field(
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="write the bucket, in the stack's region, that holds the archive of tools/runner_archive.py",
    )
    code_key: str = Field(min_length=1, description="write the archive's key such as runner/<its sha256>.zip")
    code_version: str | None = Field(default=None, min_length=1, description="write the archive's version, or null")
    topic_key_arn: str | None = Field(
        default=None, pattern=arn("kms", "key/.+"), description="write the ARN of the key that encrypts rollout.alerts.topic"
    )
    alarm_topic_arn: str | None = Field(default=None, pattern=arn("sns", ".+"), description="write the ARN of an SNS topic")
    dead_letter_queue_arn: str | None = Field(
        default=None,
        pattern=arn("sqs", "[a-zA-Z0-9_-]+"),
        description="write the ARN of a standard SQS queue, which is no FIFO queue",
    )
    rate_minutes: int | None = Field(default=None, description="write minutes from 1 to 60")
    timeout: int | None = Field(default=None, description="write seconds from 30 to 900")
    memory: int | None = Field(default=None, description="write MB from 256 to 10240")
    concurrency: int | None = Field(default=None, description="write 1 or 2")
    look: float | None = Field(default=None, description="write seconds from 1 to 30")
    log_retention_days: int | None = Field(default=None, description="write days that CloudWatch Logs offers, such as 30")


class StackConfig(Section):
    """The keys of a stack's config."""

    service: str = Field(
        pattern=r"^[a-z][a-z0-9-]*[a-z0-9]$",
        max_length=SERVICE_LENGTH,
        description=f"write 2 to {SERVICE_LENGTH} lower-case letters, digits and hyphens, a letter first",
    )
    platform: Platform = Field(default=Platform.EC2, description="write ec2, eks or kubernetes")
    cloud: Cloud = Field(description="write local, aws, or cluster for a Kubernetes cluster that exists")
    region: str = Field(default="", pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", description="write a region such as us-east-1")
    releases: str = Field(description="write the folder of release manifests, from the project's root")
    record_table: str = Field(default=DEFAULT_TABLE, pattern=r"^[a-zA-Z0-9_.-]{3,255}$", description="write a table's name")
    network: Network = Field(default=Network(), description="write {cidr: …, zones: […]}")
    ingress: Ingress = Field(default=Ingress(), description="write {port: …, allowed_cidrs: […]}")
    cluster: Cluster | None = Field(default=None, description="write {version: …}, or {name: …} of one that exists")
    kubernetes: Kubernetes = Field(default=Kubernetes(), description="write {gateway: {name: …, namespace: …}, …}")
    pool: Pool = Field(default=Pool(), description="write {instance_type: …, minimum: …, maximum: …}")
    secrets: Secrets = Field(default=Secrets(), description="write {names: […], references: {…}}")
    seeds: dict[str, str] = Field(
        default={}, repr=False, description="write secret config: first values of turnout:secrets.names by variable"
    )
    scaling: Scaling | None = Field(default=None, description="write {step: …} or {target_tracking: …}, or null for none")
    health: Health = Field(default=Health(), description="write {path: …}")
    environments: Environments = Field(description="write {blue: {release: …}, green: {release: …}}")
    traffic: TrafficSettings = Field(description="write {active: blue}")
    rollout: RolloutSpec = Field(default=RolloutSpec(), description="write {strategy: …, steps: […], gates: […]}")
    runner: Runner | None = Field(default=None, description="write {code_bucket: …, code_key: …}, or null for none")
