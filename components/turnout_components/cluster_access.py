"""The way to a cluster's API: a kubeconfig and its context, or an EKS cluster by name."""

import base64
from collections.abc import Callable
from typing import Any

from turnout_components.cluster_api import ClusterApi, ClusterError, LightkubeApi

TOKEN_LIFE = 60
"""Seconds for which the signed request in a token can be used; the cluster then takes the token for 15 minutes ("Grant IAM
users and roles access to Kubernetes APIs", aws-iam-authenticator's API authorization)."""


def by_kubeconfig(context: str | None = None, kubeconfig: str | None = None) -> ClusterApi:
    """The cluster of `context` (default: the current one) in the file `kubeconfig`; without one, that of the pod that this runs
    in, or in KUBECONFIG or ~/.kube/config."""

    def connect() -> Any:
        from lightkube.config.kubeconfig import KubeConfig

        config = KubeConfig.from_file(kubeconfig) if kubeconfig else KubeConfig.from_env()
        return _client(config.get(context))

    return LightkubeApi(connect)


def by_eks(client: Callable[[str], Any], cluster: str) -> ClusterApi:
    """The EKS cluster of that name with the credentials of AWS's clients: no kubeconfig and no AWS CLI are needed."""

    def connect() -> Any:
        from lightkube.config.kubeconfig import KubeConfig
        from lightkube.config.models import Cluster, User

        found = client("eks").describe_cluster(name=cluster)["cluster"]
        if found.get("status") not in ("ACTIVE", "UPDATING"):
            raise ClusterError(f"EKS cluster {cluster} is {found.get('status')}; wait until it is ACTIVE")
        server = Cluster(server=found["endpoint"], certificate_auth_data=found["certificateAuthority"]["data"])
        return _client(KubeConfig.from_one(cluster=server, user=User(token=eks_token(client("sts"), cluster))).get())

    return LightkubeApi(connect)


def eks_token(sts: Any, cluster: str) -> str:
    """A bearer token as `aws eks get-token` makes it: a signed GetCallerIdentity that names the cluster in a header."""

    def header(params: Any, context: Any, **_: Any) -> None:
        if "ClusterName" in params:
            context["eks_cluster"] = params.pop("ClusterName")

    def add(request: Any, **_: Any) -> None:
        if "eks_cluster" in request.context:
            request.headers["x-k8s-aws-id"] = request.context["eks_cluster"]

    events = sts.meta.events
    events.register("provide-client-params.sts.GetCallerIdentity", header, unique_id="turnout-eks-name")
    events.register("before-sign.sts.GetCallerIdentity", add, unique_id="turnout-eks-header")
    url = sts.generate_presigned_url(
        "get_caller_identity", Params={"ClusterName": cluster}, ExpiresIn=TOKEN_LIFE, HttpMethod="GET"
    )
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def _client(config: Any) -> Any:
    from lightkube import Client

    learn_types()
    return Client(config=config)


def learn_types() -> None:
    """Has msgspec learn what the API's errors and objects are: two threads that decode the first of a type at once end the
    process (msgspec 0.22)."""
    from lightkube.models.meta_v1 import ObjectMeta, Status

    for found in (Status, ObjectMeta):
        found.from_dict({})
