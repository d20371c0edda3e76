"""Sections of a stack's config that stacks on Kubernetes have: the cluster, and what the service is given in it."""

from typing import Any

from pydantic import Field

from infra.section import PORT, Section

NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
""""Object Names and IDs", Kubernetes: an RFC 1123 label."""
VERSION = r"^1\.\d{2}$"


class Placeholder(Section):
    """Room that Karpenter keeps for pods to come. `turnout_components.capacity_placeholder_rules` judges the rest."""

    replicas: int = Field(ge=1, description="write for how many pods, from 1")
    by: str = Field(default="pods", description="write pods, or buffer where Karpenter acts on a CapacityBuffer")
    image: str | None = Field(default=None, description="write the cluster's pause image by digest; with buffer leave it out")


class Karpenter(Section):
    """Nodes that Karpenter starts and takes away. `turnout_components.karpenter_rules` judges what goes together."""

    gpus_at_most: int = Field(
        description="write the most GPUs of all nodes together, of both environments and with room to flip"
    )
    controller_role: str = Field(
        pattern=r"^[\w+=,.@-]{1,64}$", description="write the name of the IAM role of Karpenter's controller"
    )
    instance_types: tuple[str, ...] | None = Field(default=None, min_length=1, description="list types such as [g6e.2xlarge]")
    capacities: tuple[str, ...] | None = Field(default=None, description="list some of reserved, on-demand and spot")
    reservation_ids: tuple[str, ...] | None = Field(default=None, description="list ids such as [cr-0a1b2c3d4e5f60718]")
    zones: tuple[str, ...] | None = Field(default=None, min_length=1, description="list some of network.zones, or null for all")
    image: str | None = Field(default=None, description="write al2023 or bottlerocket")
    image_version: str | None = Field(default=None, description="write a version such as v20260101, or latest")
    disk_gib: int | None = Field(default=None, description="write GiB from 30")
    instance_store: bool | None = Field(default=None, description="write true or false")
    labels: dict[str, str] | None = Field(default=None, description="write labels of the nodes")
    empty_for: str | None = Field(default=None, description="write how long a node may be empty, such as 30m, or Never")
    replace_drifted: bool | None = Field(default=None, description="write true or false")
    disruptions: str | None = Field(default=None, description='write nodes that go at a time, such as "1" or 10%')
    expire_after: str | None = Field(default=None, description="write a node's greatest age, such as 720h, or Never")
    termination_grace: str | None = Field(default=None, description="write a time above the longest stream, such as 2h")
    placeholder: Placeholder | None = Field(default=None, description="write {replicas: …, image: …}, or null for none")


class Cluster(Section):
    """The EKS cluster of `platform: eks`: a new one (`version`), or one that exists (`name` alone)."""

    name: str | None = Field(default=None, pattern=r"^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$", description="write a cluster's name")
    version: str | None = Field(default=None, pattern=VERSION, description="write a version such as 1.34")
    admins: dict[str, str] = Field(default={}, description="write ARNs of roles by a name of your own")
    public_access_cidrs: tuple[str, ...] = Field(default=(), description="list IPv4 blocks, or none for a private endpoint")
    log_retention_days: int = Field(default=90, description="write days that CloudWatch Logs offers, such as 90")
    deletion_protection: bool = Field(default=True, description="write true or false")
    addon_versions: dict[str, str] = Field(default={}, description="write versions by add-on")
    nodes: dict[str, Any] | None = Field(
        default=None, description="write {instance_types: […], maximum: …} of a managed node group, or karpenter in its place"
    )
    karpenter: Karpenter | None = Field(
        default=None, description="write {gpus_at_most: …, controller_role: …}, or nodes in its place"
    )

    @property
    def is_new(self) -> bool:
        """Whether the stack makes it."""
        return self.version is not None


class Listener(Section):
    """A Gateway, or one listener of it (`section`)."""

    name: str = Field(pattern=NAME, description="write a Gateway's name")
    namespace: str | None = Field(default=None, pattern=NAME, description="write the Gateway's namespace")
    section: str | None = Field(default=None, pattern=NAME, description="write the name of its listener")


