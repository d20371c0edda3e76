"""One environment of a service on Kubernetes: the workload of its release, what reaches it, and what keeps it running."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict, cast

import pulumi
from pulumi_aws import eks, iam
from pulumi_kubernetes import apiextensions, apps, core, networking, policy

from turnout_components import arguments, pod_identity, pod_network, pod_rules, workload_specs
from turnout_components.kubernetes_names import ObjectId, service_name
from turnout_components.naming import ROLE_NAME_ROOM, secret_prefix, shorten
from turnout_components.pod_template import GRACE_SLACK
from turnout_components.target_alarms import Owner, watch_targets

DELETE_SLACK = 300
"""Seconds that a workload's deletion may take beside its pods' grace."""


class SourceArgs(TypedDict):
    """Who may send requests: a network, or pods."""

    cidr: NotRequired[pulumi.Input[str]]
    """Such as 10.20.0.0/20: the subnets of a load balancer."""
    namespace: NotRequired[pulumi.Input[str]]
    """The pods of a namespace: a gateway's. Default with `pods`: the environment's own."""
    pods: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Labels of the pods. Default with `namespace`: all."""


class CacheArgs(TypedDict):
    """Where a fetched model lies. Default: an emptyDir, on whatever disk the node gives its pods."""

    size_gib: NotRequired[pulumi.Input[int]]
    """What the model takes at most, in GiB. Default 100."""
    storage_class: NotRequired[pulumi.Input[str]]
    """A volume of each pod's own, of this class."""
    claim_name: NotRequired[pulumi.Input[str]]
    """A claim that exists and that pods share: who finds the model there fetches nothing."""


class IdentityArgs(TypedDict):
    """An EKS pod identity, which reads this release's model and these secrets only."""

    cluster_name: pulumi.Input[str]
    """The EKS cluster."""
    region: pulumi.Input[str]
    """AWS region of the secrets."""
    artifact_buckets: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """The only buckets from which a model may come. Default any."""
    secrets: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """References to secrets that the pods themselves read, by name: ARNs in Secrets Manager, or `ssm:/path`. Default none."""
    secrets_key_arn: NotRequired[pulumi.Input[str | None]]
    """KMS key of the secrets that `ServiceSecrets` made."""


