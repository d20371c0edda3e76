"""Karpenter's objects before the real API server, with the definitions of Karpenter's own releases."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from lightkube import ApiError, Client
from lightkube.generic_resource import create_global_resource
from turnout_components import karpenter_rules

from tests.kubernetes.conftest import Cluster

NODE_POOL = create_global_resource("karpenter.sh", "v1", "NodePool", "nodepools")
NODE_CLASS = create_global_resource("karpenter.k8s.aws", "v1", "EC2NodeClass", "ec2nodeclasses")
POOL: dict[str, Any] = {"gpus_at_most": 16}
RESERVED = {"capacities": ["reserved", "on-demand", "spot"], "reservation_ids": ["cr-0a1b2c3d4e5f60718"]}
EVERYTHING = {
    **RESERVED,
    "instance_types": ["g6.xlarge", "p5.48xlarge"],
    "zones": ["us-east-1a", "us-east-1b"],
    "image": "bottlerocket",
    "image_version": "v1.50.0",
    "disk_gib": 500,
    "instance_store": True,
    "labels": {"tier": "a"},
    "empty_for": "30m",
    "replace_drifted": True,
    "disruptions": "10%",
    "expire_after": "720h",
    "termination_grace": "2h",
    "weight": 10,
}


class Api:
    """Makes objects and takes them away again. Pools and classes have no namespace."""

    def __init__(self, client: Client) -> None:
        self._client, self.name = client, f"eks-{uuid.uuid4().hex[:8]}"

    def put(self, kind: Any, spec: Any) -> Any:
        body = {"metadata": {"name": self.name}, "spec": spec}
        return self._client.create(kind(body), field_manager="turnout-test")

    def close(self) -> None:
        for kind in (NODE_POOL, NODE_CLASS):
            try:
                self._client.delete(kind, self.name)
            except ApiError as error:
                if error.status.code != 404:
                    raise


@pytest.fixture
def api(cluster: Cluster) -> Iterator[Api]:
    api = Api(cluster.client())
    yield api
    api.close()


def node_class(pool: dict[str, Any]) -> Any:
    tags = {"Name": "gpu", "turnout:pool": "gpu"}
    return karpenter_rules.node_class(pool, "profile", ["subnet-0a1b2c3d"], ["sg-0a1b2c3d"], tags)


@pytest.mark.parametrize("more", [{}, RESERVED, EVERYTHING], ids=["least", "reserved", "everything"])
def test_the_real_api_server_takes_pool_and_class_as_they_are(api: Api, more: dict[str, Any]) -> None:
    pool = {**POOL, "name": api.name, **more}
    assert karpenter_rules.faults(pool) == []
    spec = karpenter_rules.node_pool(pool)
    assert _within(spec, api.put(NODE_POOL, spec)["spec"])
    wanted = node_class(pool)
    assert _within(wanted, api.put(NODE_CLASS, wanted)["spec"])


def _within(wanted: Any, held: Any) -> bool:
    """Whether nothing of what was sent was pruned as unknown."""
    if isinstance(wanted, dict):
        return isinstance(held, dict) and all(_within(value, held.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(held, list) and len(wanted) == len(held) and all(map(_within, wanted, held))
    return bool(wanted == held)


@pytest.mark.parametrize(
    ("pool", "says"),
    [
        ({"disruptions": "some"}, "budgets"),
        ({"labels": {"kubernetes.io/hostname": "a"}}, "labels"),
        ({"expire_after": "30d"}, "expireAfter"),
        ({"weight": 101}, "weight"),
    ],
)
def test_the_definitions_refuse_what_they_are_said_to(api: Api, pool: dict[str, Any], says: str) -> None:
    with pytest.raises(ApiError, match=says) as refused:
        api.put(NODE_POOL, karpenter_rules.node_pool({**POOL, "name": api.name, **pool}))
    assert refused.value.status.code == 422


def test_an_unknown_image_family_is_refused_by_the_definition(api: Api) -> None:
    with pytest.raises(ApiError, match="alias"):
        api.put(NODE_CLASS, node_class({**POOL, "name": api.name, "image": "ubuntu"}))
