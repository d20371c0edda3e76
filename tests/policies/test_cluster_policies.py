"""Policies on EKS clusters, and on GPUs that Kubernetes starts, each broken and satisfied."""

from typing import Any

import pytest

from tests.policies.judging import UNKNOWN, Given, judge

CLUSTER = "aws:eks/cluster:Cluster"
NODE_GROUP, NODE_POOL = "aws:eks/nodeGroup:NodeGroup", "kubernetes:karpenter.sh/v1:NodePool"
PRIVATE = {"endpointPrivateAccess": True, "endpointPublicAccess": False}
OPEN = {"endpointPrivateAccess": True, "endpointPublicAccess": True, "publicAccessCidrs": ["192.0.2.0/24"]}
ENTRIES = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"]


def cluster(**changes: Any) -> Given:
    held = {"vpcConfig": PRIVATE, "accessConfig": ENTRIES, "enabledClusterLogTypes": LOGS, **changes}
    return Given(CLUSTER, {key: value for key, value in held.items() if value is not None})


@pytest.mark.parametrize("network", [PRIVATE, OPEN])
def test_a_private_cluster_and_one_for_named_networks_pass(network: dict[str, Any]) -> None:
    assert judge("private-cluster", cluster(vpcConfig=network)).passed


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"vpcConfig": {**OPEN, "publicAccessCidrs": ["0.0.0.0/0"]}}, "opens the API server to the internet"),
        ({"vpcConfig": {**OPEN, "publicAccessCidrs": ["192.0.2.0/24", "0.0.0.0/1"]}}, "opens the API server to the internet"),
        ({"vpcConfig": {"endpointPrivateAccess": True}}, "opens the API server to the internet"),
        ({"vpcConfig": {**OPEN, "endpointPrivateAccess": False}}, "sends the nodes' own traffic over the internet"),
        ({"accessConfig": {**ENTRIES, "authenticationMode": "API_AND_CONFIG_MAP"}}, "lets a ConfigMap grant rights"),
        ({"accessConfig": {"authenticationMode": "API"}}, "makes whoever creates the cluster its administrator"),
    ],
)
def test_a_cluster_that_is_open_or_ruled_unseen_is_told(changes: dict[str, Any], says: str) -> None:
    assert says in judge("private-cluster", cluster(**changes)).said


@pytest.mark.parametrize(
    "changes",
    [
        {"vpcConfig": UNKNOWN},
        {"vpcConfig": {**OPEN, "publicAccessCidrs": [UNKNOWN]}},
        {"vpcConfig": {**PRIVATE, "endpointPublicAccess": UNKNOWN}},
        {"accessConfig": {**ENTRIES, "authenticationMode": UNKNOWN}},
    ],
)
def test_what_is_not_known_yet_of_a_cluster_is_left_open(changes: dict[str, Any]) -> None:
    judgement = judge("private-cluster", cluster(**changes))
    assert judgement.violations == []
    assert judgement.undecided


def test_every_log_of_the_control_plane_is_written() -> None:
    assert judge("cluster-logs", cluster()).passed
    assert (
        "leave out audit" in judge("cluster-logs", cluster(enabledClusterLogTypes=[one for one in LOGS if one != "audit"])).said
    )
    assert "leave out api, audit" in judge("cluster-logs", cluster(enabledClusterLogTypes=None)).said
    assert judge("cluster-logs", cluster(enabledClusterLogTypes=UNKNOWN)).undecided


def node_pool(**limits: Any) -> Given:
    needs = [{"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["g5.xlarge"]}]
    spec = {"template": {"spec": {"requirements": needs}}, **({"limits": limits} if limits else {})}
    return Given(NODE_POOL, {"spec": spec})


def test_gpus_that_karpenter_may_start_count_by_their_limit() -> None:
    pool = node_pool(**{"nvidia.com/gpu": "16"})
    assert judge("gpu-ceiling", pool, ceiling=16).passed
    assert "'16'" in judge("gpu-ceiling", pool, ceiling=15).said
    assert judge("gpu-ceiling", node_pool(**{"nvidia.com/gpu": UNKNOWN}), ceiling=1).undecided


def test_a_node_pool_without_a_limit_of_gpus_is_told_and_one_without_gpus_is_not() -> None:
    assert "has no limit of GPUs" in judge("gpu-ceiling", node_pool(cpu="1000"), ceiling=64).said
    plain = Given(NODE_POOL, {"spec": {"template": {"spec": {"requirements": []}}}})
    assert judge("gpu-ceiling", plain, ceiling=0).passed


def test_a_warm_pool_of_a_node_group_counts_what_it_may_prepare() -> None:
    props = {"instanceTypes": ["g6.12xlarge"], "scalingConfig": {"maxSize": 2}}
    prepared = {"warmPoolConfig": {"maxGroupPreparedCapacity": 5}}
    assert "'20'" in judge("gpu-ceiling", Given(NODE_GROUP, {**props, **prepared}), ceiling=8).said
    unbounded = {"warmPoolConfig": {"maxGroupPreparedCapacity": -1}}
    assert judge("gpu-ceiling", Given(NODE_GROUP, {**props, **unbounded}), ceiling=8).passed