class PodArgs(TypedDict):
    """What pods are and how many. What Kubernetes refuses of it is refused (`turnout_components.pod_rules`)."""

    service: pulumi.Input[str]
    """The service's name, at most 40 characters."""
    environment: pulumi.Input[str]
    """`blue` or `green`."""
    namespace: NotRequired[pulumi.Input[str]]
    """Default: called as the service."""
    gpus: NotRequired[pulumi.Input[int]]
    """GPUs of a pod. Default 1."""
    gpu_resource: NotRequired[pulumi.Input[str]]
    """What is counted as a GPU: a MIG profile's resource, say. Default nvidia.com/gpu."""
    cpus: NotRequired[pulumi.Input[float]]
    """CPUs requested for a pod. Default 2."""
    memory_gib: NotRequired[pulumi.Input[int]]
    """Memory of a pod in GiB, requested and its limit. Default 12."""
    shm_gib: NotRequired[pulumi.Input[int]]
    """Shared memory in GiB, part of the above. Default 4."""
    efa: NotRequired[pulumi.Input[int]]
    """Elastic Fabric Adapters of a pod. Default 0."""
    nodes_per_replica: NotRequired[int]
    """Nodes over which a model is sharded: above 1 a LeaderWorkerSet runs it, with one pod a node. Default 1."""
    minimum: NotRequired[pulumi.Input[int]]
    """Fewest servers. Default 1."""
    scaled: NotRequired[bool]
    """A scaler of the workload's name counts the servers: from a release's start, or while it carries nothing, for a count that
    is not declared any more falls to 1. Default false: there are `minimum`."""
    disruptions: NotRequired[pulumi.Input[int]]
    """Servers that drains and upgrades may take away at once, as long as one of the minimum stays. 0: none. Default 1."""
    port: NotRequired[pulumi.Input[int]]
    """Port on which the server answers. Default 8000."""
    health_path: NotRequired[pulumi.Input[str]]
    """Path that answers 200 when the server serves; asked with `?release=<digest>`. Default /ready."""
    liveness_path: NotRequired[pulumi.Input[str]]
    """A cheap path that answers as long as the server lives. Default: its port is tried."""
    launch_timeout: NotRequired[pulumi.Input[int]]
    """Seconds after which a server that does not serve is started again. Default 1800."""
    drain: NotRequired[pulumi.Input[int]]
    """Seconds that a stopping server may take for what is in flight: the longest stream. Default 30."""
    let_go: NotRequired[pulumi.Input[int]]
    """Seconds before a server is told to stop, in which routes let go of it. Default 20."""
    shutdown_flag: NotRequired[pulumi.Input[bool]]
    """Tell vLLM to drain by `--shutdown-timeout`, which it knows since 0.18. Default true."""
    node_selector: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Labels of the pool's nodes. Default: any node with GPUs."""
    priority_class: NotRequired[pulumi.Input[str]]
    """PriorityClass of the pods: above that of placeholders, whose room they take. Default the cluster's."""
    runtime_class: NotRequired[pulumi.Input[str]]
    """RuntimeClass of the pods, where NVIDIA's runtime is not the nodes' default."""
    pull_secrets: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Names of Secrets with which images are pulled. Default none: nodes may pull."""
    user: NotRequired[pulumi.Input[int]]
    """Number of the user and group that the containers run as. Default 1000."""
    secret_name: NotRequired[pulumi.Input[str]]
    """The Secret with variables of the server, such as External Secrets makes it."""
    secret_keys: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """The keys of that Secret: each is a variable."""
    cache: NotRequired[CacheArgs]
    """Where a model that is fetched lies."""
    fetch_image: NotRequired[pulumi.Input[str]]
    """Image by digest that fetches and verifies the model: with sh, sha256sum and the AWS CLI. Needed where the model does not
    lie in the server's image."""
    fetch_secret_name: NotRequired[pulumi.Input[str]]
    """The Secret whose keys are variables of the fetch: keys and endpoint of a store that knows no pod identity."""
    clients: NotRequired[Sequence[SourceArgs]]
    """Who may send requests: a gateway's namespace, a load balancer's subnets. Default nobody."""
    prometheus: NotRequired[SourceArgs | None]
    """Who may read metrics, on the same port. Default nobody."""
    https_cidrs: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Networks that the pods reach on port 443. Default: all where they fetch or stream a model, else none."""
    boot: NotRequired[pulumi.Input[Mapping[str, float]]]
    """Seconds that `machine`, `image`, `model` and `resume` take in the local cluster; elsewhere unused."""


class ModelDeploymentArgs(PodArgs):
    """The pods, the release in them, and how they are reached."""

    release: NotRequired[dict[str, Any] | None]
    """The release's manifest with its digest (`Release.for_storage()`); None: no workload."""
    target_group_arn: NotRequired[pulumi.Input[str]]
    """The environment's target group on EKS, which the AWS Load Balancer Controller fills. Default: a gateway's routes name
    the Service."""
    balancer_security_group_id: NotRequired[pulumi.Input[str]]
    """The load balancer's security group, for the controller to let it to the pods."""
    load_balancer_arn: NotRequired[pulumi.Input[str]]
    """The load balancer in front of the target group: there are alarms on what it measures. Default: there are none."""
    alarm_topic_arns: NotRequired[Sequence[pulumi.Input[str]]]
    """SNS topics that hear of alarms. Default none: the alarms only show."""
    identity: NotRequired[IdentityArgs | None]
    """Default: the pods have no role."""


_POD_FIELDS = frozenset(PodArgs.__annotations__)