class Gateway(Section):
    """The Gateway in front: one that exists (`name`), or one that the stack makes (`gateway_class`)."""

    name: str | None = Field(default=None, pattern=NAME, description="write a Gateway's name")
    namespace: str | None = Field(default=None, pattern=NAME, description="write the Gateway's namespace")
    section: str | None = Field(default=None, pattern=NAME, description="write the name of the users' listener")
    gateway_class: str | None = Field(default=None, pattern=NAME, description="write a GatewayClass's name")
    certificate_secret: str | None = Field(default=None, pattern=NAME, description="write the name of a Secret of TLS, or null")
    plain_http: bool = Field(default=False, description="write true or false")
    listen_port: int | None = Field(default=None, ge=1, le=65535, description=f"{PORT}, or null")
    annotations: dict[str, str] = Field(default={}, description="write what the implementation reads")
    hostnames: tuple[str, ...] = Field(default=(), description="list names such as [assistant.example.com]")
    test: Listener | None = Field(default=None, description="write {name: …, section: …}, or null for none")
    request_timeout: int | None = Field(default=None, ge=0, description="write seconds, 0 for no limit, or null")


class Cache(Section):
    size_gib: int = Field(default=100, ge=1, description="write GiB from 1")
    storage_class: str | None = Field(default=None, pattern=NAME, description="write a StorageClass's name, or null")
    claim_name: str | None = Field(default=None, pattern=NAME, description="write a PersistentVolumeClaim's name, or null")


class Source(Section):
    cidr: str | None = Field(default=None, description="write an IPv4 block such as 10.20.0.0/20")
    namespace: str | None = Field(default=None, pattern=NAME, description="write a namespace")
    pods: dict[str, str] | None = Field(default=None, description="write labels of pods")


class Pods(Section):
    """What a server's pod asks for. `turnout_components.pod_rules` judges what goes together."""

    gpus: int = Field(default=1, ge=0, description="write a whole number from 0")
    gpu_resource: str = Field(default="nvidia.com/gpu", description="write a resource such as nvidia.com/gpu")
    cpus: float = Field(default=2, gt=0, description="write a number above 0")
    memory_gib: int = Field(default=12, ge=1, description="write GiB from 1")
    shm_gib: int = Field(default=4, ge=0, description="write GiB from 0")
    efa: int = Field(default=0, ge=0, description="write a whole number from 0")
    nodes_per_replica: int = Field(default=1, ge=1, description="write a whole number from 1")
    disruptions: int = Field(default=1, ge=0, description="write a whole number from 0")
    liveness_path: str | None = Field(default=None, pattern=r"^/\S*$", description="write a path such as /live, or null")
    let_go: int = Field(default=20, ge=0, description="write seconds from 0")
    shutdown_flag: bool = Field(default=True, description="write true or false")
    node_selector: dict[str, str] | None = Field(default=None, description="write labels of nodes, or null")
    priority_class: str | None = Field(default=None, description="write a PriorityClass's name, or null")
    runtime_class: str | None = Field(default=None, description="write a RuntimeClass's name, or null")
    pull_secrets: tuple[str, ...] | None = Field(default=None, description="list Secrets' names, or null")
    user: int = Field(default=1000, ge=1, description="write a user's number from 1")
    cache: Cache | None = Field(default=None, description="write {size_gib: …}, or null")
    fetch_image: str | None = Field(
        default=None, pattern=r"@sha256:[0-9a-f]{64}$", description="write an image by digest, or null"
    )
    fetch_secret_name: str | None = Field(default=None, pattern=NAME, description="write a Secret's name, or null")
    prometheus: Source | None = Field(default=None, description="write {namespace: …, pods: {…}}, or null")
    https_cidrs: tuple[str, ...] | None = Field(default=None, description="list IPv4 blocks, or null")


class StepDown(Section):
    """By what a standby steps down with nobody present; without it whoever comes by does it."""

    image: str = Field(pattern=r"^\S+@sha256:[0-9a-f]{64}$", description="write an image with kubectl, by digest")
    account: str = Field(pattern=NAME, description="write a service account's name")


class Kubernetes(Section):
    """Where a service stands on Kubernetes."""

    context: str | None = Field(
        default=None, min_length=1, description="write a context of the kubeconfig, or null for its own"
    )
    namespace: str | None = Field(default=None, pattern=NAME, description="write a namespace, or null for the service's name")
    gateway: Gateway = Field(default=Gateway(), description="write {name: …, namespace: …}")
    clients: tuple[Source, ...] = Field(default=(), description="list {namespace: …}, {pods: {…}} or {cidr: …}")
    pods: Pods = Field(default=Pods(), description="write {gpus: …, cpus: …, memory_gib: …}")
    scaling: dict[str, Any] | None = Field(default=None, description="write {prometheus: {address: …}, …}, or null for none")
    step_down: StepDown | None = Field(default=None, description="write {image: …, account: …}, or null")
    test_url: str | None = Field(default=None, pattern=r"^https?://\S+$", description="write a URL, or null")
