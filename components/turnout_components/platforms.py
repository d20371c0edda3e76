"""The platforms that an environment can run on, and what the switch works with on each: live view, memory, step-downs.

| platform | router | workloads | record | step-downs |
|---|---|---|---|---|
| ec2 | a load balancer's listener | auto scaling groups | DynamoDB | scheduled actions |
| eks | a load balancer's listener | the cluster's | DynamoDB | the cluster's |
| kubernetes | an HTTPRoute | the cluster's | ConfigMaps | the cluster's |
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

from turnout_components.cluster_api import ClusterApi
from turnout_components.items import DEFAULT_TABLE, DynamoItems, Items
from turnout_components.live import LiveCloud, utc_now
from turnout_components.live_alb import AlbRouter
from turnout_components.standby_plan import StepDowns

EC2, EKS, KUBERNETES = "ec2", "eks", "kubernetes"
PLATFORMS = (EC2, EKS, KUBERNETES)
Client = Callable[[str], Any]
"""Makes boto3's client of an AWS service."""


@dataclass(frozen=True)
class Place:
    """Where a service's switch works. All but `platform` and `table` are of clusters."""

    platform: str = EC2
    table: str = DEFAULT_TABLE
    """DynamoDB table of the switch record; on `kubernetes` the namespace of its ConfigMaps."""
    context: str | None = None
    """Of the kubeconfig. None: the current one; of an EKS cluster: none, AWS's credentials are used."""
    cluster: str | None = None
    """The EKS cluster's name."""
    kubeconfig: str | None = None
    """A kubeconfig in place of the environment's: the local cluster's."""
    step_down_image: str | None = None
    """An image with kubectl, by digest, by which CronJobs step the standby down. None: whoever comes by does it."""
    step_down_account: str | None = None
    """The service account of those CronJobs."""


class Platform(Protocol):
    """What the switch works with in one place."""

    @property
    def live(self) -> LiveCloud: ...
    @property
    def items(self) -> Items: ...
    @property
    def step_downs(self) -> StepDowns: ...


def platform(place: Place, client: Client, *, role_arn: str | None = None, clock: Callable[[], datetime] = utc_now) -> Platform:
    """The platform at this place. `role_arn`: what schedules of ec2 run as.

    Raises `ValueError` for one that there is not, or an EKS cluster without a name or context."""
    if place.platform == EC2:
        return _Ec2(place, client, role_arn, clock)
    if place.platform not in PLATFORMS:
        raise ValueError(f"platform {place.platform!r}: write {', '.join(PLATFORMS)}")
    if place.platform == EKS and not (place.cluster or place.context or place.kubeconfig):
        raise ValueError("platform eks: name the cluster, or the context of a kubeconfig")
    return (_Eks if place.platform == EKS else _Kubernetes)(place, client, clock)


class _Ec2:
    def __init__(self, place: Place, client: Client, role_arn: str | None, clock: Callable[[], datetime]) -> None:
        self._place, self._client, self._role_arn, self._clock = place, client, role_arn, clock

    @cached_property
    def live(self) -> LiveCloud:
        from turnout_components.live_groups import AutoScalingGroups

        class Ec2View(AlbRouter, AutoScalingGroups):
            def __init__(self, elbv2: Any, autoscaling: Any) -> None:
                AlbRouter.__init__(self, elbv2)
                AutoScalingGroups.__init__(self, autoscaling)

        return Ec2View(self._client("elbv2"), self._client("autoscaling"))

    @cached_property
    def items(self) -> Items:
        return DynamoItems(self._client("dynamodb"), self._place.table)

    @cached_property
    def step_downs(self) -> StepDowns:
        from turnout_components.step_down import GroupStepDowns

        return GroupStepDowns(self._client, self._role_arn, self._clock)


def cluster_of(place: Place, client: Client) -> ClusterApi:
    """The cluster at this place."""
    from turnout_components.cluster_access import by_eks, by_kubeconfig

    if place.platform == EKS and place.cluster and not (place.context or place.kubeconfig):
        return by_eks(client, place.cluster)
    return by_kubeconfig(place.context, place.kubeconfig)


class _OnCluster:
    def __init__(self, place: Place, client: Client, clock: Callable[[], datetime]) -> None:
        self._place, self._client, self._clock = place, client, clock

    @cached_property
    def api(self) -> ClusterApi:
        return cluster_of(self._place, self._client)

    @cached_property
    def step_downs(self) -> StepDowns:
        from turnout_components.step_down_cluster import ClusterStepDowns

        image, account = self._place.step_down_image, self._place.step_down_account
        return ClusterStepDowns(self.api, image=image, account=account, clock=self._clock)


class _Eks(_OnCluster):
    @cached_property
    def live(self) -> LiveCloud:
        from turnout_components.live_workloads import ClusterWorkloads

        class EksView(AlbRouter, ClusterWorkloads):
            """Target groups of type ip: targets and what is in service are pods' IPs on both sides."""

            def __init__(self, elbv2: Any, api: Any) -> None:
                AlbRouter.__init__(self, elbv2)
                ClusterWorkloads.__init__(self, api)

        return EksView(self._client("elbv2"), self.api)

    @cached_property
    def items(self) -> Items:
        return DynamoItems(self._client("dynamodb"), self._place.table)


class _Kubernetes(_OnCluster):
    @cached_property
    def live(self) -> LiveCloud:
        from turnout_components.live_gateway import GatewayRouter
        from turnout_components.live_workloads import ClusterWorkloads

        class KubernetesView(GatewayRouter, ClusterWorkloads):
            def __init__(self, api: Any) -> None:
                GatewayRouter.__init__(self, api)
                ClusterWorkloads.__init__(self, api)

        return KubernetesView(self.api)

    @cached_property
    def items(self) -> Items:
        from turnout_components.items_cluster import ClusterItems

        return ClusterItems(self.api, self._place.table)