class ModelDeployment(pulumi.ComponentResource):
    """A release's pods behind a Service that outlives it, with the network policy and the disruption budget of its environment.

    A new release is a new workload under a new name: the old one is deleted first, for it carries no traffic (the switch
    refuses otherwise, unless downtime is accepted). Its namespace enforces the restricted Pod Security Standard where it is
    `ServiceNamespace`'s; the pods fit in any case. Resources in `opts.depends_on`, such as the environment's test rule, come
    before the workload. Raises `ValueError` for what Kubernetes refuses.
    """

    group: pulumi.Output[str | None]
    target_group: pulumi.Output[str]
    workload_name: pulumi.Output[str | None]
    release: pulumi.Output[str | None]
    role_name: pulumi.Output[str | None]

    def __init__(self, name: str, args: ModelDeploymentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:ModelDeployment", name, {}, opts)
        args = arguments.taken(name, args, ModelDeploymentArgs)
        release = args.get("release")
        _refuse_plain(args, release)
        pods = pulumi.Output.from_input({key: value for key, value in args.items() if key in _POD_FIELDS}).apply(
            lambda known: _checked(known, release)
        )
        after: Any = (opts.depends_on if opts is not None else None) or []
        before = [*(after if isinstance(after, Sequence) else [after]), *_entry(self, name, args, pods)]
        self.group = self.workload_name = self.role_name = pulumi.Output.from_input(None)
        self.release = pulumi.Output.from_input(f"{release['name']}@{release['digest']}" if release else None)
        self.target_group = pulumi.Output.from_input(args.get("target_group_arn") or pods.apply(_service_id))
        if release is not None:
            identity = args.get("identity")
            if identity is not None:
                role, needed = _role(self, name, identity, pods, release)
                before += needed
                self.role_name = role.name
            before.append(_account(self, name, pods))
            workload = _workload(self, name, args, pods, before)
            self.workload_name = workload.metadata["name"]
            # Whoever uses the id comes after the workload: the switch does.
            both = pulumi.Output.all(pods, self.workload_name)
            self.group = both.apply(lambda known: workload_specs.workload_id(known[0], release))
            policy.v1.PodDisruptionBudget(
                f"{name}-budget",
                metadata=pods.apply(_metadata),
                spec=pods.apply(workload_specs.disruption_budget),
                opts=pulumi.ResourceOptions(parent=self),
            )
            _watched(self, name, args)
        outputs = ("group", "target_group", "workload_name", "release", "role_name")
        self.register_outputs({key: getattr(self, key) for key in outputs})


def _entry(
    parent: pulumi.Resource, name: str, args: ModelDeploymentArgs, pods: pulumi.Output[dict[str, Any]]
) -> list[pulumi.Resource]:
    """What stands whether there is a release or not: policy and Service, and its binding, by which new pods get their readiness
    gate ("Pod readiness gate", AWS Load Balancer Controller)."""
    child = pulumi.ResourceOptions(parent=parent)
    release, has_role = args.get("release"), args.get("identity") is not None
    service = core.v1.Service(
        f"{name}-service",
        metadata=pods.apply(lambda known: _metadata(known, **workload_specs.WAITS)),
        spec=pods.apply(workload_specs.service),
        opts=child,
    )
    closed = networking.v1.NetworkPolicy(
        f"{name}-network",
        metadata=pods.apply(_metadata),
        spec=pods.apply(lambda known: pod_network.policy(known, release, has_role)),
        opts=child,
    )
    if args.get("target_group_arn") is None:
        return [service, closed]
    bound = pulumi.Output.all(pods, args["target_group_arn"], args.get("balancer_security_group_id"))
    binding = apiextensions.CustomResource(
        f"{name}-targets",
        api_version=workload_specs.TARGET_GROUP_BINDING,
        kind="TargetGroupBinding",
        metadata=pods.apply(_metadata),
        spec=bound.apply(lambda known: workload_specs.target_group_binding(*known)),
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=[service],
            replace_on_changes=["spec.targetGroupARN"],  # the controller refuses another one in place
            delete_before_replace=True,
        ),
    )
    return [service, closed, binding]


def _watched(parent: pulumi.Resource, name: str, args: ModelDeploymentArgs) -> None:
    """Alarms on the environment's targets, where there are some."""
    balancer, targets = args.get("load_balancer_arn"), args.get("target_group_arn")
    if balancer is not None and targets is not None:
        owner: Owner = {
            "service": args["service"],
            "environment": args["environment"],
            "alarm_topic_arns": args.get("alarm_topic_arns", []),
        }
        watch_targets(parent, name, balancer, targets, owner)


def _account(parent: pulumi.Resource, name: str, pods: pulumi.Output[dict[str, Any]]) -> core.v1.ServiceAccount:
    """The environment's own: it can ask the API server nothing, and has no token for it."""
    return core.v1.ServiceAccount(
        f"{name}-account",
        metadata=pods.apply(_metadata),
        automount_service_account_token=False,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _role(
    parent: pulumi.Resource,
    name: str,
    identity: IdentityArgs,
    pods: pulumi.Output[dict[str, Any]],
    release: Mapping[str, Any],
) -> tuple[iam.Role, list[pulumi.Resource]]:
    """The pods' role, and what must be there before a pod starts that needs it."""
    child, stack = pulumi.ResourceOptions(parent=parent), pulumi.get_stack()
    tags = pods.apply(lambda known: _tags(known, stack))
    known = pulumi.Output.all(pods, pulumi.Output.from_input(cast(dict[str, Any], identity)))
    role = iam.Role(
        shorten(f"{name}-role", ROLE_NAME_ROOM),
        description="Pods of one Turnout environment",
        assume_role_policy=known.apply(
            lambda both: json.dumps(pod_identity.trust(both[1]["cluster_name"], both[0]["namespace"], _name(both[0])))
        ),
        tags=tags,
        opts=child,
    )
    rights = iam.RolePolicy(
        f"{name}-policy",
        role=role.name,
        policy=known.apply(lambda both: json.dumps(pod_identity.policy(release, both[1], _own_secrets(both[0], stack)))),
        opts=child,
    )
    association = eks.PodIdentityAssociation(
        f"{name}-identity",
        cluster_name=identity["cluster_name"],
        namespace=pods.apply(lambda known: str(known["namespace"])),
        service_account=pods.apply(_name),
        role_arn=role.arn,
        tags=tags,
        opts=child,
    )
    return role, [rights, association]


def _workload(
    parent: pulumi.Resource,
    name: str,
    args: ModelDeploymentArgs,
    pods: pulumi.Output[dict[str, Any]],
    before: Sequence[pulumi.Resource],
) -> apps.v1.Deployment | apiextensions.CustomResource:
    release = cast(dict[str, Any], args.get("release"))
    metadata = pods.apply(lambda known: workload_specs.workload_metadata(known, release))
    grace = _longest(args.get("drain"), pod_rules.DRAIN_AT_MOST) + _longest(args.get("let_go"), 0) + GRACE_SLACK
    opts = pulumi.ResourceOptions(
        parent=parent,
        depends_on=list(before),
        delete_before_replace=True,
        custom_timeouts=pulumi.CustomTimeouts(delete=f"{grace + DELETE_SLACK}s"),
    )
    if args.get("nodes_per_replica", 1) == 1:
        return apps.v1.Deployment(
            f"{name}-workload",
            metadata=metadata,
            spec=pods.apply(lambda known: workload_specs.deployment(known, release)),
            opts=opts,
        )
    return apiextensions.CustomResource(
        f"{name}-workload",
        api_version=workload_specs.LEADER_WORKER_SET,
        kind="LeaderWorkerSet",
        metadata=metadata,
        spec=pods.apply(lambda known: workload_specs.leader_worker_set(known, release)),
        opts=opts,
    )


def _longest(given: Any, unknown: int) -> int:
    """A timeout is no input: where it hangs on an output, the longest stands for it."""
    return int(given) if isinstance(given, int | float) else unknown


def _refuse_plain(args: ModelDeploymentArgs, release: Mapping[str, Any] | None) -> None:
    """Refuses at once what is known at once; outputs are looked at when they are known."""
    known = {key: value for key, value in pod_rules.with_defaults(args).items() if not arguments.holds_output(value)}
    pod_rules.refuse(known, release)


def _checked(known: Mapping[str, Any], release: Mapping[str, Any] | None) -> dict[str, Any]:
    pods = pod_rules.with_defaults(known)
    pod_rules.refuse(pods, release)
    return pods


def _name(pods: Mapping[str, Any]) -> str:
    return service_name(pods["service"], pods["environment"])


def _service_id(pods: Mapping[str, Any]) -> str:
    return str(ObjectId("Service", pods["namespace"], _name(pods)))


def _metadata(pods: Mapping[str, Any], **annotations: str) -> Any:
    return workload_specs.metadata(pods, _name(pods), **annotations)


def _own_secrets(pods: Mapping[str, Any], stack: str) -> str:
    return secret_prefix(pods["service"], stack, pods["environment"])


def _tags(pods: Mapping[str, Any], stack: str) -> dict[str, str]:
    return {"turnout:service": pods["service"], "turnout:stack": stack, "turnout:environment": pods["environment"]}
